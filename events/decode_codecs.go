package events

import "bytes"

// lists are the lists of codecs and formats that an event has had so far, and how they stood in the entry. What one party
// offers is what the other one is offered, so the same list comes two or three times, and takes the memory of one: nobody
// changes the lists of an event, they only take the place of others (projection's TestFoldKeepsEvents).
type lists struct {
	codecsAre [4]struct {
		raw  []byte
		list []Codec
	}
	formatsAre [4]struct {
		raw  []byte
		list []string
	}
	codecsN, formatsN int
}

func (r *reader) codecs(l *lists) []Codec {
	rest := r.b[r.i:]
	n := min(l.codecsN, len(l.codecsAre))
	for i := range l.codecsAre[:n] {
		if had := &l.codecsAre[i]; bytes.HasPrefix(rest, had.raw) {
			r.i += len(had.raw)
			return had.list
		}
	}
	start := r.i
	var few [12]Codec
	read := few[:0]
	for begun := false; r.element(begun); begun = true {
		read = append(read, Codec{})
		r.codec(&read[len(read)-1], l, n)
	}
	if r.bad {
		return nil
	}
	list := append(make([]Codec, 0, len(read)), read...)
	had := &l.codecsAre[l.codecsN%len(l.codecsAre)]
	had.raw, had.list = r.b[start:r.i], list
	l.codecsN++
	return list
}

func (r *reader) codec(c *Codec, l *lists, n int) {
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		switch string(k) {
		case "pt":
			bit, c.PT = 1<<0, r.int()
		case "name":
			bit, c.Name = 1<<1, l.name(r.text(), n)
		case "rate":
			bit, c.Rate = 1<<2, r.int()
		case "channels":
			bit, c.Channels = 1<<3, r.int()
		case "fmtp":
			bit, c.Fmtp = 1<<4, l.parameters(r.text(), n)
		}
		r.once(&seen, bit)
	}
}

func (l *lists) name(b []byte, n int) string {
	if s, ok := codecName(b); ok {
		return s
	}
	return l.string(b, n)
}

func (l *lists) parameters(b []byte, n int) string {
	if s, ok := parameters(b); ok {
		return s
	}
	return l.string(b, n)
}

// string finds a string of an earlier list: an answer mostly repeats a part of the offer's.
func (l *lists) string(b []byte, n int) string {
	for i := range l.codecsAre[:n] {
		for j := range l.codecsAre[i].list {
			switch c := &l.codecsAre[i].list[j]; string(b) {
			case c.Name:
				return c.Name
			case c.Fmtp:
				return c.Fmtp
			}
		}
	}
	return string(b)
}

func (r *reader) formats(l *lists) []string {
	rest := r.b[r.i:]
	for i := range l.formatsAre[:min(l.formatsN, len(l.formatsAre))] {
		if had := &l.formatsAre[i]; bytes.HasPrefix(rest, had.raw) {
			r.i += len(had.raw)
			return had.list
		}
	}
	start := r.i
	var few [16]string
	read := few[:0]
	for begun := false; r.element(begun); begun = true {
		read = append(read, intern(r.text()))
	}
	if r.bad {
		return nil
	}
	list := append(make([]string, 0, len(read)), read...)
	had := &l.formatsAre[l.formatsN%len(l.formatsAre)]
	had.raw, had.list = r.b[start:r.i], list
	l.formatsN++
	return list
}
