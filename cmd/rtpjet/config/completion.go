package config

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// WriteCompletion prints what bash needs to complete commands, their options, and values of which there are few. For all else
// bash completes the names of files.
func WriteCompletion(w io.Writer) {
	p := func(format string, args ...any) { fmt.Fprintf(w, format, args...) }
	fmt.Fprint(w, completionHead)
	p("\tcase $option in\n")
	for i := range serveOptions {
		if o := &serveOptions[i]; o.words != nil {
			p("\t--%s) words='%s' ;;\n", o.long, strings.Join(o.words, " "))
		}
	}
	p("\tesac\n\tcase $COMP_CWORD:${COMP_WORDS[1]} in\n")
	p("\t1:* | 2:help) words='%s' ;;\n", strings.Join(firstWords(), " "))
	for _, first := range firstWords() {
		if groups[first] != nil {
			p("\t2:%s) words='%s' ;;\n", first, strings.Join(verbs(first), " "))
		}
	}
	p("\t2:completion) words=bash ;;\n")
	p("\tesac\n\tif [[ -z $words && $cur == -* ]]; then\n\t\tcase \"${COMP_WORDS[1]} ${COMP_WORDS[2]-} \" in\n")
	for i := range commands {
		if c := &commands[i]; c.page != nil {
			p("\t\t'%s '*) words='%s' ;;\n", strings.Join(c.names(), " '* | '"), strings.Join(c.page.longNames(), " "))
		}
	}
	p("\t\tesac\n\tfi\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _rtpjet rtpjet\n")
}

// completionHead begins the script. Bash splits --name=value into three words.
const completionHead = `# bash completion for rtpjet. For this shell: source <(rtpjet completion bash)
# For all: rtpjet completion bash > /etc/bash_completion.d/rtpjet
_rtpjet() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} option='' words=''
	case $cur:$prev in
	=:*) option=$prev cur='' ;;
	*:=) option=${COMP_WORDS[COMP_CWORD-2]} ;;
	*:-*) option=$prev ;;
	esac
`

// firstWords are the first words of all commands, each once.
func firstWords() []string {
	var out []string
	for i := range commands {
		out = append(out, commands[i].first())
	}
	return slices.Compact(out)
}

// longNames are the options of the page with their dashes.
func (p *page) longNames() []string {
	var out []string
	for _, list := range p.options {
		for i := range list {
			out = append(out, "--"+list[i].long)
		}
	}
	return out
}
