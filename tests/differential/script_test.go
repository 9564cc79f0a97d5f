package differential

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// A script is a named sequence of NG commands that belong to one call, or to a few.
type script struct {
	name  string
	file  string // base name without .txt
	line  int
	steps []step
}

// A step is one command, or one datagram.
type step struct {
	line int
	text string // the command line as written, for messages
	args []arg  // command, call-id and sdp included
	json bool
	raw  []byte // with %raw: the bytes after the cookie
	bare []byte // with %bare: the whole datagram; no reply is expected
	// again repeats the datagram of the step before, byte for byte.
	again bool
	// freed says that ports were given back before: whoever gets one of them now may as well have got another.
	freed bool
}

type arg struct {
	key string
	val any // string, int64, []any, []arg, or capture
}

// A capture is a value taken from an earlier reply of the same server: $2.sdp is key sdp of the reply to step 2.
type capture struct {
	step int
	key  string
}

type template struct {
	params []arg
	lines  []string
}

// loadScripts reads all scripts of testdata, in the order of file names.
func loadScripts(t testing.TB) []script {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(files)
	templates := map[string]template{}
	var scripts []script
	seen := map[string]string{}
	// The templates come first, so that each file can use all of them.
	for _, pass := range []bool{true, false} {
		for _, f := range files {
			if filepath.Base(f) == "differences.txt" {
				continue
			}
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			p := &scriptParser{file: f, templates: templates, onlyTemplates: pass}
			got, err := p.parse(string(text))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range got {
				if at, ok := seen[s.name]; ok {
					t.Fatalf("%s:%d: script %q exists already in %s", f, s.line, s.name, at)
				}
				seen[s.name] = f
			}
			scripts = append(scripts, got...)
		}
	}
	return scripts
}

type scriptParser struct {
	file          string
	templates     map[string]template
	onlyTemplates bool
	scripts       []script
}

func (p *scriptParser) parse(text string) ([]script, error) {
	lines := strings.Split(text, "\n")
	base := strings.TrimSuffix(filepath.Base(p.file), ".txt")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		at := func(err error) error { return fmt.Errorf("%s:%d: %w", p.file, i+1, err) }
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "sdp "):
			first := i
			name, rest, _ := strings.Cut(strings.TrimPrefix(line, "sdp "), " ")
			params, err := parseArgs(rest)
			if err != nil {
				return nil, at(err)
			}
			var body []string
			for i+1 < len(lines) && lines[i+1] != "" {
				i++
				body = append(body, lines[i])
			}
			if p.onlyTemplates {
				if _, ok := p.templates[name]; ok {
					return nil, fmt.Errorf("%s:%d: sdp %q exists already", p.file, first+1, name)
				}
				p.templates[name] = template{params: params, lines: body}
			}
		case strings.HasPrefix(line, "script "):
			p.scripts = append(p.scripts, script{name: strings.TrimSpace(strings.TrimPrefix(line, "script ")), file: base, line: i + 1})
		case strings.HasPrefix(line, ">"):
			if len(p.scripts) == 0 && !p.onlyTemplates {
				return nil, at(fmt.Errorf("command before the first script"))
			}
			first := i
			cmd := strings.TrimSpace(line[1:])
			for strings.HasSuffix(cmd, "\\") && i+1 < len(lines) {
				i++
				cmd = strings.TrimSuffix(cmd, "\\") + strings.TrimSpace(lines[i])
			}
			var body []string
			for i+1 < len(lines) && lines[i+1] != "" && lines[i+1][0] != '>' {
				i++
				body = append(body, lines[i])
			}
			if p.onlyTemplates {
				continue
			}
			s := &p.scripts[len(p.scripts)-1]
			st, err := p.parseStep(s.name, cmd, body)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", p.file, first+1, err)
			}
			st.line, st.text = first+1, cmd
			s.steps = append(s.steps, st)
		default:
			return nil, at(fmt.Errorf("unexpected line %q", line))
		}
	}
	if p.onlyTemplates {
		return nil, nil
	}
	return p.scripts, nil
}

