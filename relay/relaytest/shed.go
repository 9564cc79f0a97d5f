package relaytest

import (
	"context"
	"errors"
	"net/netip"

	"rtpjet/relay"
	"rtpjet/relay/plan"
)

// shed: each packet that goes no further is counted by its reason.
func shed(f *fixture) {
	p := newPair(f, "call")
	p.sa.StrictSource, p.sa.Mode = true, plan.LearnImmediate
	p.apply()
	p.toB(p.a, p.b)
	p.toA(p.b, p.a)
	NewPhone(f, loopback4).Send(p.sa.Local, p.next())
	p.a.Send(p.sa.Local, []byte("noise"))
	f.awaitErrors(p.sa.Local, 2)

	p.sa.Blocked = true
	p.apply()
	p.a.Send(p.sa.Local, p.next())
	f.await(p.sa.Local, 2)

	p.sa.Blocked, p.sa.Epoch = false, 2
	p.sa.Signalled = netip.AddrPortFrom(netip.IPv4Unspecified(), p.a.Addr().Port()) // on hold
	p.apply()
	p.b.Send(p.sb.Local, p.next())
	f.await(p.sb.Local, 2)

	q := newPair(f, "secure")
	l := secure(f, "AES_CM_128_HMAC_SHA1_80", "key", &q.sa)
	q.apply()
	q.a.Send(q.sa.Local, newLock(f, keys("AES_CM_128_HMAC_SHA1_80", "other"), q.sa.Encrypt).seal(q.next()))
	f.awaitErrors(q.sa.Local, 1)
	pkt := q.next()
	q.a.Send(q.sa.Local, l.seal(pkt))
	q.b.Expect(q.sb.Local, pkt)

	for range 2 { // what a thread has counted is there when it has answered and gone on
		if err := f.Answers(f.Context()); err != nil {
			f.Fatal(err)
		}
	}
	got := f.Totals().Shed
	for why, n := range got {
		want := uint64(0)
		switch relay.Shed(why) {
		case relay.ShedSource, relay.ShedMalformed, relay.ShedBlocked, relay.ShedNoAddress, relay.ShedNotAuthentic:
			want = 1
		case relay.ShedNotHeld, relay.ShedLoop, relay.ShedFeedback, relay.ShedUnsealed, relay.ShedNotSent:
		}
		if n != want {
			f.Errorf("%d packets %v, want %d", n, relay.Shed(why), want)
		}
	}
}

// answers: threads that work say so, and an engine that is closed has none.
func answers(f *fixture) {
	if err := f.Answers(f.Context()); err != nil {
		f.Error(err)
	}
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	_ = f.Answers(ctx) // may answer faster than it sees that nobody waits; it must return
	if err := f.Close(); err != nil {
		f.Fatal(err)
	}
	if err := f.Answers(f.Context()); !errors.Is(err, relay.ErrClosed) {
		f.Errorf("a closed engine says %v", err)
	}
}
