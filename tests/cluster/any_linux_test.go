package cluster

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zeebo/bencode"

	"rtpjet/ngserver/ngtest"
	"rtpjet/tests/lab"
	"rtpjet/tests/procs"
)

// Each command of each call goes to a node that a die chooses.
func TestAnyNodeAnswers(t *testing.T) {
	lab.Only(t, "half a minute of commands and kills")
	c := start(t, 3)
	rolls := dice(t)
	var lost sync.Map
	procs.Each(t, calls(200), 16, func(i int) error {
		r := rolls()
		any := func() *node { return pick(r, c.nodes) }
		k, err := c.newCall(newID("any"))
		if err != nil {
			return err
		}
		defer k.close()
		if err := k.setUp(any(), any()); err != nil {
			return err
		}
		began := time.Now()
		if err := k.talk(); err != nil {
			return fmt.Errorf("after the answer: %w", err)
		}
		c.times.note("media", time.Since(began))
		if err := k.move(any(), any()); err != nil {
			return err
		}
		if err := k.talk(); err != nil {
			return fmt.Errorf("after a move: %w", err)
		}
		lost.Store(i, k.lost)
		q, err := any().good(query(k.id))
		if err != nil {
			return err
		}
		if in, _ := dig(q.dict, "totals", "RTP", "packets").(int64); in < 2 || q.dict["warning"] != nil {
			return fmt.Errorf("query: %d packets, warning %v", in, q.dict["warning"])
		}
		for _, req := range []dict{block(k.id), unblock(k.id)} {
			if _, err := any().good(req); err != nil {
				return err
			}
		}
		if err := k.talk(); err != nil {
			return fmt.Errorf("after block and unblock: %w", err)
		}
		d, err := any().good(remove(k.id))
		if err != nil {
			return err
		}
		if d.dict["warning"] != nil {
			return fmt.Errorf("delete: %v", d.dict["warning"])
		}
		return poll(step, func() error { // a node that has not heard of the end yet answers still
			_, err := any().refusedFor(query(k.id), "Unknown call-id")
			return err
		})
	})
	t.Log("\n" + c.times.String())
	sum, some := 0, 0
	lost.Range(func(_, v any) bool {
		sum += v.(int)
		if v.(int) > 0 {
			some++
		}
		return true
	})
	t.Logf("%d packets in %d calls came before the owner knew of the change", sum, some)
	c.idle()
}

// refusedFor sends a command that must be refused.
func (n *node) refusedFor(req dict, reason string) (reply, error) {
	r, err := n.do(req)
	if err == nil && r.dict["error-reason"] != reason {
		err = fmt.Errorf("%v of %v at %s: %.200v, want the error %q", req["command"], req["call-id"], n.id, r.dict, reason)
	}
	return r, err
}

