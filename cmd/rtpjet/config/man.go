package config

import (
	"fmt"
	"io"
	"strings"
)

// WriteManual prints the manual page as roff, for man -l or /usr/share/man/man8.
func WriteManual(w io.Writer) {
	m := manual{w}
	m.line(`.TH RTPJET 8 "" rtpjet "System administration"`)
	m.section("NAME")
	m.line(`rtpjet \- relay RTP for SIP proxies that speak rtpengine's NG protocol`)
	m.section("SYNOPSIS")
	for i := range commands {
		if i > 0 {
			m.line(".br")
		}
		m.line(".B rtpjet " + roff(commands[i].name))
		m.text(commands[i].args)
	}
	m.section("COMMANDS")
	for i := range commands {
		m.line(".TP")
		m.line(".B " + roff(commands[i].name) + " \\fR" + roff(commands[i].args))
		m.text(commands[i].help)
	}
	m.page("OPTIONS OF SERVE AND DEV", servePage.options[0], servePage.note)
	m.page("OPTIONS OF CALL HISTORY, CALL EXPORT AND REPLAY", historyOptions, replayPage.about)
	m.page("OPTIONS OF NODE", nodeOptions, "")
	m.page("OPTIONS OF REGION", regionOptions, "")
	m.page("OPTIONS OF ALL COMMANDS BUT SERVE AND DEV", logOptions, "They say where the log is, and how to print what is found there.")
	m.section("FILES")
	for _, f := range [][2]string{
		{defaultConfigFile, "what serve reads unless --config-file says otherwise: the section [" + defaultConfigSection + "], with the options of serve by their long names"},
		{defaultDataDir, "the log, unless --data-dir says otherwise"},
	} {
		m.line(".TP")
		m.line(".I " + roff(f[0]))
		m.text(f[1])
	}
	m.section("EXIT STATUS")
	m.text("0: it is done. 1: it could not be done. 2: the command line or the configuration file is wrong.")
}

// manual writes lines of roff.
type manual struct{ w io.Writer }

func (m manual) line(s string) { fmt.Fprintln(m.w, s) }

func (m manual) section(name string) { m.line(".SH " + name) }

// text writes words of ours, which may look like a request at the begin of a line.
func (m manual) text(s string) {
	if s = roff(s); s == "" {
		return
	}
	for line := range strings.SplitSeq(s, "\n") {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			line = `\&` + line
		}
		m.line(line)
	}
}

// page writes a section with options.
func (m manual) page(name string, list []option, about string) {
	m.section(name)
	m.text(about)
	for i := range list {
		o := &list[i]
		m.line(".TP")
		names := `\fB` + roff("--"+o.long) + `\fR`
		if o.short != 0 {
			names = `\fB` + roff("-"+string(o.short)) + `\fR, ` + names
		}
		if o.arg != "" {
			names += `=\fI` + roff(o.arg) + `\fR`
		}
		m.line(names)
		m.text(o.help())
	}
}

// roff writes a text so that it is printed as it is.
var roffEscapes = strings.NewReplacer(`\`, `\e`, "-", `\-`)

func roff(s string) string { return roffEscapes.Replace(s) }
