package keeper

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"rtpjet/cmd/rtpjet/keeper/netaddr"
	"rtpjet/projection/floats"
)

// TestHoldOrder: the time until which a float may be relayed is written before its address is added, is over before the
// address is taken away, and nobody is told that the float is free before that.
func TestHoldOrder(t *testing.T) {
	b := newBench(t, float1)
	b.fake.do = func(ctx context.Context, verb, _ string) error {
		s := b.state(float1)
		switch verb {
		case "add":
			if !b.holds(0) || b.shared.At(0).Load() != s.Until*1000 {
				t.Errorf("the address is added, and the relay may serve it until %d, not %d", b.shared.At(0).Load(), s.Until*1000)
			}
			limit, ok := ctx.Deadline()
			if left := time.Until(limit); !ok || left <= 0 || left > longSilence*3/4 {
				t.Errorf("adding it may take %v", left)
			}
		case "remove":
			if b.shared.At(0).Load() != 0 || s.Yield == "" || s.Holder != "n1" {
				t.Errorf("the address is removed: deadline %d, %+v", b.shared.At(0).Load(), s)
			}
		}
		return nil
	}
	b.ready()
	b.calls("add " + float1)
	if s := b.state(float1); !s.Hold || s.Epoch != 1 || !b.holds(0) {
		t.Fatalf("%+v", s)
	}
	b.settle()
	b.calls() // it is there

	b.obey(&order{Release: true})
	b.calls("remove " + float1)
	if s := b.state(float1); s.Holder != "" || b.shared.At(0).Load() != 0 {
		t.Errorf("it is not given up: %+v", s)
	}
	if b.log.count("giving a float up", "for=*") != 1 {
		t.Errorf("it is not logged:\n%s", &b.log)
	}
}

// TestFloatsAreApart: what becomes of one float is nothing to the other.
func TestFloatsAreApart(t *testing.T) {
	b := newBench(t, float1, float2)
	b.fake.do = func(_ context.Context, verb, addr string) error {
		if verb == "add" && addr == float1 {
			return errors.New("no such device")
		}
		return nil
	}
	b.ready()
	b.calls("add "+float1, "add "+float2)
	if !b.holds(1) || b.units[0].present || !b.units[1].present {
		t.Errorf("%+v, %+v", b.units[0], b.units[1])
	}
	b.heard(floats.UDP, pulseOf("n2", 1, 1, 9, float2).Encode()) // newer, and nobody takes the float from a live holder
	if !b.holds(1) {
		t.Error("a claim of another node ends what a live holder may do")
	}
}

// TestAddFails: a node that cannot have an address tries again, each time later, then has another one hold the float, and is
// able again after a while, each time a longer one.
func TestAddFails(t *testing.T) {
	b := newBench(t, float1)
	b.fake.do = func(_ context.Context, verb, _ string) error {
		if verb == "add" {
			return errors.New("no such device")
		}
		return nil
	}
	u := b.units[0]
	for _, unable := range []int64{1, 3, 7, 15, 31, 32, 32} {
		for try := range addsTried {
			if try == 0 {
				b.ready()
			} else {
				at := u.retryAt
				b.attendUnit(u, at-1)
				b.calls()
				b.attendUnit(u, at)
			}
			b.calls("add " + float1)
			if u.present {
				t.Fatal("it failed, and counts as done")
			}
			if wait := u.retryAt - now(); try < addsTried-1 && (wait <= 0 || wait > addressRetry<<try) {
				t.Errorf("after failure %d tried again in %d µs", try+1, wait)
			}
		}
		if wait := u.ableAt - now(); wait <= (unable-1)*unableFor || wait > unable*unableFor {
			t.Errorf("able again in %d µs, want %d times %d", wait, unable, unableFor)
		}
		b.settle()
		if s := b.state(float1); s.Carry || s.Holder != "" || b.shared.At(0).Load() != 0 {
			t.Fatalf("it cannot have the address, and stands like this: %+v", s)
		}
		able := u.ableAt
		if next := b.attend(able - 1); b.state(float1).Carry || next > able-1+idle {
			t.Error("able before its time")
		}
		b.attend(able)
		if !b.state(float1).Carry || u.ableAt != 0 {
			t.Fatal("not able when it is time")
		}
		u.retryAt, b.renewDue = 0, 0
		b.calls()
	}
	b.fake.do = nil
	b.turn()
	b.calls("add " + float1)
	if !u.present || u.failed != 0 || u.unable != 0 {
		t.Errorf("it has succeeded, and the failures before count: %+v", u)
	}
	if n := b.log.count("another node has to hold the float"); n != 7 {
		t.Errorf("logged %d times", n)
	}
}

