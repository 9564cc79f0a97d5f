package config

import (
	"fmt"
	"io"
	"strings"
)

// WriteHelp prints the commands, or what there is to say about one of them.
func WriteHelp(w io.Writer, topic string) {
	if p := pageOf(topic); p != nil {
		p.write(w)
		return
	}
	fmt.Fprint(w, "rtpjet relays RTP for SIP proxies that speak rtpengine's NG protocol.\n\nUsage: rtpjet COMMAND\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-36s %s\n", strings.TrimSpace(c.name+" "+c.args), c.help)
	}
}

func (p *page) write(w io.Writer) {
	fmt.Fprintf(w, "Usage: rtpjet %s\n\n", strings.Join(p.usage, "\n       rtpjet "))
	if p.about != "" {
		fmt.Fprintf(w, "%s\n\n", p.about)
	}
	for _, list := range p.options {
		for i := range list {
			list[i].write(w)
		}
	}
	if p.note != "" {
		fmt.Fprintf(w, "\n%s\n", p.note)
	}
}

// write prints a line of the help, or two if the name is long.
func (o *option) write(w io.Writer) {
	name := "    --" + o.long
	if o.short != 0 {
		name = "-" + string(o.short) + ", --" + o.long
	}
	if o.arg != "" {
		name += "=" + o.arg
	}
	const column = 40
	if len(name) > column {
		fmt.Fprintf(w, "  %s\n  %-*s %s\n", name, column, "", o.help())
		return
	}
	fmt.Fprintf(w, "  %-*s %s\n", column, name, o.help())
}