// Blocked media does not pass, whoever was told.
func TestAnyNodeBlocks(t *testing.T) {
	lab.Only(t, "many commands at many nodes")
	c := start(t, 3)
	k := c.place(c.nodes[0], c.nodes[1])
	for _, n := range c.nodes {
		n.ok(block(k.id))
		eventually(t, "media passes", func() error { return deaf(k.a, k.atA, k.b, 3) })
		n.ok(unblock(k.id))
		if err := k.talk(); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range c.nodes {
		u, err := n.use()
		if err != nil {
			t.Fatal(err)
		}
		if own := n == k.owner(); own != (u.own == 1) || own == (u.foreign == 1) {
			t.Errorf("%s, owner %v: %+v", n.id, own, u)
		}
	}
	rows, err := c.nodes[2].list()
	if err != nil {
		t.Fatal(err)
	}
	for id, r := range rows {
		if own := id == k.owner().id; own != (r.Status.Own == 1) {
			t.Errorf("node list says of %s: %+v", id, r.Status)
		}
	}
	out, err := c.nodes[0].tool("call", "list")
	if err != nil || !strings.Contains(out, k.id) || !strings.Contains(out, k.owner().id) {
		t.Errorf("call list: %v\n%s", err, out)
	}
}

// The same offer comes to all nodes at the same moment: as a repetition, and as commands of their own.
func TestSameOfferEverywhere(t *testing.T) {
	lab.Only(t, "half a minute of concurrent commands")
	for _, same := range []bool{true, false} {
		t.Run(fmt.Sprintf("same cookie %v", same), func(t *testing.T) {
			c := start(t, 3)
			procs.Each(t, calls(200), 8, func(int) error {
				k, err := c.newCall(newID("storm"))
				if err != nil {
					return err
				}
				defer k.close()
				for _, req := range []dict{offer(k.id, k.a.sdp()), answer(k.id, k.b.sdp())} {
					r, err := c.everywhere(req, same)
					if err != nil {
						return err
					}
					at, err := sentTo(r)
					if err != nil {
						return err
					}
					if req["command"] == "offer" {
						k.atB = at
					} else {
						k.atA = at
					}
				}
				if k.atA.Addr() != k.atB.Addr() {
					return fmt.Errorf("a sends to %v and b to %v", k.atA, k.atB)
				}
				if err := k.talk(); err != nil {
					return err
				}
				d, err := c.everywhereAny(remove(k.id), same)
				if err == nil && d[0].dict["result"] != "ok" {
					err = fmt.Errorf("delete: %v", d[0].dict)
				}
				return err
			})
			c.idle()
		})
	}
}

// everywhere sends a command to all nodes at once. All of them must give the same reply, and a good one.
func (c *cluster) everywhere(req dict, sameCookie bool) (reply, error) {
	all, err := c.everywhereAny(req, sameCookie)
	if err != nil {
		return reply{}, err
	}
	for i, r := range all {
		if r.dict["result"] != "ok" {
			return r, fmt.Errorf("%v at %s: %v", req["command"], c.nodes[i].id, r.dict)
		}
		if !bytes.Equal(r.raw, all[0].raw) {
			return r, fmt.Errorf("%v: %s says\n%s\nand %s says\n%s", req["command"], c.nodes[0].id, all[0].raw, c.nodes[i].id, r.raw)
		}
	}
	return all[0], nil
}

func (c *cluster) everywhereAny(req dict, sameCookie bool) ([]reply, error) {
	payload, err := bencode.EncodeBytes(req)
	if err != nil {
		return nil, err
	}
	up := c.running()
	cookie := ngtest.NextCookie()
	all, errs := make([]reply, len(up)), make([]error, len(up))
	var wg sync.WaitGroup
	for i, n := range up {
		mine := cookie
		if !sameCookie {
			mine = ngtest.NextCookie()
		}
		wg.Go(func() { all[i], errs[i] = n.exchange(mine, payload) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// A command that is repeated at another node gets the same bytes, and changes nothing.
func TestRepeatedElsewhere(t *testing.T) {
	c := start(t, 3)
	k := c.place(c.nodes[0], c.nodes[0])
	steps := []struct {
		name  string
		req   dict
		fresh bool // a new cookie makes no difference either
	}{
		{"re-offer", offer(k.id, k.a.version(2), dict{"to-tag": "B"}), true},
		{"answer", answer(k.id, k.b.version(2)), true},
		{"block", block(k.id), true},
		{"unblock", unblock(k.id), true},
		{"delete", remove(k.id), false},
	}
	for _, step := range steps {
		payload, err := bencode.EncodeBytes(step.req)
		if err != nil {
			t.Fatal(err)
		}
		cookie := ngtest.NextCookie()
		first, err := c.nodes[0].exchange(cookie, payload)
		if err != nil {
			t.Fatal(err)
		}
		if first.dict["result"] != "ok" {
			t.Fatalf("%s: %v", step.name, first.dict)
		}
		before := len(c.nodes[0].show(k.id).Events)
		for _, n := range []*node{c.nodes[1], c.nodes[2], c.nodes[0]} {
			cookies := []string{cookie}
			if step.fresh {
				cookies = append(cookies, ngtest.NextCookie())
			}
			for _, cookie := range cookies {
				r, err := n.exchange(cookie, payload)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(r.raw, first.raw) {
					t.Errorf("%s again at %s:\n%s\nwant\n%s", step.name, n.id, r.raw, first.raw)
				}
			}
		}
		s := c.nodes[1].show(k.id)
		if got := len(s.Events); got != before {
			t.Errorf("%s again: %d events, and there were %d: %v", step.name, got, before, s.kinds())
		}
	}
	c.idle()
}

// What is blocked at one node and let through at another one right away is not blocked, though the second may not have heard
// of the first.
func TestUnblockedElsewhereAtOnce(t *testing.T) {
	lab.Only(t, "many commands at many nodes")
	c := start(t, 3)
	ks := c.placeEverywhere(6)
	procs.Each(t, len(ks), 3, func(i int) error {
		for round := range 5 {
			if _, err := c.nodes[(i+round)%3].good(block(ks[i].id)); err != nil {
				return err
			}
			if _, err := c.nodes[(i+round+1)%3].good(unblock(ks[i].id)); err != nil {
				return err
			}
		}
		return nil
	})
	for _, k := range ks {
		if kinds := c.nodes[0].show(k.id).kinds(); kinds["media_blocked"] != 10 {
			t.Errorf("%v, and the call was blocked and unblocked 5 times", kinds)
		}
	}
	c.talkAll(ks)
	for _, k := range ks {
		c.nodes[0].ok(remove(k.id))
	}
	c.idle()
}