// TestAddLate: that the time was over is no fault of the device's.
func TestAddLate(t *testing.T) {
	b := newBench(t, float1)
	b.fake.do = func(_ context.Context, verb, _ string) error {
		if verb == "add" {
			return errors.Join(context.DeadlineExceeded)
		}
		return nil
	}
	b.ready()
	u := b.units[0]
	for range 2 * addsTried {
		b.attendUnit(u, now())
	}
	if u.failed != 0 || u.unable != 0 || u.present || u.retryAt != 0 || b.log.count("level=ERROR") != 0 {
		t.Errorf("%+v\n%s", u, &b.log)
	}
}

// TestRemoveFails: as long as an address is still there its float is nobody else's.
func TestRemoveFails(t *testing.T) {
	b := newBench(t, float1)
	b.ready()
	b.fake.take()
	b.fake.do = func(_ context.Context, verb, _ string) error {
		if verb == "remove" {
			return errors.New("busy")
		}
		return nil
	}
	b.obey(&order{Release: true})
	for range 3 {
		b.settle()
		if s := b.state(float1); s.Holder != "n1" || s.Yield == "" {
			t.Fatalf("the address is still here, and the float given away: %+v", s)
		}
		if b.shared.At(0).Load() != 0 {
			t.Error("and packets are relayed")
		}
	}
	if b.over(now() + 10*farewell) {
		t.Error("the keeper ends with an address on the machine")
	}
	if n := b.log.count("level=ERROR", "cannot be taken away"); n < 3 {
		t.Errorf("logged %d times", n)
	}
	b.fake.do = nil
	b.settle()
	if s := b.state(float1); s.Holder != "" || b.units[0].present {
		t.Errorf("the address is gone, and the float not: %+v", s)
	}
	if b.over(now()) || !b.over(b.goneAt+farewell) {
		t.Error("the others are not told for long enough, or for too long")
	}
}

// TestRenew: an address that is here is renewed now and then; one that somebody has taken away is put back.
func TestRenew(t *testing.T) {
	b := newBench(t, float1, float2)
	b.ready()
	b.fake.take()
	at := now()
	b.attend(at)
	b.calls("renew "+float1, "renew "+float2)
	if next := b.attend(at + 1); next > at+netaddr.RenewEvery.Microseconds() {
		t.Errorf("the next look is after %d µs", next-at)
	}
	b.attend(at + netaddr.RenewEvery.Microseconds() - 1)
	b.calls()

	b.fake.do = func(_ context.Context, verb, addr string) error {
		switch {
		case verb == "renew" && addr == float1:
			return errors.Join(netaddr.ErrGone)
		case verb == "renew":
			return errors.New("the kernel is busy")
		}
		return nil
	}
	at += netaddr.RenewEvery.Microseconds()
	b.attend(at)
	b.calls("renew "+float1, "renew "+float2)
	if b.units[0].present || !b.units[1].present {
		t.Error("what is gone counts as here, or the contrary")
	}
	if next := b.attend(at + 1); next > at+1+idle {
		t.Errorf("it is put back after %d µs", next-at)
	}
	b.calls("add " + float1)
	if b.log.count("level=WARN", "it is put back", float1) != 1 || b.log.count("level=WARN", "cannot renew", float2) != 1 {
		t.Errorf("%s", &b.log)
	}
	if !b.holds(0) || !b.holds(1) {
		t.Error("the right to the floats does not depend on it")
	}
}