var templateUse = regexp.MustCompile(`(?:^| )@([a-zA-Z0-9-]+)(?:\(([^)]*)\))?`)

func (p *scriptParser) parseStep(name, cmd string, body []string) (step, error) {
	var st step
	eol := "\r\n"
	haveSDP := false
	var sdpLines []string
	if m := templateUse.FindStringSubmatchIndex(cmd); m != nil {
		tname := cmd[m[2]:m[3]]
		tmpl, ok := p.templates[tname]
		if !ok {
			return st, fmt.Errorf("no sdp %q", tname)
		}
		var over []arg
		if m[4] >= 0 {
			var err error
			if over, err = parseArgs(cmd[m[4]:m[5]]); err != nil {
				return st, err
			}
		}
		lines, err := expand(tmpl, over)
		if err != nil {
			return st, err
		}
		sdpLines, haveSDP = lines, true
		cmd = cmd[:m[0]] + cmd[m[1]:]
	}
	for _, l := range body {
		haveSDP = true
		if add, ok := strings.CutPrefix(l, "+ "); ok {
			l = add
		}
		sdpLines = append(sdpLines, l)
	}
	args, err := parseArgs(cmd)
	if err != nil {
		return st, err
	}
	var keep []arg
	haveCallID, noCommand := false, false
	for n, a := range args {
		switch a.key {
		case "%json":
			st.json = true
			continue
		case "%lf":
			eol = "\n"
			continue
		case "%again":
			st.again = true
			continue
		case "%freed":
			st.freed = true
			continue
		case "%raw":
			st.raw = []byte(a.val.(string))
			continue
		case "%bare":
			st.bare = []byte(a.val.(string))
			continue
		case "%no-command":
			noCommand = true
			continue
		case "%no-call-id":
			haveCallID = true
			continue
		case "call-id", "call-ID", "call id", "callid":
			haveCallID = true
		}
		if n == 0 && a.val == nil {
			a = arg{key: "command", val: a.key}
		} else if a.val == nil {
			return st, fmt.Errorf("argument %q has no value", a.key)
		}
		keep = append(keep, a)
	}
	if st.raw != nil || st.bare != nil || st.again {
		return st, nil
	}
	if !haveCallID {
		keep = append(keep, arg{"call-id", name})
	}
	if noCommand && len(keep) > 0 && keep[0].key == "command" {
		keep = keep[1:]
	}
	if haveSDP {
		var b strings.Builder
		for _, l := range sdpLines {
			if l == "(blank)" {
				l = ""
			}
			if cut, ok := strings.CutSuffix(l, "(noeol)"); ok {
				b.WriteString(cut)
				continue
			}
			if u, err := strconv.Unquote(`"` + strings.ReplaceAll(l, `"`, `\"`) + `"`); err == nil {
				l = u
			}
			b.WriteString(expandKeys(l))
			b.WriteString(eol)
		}
		keep = append(keep, arg{"sdp", b.String()})
	}
	st.args = keep
	return st, nil
}

var paramUse = regexp.MustCompile(`\$\{?([a-z0-9]+)\}?`)

// expand fills in the parameters of an SDP. A line that consists of parameters only and comes out empty is left out.
func expand(t template, over []arg) ([]string, error) {
	vals := map[string]string{}
	for _, p := range t.params {
		vals[p.key] = fmt.Sprint(p.val)
	}
	for _, o := range over {
		if _, ok := vals[o.key]; !ok {
			return nil, fmt.Errorf("sdp has no parameter %q", o.key)
		}
		vals[o.key] = fmt.Sprint(o.val)
	}
	var out []string
	for _, l := range t.lines {
		e := paramUse.ReplaceAllStringFunc(l, func(m string) string {
			return vals[strings.Trim(m, "${}")]
		})
		if e == "" && l != "" {
			continue
		}
		out = append(out, strings.Split(e, "|")...)
	}
	return out, nil
}

