package cluster

import (
	"fmt"
	"net/netip"
	"sync/atomic"

	"rtpjet/tests/procs"
)

// call is a call of two phones.
type call struct {
	c    *cluster
	id   string
	a, b *phone
	// Where a and b send to: what the SDPs that they were given say.
	atA, atB netip.AddrPort
	version  int // of the SDPs
	lost     int // packets that did not arrive while the owner was told
}

var ids atomic.Uint64

// newID returns a call-id that was not used yet.
func newID(what string) string { return fmt.Sprintf("%s-%d@test", what, ids.Add(1)) }

func (c *cluster) newCall(id string) (*call, error) {
	k := &call{c: c, id: id, version: 1}
	var err error
	if k.a, err = newPhone(c.world); err != nil {
		return nil, err
	}
	if k.b, err = newPhone(c.world); err != nil {
		k.a.close()
		return nil, err
	}
	return k, nil
}

func (k *call) close() { k.a.close(); k.b.close() }

// offer has a's SDP sent to b through a node.
func (k *call) offer(n *node, more ...dict) error {
	r, err := n.good(offer(k.id, k.a.version(k.version), more...))
	if err == nil {
		k.atB, err = sentTo(r)
	}
	return err
}

func (k *call) answer(n *node, more ...dict) error {
	r, err := n.good(answer(k.id, k.b.version(k.version), more...))
	if err == nil {
		k.atA, err = sentTo(r)
	}
	return err
}

// reinvite is a re-INVITE of a.
func (k *call) reinvite(offerAt, answerAt *node) error {
	k.version++
	if err := k.offer(offerAt, dict{"to-tag": "B"}); err != nil {
		return err
	}
	return k.answer(answerAt)
}

// move gives b another address, and has b say so.
func (k *call) move(offerAt, answerAt *node) error {
	b, err := newPhone(k.c.world)
	if err != nil {
		return err
	}
	k.b.close()
	k.b = b
	k.version++
	swap := dict{"from-tag": "B", "to-tag": "A"}
	r, err := offerAt.good(offer(k.id, b.version(k.version), swap))
	if err != nil {
		return err
	}
	if k.atA, err = sentTo(r); err != nil {
		return err
	}
	if r, err = answerAt.good(answer(k.id, k.a.version(k.version), swap)); err != nil {
		return err
	}
	k.atB, err = sentTo(r)
	return err
}

func (k *call) setUp(offerAt, answerAt *node) error {
	if err := k.offer(offerAt); err != nil {
		return err
	}
	return k.answer(answerAt)
}

// talk passes RTP in both directions.
func (k *call) talk() error {
	lost, err := hears(k.a, k.atA, k.b, k.atB)
	if err != nil {
		return fmt.Errorf("call %s: %w", k.id, err)
	}
	more, err := hears(k.b, k.atB, k.a, k.atA)
	if err != nil {
		return fmt.Errorf("call %s: %w", k.id, err)
	}
	k.lost += lost + more
	return nil
}

// owner is the node whose ports the call uses.
func (k *call) owner() *node { return k.c.byMedia(k.atB.Addr()) }

// place sets a call up and talks.
func (c *cluster) place(offerAt, answerAt *node) *call {
	c.t.Helper()
	k, err := c.newCall(newID("call"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(k.close)
	if err := k.setUp(offerAt, answerAt); err != nil {
		c.t.Fatal(err)
	}
	if err := k.talk(); err != nil {
		c.t.Fatal(err)
	}
	return k
}

// placeEverywhere sets calls up, the same number with each node.
func (c *cluster) placeEverywhere(n int) []*call {
	c.t.Helper()
	list := make([]*call, n)
	procs.Each(c.t, n, 8, func(i int) error {
		k, err := c.newCall(newID("call"))
		if err != nil {
			return err
		}
		list[i] = k
		if err := k.setUp(c.nodes[i%len(c.nodes)], c.nodes[(i+1)%len(c.nodes)]); err != nil {
			return err
		}
		return k.talk()
	})
	c.t.Cleanup(func() {
		for _, k := range list {
			if k != nil {
				k.close()
			}
		}
	})
	return list
}

// talkAll checks the media of calls.
func (c *cluster) talkAll(list []*call) {
	c.t.Helper()
	procs.Each(c.t, len(list), 16, func(i int) error { return list[i].talk() })
}
