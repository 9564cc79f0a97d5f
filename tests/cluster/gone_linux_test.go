package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"rtpjet/tests/lab"
	"rtpjet/tests/procs"
)

// The owner of calls is killed. The others answer for them: query with a warning, delete, and a re-offer or an answer move
// the call to a node that lives, and say so.
func TestOwnerKilled(t *testing.T) {
	c := start(t, 3)
	ks := c.placeEverywhere(12)
	pending, err := c.newCall(newID("pending"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pending.close)
	if err := pending.offer(c.nodes[0]); err != nil {
		t.Fatal(err)
	}
	dead := pending.owner()
	mine, rest := split(ks, dead)
	if len(mine) < 3 {
		t.Fatalf("%s owns %d of %d calls", dead.id, len(mine), len(ks))
	}
	// Replies to these are known under their cookies, and name ports that are no more.
	dead.kill()
	c.talkAll(rest)

	k := mine[0]
	up := c.running()
	q := up[0].ok(query(k.id))
	if w, _ := q.dict["warning"].(string); !strings.Contains(w, "does not answer") {
		t.Errorf("query of a call whose owner is gone: warning %q", w)
	}
	// One takeover, however many nodes are asked at once.
	k.version++
	r, err := c.everywhere(offer(k.id, k.a.version(k.version), dict{"to-tag": "B"}), false)
	if err != nil {
		t.Fatal(err)
	}
	before := k.atB
	if k.atB, err = sentTo(r); err != nil {
		t.Fatal(err)
	}
	if k.owner() == dead || k.owner() == nil || k.atB == before {
		t.Fatalf("b was told %v, and is now told %v", before, k.atB)
	}
	if r, err = c.everywhere(answer(k.id, k.b.version(k.version)), false); err != nil {
		t.Fatal(err)
	}
	if k.atA, err = sentTo(r); err != nil {
		t.Fatal(err)
	}
	if k.atA.Addr() != k.atB.Addr() {
		t.Fatalf("a sends to %v and b to %v", k.atA, k.atB)
	}
	if err := k.talk(); err != nil {
		t.Error(err)
	}
	if s := up[1].show(k.id); s.kinds()["taken_over"] != 1 || s.Call.Owner != k.owner().id || s.Call.Epoch != 2 {
		t.Errorf("%v, call %+v", s.kinds(), s.Call)
	}

	// The answer to an offer that the dead node had answered goes to another node, and so do its ports; who made the offer
	// has to be told again, as he was told of none yet.
	if err := pending.answer(up[1]); err != nil {
		t.Fatal(err)
	}
	if pending.atA.Addr() == dead.where.media {
		t.Errorf("the answer names %v, which is gone", pending.atA)
	}
	if err := pending.reinvite(up[0], up[1]); err != nil {
		t.Fatal(err)
	}
	if err := pending.talk(); err != nil {
		t.Error(err)
	}

	// The very offer of before, as a proxy sends it that has heard nothing: its reply names what is alive.
	k = mine[1]
	if err := k.setUp(up[0], up[1]); err != nil {
		t.Fatal(err)
	}
	if k.owner() == dead || k.atA.Addr() != k.atB.Addr() {
		t.Errorf("a is told %v, b is told %v", k.atA, k.atB)
	} else if err := k.talk(); err != nil {
		t.Error(err)
	}

	procs.Each(t, len(mine)-2, 4, func(i int) error {
		_, err := up[i%2].good(remove(mine[2+i].id))
		return err
	})
	procs.Each(t, len(rest), 4, func(i int) error { _, err := up[i%2].good(remove(rest[i].id)); return err })
	for _, k := range []*call{mine[0], mine[1], pending} {
		up[0].ok(remove(k.id))
	}
	c.idle()
	dead.restart()
	c.agree()
	c.idle()
}

// split sorts calls by whether a node owns them.
func split(ks []*call, owner *node) (mine, rest []*call) {
	for _, k := range ks {
		if k.owner() == owner {
			mine = append(mine, k)
		} else {
			rest = append(rest, k)
		}
	}
	return mine, rest
}

// free tells whether nobody has a UDP port, by taking it for a moment.
func free(at netip.AddrPort) error {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	return conn.Close()
}

// The owner of calls is asleep for a while. What was touched meanwhile has another owner, and the old one lets go when it
// wakes up; what was not is its own still.
func TestOwnerPaused(t *testing.T) {
	lab.Only(t, "freezes nodes, and judges them by their silence")
	c := start(t, 3)
	ks := c.placeEverywhere(12)
	sleepy := ks[0].owner()
	mine, rest := split(ks, sleepy)
	if len(mine) < 2 {
		t.Fatalf("%s owns %d calls", sleepy.id, len(mine))
	}
	rows, err := c.nodes[0].list()
	if err != nil {
		t.Fatal(err)
	}
	epoch := rows[sleepy.id].Epoch
	sleepy.pause()
	up := c.running()
	k := mine[0]
	oldA, oldB := k.atA, k.atB
	if err := k.reinvite(up[0], up[1]); err != nil {
		t.Fatal(err)
	}
	if k.owner() == sleepy {
		t.Fatalf("a call of a paused node was given %v", k.atB)
	}
	if err := k.talk(); err != nil {
		t.Fatal(err)
	}
	up[1].ok(remove(mine[1].id))
	sleepy.resume()
	eventually(t, "the old owner has sockets of a call that it lost", func() error {
		return errors.Join(free(oldA), free(oldB), free(mine[1].atA), free(mine[1].atB))
	})
	c.agree()
	if rows, err = up[0].list(); err != nil {
		t.Fatal(err)
	}
	if r := rows[sleepy.id]; r.Epoch <= epoch || r.Verdict != "alive" {
		t.Errorf("epoch %d before, then %+v", epoch, r)
	}
	// It answers for the calls of others, and its untouched calls never noticed.
	eventually(t, "a node that has woken up compares its calls with the log", func() error {
		q, err := sleepy.good(query(k.id))
		if err == nil && q.dict["warning"] != nil {
			err = fmt.Errorf("query: %v", q.dict["warning"]) // its NATS finds the others again first
		}
		return err
	})
	if err := k.reinvite(sleepy, sleepy); err != nil {
		t.Fatal(err)
	}
	if k.owner() == sleepy {
		t.Error("the call came back to the node that had lost it")
	}
	c.talkAll(append(append([]*call{k}, mine[2:]...), rest...))
	if s := up[0].show(k.id); s.kinds()["taken_over"] != 1 {
		t.Errorf("%v", s.kinds())
	}
	for _, k := range append(append([]*call{k}, mine[2:]...), rest...) {
		sleepy.ok(remove(k.id))
	}
	c.idle()
}

// All nodes are killed at once and start again: their calls are there, and media flows on the ports of before.
func TestAllKilled(t *testing.T) {
	lab.Only(t, "all nodes start again")
	c := start(t, 3)
	ks := c.placeEverywhere(calls(60))
	for _, n := range c.nodes {
		n.kill()
	}
	c.launch()
	c.talkAll(ks)
	procs.Each(t, len(ks), 8, func(i int) error {
		n := c.nodes[i%3]
		atA, atB := ks[i].atA, ks[i].atB
		if err := ks[i].reinvite(n, c.nodes[(i+1)%3]); err != nil {
			return err
		}
		if ks[i].atA != atA || ks[i].atB != atB {
			return fmt.Errorf("the ports were %v and %v, and are %v and %v", atA, atB, ks[i].atA, ks[i].atB)
		}
		r, err := n.good(remove(ks[i].id))
		if err == nil && bytes.Contains(r.raw, []byte("warning")) {
			err = fmt.Errorf("delete: %s", r.raw)
		}
		return err
	})
	c.idle()
}
