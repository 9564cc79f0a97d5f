package cluster

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/bencode"

	"rtpjet/ngserver/ngtest"
	"rtpjet/tests/lab"
)

// All that a call has goes with its float: keys and rollovers, learned addresses, who may speak, what is blocked, what is only
// half set up, and the replies that were given.
func TestFloatState(t *testing.T) {
	lab.Only(t, "half a minute")
	f := startFloats(t, 3, floatOne)
	at := f.ng(floatOne)
	mute := f.placeFloating(1)[0] // it has its own packets sent, so that nothing else is in the way
	ks := f.placeFloating(1)
	fs := &flows{stop: make(chan struct{})}
	for _, k := range ks {
		fs.streams = append(fs.streams, newFlow(k.id, k.a, k.atA, k.b, k.atB), newFlow(k.id, k.b, k.atB, k.a, k.atA))
	}

	// RTCP has sockets of its own.
	reports, err := f.newCall(newID("rtcp"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reports.close)
	media, err := f.newCall(newID("rtp"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(media.close)
	body := func(rtp, rtcp *phone) string { return rtp.sdp() + fmt.Sprintf("a=rtcp:%d\r\n", rtcp.at.Port()) }
	next := func(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), a.Port()+1) }
	if media.atB, err = sentTo(at.ok(offer(media.id, body(media.a, reports.a)))); err != nil {
		t.Fatal(err)
	}
	if media.atA, err = sentTo(at.ok(answer(media.id, body(media.b, reports.b)))); err != nil {
		t.Fatal(err)
	}
	reports.atA, reports.atB = next(media.atA), next(media.atB)
	ks = append(ks, media)
	fs.streams = append(fs.streams, newFlow(media.id, media.a, media.atA, media.b, media.atB), newFlow(media.id, media.b, media.atB, media.a, media.atA),
		newReports(media.id, reports.a, reports.atA, reports.b, reports.atB), newReports(media.id, reports.b, reports.atB, reports.a, reports.atA))

	// Encrypted on one side, and with a key and a suite of its own on each.
	const cm, gcm = "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"
	var secure []*call
	for _, other := range []string{"", gcm} {
		k, streams, err := f.secureCall(at, cm, other)
		if err != nil {
			t.Fatal(err)
		}
		secure, fs.streams = append(secure, k), append(fs.streams, streams...)
	}

	// A phone behind NAT: its SDP names an address from which nothing comes, and the proxy has seen where it is.
	var nat []*call
	for _, more := range []dict{{}, {"flags": []any{"strict source"}}} {
		k, err := f.newCall(newID("nat"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(k.close)
		more["received from"] = []any{"IP4", k.a.at.Addr().String()}
		body := strings.ReplaceAll(k.a.sdp(), k.a.at.Addr().String(), "10.97.1.253")
		r := at.ok(offer(k.id, body, more))
		if k.atB, err = sentTo(r); err != nil {
			t.Fatal(err)
		}
		if k.atA, err = sentTo(at.ok(answer(k.id, k.b.sdp(), more))); err != nil {
			t.Fatal(err)
		}
		nat = append(nat, k)
		fs.streams = append(fs.streams, newFlow(k.id, k.a, k.atA, k.b, k.atB), newFlow(k.id, k.b, k.atB, k.a, k.atA))
	}
	strict := fs.streams[len(fs.streams)-2]
	stranger, err := newPhone(f.world)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stranger.close)

	early, err := f.newCall(newID("early"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(early.close)
	offered := newRepeat(offer(early.id, early.a.sdp()))
	if early.atB, err = sentTo(offered.first(at)); err != nil {
		t.Fatal(err)
	}
	at.ok(block(mute.id))
	gone := f.placeFloating(1)[0]
	deleted := newRepeat(remove(gone.id))
	deleted.first(at)

	fs.begin(t)
	fs.more(t, 60) // over the wrap
	eventually(t, "the wraps are not in the log", func() error {
		for i, k := range secure {
			if n := f.nodes[0].show(k.id).kinds()["rolled_over"]; n < 4+4*i {
				return fmt.Errorf("%s: %d", k.id, n)
			}
		}
		return nil
	})
	eventually(t, "a stranger is heard", func() error { return fs.hearsToo(t, strict, stranger) })

	for round := range 2 {
		old := f.settled()[0]
		if round == 0 {
			old.kill()
			f.moved(floatOne, old)
		} else {
			f.move(floatOne, f.others(old)[0])
		}
		fs.more(t, 20)
		if err := fs.hearsToo(t, strict, stranger); err != nil {
			t.Errorf("after the failover: %v", err)
		}
		if err := deaf(mute.a, mute.atA, mute.b, 3); err != nil {
			t.Errorf("a blocked call: %v", err)
		}
		offered.resend(at)
		deleted.resend(at)
		if round == 0 {
			if early.atA, err = sentTo(at.ok(answer(early.id, early.b.sdp()))); err != nil {
				t.Fatal(err)
			}
			old.restart()
			f.agree()
		}
		if err := early.talk(); err != nil {
			t.Error(err)
		}
	}
	at.ok(unblock(mute.id))
	if err := mute.talk(); err != nil {
		t.Error(err)
	}
	for _, k := range secure {
		if kinds := f.nodes[1].show(k.id).kinds(); kinds["taken_over"] > 0 {
			t.Errorf("%v", kinds)
		}
	}
	fs.end(t, "with all that they have")
	for _, k := range append(append(ks, mute, early), append(secure, nat...)...) {
		at.ok(remove(k.id))
	}
	f.idle()
}

// repeat is a command that its client sends again.
type repeat struct {
	cookie  string
	payload []byte
	raw     []byte
}

func newRepeat(req dict) *repeat {
	payload, err := bencode.EncodeBytes(req)
	if err != nil {
		panic(err) // nothing in a dict of the tests can fail
	}
	return &repeat{cookie: ngtest.NextCookie(), payload: payload}
}

func (r *repeat) first(at *node) reply {
	at.c.t.Helper()
	got, err := at.exchange(r.cookie, r.payload)
	if err != nil {
		at.c.t.Fatal(err)
	}
	r.raw = got.raw
	return got
}

// resend sends the same command under its cookie, which must have the same bytes as its reply.
func (r *repeat) resend(at *node) {
	at.c.t.Helper()
	got, err := at.exchange(r.cookie, r.payload)
	if err != nil {
		at.c.t.Error(err)
	} else if !bytes.Equal(got.raw, r.raw) {
		at.c.t.Errorf("the reply was\n%q, and is\n%q", r.raw, got.raw)
	}
}

// The timers of calls go on with their float: a call that was to be deleted later is, and one that hears nothing ends when the
// new holder has waited for it, and not because it has heard nothing yet.
func TestFloatTimers(t *testing.T) {
	lab.Only(t, "waits for timers")
	const timeout = 3 * time.Second
	f := withFloats(t, newSpread(t), 3, floatOne)
	f.args = append(f.args, "--timeout", fmt.Sprint(int(timeout.Seconds())))
	f.begin()
	at := f.ng(floatOne)
	place := func() *call {
		k := f.placeFloating(1)[0]
		return k
	}
	talking := place()
	fs := speak(t, talking)
	quiet, held := place(), place()
	quietFlows := speak(t, quiet)

	body := held.a.version(2) + "a=inactive\r\n"
	before := [2]netip.AddrPort{held.atA, held.atB}
	at.ok(offer(held.id, body, dict{"to-tag": "B"}))
	at.ok(answer(held.id, held.b.version(2)+"a=inactive\r\n"))
	quietFlows.longerThan(t, timeout) // older than the time after which silence ends a call
	quietFlows.halt()

	const delay = 2
	doomed := place()
	at.ok(remove(doomed.id, dict{"delete delay": delay}))
	old := f.settled()[0]
	killed := time.Now()
	old.kill()
	f.moved(floatOne, old)
	up := f.running()[0]
	ended := func(k *call) (at time.Time) {
		t.Helper()
		eventually(t, "a call does not end", func() error {
			s, err := up.ask(k.id)
			if err != nil {
				return err
			}
			for _, e := range s.Events {
				if e.Kind == "ended" {
					at = e.At
					return nil
				}
			}
			return fmt.Errorf("%v", s.kinds())
		})
		return at
	}
	if at := ended(quiet); at.Sub(killed) < timeout {
		t.Errorf("a call ended %v after the failover for a silence of %v", at.Sub(killed), timeout)
	}
	scheduled := time.Time{}
	end := ended(doomed)
	for _, e := range up.show(doomed.id).Events {
		if e.Kind == "deletion_scheduled" {
			scheduled = e.At
		}
	}
	if d := end.Sub(scheduled); d < delay*time.Second {
		t.Errorf("a call ended after %v, and was to end in %d s", d, delay)
	}
	fs.more(t, 5)
	fs.end(t, "timers")
	for _, k := range []*call{talking, held} {
		if up.show(k.id).Call.Ended {
			t.Errorf("%s has ended", k.id)
		}
	}
	held.version = 2
	if err := held.reinvite(at, at); err != nil {
		t.Fatal(err)
	}
	if got := [2]netip.AddrPort{held.atA, held.atB}; got != before {
		t.Errorf("a call was held at %v and goes on at %v", before, got)
	}
	if err := held.talk(); err != nil {
		t.Error(err)
	}
	for _, k := range []*call{talking, held} {
		at.ok(remove(k.id))
	}
	f.idle()
}
