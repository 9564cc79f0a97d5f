package peers

import (
	"context"
	"crypto/sha256"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// here is an address of these tests.
var here = netip.MustParseAddr("127.0.0.31")

// ear is a socket whose beats come out of a channel.
type ear struct {
	*beatSockets
	heard chan string
	stop  context.CancelFunc
	done  chan error
}

func listenUDP(t *testing.T, key string) *ear {
	t.Helper()
	s, err := newBeatSockets(here, []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	e := &ear{beatSockets: s, heard: make(chan string, 100), stop: stop, done: make(chan error, 1)}
	go func() { e.done <- s.receive(ctx, func(data []byte) { e.heard <- string(data) }) }()
	t.Cleanup(e.end)
	return e
}

func (e *ear) end() {
	if e.stop != nil {
		e.stop()
		<-e.done
		e.close()
		e.stop = nil
	}
}

// next is the next beat that is heard.
func (e *ear) next(t *testing.T) string {
	t.Helper()
	select {
	case text := <-e.heard:
		return text
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is heard")
		return ""
	}
}

// TestBeatSockets: beats arrive, at all peers, and as long as these are peers.
func TestBeatSockets(t *testing.T) {
	a, b, c := listenUDP(t, "key"), listenUDP(t, "key"), listenUDP(t, "key")
	if a.addr().Addr() != here || a.addr().Port() == 0 || a.addr() == b.addr() {
		t.Fatalf("listening at %v and %v", a.addr(), b.addr())
	}
	data := make([]byte, 3, 100) // its end must not be written to
	copy(data, "one")
	if refused := a.send(data, map[string]netip.AddrPort{"b": b.addr(), "c": c.addr()}); len(refused) > 0 {
		t.Errorf("refused by %v", refused)
	}
	if got, got2 := b.next(t), c.next(t); got != "one" || got2 != "one" {
		t.Errorf("heard %q and %q", got, got2)
	}
	if end := data[3:cap(data)]; strings.Trim(string(end), "\x00") != "" {
		t.Errorf("behind the data is %x", end)
	}
	a.send([]byte("two"), map[string]netip.AddrPort{"c": c.addr()})
	a.send([]byte("three"), map[string]netip.AddrPort{"b": c.addr(), "c": b.addr()}) // they have moved
	if got, got2 := b.next(t), c.next(t); got != "three" || got2 != "two" {
		t.Errorf("heard %q and %q", got, got2)
	}
	if got := c.next(t); got != "three" {
		t.Errorf("heard %q", got)
	}
	if a.sendTo("b", []byte("four")) || a.sendTo("d", []byte("five")) {
		t.Error("refused")
	}
	if got := c.next(t); got != "four" {
		t.Errorf("heard %q", got)
	}
	if len(a.out) != 2 {
		t.Errorf("%d sockets are open", len(a.out))
	}
}

// TestBeatSocketsForeign: what was not sent with the key of the cluster is not heard.
func TestBeatSocketsForeign(t *testing.T) {
	to, friend, foe := listenUDP(t, "key"), listenUDP(t, "key"), listenUDP(t, "another key")
	foe.send([]byte("with another key"), map[string]netip.AddrPort{"to": to.addr()})
	raw, err := net.DialUDP("udp", &net.UDPAddr{IP: here.AsSlice()}, net.UDPAddrFromAddrPort(to.addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	good := friend.sum([]byte("beat"))
	for _, text := range []string{
		"", "x", strings.Repeat("x", sha256.Size-1), strings.Repeat("x", sha256.Size), "beat" + string(good[:31]), "Beat" + string(good),
		"beat" + string(good) + "\x00", strings.Repeat("x", 3000),
	} {
		if _, err := raw.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := raw.Write([]byte("beat" + string(good))); err != nil {
		t.Fatal(err)
	}
	if got := to.next(t); got != "beat" {
		t.Errorf("heard %q", got)
	}
	friend.send([]byte("of a friend"), map[string]netip.AddrPort{"to": to.addr()})
	if got := to.next(t); got != "of a friend" {
		t.Errorf("heard %q", got)
	}
}

// TestBeatSocketsRefused: the machine of a process that is no more refuses, which the beat after shows.
func TestBeatSocketsRefused(t *testing.T) {
	a, b := listenUDP(t, "key"), listenUDP(t, "key")
	peers := map[string]netip.AddrPort{"b": b.addr()}
	a.send([]byte("one"), peers)
	b.next(t)
	b.end()
	a.send([]byte("two"), peers) // there is nobody
	until(t, func() bool { refused := a.send([]byte("three"), peers); return len(refused) == 1 && refused[0] == "b" })
	until(t, func() bool { return a.sendTo("b", []byte("four")) })

	a.end()
	if refused := a.send([]byte("five"), peers); len(refused) > 0 || a.sendTo("b", nil) {
		t.Errorf("closed, and refused by %v", refused)
	}
}

// TestBeatSocketsAddress: an address that this machine has not is an error for the operator.
func TestBeatSocketsAddress(t *testing.T) {
	s, err := newBeatSockets(netip.MustParseAddr("192.0.2.77"), nil)
	if err == nil || !strings.HasPrefix(err.Error(), "cannot listen for heartbeats on 192.0.2.77: ") {
		t.Errorf("%v, %v", s, err)
	}
	if m, err := New(Config{Node: "n1", Interfaces: media(netip.MustParseAddr("192.0.2.77"))}); err == nil {
		t.Errorf("%v", m)
	}
	m, err := New(Config{Node: "n1", Interfaces: media(here)})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.udp.addr(); got.Addr() != here {
		t.Errorf("listening at %v", got)
	}
	m.udp.close()
}

// until asks again until ok is true.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come to that")
		}
	}
}
