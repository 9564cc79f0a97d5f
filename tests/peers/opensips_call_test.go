//go:build unix

package peers

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
)

// dialog is a call through OpenSIPS: two phones, and the side of the relay that
// each was told of.
type dialog struct {
	o              *opensips
	s              *server
	callID         string
	alice, bob     *phone
	relayA, relayB netip.AddrPort
	versions       int // of the phones' SDPs
	late           int // most packets, 10 ms apart, that did not arrive after a reply
}

// described is what OpenSIPS adds to a command that has an SDP, if its script
// asks for all that it can replace.
func (d *dialog) described(p *phone, more request) request {
	d.versions++
	all := request{
		"sdp":            strings.Replace(describe(p), " 20 1 ", fmt.Sprintf(" 20 %d ", d.versions), 1),
		"flags":          []string{"trust-address"},
		"ICE":            "remove",
		"address family": "IP4",
		"replace":        []string{"origin", "username", "SDP version", "zero address", "session name", "session-connection"},
	}
	maps.Copy(all, more)
	return all
}

// sdp sends an offer or answer and returns the relay's address in the reply.
func (d *dialog) sdp(command string, p *phone, tags request) (netip.AddrPort, error) {
	answer, err := d.o.send(command, d.callID, d.described(p, tags))
	if err != nil {
		return netip.AddrPort{}, err
	}
	sdp, _ := answer["sdp"].(string)
	relay, err := read(sdp)
	if err != nil {
		return relay, err
	}
	if among(d.s.nodes, relay) == nil { // a node may answer, and be killed
		return relay, fmt.Errorf("%s of %s: %v is no relay's", command, d.callID, relay)
	}
	return relay, nil
}

// offer is Alice's INVITE; she may not know Bob's tag yet.
func (d *dialog) offer(tags request) (err error) {
	d.relayB, err = d.sdp("offer", d.alice, tags)
	return err
}

// answer is Bob's 200.
func (d *dialog) answer() (err error) {
	d.relayA, err = d.sdp("answer", d.bob, byAlice)
	return err
}

// reinvite is a re-INVITE, by Alice or by Bob.
func (d *dialog) reinvite(byBob bool) (err error) {
	if !byBob {
		if err = d.offer(byAlice); err == nil {
			err = d.answer()
		}
		return err
	}
	if d.relayA, err = d.sdp("offer", d.bob, byBobTags); err == nil {
		d.relayB, err = d.sdp("answer", d.alice, byBobTags)
	}
	return err
}

// The tags of transactions that either begins.
var (
	byAlice   = request{"from-tag": "alice", "to-tag": "bob"}
	byBobTags = request{"from-tag": "bob", "to-tag": "alice"}
)

// speak checks that both hear each other, through one node.
func (d *dialog) speak() error {
	if a, b := d.s.owner(d.relayA), d.s.owner(d.relayB); a == nil || a != b {
		return fmt.Errorf("%s: relays %v and %v are not of one living node", d.callID, d.relayA, d.relayB)
	}
	for _, way := range []struct {
		from, to *phone
		relay    netip.AddrPort
	}{{d.alice, d.bob, d.relayA}, {d.bob, d.alice, d.relayB}} {
		lost, err := trickle(way.from, way.to, way.relay)
		if err == nil {
			err = heard(way.from, way.to, way.relay)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", d.callID, err)
		}
		d.late = max(d.late, lost)
	}
	return nil
}

// stays runs a re-INVITE and checks that it moved nothing.
func (d *dialog) stays(byBob bool) error {
	a, b := d.relayA, d.relayB
	if err := d.reinvite(byBob); err != nil {
		return err
	}
	if d.relayA != a || d.relayB != b {
		return fmt.Errorf("%s moved from %v and %v to %v and %v", d.callID, a, b, d.relayA, d.relayB)
	}
	return d.speak()
}

// query checks that the relay knows both sides.
func (d *dialog) query() error {
	answer, err := d.o.send("query", d.callID, nil)
	if err != nil {
		return err
	}
	if tags, _ := answer["tags"].(map[string]any); tags["alice"] == nil || tags["bob"] == nil {
		return fmt.Errorf("query of %s does not know both tags: %v", d.callID, answer)
	}
	return nil
}

// hangUp ends the call. OpenSIPS names no tag.
func (d *dialog) hangUp() error {
	answer, err := d.o.send("delete", d.callID, request{"delete-delay": 0})
	if err == nil && answer["warning"] != nil {
		err = fmt.Errorf("delete of %s: %v", d.callID, answer["warning"])
	}
	return err
}
