package exchanges

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"rtpjet/ngserver/ngtest"
)

// A way is how one phone sends to another.
type way struct {
	rtp, rtcp netip.AddrPort
	key       string // that it seals with
	open      string // that the other one opens with
}

// An exchange is an offer that waits for answers.
type exchange struct {
	from     string
	to       []string
	branch   any       // its via-branch, nil for none
	sections []section // as the offerer wrote them
	view     []section // as the others see them
}

// player plays one script.
type player struct {
	t      *testing.T
	relay  *relay
	c      *ngtest.Client
	id     string
	line   string // the step
	hosts  map[string]netip.Addr
	phones map[string]*phone
	tags   map[string]bool // parties that were heard of
	vers   map[string]int
	views  map[string][]section // the last SDP for a party
	before map[string][]section // and the one before
	offers []exchange
	ways   map[[2]string]way
	known  map[string]netip.AddrPort // where a phone's sound comes in at the relay
	reply  dict
	number int          // of packets
	banned map[int]bool // packets that nobody may hear
}

// lateFor is how long packets may come late and still be what was under way when a phone moved. A source that keeps sending for a second is
// taken to be there.
const lateFor = 500 * time.Millisecond

// play plays a script, and again if the machine was so slow that packets which come late did so for too long.
func play(t *testing.T, r *relay, s script) {
	for try := range 5 {
		late, err := playOnce(t, r, s, fmt.Sprint("exchange-", s.name, "-", try))
		if err == nil {
			return
		}
		if late < lateFor || try == 4 {
			t.Fatal(err)
		}
		t.Logf("played again, since the late packets took %v: %v", late, err)
	}
}

// playOnce returns for how long packets came late.
func playOnce(t *testing.T, r *relay, s script, id string) (late time.Duration, err error) {
	var first time.Time
	p := &player{t: t, relay: r, c: r.dial(t), id: id, hosts: map[string]netip.Addr{}, phones: map[string]*phone{}, tags: map[string]bool{}, vers: map[string]int{},
		views: map[string][]section{}, before: map[string][]section{}, ways: map[[2]string]way{}, known: map[string]netip.AddrPort{}, banned: map[int]bool{}}
	defer func() {
		for _, ph := range p.phones {
			ph.close()
		}
	}()
	for i, st := range s.steps {
		p.line = fmt.Sprintf("%s:%d: %s", s.file, st.line, st.text)
		refused := i+1 < len(s.steps) && strings.HasPrefix(s.steps[i+1].text, "refused ")
		comesLate := strings.Contains(st.text, " -?> ")
		if comesLate && first.IsZero() {
			first = time.Now()
		}
		if err := p.step(st.text, refused); err != nil {
			return late, fmt.Errorf("%s\n%s: %w", s.right, p.line, err)
		}
		if comesLate {
			late = time.Since(first)
		}
	}
	p.line = s.file + ": the end of " + s.name
	if err := p.end(); err != nil {
		return late, fmt.Errorf("%s\n%s: %w", s.right, p.line, err)
	}
	return late, nil
}

