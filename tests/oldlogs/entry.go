package oldlogs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Entry is an entry of a stream as NATS gave it out.
type Entry struct {
	Seq     uint64
	Stored  int64 // µs of Unix time
	Subject string
	Data    []byte
}

// line is an entry as a line of JSON. Nearly all entries are text.
type line struct {
	Seq     uint64 `json:"seq"`
	Stored  int64  `json:"stored"`
	Subject string `json:"subject"`
	Text    string `json:"text,omitempty"`
	Bytes   []byte `json:"bytes,omitempty"`
}

// AppendEntries writes entries behind dst, one a line.
func AppendEntries(dst []byte, list []Entry) []byte {
	for _, e := range list {
		l := line{Seq: e.Seq, Stored: e.Stored, Subject: e.Subject}
		if utf8.Valid(e.Data) {
			l.Text = string(e.Data)
		} else {
			l.Bytes = e.Data
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(l); err != nil {
			panic(err) // nothing in a line can fail
		}
		dst = append(dst, b.Bytes()...)
	}
	return dst
}

// Entries reads what AppendEntries wrote.
func Entries(data []byte) ([]Entry, error) {
	var out []Entry
	for i, text := range bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		e := Entry{Seq: l.Seq, Stored: l.Stored, Subject: l.Subject, Data: l.Bytes}
		if l.Text != "" {
			e.Data = []byte(l.Text)
		}
		out = append(out, e)
	}
	return out, nil
}
