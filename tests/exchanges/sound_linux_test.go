package exchanges

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// How phones send and hear.

func encoded(key string) string {
	if key == "" {
		return ""
	}
	return inline(key)
}

// way is how one phone sends to another.
func (p *player) way(a, b *phone) (way, bool) {
	if w, ok := p.ways[[2]string{a.name, b.name}]; ok {
		return w, true
	}
	party, place := a.party, a.place
	if party == "" { // it was in no SDP yet: its host's name is its party's
		party, place = strings.TrimRightFunc(a.name, unicode.IsDigit), b.place
		a.kind = b.kind
	}
	if view := p.views[party]; place < len(view) {
		return way{rtp: view[place].rtp, rtcp: view[place].rtcp}, true
	}
	at, ok := p.known[b.name] // somebody who is no party, and knows a port all the same
	return way{rtp: at}, ok
}

// payloadType is one that both phones know.
func payloadType(a, b *phone) byte {
	of := func(ph *phone) []string {
		if ph.formats != nil {
			return ph.formats
		}
		return usual[ph.kind]
	}
	for _, f := range of(b) {
		if n, err := strconv.ParseUint(f, 10, 7); err == nil && slices.Contains(of(a), f) {
			return byte(n)
		}
	}
	return 0
}

// send sends one packet, whose number is p.number then.
func (p *player) send(a, b *phone) (way, error) {
	w, ok := p.way(a, b)
	if !ok {
		return w, fmt.Errorf("%s was not told where to send to", a.name)
	}
	p.number++
	pkt := a.packet(p.number, payloadType(a, b))
	if w.key != "" {
		c, err := context(a.seal, w.key)
		if err == nil {
			pkt, err = c.EncryptRTP(nil, pkt, nil)
		}
		if err != nil {
			return w, err
		}
	}
	_, err := a.rtp.WriteToUDPAddrPort(pkt, w.rtp)
	return w, err
}

// attempts is how many packets may be sent until the first is heard.
const attempts = 30

// hear sends packets from a until b has one of them.
func (p *player) hear(a, b *phone) error {
	first := p.number + 1
	for i := range attempts {
		w, err := p.send(a, b)
		if err != nil {
			return err
		}
		wait := 20 * time.Millisecond
		if i == attempts-1 {
			wait = patience
		}
		for {
			pkt, src, err := read(b.rtp, wait)
			if err != nil {
				return err
			}
			if pkt == nil {
				break
			}
			n, err := p.heard(b, pkt, w.open)
			if err != nil {
				return err
			}
			if n < first {
				continue // of an earlier step
			}
			if back, ok := p.ways[[2]string{b.name, a.name}]; ok && !back.rtp.Addr().IsUnspecified() && src != back.rtp {
				return fmt.Errorf("%s hears %s from %v, and sends to %v", b.name, a.name, src, back.rtp)
			}
			return nil
		}
	}
	return fmt.Errorf("%s does not hear %s, which sends to %v", b.name, a.name, p.ways[[2]string{a.name, b.name}].rtp)
}

// heard returns the number of a packet that has come, and complains if it must not come.
func (p *player) heard(at *phone, pkt []byte, key string) (int, error) {
	if key != "" {
		c, err := context(at.open, key)
		if err != nil {
			return 0, err
		}
		if pkt, err = c.DecryptRTP(nil, pkt, nil); err != nil {
			return 0, fmt.Errorf("%s cannot decrypt what it hears: %w", at.name, err)
		}
	}
	n, ok := numberIn(pkt)
	switch {
	case !ok:
		return 0, fmt.Errorf("%s hears % x", at.name, pkt)
	case p.banned[n]:
		return 0, fmt.Errorf("%s hears packet %d, which nobody may", at.name, n)
	case at.barred > 0 && n > at.barred:
		return 0, fmt.Errorf("%s hears packet %d", at.name, n)
	}
	return n, nil
}

// report passes one RTCP packet.
func (p *player) report(a, b *phone) error {
	w, ok := p.way(a, b)
	if !ok {
		return fmt.Errorf("%s was not told where to send to", a.name)
	}
	from, at := a.rtcp, b.rtcp
	if w.rtcp == w.rtp {
		from = a.rtp
	}
	back := p.ways[[2]string{b.name, a.name}]
	if back.rtcp == back.rtp && back.rtp.IsValid() {
		at = b.rtp
	}
	first := p.number + 1
	for i := range attempts {
		p.number++
		if _, err := from.WriteToUDPAddrPort(a.report(p.number), w.rtcp); err != nil {
			return err
		}
		wait := 20 * time.Millisecond
		if i == attempts-1 {
			wait = patience
		}
		for {
			pkt, src, err := read(at, wait)
			if err != nil {
				return err
			}
			if pkt == nil {
				break
			}
			if n, err := p.heard(b, pkt, ""); err != nil {
				return err
			} else if n < first {
				continue
			}
			if back.rtcp.IsValid() && !back.rtcp.Addr().IsUnspecified() && src != back.rtcp {
				return fmt.Errorf("%s has RTCP of %s from %v, and sends it to %v", b.name, a.name, src, back.rtcp)
			}
			return nil
		}
	}
	return fmt.Errorf("%s gets no RTCP of %s, which sends it to %v", b.name, a.name, w.rtcp)
}

// silence bars a phone from all that is sent from now on.
func (p *player) silence(name string) error {
	ph, err := p.phone(name)
	if err != nil {
		return err
	}
	ph.barred = p.number
	return nil
}

// drain reads what has arrived at a phone by now.
func (p *player) drain(ph *phone, at *net.UDPConn) error {
	for {
		pkt, _, err := read(at, time.Millisecond)
		if err != nil || pkt == nil {
			return err
		}
		if n, ok := numberIn(pkt); ok && (p.banned[n] || ph.barred > 0 && n > ph.barred) {
			return fmt.Errorf("%s heard packet %d, which it must not", ph.name, n)
		}
	}
}
