package replay

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"rtpjet/events"
	"rtpjet/projection/history"
)

// A bundle is a text file; docs/debugging.md has its format for people. Each line is a word, what belongs to it, and a checksum:
//
//	rtpjet-bundle 1 #xxxxxxxx
//	call "CALL-ID" #xxxxxxxx
//	secrets removed|sealed #xxxxxxxx
//	event SEQ STORED {the first line of the entry, JSON} #xxxxxxxx
//	request "bytes" #xxxxxxxx
//	reply "bytes" #xxxxxxxx
//	lost SEQ STORED "why" #xxxxxxxx
//	end EVENTS #xxxxxxxx
//
// A checksum is the CRC-32C of the checksum that stands on the line before and of its own line, so that what is damaged is
// found, and what is missing. Quoted bytes are as Go writes them. Lines of the head that are not known are passed over; behind
// the head, the version changes with everything that is new.

// Version is the version of bundles that Append writes. Parse reads it and every earlier one.
const Version = 1

const magic = "rtpjet-bundle"

// What can be wrong with a bundle. Parse returns a *DamageError that matches one of them.
var (
	ErrNoBundle = errors.New("this is no bundle of rtpjet")
	ErrNewer    = errors.New("a bundle of a newer version")
	ErrDamaged  = errors.New("damaged")
)

// DamageError says where a bundle cannot be read any further.
type DamageError struct {
	Line int // from 1
	Err  error
	Why  string
}

