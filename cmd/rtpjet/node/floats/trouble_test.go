package floats_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/cmd/rtpjet/keeper"
	driver "rtpjet/cmd/rtpjet/node/floats"
	"rtpjet/embed"
	"rtpjet/projection/floats"
)

// deafLink has nobody listen.
type deafLink struct{ fakeLink }

func (*deafLink) Subscribe(string, func(embed.Msg)) (func(), error) {
	return nil, errors.New("no bus")
}

// mute is a host that cannot tell others where its keeper is.
type mute struct{ *fakeHost }

func (mute) Announce(context.Context, netip.AddrPort) error { return errors.New("no bucket") }

// stubborn is a keeper that takes no orders about nodes, for another reason than its end.
type stubborn struct {
	*fakeKeeper
	why error
}

func (s stubborn) Drain(bool) error { return s.why }

// A bus on which nobody can listen ends the node: its pulses would not be heard.
func TestNoBus(t *testing.T) {
	d := driver.New(driver.Config{Node: "n1", Host: &fakeHost{}, Link: &deafLink{}, Clock: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err := d.Run(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "no bus") {
		t.Errorf("the driver ended with %v", err)
	}
}

// A keeper that does not take what it is told is an error for the log; one that has ended is none: the next one is told.
func TestNotTold(t *testing.T) {
	for _, tt := range []struct {
		why  error
		said bool
	}{{errors.New("it hangs"), true}, {keeper.ErrEnded, false}, {nil, false}} {
		start(t, func(c *driver.Config, w *world) { c.Keeper = stubborn{w.k, tt.why} }, func(w *world) {
			w.Drain(true)
			if got := strings.Contains(w.log.String(), "is not told"); got != tt.said {
				t.Errorf("%v: said %v\n%s", tt.why, got, w.log.String())
			}
		})
	}
}

// A record whose addresses cannot be used says yet who holds the float.
func TestBadTable(t *testing.T) {
	start(t, func(c *driver.Config, _ *world) { c.Own = nil }, func(w *world) {
		r := floats.Record{Float: one, Epoch: 3, Holder: "n2"}
		r.Describe(table(one))
		r.Interfaces = append(r.Interfaces, r.Interfaces[0]) // the same one twice
		if _, err := r.Table(); err == nil {
			t.Fatal("two interfaces on the same address and ports are taken")
		}
		w.Recorded(w.link.put(r), false)
		synctest.Wait()
		if f := w.Float(one); f == nil || f.Interfaces() != nil {
			t.Errorf("%+v", f)
		}
		w.says(elsewhere(one, "n2", 3))
		if w.Float(one).Holder() != "n2" {
			t.Error("its holder is not known")
		}
	})
}

// A keeper whose address the others cannot be told of yet runs all the same.
func TestNotAnnounced(t *testing.T) {
	start(t, func(c *driver.Config, w *world) {
		c.Host = mute{w.host}
		k := w.k
		c.Keeper, c.Start = nil, func(context.Context) (driver.Keeper, error) { return k, nil }
	}, func(w *world) {
		w.says(holds(one, 1))
		if !w.Float(one).Holding() || !strings.Contains(w.log.String(), "no bucket") {
			t.Errorf("held %v\n%s", w.Float(one).Holding(), w.log.String())
		}
	})
}
