package events

import (
	"net/netip"

	"rtpjet/events/compactjson"
)

// decoder reads the first line of an entry that is in the form in which this release writes it. The methods that follow from
// the types alone are generated. Those below and in decoder_lists.go know more than the types: which texts are the same in
// nearly all calls and need no memory of their own, and which are best kept in one piece.
type decoder struct {
	compactjson.Reader
	writer string  // the node that wrote the entry
	memory *memory // of the parties or proposals that are being read; nil elsewhere
}

// memory is what the decoder remembers within a list of parties or of proposals. It is too large to be cleared for each of the
// many small entries that have neither, and stays on the stack because it holds no part of the entry, but places in it.
type memory struct {
	codecs  [4]seen[Codec]
	formats [4]seen[string]
	texts   [16]pendingText

	codecsN, formatsN, textsN int
}

// fastDecode reads an entry that is in the form in which this release writes it, which nearly all are. ok is false if there is
// anything about it that it was not made for: that says nothing about the entry. What it returns is what slowDecode would
// (TestFastMatchesSlow, FuzzDecode).
func fastDecode(data []byte) (e Envelope, ok bool) {
	var h fastHeader
	d := decoder{Reader: compactjson.NewReader(data)}
	if !d.header(&h) {
		return Envelope{}, false
	}
	// A call keeps these two, as its id and its owner, for as long as it lives, and nothing else of the entry's head.
	buf := make([]byte, 0, 256)
	cut := joined(append(append(buf, h.call...), h.node...))
	e = Envelope{Call: cut.next(len(h.call)), Gen: h.gen, Node: cut.next(len(h.node)), At: h.at}
	d.writer = e.Node
	if e.Event = d.event(h.kind); e.Event == nil {
		return Envelope{}, false
	}
	d.Want('}')
	d.Want('\n')
	if d.Bad() {
		return Envelope{}, false
	}
	rest := d.Rest()
	if h.request < 0 || h.reply < 0 || h.request > len(rest) || h.reply != len(rest)-h.request || !h.caused && len(rest) > 0 {
		return Envelope{}, false
	}
	if h.caused {
		e.Cause = &Cause{Cookie: string(h.cookie), From: h.from, Request: rest[:h.request:h.request], Reply: rest[h.request:], Took: h.took, Via: string(h.via), Secrets: h.secrets}
	}
	return e, true
}

// fastHeader is a header whose texts are still a part of the entry.
type fastHeader struct {
	kind, call, node, cookie, via []byte
	gen                           uint64
	at, took                      int64
	from                          netip.AddrPort
	request, reply                int
	caused                        bool
	secrets                       Secret
}

// header reads up to the event, which is the last field. It is not generated: the event is read by its kind, and by what
// node has written it.
func (d *decoder) header(h *fastHeader) bool {
	if !d.Literal(`{"v":1,"kind":`) {
		return false
	}
	h.kind = d.Text()
	var seen uint64
	for {
		k, ok := d.Key(true)
		if !ok {
			return false
		}
		var bit uint64
		switch string(k) {
		case "call":
			bit, h.call = 1<<0, d.Text()
		case "gen":
			bit, h.gen = 1<<1, d.Uint64()
		case "node":
			bit, h.node = 1<<2, d.Text()
		case "at":
			bit, h.at = 1<<3, d.Int64()
		case "cookie":
			bit, h.cookie = 1<<4, d.Text()
		case "from":
			bit, h.from = 1<<5, d.AddrPort()
		case "request":
			bit, h.request = 1<<6, d.Int()
		case "reply":
			bit, h.reply = 1<<7, d.Int()
		case "caused":
			bit, h.caused = 1<<8, d.Bool()
		case "secrets":
			bit = 1 << 9
			d.secret(&h.secrets)
		case "took":
			bit, h.took = 1<<10, d.Int64()
		case "via":
			bit, h.via = 1<<11, d.Text()
		case "event":
			return !d.Bad()
		} // latin1 is rare, and takes another pass
		d.Once(&seen, bit)
	}
}