// end deletes the call and reads what is left at the phones.
func (p *player) end() error {
	if reply, err := p.c.Do(dict{"command": "query", "call-id": p.id}); err != nil {
		return err
	} else if reply["result"] == "ok" {
		if err := p.do(dict{"command": "delete", "delete delay": 0}, false); err != nil {
			return err
		}
	}
	for _, ph := range p.phones {
		for _, at := range []*net.UDPConn{ph.rtp, ph.rtcp} {
			if err := p.drain(ph, at); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *player) step(text string, refused bool) error {
	head, tail, colon := strings.Cut(text, ": ")
	w := words(head)
	switch {
	case len(w) >= 3 && colon && w[1] == "offers":
		return p.offer(w[0], strings.Split(w[2], ","), w[3:], tail, refused)
	case len(w) >= 3 && colon && w[1] == "answers":
		return p.answer(w[0], w[2], w[3:], tail, refused)
	case len(w) >= 2 && w[1] == "sees":
		_, tail, _ := strings.Cut(text, " sees ")
		return p.sees(w[0], tail)
	case len(w) == 3 && w[1] == "falls" && w[2] == "silent":
		return p.silence(w[0])
	case w[0] == "refused":
		reason, _ := p.reply["error-reason"].(string)
		if want := strings.TrimPrefix(text, "refused "); p.reply["result"] != "error" || !strings.Contains(reason, want) {
			return fmt.Errorf("the reply was %v", p.reply)
		}
		return nil
	case w[0] == "warned":
		if p.reply["warning"] == nil {
			return fmt.Errorf("no warning in %v", p.reply)
		}
		return nil
	case w[0] == "gone":
		reply, err := p.c.Do(dict{"command": "query", "call-id": p.id})
		if err == nil && reply["result"] != "error" {
			err = fmt.Errorf("the call is there: %v", reply)
		}
		return err
	case w[0] == "delete" || w[0] == "do" && len(w) > 1:
		words := w[1:]
		req := dict{"command": "delete", "delete-delay": 0}
		if w[0] == "do" {
			req, words = dict{"command": strings.Trim(w[1], `"`)}, w[2:]
		}
		more, _, err := keys(words)
		if err != nil {
			return err
		}
		for k, v := range more {
			req[k] = v
		}
		return p.do(req, refused)
	case len(w) >= 3:
		n := 1
		if len(w) == 4 {
			var err error
			if n, err = strconv.Atoi(w[3]); err != nil {
				return err
			}
		}
		return p.sound(w[0], w[1], w[2], n)
	}
	return fmt.Errorf("not understood")
}

// sound plays a step about packets.
func (p *player) sound(from, arrow, to string, n int) error {
	a, err := p.phone(from)
	if err != nil {
		return err
	}
	b, err := p.phone(to)
	if err != nil {
		return err
	}
	switch arrow {
	case "->":
		return p.hear(a, b)
	case "<->":
		if err := p.hear(a, b); err != nil {
			return err
		}
		return p.hear(b, a)
	case "~>":
		return p.report(a, b)
	case "<~>":
		if err := p.report(a, b); err != nil {
			return err
		}
		return p.report(b, a)
	case "-/>", "-?>":
		for range n {
			if _, err := p.send(a, b); err != nil {
				return err
			}
			p.banned[p.number] = arrow == "-/>"
		}
		return nil
	}
	return fmt.Errorf("not understood: %s", arrow)
}

func (p *player) phone(name string) (*phone, error) {
	if ph := p.phones[name]; ph != nil {
		return ph, nil
	}
	host := strings.TrimRightFunc(name, unicode.IsDigit)
	n, err := strconv.Atoi(name[len(host):])
	if err != nil || host == "" {
		return nil, fmt.Errorf("%q is no name of a phone", name)
	}
	ph, err := bind(p.host(host), n, name)
	if err == nil {
		p.phones[name] = ph
	}
	return ph, err
}

func (p *player) host(name string) netip.Addr {
	if _, ok := p.hosts[name]; !ok {
		p.hosts[name] = newHost()
	}
	return p.hosts[name]
}

func (p *player) do(req dict, refused bool) error {
	if _, ok := req["call-id"]; !ok {
		req["call-id"] = p.id
	}
	var err error
	if p.reply, err = p.c.Do(req); err != nil {
		return err
	}
	if !refused && p.reply["result"] != "ok" {
		return fmt.Errorf("%v", p.reply)
	}
	return nil
}

// sdp writes one of a party, and notes which phones are in it.
func (p *player) sdp(party string, session []string, secs []section) (string, error) {
	p.vers[party]++
	host := party
	for i := range secs {
		if ph := secs[i].phone; ph != "off" {
			host = strings.TrimRightFunc(ph, unicode.IsDigit)
			break
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "v=0\r\no=%s 1 %d IN IP4 %s\r\ns=-\r\nc=IN IP4 %[3]s\r\nt=0 0\r\n", party, p.vers[party], p.host(host))
	for _, l := range session {
		b.WriteString(l + "\r\n")
	}
	for i := range secs {
		s := &secs[i]
		if s.phone == "off" {
			s.write(&b, 0)
			continue
		}
		ph, err := p.phone(s.phone)
		if err != nil {
			return "", err
		}
		if own := strings.TrimRightFunc(s.phone, unicode.IsDigit); own != host && s.at == "" {
			s.at = p.host(own).String()
		}
		s.write(&b, ph.port)
		ph.kind, ph.place, ph.party, ph.formats = s.kind, i, party, s.formats
	}
	return b.String(), nil
}

// signal sends an offer or an answer and returns the sections that the other side gets.
func (p *player) signal(req dict, party string, more []string, text string, refused bool) (secs, view []section, err error) {
	given, session, err := keys(more)
	if err != nil {
		return nil, nil, err
	}
	if secs, err = sections(text); err != nil {
		return nil, nil, err
	}
	if req["sdp"], err = p.sdp(party, session, secs); err != nil {
		return nil, nil, err
	}
	for k, v := range given {
		req[k] = v
	}
	if err := p.do(req, refused); err != nil || refused {
		return nil, nil, err
	}
	sdp, _ := p.reply["sdp"].(string)
	view, err = parse(sdp)
	return secs, view, err
}

func (p *player) see(party string, view []section) {
	p.before[party], p.views[party] = p.views[party], view
}

func (p *player) offer(from string, to, more []string, text string, refused bool) error {
	req := dict{"command": "offer", "from-tag": from}
	if len(to) == 1 && p.tags[to[0]] {
		req["to-tag"] = to[0]
	}
	secs, view, err := p.signal(req, from, more, text, refused)
	if err != nil || refused {
		return err
	}
	p.tags[from] = true
	for _, q := range to {
		p.see(q, view)
	}
	p.offers = append(p.offers, exchange{from, to, req["via-branch"], secs, view})
	return nil
}

func (p *player) answer(from, to string, more []string, text string, refused bool) error {
	req := dict{"command": "answer", "from-tag": to, "to-tag": from}
	secs, view, err := p.signal(req, from, more, text, refused)
	if err != nil || refused {
		return err
	}
	p.tags[from] = true
	p.see(to, view)
	if o := p.answered(from, to, req["via-branch"]); o != nil {
		p.settle(o, secs, view)
	}
	return nil
}

// answered finds the offer that an answer is to: the last one, or that of its branch.
func (p *player) answered(from, to string, branch any) (found *exchange) {
	for i := range p.offers {
		o := &p.offers[i]
		fits := o.from == to && slices.Contains(o.to, from)
		if fits && (found == nil || branch == nil || o.branch == branch || found.branch != branch) {
			found = o
		}
	}
	return found
}

// settle notes where the phones of an offer and its answer send to from now on.
func (p *player) settle(o *exchange, secs, view []section) {
	for i, k := range correspond(o.view, secs) {
		if k < 0 || i >= len(o.sections) || i >= len(view) {
			continue
		}
		a, b := o.sections[i].phone, secs[k].phone
		if a == "off" || b == "off" || view[i].phone == "off" {
			continue
		}
		up := way{rtp: view[i].rtp, rtcp: view[i].rtcp, key: encoded(o.sections[i].key), open: o.view[i].key}
		down := way{rtp: o.view[i].rtp, rtcp: o.view[i].rtcp, key: encoded(secs[k].key), open: view[i].key}
		if view[i].muxed() {
			up.rtcp = up.rtp
		}
		if secs[k].muxed() && o.view[i].muxed() {
			down.rtcp = down.rtp
		}
		p.ways[[2]string{a, b}], p.ways[[2]string{b, a}] = up, down
		p.known[a], p.known[b] = o.view[i].rtp, view[i].rtp
	}
}

// correspond returns for each section of an offer the one of its answer: the one in its place, or if the kinds differ another of its
// kind; -1 for none.
func correspond(offer, answer []section) []int {
	out := slices.Repeat([]int{-1}, len(offer))
	used := map[int]bool{}
	for i := range min(len(offer), len(answer)) {
		if offer[i].kind == answer[i].kind {
			out[i], used[i] = i, true
		}
	}
	for i := range offer {
		for k := range answer {
			if out[i] < 0 && !used[k] && offer[i].kind == answer[k].kind {
				out[i], used[k] = k, true
			}
		}
	}
	return out
}

// sees compares the last SDP for a party with what a script says.
func (p *player) sees(party, text string) error {
	want, err := sections(text)
	if err != nil {
		return err
	}
	view, before := p.views[party], p.before[party]
	complain := func(format string, a ...any) error {
		return fmt.Errorf("%s\nthe SDP was\n%v", fmt.Sprintf(format, a...), p.reply["sdp"])
	}
	if len(view) != len(want) {
		return complain("%d sections, want %d", len(view), len(want))
	}
	for i := range want {
		w, v := &want[i], &view[i]
		switch {
		case v.kind != w.kind:
			return complain("section %d is %s", i+1, v.kind)
		case (v.phone == "off") != (w.phone == "off"):
			return complain("section %d has port %d", i+1, v.rtp.Port())
		case w.formats != nil && !slices.Equal(w.formats, v.formats):
			return complain("section %d has formats %v", i+1, v.formats)
		case w.direction != "" && w.direction != v.direction:
			return complain("section %d is %s", i+1, v.direction)
		case w.proto != "" && w.proto != v.proto:
			return complain("section %d has %s", i+1, v.proto)
		case w.at != "" && w.at != v.rtp.Addr().String():
			return complain("section %d is at %v", i+1, v.rtp.Addr())
		case w.on != "" && p.relay.interfaces[w.on] != v.rtp.Addr():
			return complain("section %d is at %v, want %s, %v", i+1, v.rtp.Addr(), w.on, p.relay.interfaces[w.on])
		case w.port != "" && i >= len(before):
			return complain("%s had no section %d before", party, i+1)
		case w.port == "same" && v.rtp.Port() != before[i].rtp.Port(), w.port == "moved" && v.rtp.Port() == before[i].rtp.Port():
			return complain("section %d has port %d, before it had %d", i+1, v.rtp.Port(), before[i].rtp.Port())
		}
		for _, l := range w.lines {
			if !slices.Contains(v.lines, l) {
				return complain("section %d has no line %s", i+1, l)
			}
		}
		for _, prefix := range w.absent {
			if slices.ContainsFunc(v.lines, func(l string) bool { return strings.HasPrefix(l, prefix) }) {
				return complain("section %d has a line %s", i+1, prefix)
			}
		}
	}
	return nil
}
