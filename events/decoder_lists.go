package events

import "bytes"

// seen is a list that an event has had, and where it stands in the entry. What one party offers is what the other one is offered,
// so the same list comes two or three times, and takes the memory of one: nobody changes the lists of an event, they only take
// the place of others (projection's TestFoldKeepsEvents).
type seen[T any] struct {
	begin, end int
	list       []T
}

// again reads a list that was there before, byte for byte.
func again[T any](d *decoder, before []seen[T]) ([]T, bool) {
	rest := d.Rest()
	for i := range before {
		if had := &before[i]; bytes.HasPrefix(rest, d.Span(had.begin, had.end)) {
			d.Pass(had.end - had.begin)
			return had.list, true
		}
	}
	return nil, false
}

// codecsSeen and formatsSeen are the last lists of the two kinds.
func (m *memory) codecsSeen() []seen[Codec] {
	if m == nil {
		return nil
	}
	return m.codecs[:min(m.codecsN, len(m.codecs))]
}

func (m *memory) formatsSeen() []seen[string] {
	if m == nil {
		return nil
	}
	return m.formats[:min(m.formatsN, len(m.formats))]
}

func (d *decoder) codecList(list *[]Codec) {
	m, begin := d.memory, d.At()
	if had, ok := again(d, m.codecsSeen()); ok {
		*list = had
		return
	}
	var few [12]Codec
	read := few[:0]
	for begun := false; d.Element(begun); begun = true {
		read = append(read, Codec{})
		d.codec(&read[len(read)-1])
	}
	if d.Bad() {
		return
	}
	*list = append(make([]Codec, 0, len(read)), read...)
	if m != nil {
		m.codecs[m.codecsN%len(m.codecs)] = seen[Codec]{begin, d.At(), *list}
		m.codecsN++
	}
}

// formats reads the tokens of an m= line.
func (d *decoder) formats(list *[]string) {
	m, begin := d.memory, d.At()
	if had, ok := again(d, m.formatsSeen()); ok {
		*list = had
		return
	}
	var few [16]string
	read := few[:0]
	for begun := false; d.Element(begun); begun = true {
		read = append(read, intern(d.Text()))
	}
	if d.Bad() {
		return
	}
	*list = append(make([]string, 0, len(read)), read...)
	if m != nil {
		m.formats[m.formatsN%len(m.formats)] = seen[string]{begin, d.At(), *list}
		m.formatsN++
	}
}

func (d *decoder) codecName(s *string) {
	b := d.Text()
	name, ok := codecName(b)
	if !ok {
		name = d.memory.codecText(b)
	}
	*s = name
}

func (d *decoder) parameters(s *string) {
	b := d.Text()
	text, ok := parameters(b)
	if !ok {
		text = d.memory.codecText(b)
	}
	*s = text
}

// codecText finds a string of an earlier list: an answer mostly repeats a part of the offer's.
func (m *memory) codecText(b []byte) string {
	before := m.codecsSeen()
	for i := range before {
		for j := range before[i].list {
			switch c := &before[i].list[j]; string(b) {
			case c.Name:
				return c.Name
			case c.Fmtp:
				return c.Fmtp
			}
		}
	}
	return string(b)
}