// node reads a node's id, which mostly is that of the entry's writer.
func (d *decoder) node(s *string) {
	if b := d.Text(); string(b) != d.writer {
		*s = string(b)
	} else {
		*s = d.writer
	}
}

// word, codecName, parameters and suite read texts of which nearly every call has the same (intern.go).
func (d *decoder) word(s *string)  { *s = intern(d.Text()) }
func (d *decoder) suite(s *string) { *s = suite(d.Text()) }

func (d *decoder) direction(s *Direction) { *s = Direction(intern(d.Text())) }

func (d *decoder) reason(r *Reason) {
	switch b := d.Text(); Reason(b) {
	case ReasonDeleted:
		*r = ReasonDeleted
	case ReasonTimeout:
		*r = ReasonTimeout
	default:
		*r = Reason(b)
	}
}

func (d *decoder) secret(s *Secret) {
	if s.read(d.Text()) != nil {
		d.Fail()
	}
}

// partyList reads the parties of an event, mostly two. The texts of each become one string.
func (d *decoder) partyList(list *[]Party) {
	var m memory
	in := decoder{d.Reader, d.writer, &m}
	read := make([]Party, 0, 2)
	for begun := false; in.Element(begun); begun = true {
		read = append(read, Party{})
		in.party(&read[len(read)-1])
		in.join()
	}
	if cap(read) > len(read) {
		read = append(make([]Party, 0, len(read)), read...)
	}
	d.follow(&in)
	*list = read
}

func (d *decoder) proposalList(list *[]Proposal) {
	var m memory
	in := decoder{d.Reader, d.writer, &m}
	read := make([]Proposal, 0, 1)
	for begun := false; in.Element(begun); begun = true {
		read = append(read, Proposal{})
		in.proposal(&read[len(read)-1])
	}
	if cap(read) > len(read) {
		read = append(make([]Proposal, 0, len(read)), read...)
	}
	d.follow(&in)
	*list = read
}

// follow goes to where another decoder of the entry has come.
func (d *decoder) follow(in *decoder) {
	d.Pass(in.At() - d.At())
	if in.Bad() {
		d.Fail()
	}
}

// pendingText is a text of a party that has no string yet, where it belongs, and where it stands in the entry.
type pendingText struct {
	to         *string
	begin, end int
}

// partyText reads a text of a party, which within a list of parties is there only after the next join.
func (d *decoder) partyText(s *string) {
	m, begin := d.memory, d.At()+1
	b := d.Text()
	if m == nil || m.textsN == len(m.texts) || d.At() != begin+len(b)+1 { // it has escapes
		*s = string(b)
		return
	}
	m.texts[m.textsN] = pendingText{s, begin, begin + len(b)}
	m.textsN++
}

// partyTexts reads a list of them.
func (d *decoder) partyTexts(list *[]string) {
	n := 0
	for ahead := d.Reader; ahead.Element(n > 0); n++ {
		ahead.Text()
	}
	*list = make([]string, n)
	for i := range *list {
		d.Element(i > 0)
		d.partyText(&(*list)[i])
	}
	d.Element(true)
}

// join makes one string of the texts since the last time.
func (d *decoder) join() {
	texts := d.memory.texts[:d.memory.textsN]
	buf := make([]byte, 0, 256)
	for i := range texts {
		buf = append(buf, d.Span(texts[i].begin, texts[i].end)...)
	}
	cut := joined(buf)
	for i := range texts {
		*texts[i].to = cut.next(texts[i].end - texts[i].begin)
	}
	d.memory.textsN = 0
}

// joined is the one string of several texts, which are cut off from its start one after the other. It is no larger than they
// are: what a call keeps of an entry must not keep the entry.
type joined string

func (j *joined) next(n int) string {
	if n == 0 {
		return ""
	}
	s := string((*j)[:n])
	*j = (*j)[n:]
	return s
}