// TestScripts run beside the loop, one at a time for each float. What was decided meanwhile is done afterwards.
func TestScripts(t *testing.T) {
	b := newBench(t, float1)
	b.slow = true
	goOn := make(chan error)
	b.fake.do = func(ctx context.Context, _, _ string) error {
		select {
		case err := <-goOn:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	u := b.units[0]
	b.ready()
	b.settle()
	b.attend(now())
	if !u.busy || !b.holds(0) {
		t.Errorf("the script is at work, and the sockets of the float may be used: %+v", u)
	}
	b.obey(&order{Release: true})
	b.settle()
	if b.shared.At(0).Load() != 0 {
		t.Error("what is given up is relayed until a script has ended")
	}
	if s := b.state(float1); s.Holder != "n1" || b.over(b.goneAt+farewell) {
		t.Errorf("it is given up while a script adds its address: %+v", s)
	}
	goOn <- nil
	b.await()
	b.calls("add " + float1)
	b.settle()
	goOn <- nil
	b.await()
	b.calls("remove " + float1)
	b.settle()
	if s := b.state(float1); s.Holder != "" || u.present || u.busy {
		t.Errorf("%+v, %+v", s, u)
	}
}

// TestMay is what the provider asks before it announces an address once more.
func TestMay(t *testing.T) {
	b := newBench(t, float1, float2)
	one, two := addressOf(float1), addressOf(float2)
	b.shared.At(0).Store(nowNano() + int64(time.Hour))
	b.shared.At(1).Store(nowNano() - 1)
	other := one
	other.Device = "media1"
	if !b.may(one) || b.may(two) || b.may(other) || b.may(addressOf("192.0.2.1")) {
		t.Error("announced may be what is held now, and nothing else")
	}
}

// TestReports: the node hears of what has changed, once, and reads the time in the shared memory.
func TestReports(t *testing.T) {
	b := newBench(t, float1, float2)
	b.settle()
	all := b.told()
	if len(all) != 1 || len(all[0].States) != 2 {
		t.Fatalf("%+v", all)
	}
	b.settle()
	if all = b.told(); len(all) != 0 {
		t.Errorf("nothing new is told: %+v", all)
	}
	b.ready()
	all = slices.DeleteFunc(b.told(), func(r report) bool { return r.States == nil })
	if len(all) == 0 {
		t.Fatal("the node does not hear what it holds")
	}
	last := all[len(all)-1].States
	for i, id := range []string{float1, float2} {
		if s := last[i]; s.Float != id || !s.Hold || s.Holder != "n1" || s.Until != 0 || s.Why != "nobody held it" {
			t.Errorf("%+v", s)
		}
	}
	b.turn() // which prolongs what may be done
	for _, r := range b.told() {
		if r.States != nil {
			t.Errorf("time passes, and that is news: %+v", r)
		}
	}
}

// TestUnread: a node that does not read holds nothing up, and has the newest states when it reads again.
func TestUnread(t *testing.T) {
	b := newBench(t, float1)
	pulse := pulseOf("n1", 1, 1, 1, float1).Encode()
	sent := 0
	for ; len(b.out) < maxUnsent && sent < 1_000_000; sent++ {
		b.sendReport(report{Pulse: pulse})
	}
	b.settle()
	b.ready() // all of this is too much
	if len(b.out) != maxUnsent {
		t.Fatalf("%d reports wait", len(b.out))
	}
	if n := len(b.told()); n != sent {
		t.Errorf("%d reports were there, and %d are read", sent, n)
	}
	b.settle()
	all := b.told()
	if len(all) != 1 || len(all[0].States) != 1 || !all[0].States[0].Hold {
		t.Errorf("the states were lost, and come no more: %+v", all)
	}

	b.sendReport(report{Fatal: strings.Repeat("x", maxMessage)})
	if len(b.told()) != 0 || b.log.count("level=ERROR", "a report is not sent", "131084 bytes") != 1 {
		t.Errorf("what is too long is not logged:\n%s", &b.log)
	}
}

// TestPulses: all peers get each; every third also goes by NATS.
func TestPulses(t *testing.T) {
	b := newBench(t, float1)
	b.link.close()
	b.loop.link = newLink(t, loopback4, "a key")
	peer := newLink(t, loopback4, "a key")
	b.ready()
	b.link.setPeers(peersOf(map[string]*link{"n2": peer}))
	b.told()
	b.pulses = 0
	for range 9 {
		b.pulse()
	}
	heard := hear(peer)
	if len(heard) != 9 {
		t.Fatalf("%d of 9 pulses came by UDP", len(heard))
	}
	var byNATS []string
	for _, r := range b.told() {
		if r.Pulse != nil {
			byNATS = append(byNATS, string(r.Pulse))
		}
	}
	if want := []string{heard[2], heard[5], heard[8]}; !slices.Equal(byNATS, want) {
		t.Errorf("by NATS %q, want %q", byNATS, want)
	}
	last := uint64(0)
	for _, data := range heard {
		p, err := floats.DecodePulse([]byte(data))
		if err != nil || p.Node != "n1" || p.Run != 1 || last != 0 && p.Count != last+1 || len(p.Floats) != 1 || p.Floats[0].Holder != "n1" {
			t.Errorf("%s: %v", data, err)
		}
		last = p.Count
	}
	// What others hear late must not be asked for late: a claim that is given up is told at once.
	b.obey(&order{Release: true})
	heard = hear(peer)
	if len(heard) == 0 || !strings.Contains(heard[len(heard)-1], `"x":"*"`) {
		t.Errorf("that the float is free is not told at once: %q", heard)
	}
}

// TestHeard: only pulses of others count, and none that is older than what is known of its sender.
func TestHeard(t *testing.T) {
	b := newBench(t, float1)
	holder := func(want string, epoch uint64) {
		t.Helper()
		if s := b.state(float1); s.Holder != want || s.Epoch != epoch {
			t.Errorf("%q holds it with %d, want %q with %d", s.Holder, s.Epoch, want, epoch)
		}
	}
	for _, junk := range []string{"", "{", "[]", `{"n":"n2"}`, `{"r":1,"c":1}`, `{"n":7,"r":1}`} {
		b.heard(floats.UDP, []byte(junk))
	}
	b.heard(floats.UDP, pulseOf("n1", 9, 9, 9, float1).Encode())
	holder("", 0)
	b.heard(floats.UDP, pulseOf("n2", 5, 5, 3, float1).Encode())
	holder("n2", 3)
	b.heard(floats.UDP, pulseOf("n2", 5, 4, 9, float1).Encode()) // sent once more by somebody, or late
	b.heard(floats.NATS, pulseOf("n2", 5, 5, 9, float1).Encode())
	b.heard(floats.UDP, pulseOf("n2", 4, 99, 9, float1).Encode()) // of a process before this one
	holder("n2", 3)
	b.ready()
	holder("n2", 3)
	b.calls()
	if b.holds(0) {
		t.Error("another node holds it, and it is relayed here")
	}
}

// TestLook logs how the others are heard when that changes, and only then.
func TestLook(t *testing.T) {
	b := newBench(t, float1)
	b.obey(&order{Nodes: &nodes{Voters: []string{"n1", "n2", "n3"}}})
	at := now()
	b.look(at)
	if n := b.log.count("was not heard yet"); n != 0 {
		t.Errorf("who was never there is missed %d times", n)
	}
	b.heard(floats.UDP, pulseOf("n2", 1, 1, 0, float1).Encode())
	b.look(at + lookEvery)
	b.look(at + 2*lookEvery)
	if b.log.count("level=INFO", "node n2 is heard") != 1 {
		t.Errorf("%s", &b.log)
	}
	b.look(at + 2*lookEvery + 1) // too soon
	silent := at + 2*longSilence.Microseconds()
	b.look(silent)
	b.look(silent + lookEvery)
	if b.log.count("level=WARN", "node n2 is silent on every path") != 1 || b.log.count("level=WARN", "may be the one that is cut off") != 1 {
		t.Errorf("%s", &b.log)
	}
	b.refused("n3", now())
	b.look(silent + 2*lookEvery)
	if b.log.count("level=WARN", "node n3 is refused by its machine") != 1 {
		t.Errorf("%s", &b.log)
	}
}

// TestHeldUp: a keeper that comes too late says so.
func TestHeldUp(t *testing.T) {
	b := newBench(t, float1)
	must(t, b.poll(now()-longSilence.Microseconds()/8))
	if n := b.log.count("held up"); n != 0 {
		t.Errorf("a little late: %s", &b.log)
	}
	must(t, b.poll(now()-longSilence.Microseconds()/2))
	if b.log.count("level=WARN", "the keeper was held up", "ms=20") != 1 {
		t.Errorf("%s", &b.log)
	}
}