func (e *DamageError) Error() string {
	if e.Why == "" {
		return fmt.Sprintf("line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("line %d: %v: %s", e.Line, e.Err, e.Why)
}

func (e *DamageError) Unwrap() error { return e.Err }

// What is with the secrets of a bundle.
const (
	SecretsRemoved = "removed" // others stand in their places
	SecretsSealed  = "sealed"  // as in the log of a cluster with a key
)

// Bundle is the history of one call.
type Bundle struct {
	Call     string
	Secrets  string
	By       string // the program that wrote it
	Exported string // when, for people
	Records  []Record
}

// Record is one entry of the log.
type Record struct {
	Seq    uint64
	Stored int64  // µs of Unix time
	Data   []byte // as in the log
	// Lost says why the entry was left out; Data is nil then.
	Lost string
}

// Append writes the bundle behind dst.
func (b *Bundle) Append(dst []byte) []byte {
	w := bundleWriter{out: dst}
	w.line("%s %d", magic, Version)
	w.line("call %s", strconv.QuoteToASCII(b.Call))
	w.line("secrets %s", b.Secrets)
	if b.By != "" {
		w.line("by %s", strconv.QuoteToASCII(b.By))
	}
	if b.Exported != "" {
		w.line("exported %s", strconv.QuoteToASCII(b.Exported))
	}
	for i := range b.Records {
		r := &b.Records[i]
		env, err := events.Decode(r.Data)
		head, rest, ok := bytes.Cut(r.Data, []byte{'\n'})
		if r.Lost == "" && err == nil && ok {
			w.line("event %d %d %s", r.Seq, r.Stored, head)
			if c := env.Cause; c != nil {
				w.line("request %s", strconv.QuoteToASCII(string(rest[:len(c.Request)])))
				w.line("reply %s", strconv.QuoteToASCII(string(rest[len(c.Request):])))
			}
			continue
		}
		why := r.Lost
		if why == "" {
			why = "cannot be read: " + fmt.Sprint(err)
		}
		w.line("lost %d %d %s", r.Seq, r.Stored, strconv.QuoteToASCII(why))
	}
	w.line("end %d", len(b.Records))
	return w.out
}

type bundleWriter struct {
	out  []byte
	last string // the checksum of the line before
}

func (w *bundleWriter) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.last = checksum(w.last, text)
	w.out = append(append(append(append(w.out, text...), " #"...), w.last...), '\n')
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(before, text string) string {
	return fmt.Sprintf("%08x", crc32.Update(crc32.Checksum([]byte(before), castagnoli), castagnoli, []byte(text)))
}

// Parse reads a bundle. With an error, a *DamageError, it returns what precedes the place; nil if that is nothing.
func Parse(data []byte) (*Bundle, error) {
	p := parser{b: &Bundle{}}
	for line := range bytes.Lines(data) {
		p.num++
		if err := p.line(strings.TrimRight(string(line), "\r\n")); err != nil {
			return p.result(), p.damage(err)
		}
		if p.done {
			break
		}
	}
	switch {
	case p.num == 0:
		p.num = 1
		return nil, p.damage(ErrNoBundle)
	case !p.done:
		p.num++
		return p.result(), p.damage(errors.New("the file ends here, before its end"))
	case p.newer > 0:
		return p.result(), &DamageError{Line: 1, Err: ErrNewer, Why: p.newerText()}
	}
	return p.b, nil
}

type parser struct {
	b     *Bundle
	num   int
	last  string
	newer int // the version, if it is a newer one
	done  bool
	open  bool // the last event lacks its request or its reply
	after bool // the line before was an event
	part  [][]byte
}

// result is what can be used of what was read: a last event that is not whole is none.
func (p *parser) result() *Bundle {
	if p.open && len(p.b.Records) > 0 {
		p.b.Records = p.b.Records[:len(p.b.Records)-1]
	}
	if p.b.Call == "" && len(p.b.Records) == 0 {
		return nil
	}
	return p.b
}

func (p *parser) newerText() string {
	return fmt.Sprintf("%d, this build reads %d", p.newer, Version)
}

// damage says where an error is. In a bundle of a newer version it is the version that is to blame.
func (p *parser) damage(err error) error {
	for _, known := range []error{ErrNoBundle, ErrDamaged} {
		if errors.Is(err, known) {
			return &DamageError{Line: p.num, Err: err}
		}
	}
	if p.newer > 0 {
		return &DamageError{Line: p.num, Err: ErrNewer, Why: p.newerText() + "; " + err.Error()}
	}
	return &DamageError{Line: p.num, Err: ErrDamaged, Why: err.Error()}
}

func (p *parser) line(text string) error {
	i := strings.LastIndex(text, " #")
	if p.num == 1 {
		word, _, _ := strings.Cut(text, " ")
		if word != magic {
			return ErrNoBundle
		}
	}
	if i < 0 || len(text)-i != len(" #")+8 {
		return errors.New("there is no checksum")
	}
	text, sum := text[:i], text[i+2:]
	if want := checksum(p.last, text); want != sum {
		return fmt.Errorf("the checksum is %s and should be %s: the line was changed, or what stood before it", sum, want)
	}
	p.last = sum
	word, rest, _ := strings.Cut(text, " ")
	if after := p.after; after && word == "request" {
		p.open = true
	}
	p.after = false
	if p.open && word != "request" && word != "reply" {
		return errors.New("the request or the reply of the event before is missing")
	}
	switch word {
	case magic:
		return p.version(rest)
	case "call":
		return unquote(rest, &p.b.Call)
	case "secrets":
		p.b.Secrets = rest
		return nil
	case "by":
		return unquote(rest, &p.b.By)
	case "exported":
		return unquote(rest, &p.b.Exported)
	case "event":
		return p.event(rest)
	case "request", "reply":
		return p.text(word, rest)
	case "lost":
		return p.lostRecord(rest)
	case "end":
		p.done = true
		if n, err := strconv.Atoi(rest); err != nil || n != len(p.b.Records) {
			return fmt.Errorf("there should be %s events, and there are %d", clipText(rest), len(p.b.Records))
		}
		return nil
	}
	if len(p.b.Records) > 0 {
		return fmt.Errorf("a line of an unknown kind: %q", clipText(word))
	}
	return nil
}

func (p *parser) version(rest string) error {
	n, err := strconv.Atoi(rest)
	switch {
	case p.num != 1 || err != nil || n < 1:
		return fmt.Errorf("there is no version %q", clipText(rest))
	case n > Version:
		p.newer = n
	}
	return nil
}

// numbers cuts a sequence and a time off.
func numbers(rest string) (r Record, tail string, err error) {
	seq, rest, _ := strings.Cut(rest, " ")
	stored, tail, ok := strings.Cut(rest, " ")
	r.Seq, err = strconv.ParseUint(seq, 10, 64)
	if err == nil {
		r.Stored, err = strconv.ParseInt(stored, 10, 64)
	}
	if err != nil || !ok {
		return r, "", errors.New("there is no sequence, time and text")
	}
	return r, tail, nil
}

func (p *parser) event(rest string) error {
	r, head, err := numbers(rest)
	if err != nil {
		return err
	}
	r.Data = append([]byte(head), '\n')
	p.b.Records = append(p.b.Records, r)
	// Whether a request and a reply follow, the next line says; whether they should, the entry's own head.
	if _, err := events.Decode(r.Data); errors.Is(err, events.ErrMalformed) || strings.Contains(head, `"caused":true`) {
		p.open = true
	}
	p.after, p.part = true, nil
	return nil
}

func (p *parser) text(word, rest string) error {
	want := "request"
	if len(p.part) == 1 {
		want = "reply"
	}
	if !p.open || word != want {
		return fmt.Errorf("a %s without an event", word)
	}
	var s string
	if err := unquote(rest, &s); err != nil {
		return err
	}
	p.part = append(p.part, []byte(s))
	if len(p.part) == 2 {
		r := &p.b.Records[len(p.b.Records)-1]
		r.Data = append(append(r.Data, p.part[0]...), p.part[1]...)
		p.open = false
		if _, err := events.Decode(r.Data); errors.Is(err, events.ErrMalformed) {
			p.b.Records = p.b.Records[:len(p.b.Records)-1]
			return err
		}
	}
	return nil
}

func (p *parser) lostRecord(rest string) error {
	r, why, err := numbers(rest)
	if err != nil {
		return err
	}
	if err := unquote(why, &r.Lost); err != nil {
		return err
	}
	if r.Lost == "" {
		r.Lost = "no reason given"
	}
	p.b.Records = append(p.b.Records, r)
	return nil
}

// unquote reads bytes between double quotes.
func unquote(s string, to *string) error {
	if !strings.HasPrefix(s, `"`) {
		return errors.New("a text without its quotes")
	}
	text, err := strconv.Unquote(s)
	if err != nil {
		return errors.New("a text with an error in it")
	}
	*to = text
	return nil
}

func clipText(s string) string { return s[:min(len(s), 40)] }

// Entries decodes the records.
func (b *Bundle) Entries() []history.Entry { return Entries(b.Records) }

// Entries decodes records.
func Entries(list []Record) []history.Entry {
	out := make([]history.Entry, 0, len(list))
	for i := range list {
		r := &list[i]
		e := history.Entry{Seq: r.Seq, Stored: r.Stored}
		if r.Lost != "" {
			e.Err = errors.New(r.Lost)
		} else {
			e.Envelope, e.Err = events.Decode(r.Data)
		}
		out = append(out, e)
	}
	return out
}
