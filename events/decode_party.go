package events

import "slices"

// joined is the one string of several texts, which are cut off from its start one after the other. It is no larger than they
// are: what a call keeps of an entry must not keep the entry.
type joined string

func (j *joined) next(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	s := string((*j)[:len(b)])
	*j = (*j)[len(b):]
	return s
}

func (r *reader) ints() []int {
	var few [8]int
	list := few[:0]
	for begun := false; r.element(begun); begun = true {
		list = append(list, r.int())
	}
	return slices.Clip(append([]int(nil), list...))
}

// parties reads what may also be null or empty.
func (r *reader) parties() []Party {
	switch {
	case r.literal("null"):
		return nil
	case r.literal("[]"):
		return []Party{}
	}
	list := make([]Party, 0, 2)
	var told lists
	for begun := false; r.element(begun); begun = true {
		list = append(list, Party{})
		r.party(&list[len(list)-1], &told)
	}
	if cap(list) > len(list) {
		list = append(make([]Party, 0, len(list)), list...)
	}
	return list
}

func (r *reader) proposals() []Proposal {
	list := make([]Proposal, 0, 1)
	var told lists
	for begun := false; r.element(begun); begun = true {
		list = append(list, Proposal{})
		r.proposal(&list[len(list)-1], &told)
	}
	return slices.Clip(list)
}

func (r *reader) proposal(p *Proposal, told *lists) {
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		switch string(k) {
		case "number":
			bit, p.Number = 1<<0, r.int()
		case "at":
			bit, p.At = 1<<1, r.int64()
		case "branch":
			bit, p.Branch = 1<<9, string(r.text())
		case "from":
			bit, p.From = 1<<2, r.int()
		case "to":
			bit, p.To = 1<<3, r.int()
		case "from_medias":
			bit, p.FromMedias = 1<<7, r.medias(told)
		case "to_medias":
			bit, p.ToMedias = 1<<8, r.medias(told)
		case "pending":
			bit, p.Pending = 1<<4, r.bool()
		case "answered":
			bit, p.Answered = 1<<5, r.bool()
		case "first":
			bit, p.First = 1<<6, r.bool()
		case "said":
			bit, p.Said = 1<<10, string(r.text())
		case "outdated":
			bit, p.Outdated = 1<<11, r.bool()
		}
		r.once(&seen, bit)
	}
}

// partyTexts are the texts of one party, which become one string.
type partyTexts struct {
	tag, label, metadata, username, sessID, version, address, session, key []byte
	aliases, branches                                                      [][]byte
}

func (r *reader) party(p *Party, told *lists) {
	var t partyTexts
	var few [2][4][]byte
	t.aliases, t.branches = few[0][:0], few[1][:0]
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		switch string(k) {
		case "id":
			bit, p.ID = 1<<0, r.int()
		case "tag":
			bit, t.tag = 1<<1, r.text()
		case "aliases":
			bit, t.aliases = 1<<2, r.texts(t.aliases)
		case "branches":
			bit, t.branches = 1<<3, r.texts(t.branches)
		case "label":
			bit, t.label = 1<<4, r.text()
		case "metadata":
			bit, t.metadata = 1<<5, r.text()
		case "created":
			bit, p.Created = 1<<6, r.int64()
		case "peers":
			bit, p.Peers = 1<<7, r.ints()
		case "medias":
			bit, p.Medias = 1<<8, r.medias(told)
		case "out":
			bit = 1 << 9
			r.out(&p.Out, &t)
		case "in":
			bit = 1 << 10
			r.in(&p.In, &t)
		case "key":
			bit, t.key = 1<<11, r.text()
		case "seen":
			bit, p.Seen = 1<<12, r.addr()
		}
		r.once(&seen, bit)
	}
	if !r.bad {
		t.give(p)
	}
}

func (r *reader) texts(list [][]byte) [][]byte {
	for begun := false; r.element(begun); begun = true {
		list = append(list, r.text())
	}
	return list
}

func (r *reader) out(o *Out, t *partyTexts) {
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		switch string(k) {
		case "sent":
			bit, o.Sent = 1<<0, r.bool()
		case "username":
			bit, t.username = 1<<1, r.text()
		case "sess_id":
			bit, t.sessID = 1<<2, r.text()
		case "version":
			bit, t.version = 1<<3, r.text()
		case "address":
			bit, t.address = 1<<4, r.text()
		case "digest":
			bit, o.Digest = 1<<5, r.uint64()
		}
		r.once(&seen, bit)
	}
}

func (r *reader) in(n *In, t *partyTexts) {
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		switch string(k) {
		case "session_name":
			bit, t.session = 1<<0, r.text()
		case "no_allow_mixed":
			bit, n.NoAllowMixed = 1<<1, r.bool()
		}
		r.once(&seen, bit)
	}
}

// give sets the party's strings.
func (t *partyTexts) give(p *Party) {
	buf := make([]byte, 0, 256)
	single := [...][]byte{t.tag, t.label, t.metadata, t.username, t.sessID, t.version, t.address, t.session, t.key}
	for _, list := range [...][][]byte{single[:], t.aliases, t.branches} {
		for _, b := range list {
			buf = append(buf, b...)
		}
	}
	cut := joined(buf)
	p.Tag, p.Label, p.Metadata = cut.next(t.tag), cut.next(t.label), cut.next(t.metadata)
	p.Out.Username, p.Out.SessID = cut.next(t.username), cut.next(t.sessID)
	p.Out.Version, p.Out.Address = cut.next(t.version), cut.next(t.address)
	p.In.SessionName, p.Key = cut.next(t.session), cut.next(t.key)
	p.Aliases, p.Branches = cut.list(t.aliases), cut.list(t.branches)
}

func (j *joined) list(texts [][]byte) []string {
	if len(texts) == 0 {
		return nil
	}
	out := make([]string, len(texts))
	for i, b := range texts {
		out[i] = j.next(b)
	}
	return out
}
