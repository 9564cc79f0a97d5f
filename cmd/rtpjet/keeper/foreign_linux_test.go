package keeper

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/cmd/rtpjet/keeper/netaddr"
	"rtpjet/projection/floats"
)

var strangersMAC = net.HardwareAddr{2, 0, 0, 0, 0, 9}

// fakeProber is a provider that asks the network, and hears what answer says.
type fakeProber struct {
	*fakeProvider
	answer func() (map[netip.Addr]net.HardwareAddr, error)
}

func (p *fakeProber) Probe(ctx context.Context, a ...netaddr.Address) (map[netip.Addr]net.HardwareAddr, error) {
	if err := p.note(ctx, "probe", a); err != nil {
		return nil, err
	}
	return p.answer()
}

// probing is a bench whose network answers for some addresses.
func probing(t testing.TB, taken ...string) *bench {
	b := newBench(t, float1)
	b.provider = &fakeProber{b.fake, func() (map[netip.Addr]net.HardwareAddr, error) {
		found := make(map[netip.Addr]net.HardwareAddr)
		for _, a := range taken {
			found[netip.MustParseAddr(a)] = strangersMAC
		}
		return found, nil
	}}
	return b
}

// fatal returns the sentences for which the node would end.
func (b *bench) fatal() (all []string) {
	for _, r := range b.told() {
		if r.Fatal != "" {
			all = append(all, r.Fatal)
		}
	}
	return all
}

// TestProbe: nothing is held before the network was asked whether somebody else has it, and that is asked once.
func TestProbe(t *testing.T) {
	b := probing(t)
	b.ready()
	b.settle()
	if s := b.state(float1); s.Carry || b.holds(0) {
		t.Errorf("held, and nobody has answered yet: %+v", s)
	}
	b.await()
	b.turn()
	b.calls("probe "+float1, "add "+float1)
	if !b.holds(0) {
		t.Error("nobody has the address, and it is not held")
	}
	b.ready()
	b.calls()
	if all := b.fatal(); len(all) != 0 {
		t.Errorf("%q", all)
	}
}

// TestProbeFails: a network that cannot be asked keeps no calls from being served.
func TestProbeFails(t *testing.T) {
	b := probing(t, float1)
	b.fake.do = func(_ context.Context, verb, _ string) error {
		if verb == "probe" {
			return errors.New("operation not permitted")
		}
		return nil
	}
	b.ready()
	b.await()
	b.turn()
	if !b.holds(0) || b.log.count("level=WARN", "it cannot be asked", "operation not permitted") != 1 {
		t.Errorf("%s", &b.log)
	}
}

// TestProbeFindsHolder: the host that has the address is a node that says that it holds it.
func TestProbeFindsHolder(t *testing.T) {
	b := probing(t, float1)
	b.heard(floats.UDP, pulseOf("n2", 1, 1, 4, float1).Encode())
	b.ready()
	b.await()
	b.turn()
	if s := b.state(float1); !s.Carry || s.Holder != "n2" || !s.Live {
		t.Errorf("%+v", s)
	}
	if all := b.fatal(); len(all) != 0 || b.holds(0) {
		t.Errorf("%q", all)
	}
}

// TestProbeFindsStranger: the host that has the address has it for longer than the kernel of a node that died would.
func TestProbeFindsStranger(t *testing.T) {
	b := probing(t, float1)
	b.disable(b.units[0], 0)
	b.machine.Ready()
	found := map[netip.Addr]net.HardwareAddr{netip.MustParseAddr(float1): strangersMAC}
	b.asked(b.provider.(prober), b.units[0], found, nil, now()-foreignTime/2)
	if all := b.fatal(); len(all) != 0 {
		t.Errorf("too soon: %q", all)
	}
	b.asked(b.provider.(prober), b.units[0], found, nil, now()-foreignTime)
	all := b.fatal()
	want := "the floating address 192.0.2.100 is in use: a host with the hardware address 02:00:00:00:00:09 answers for it, and is no node of this " +
		"cluster; take the address off that host, or name another one with --float"
	if len(all) != 1 || all[0] != want {
		t.Errorf("the node is told %q", all)
	}
	b.turn()
	b.calls()
	if b.state(float1).Carry || b.holds(0) {
		t.Error("an address is held that another host has")
	}
}

// TestProbeAgain: a host that has the address may be a node that is about to say so, or one that just died. It is asked again
// until that can no longer be.
func TestProbeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := probing(t, float1)
		b.disable(b.units[0], 0)
		b.machine.Ready()
		p, u := b.provider.(prober), b.units[0]
		began := now()
		found, _ := p.Probe(t.Context(), u.Addrs...)
		for range 3 {
			b.fake.take()
			b.asked(p, u, found, nil, began)
			if all := b.fatal(); len(all) != 0 {
				t.Fatalf("%q", all)
			}
			time.Sleep(claimTime*time.Microsecond - 1)
			synctest.Wait()
			b.finish()
			b.calls()
			time.Sleep(1 * time.Nanosecond)
			synctest.Wait()
			b.finish() // which asks
			synctest.Wait()
			b.calls("probe " + float1)
			b.done = make(chan func(), 64) // the answer is given here
		}
		b.asked(p, u, nil, nil, began) // it has gone meanwhile
		b.turn()
		if !b.holds(0) {
			t.Error("nobody has the address any more, and it is not held")
		}
	})
}

// TestProbeEnds: the end of the keeper does not wait until a host is asked again.
func TestProbeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := probing(t, float1)
		found := map[netip.Addr]net.HardwareAddr{netip.MustParseAddr(float1): strangersMAC}
		began := time.Now()
		b.asked(b.provider.(prober), b.units[0], found, nil, now())
		synctest.Wait()
		b.end()
		b.besides.Wait()
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		b.calls()
	})
}

// TestNoProbe: a provider that cannot ask the network is believed.
func TestNoProbe(t *testing.T) {
	b := newBench(t, float1)
	b.ready()
	b.calls("add " + float1)
	if !b.holds(0) || strings.Contains(b.log.String(), "asked") {
		t.Errorf("%s", &b.log)
	}
}