// parseArgs reads words and key=value pairs. Values: "quoted" strings with Go escapes, 123 integers, [a b] lists,
// {k=v} dictionaries, $N.key captures, else bare strings.
func parseArgs(s string) ([]arg, error) {
	p := &argParser{s: s}
	args, err := p.dict(0)
	if err != nil {
		return nil, fmt.Errorf("%w in %q", err, s)
	}
	return args, nil
}

type argParser struct {
	s string
	i int
}

func (p *argParser) space() {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\t') {
		p.i++
	}
}

func (p *argParser) dict(end byte) ([]arg, error) {
	out := []arg{}
	for {
		p.space()
		if p.i >= len(p.s) {
			if end != 0 {
				return nil, fmt.Errorf("missing %q", end)
			}
			return out, nil
		}
		if end != 0 && p.s[p.i] == end {
			p.i++
			return out, nil
		}
		key, err := p.word(true)
		if err != nil {
			return nil, err
		}
		if p.i < len(p.s) && p.s[p.i] == '=' {
			p.i++
			v, err := p.value()
			if err != nil {
				return nil, err
			}
			out = append(out, arg{key, v})
			continue
		}
		if key == "" {
			return nil, fmt.Errorf("unexpected %q", p.s[p.i:])
		}
		out = append(out, arg{key, nil})
	}
}

func (p *argParser) word(stopAtEqual bool) (string, error) {
	if p.i < len(p.s) && p.s[p.i] == '"' {
		return p.quoted()
	}
	start := p.i
	for p.i < len(p.s) && !strings.ContainsRune(" \t[]{}", rune(p.s[p.i])) {
		if stopAtEqual && p.s[p.i] == '=' {
			break
		}
		p.i++
	}
	return p.s[start:p.i], nil
}

func (p *argParser) quoted() (string, error) {
	q, err := strconv.QuotedPrefix(p.s[p.i:])
	if err != nil {
		return "", fmt.Errorf("bad string %q", p.s[p.i:])
	}
	p.i += len(q)
	return strconv.Unquote(q)
}

var (
	integer  = regexp.MustCompile(`^-?[0-9]+$`)
	captured = regexp.MustCompile(`^\$([0-9]+)\.(.+)$`)
)

func (p *argParser) value() (any, error) {
	if p.i >= len(p.s) {
		return "", nil
	}
	switch p.s[p.i] {
	case '"':
		return p.quoted()
	case '[':
		p.i++
		list := []any{}
		for {
			p.space()
			if p.i >= len(p.s) {
				return nil, fmt.Errorf("missing ]")
			}
			if p.s[p.i] == ']' {
				p.i++
				return list, nil
			}
			v, err := p.value()
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
	case '{':
		p.i++
		return p.dict('}')
	}
	w, err := p.word(false)
	if err != nil {
		return nil, err
	}
	if integer.MatchString(w) {
		n, err := strconv.ParseInt(w, 10, 64)
		return n, err
	}
	if m := captured.FindStringSubmatch(w); m != nil {
		n, _ := strconv.Atoi(m[1])
		return capture{n, m[2]}, nil
	}
	return w, nil
}

// payload makes the bytes after the cookie, with captures filled in from the raw replies so far.
func (st *step) payload(replies []map[string]any) ([]byte, error) {
	if st.raw != nil {
		return st.raw, nil
	}
	var fill func(v any) (any, error)
	fill = func(v any) (any, error) {
		switch v := v.(type) {
		case capture:
			if v.step < 1 || v.step > len(replies) {
				return nil, fmt.Errorf("no reply %d to take %q from", v.step, v.key)
			}
			return replies[v.step-1][v.key], nil
		case []any:
			out := make([]any, len(v))
			for i, e := range v {
				var err error
				if out[i], err = fill(e); err != nil {
					return nil, err
				}
			}
			return out, nil
		case []arg:
			out := make([]arg, len(v))
			for i, e := range v {
				f, err := fill(e.val)
				if err != nil {
					return nil, err
				}
				out[i] = arg{e.key, f}
			}
			return out, nil
		}
		return v, nil
	}
	v, err := fill(st.args)
	if err != nil {
		return nil, err
	}
	if st.json {
		return encodeJSON(v), nil
	}
	return encodeBencode(nil, v), nil
}
