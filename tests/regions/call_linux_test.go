package regions

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
)

// call is a call of two phones.
type call struct {
	w    *world
	id   string
	a, b *phone
	// Where a and b send to: what the SDPs that they were given say.
	atA, atB netip.AddrPort
	version  int // of the SDPs
}

var ids atomic.Uint64

// newID returns a call-id that was not used yet.
func newID(what string) string { return fmt.Sprintf("%s-%d@test", what, ids.Add(1)) }

func (w *world) newCall(what string) *call {
	w.t.Helper()
	k, err := w.tryCall(what)
	if err != nil {
		w.t.Fatal(err)
	}
	return k
}

func (w *world) tryCall(what string) (*call, error) {
	k := &call{w: w, id: newID(what), version: 1}
	var err error
	if k.a, err = w.newPhone(); err != nil {
		return nil, err
	}
	if k.b, err = w.newPhone(); err != nil {
		k.a.close()
		return nil, err
	}
	w.t.Cleanup(func() { k.a.close(); k.b.close() })
	return k, nil
}

// offer has a's SDP sent to b through a node.
func (k *call) offer(n *node, more ...dict) error {
	r, err := n.good(offer(k.id, k.a.sdp(k.version), more...))
	if err == nil {
		k.atB, err = sentTo(r)
	}
	return err
}

func (k *call) answer(n *node, more ...dict) error {
	r, err := n.good(answer(k.id, k.b.sdp(k.version), more...))
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

func (k *call) setUp(offerAt, answerAt *node) error {
	if err := k.offer(offerAt); err != nil {
		return err
	}
	return k.answer(answerAt)
}

// enough is how many packets a phone sends that must be heard: the first ones may be lost while nodes tell each other.
const enough = 500

// talk passes RTP in both directions.
func (k *call) talk() error {
	return errors.Join(hears(k.a, k.atA, k.b, k.atB, enough), hears(k.b, k.atB, k.a, k.atA, enough))
}

// deaf checks that the phones do not hear each other.
func (k *call) deaf() error {
	for _, err := range []error{hears(k.a, k.atA, k.b, k.atB, 10), hears(k.b, k.atB, k.a, k.atA, 10)} {
		if !errors.Is(err, errDeaf) {
			return fmt.Errorf("call %s: a phone hears the other one: %w", k.id, err)
		}
	}
	return nil
}

// must fails the test if something went wrong.
func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// place sets a call up and talks.
func (w *world) place(offerAt, answerAt *node) *call {
	w.t.Helper()
	k := w.newCall("call")
	w.must(k.setUp(offerAt, answerAt))
	w.must(k.talk())
	return k
}

// carried checks that a node has the ports of a call.
func (k *call) carried(by *node) error {
	if k.atA.Addr() != by.addr || k.atB.Addr() != by.addr {
		return fmt.Errorf("call %s: its phones send to %v and %v, want %v of %s", k.id, k.atA, k.atB, by.addr, by.name())
	}
	return nil
}
