package lab

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// farApart is two switches with a namespace each, and a WAN between them.
type farApart struct {
	wan    *WAN
	up     [2]*Uplink
	ports  [2]*Port
	t      *testing.T
	closed []io.Closer
}

func newFarApart(t *testing.T) *farApart {
	t.Helper()
	needs(t)
	f := &farApart{t: t}
	wan, err := NewWAN(1)
	if err != nil {
		t.Fatal(err)
	}
	f.wan = wan
	var all []string
	t.Cleanup(func() {
		for _, c := range f.closed {
			_ = c.Close()
		}
		if err := wan.Close(); err != nil {
			t.Error(err)
		}
		left, _ := os.ReadDir("/run/netns")
		if slices.ContainsFunc(left, func(e os.DirEntry) bool {
			return slices.ContainsFunc(all, func(id string) bool { return strings.HasPrefix(e.Name(), id+"-") })
		}) {
			t.Error("namespaces are left")
		}
	})
	all = append(all, wan.id)
	for i, name := range []string{"eu", "us"} {
		s, err := NewSwitch()
		if err != nil {
			t.Fatal(err)
		}
		f.closed = append(f.closed, s)
		all = append(all, s.id)
		if f.ports[i], err = s.Plug("n", netip.AddrFrom4([4]byte{10, 97, 0, byte(1 + i)})); err != nil {
			t.Fatal(err)
		}
		if f.up[i], err = wan.Join(name, s); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// echo answers datagrams at the second namespace, and returns a socket in the first one.
func (f *farApart) echo() *net.UDPConn {
	f.t.Helper()
	var server, client *net.UDPConn
	err := errors.Join(
		f.ports[1].Do(func() (err error) {
			server, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(f.ports[1].Addr, 0)))
			return err
		}),
		f.ports[0].Do(func() (err error) {
			client, err = net.DialUDP("udp", nil, server.LocalAddr().(*net.UDPAddr))
			return err
		}))
	if err != nil {
		f.t.Fatal(err)
	}
	f.closed = append(f.closed, server, client)
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := server.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = server.WriteToUDPAddrPort(buf[:n], from) // a cut refuses it while ARP is not answered
		}
	}()
	return client
}

// ping returns how long an echo took, or why there was none.
func ping(c *net.UDPConn, within time.Duration) (time.Duration, error) {
	began := time.Now()
	text := []byte(began.String())
	if _, err := c.Write(text); err != nil {
		return 0, err
	}
	if err := c.SetReadDeadline(began.Add(within)); err != nil {
		return 0, err
	}
	buf := make([]byte, 2000)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return 0, err
		}
		if bytes.Equal(buf[:n], text) { // else the answer to an earlier one
			return time.Since(began), nil
		}
	}
}

func TestWANDelaysCutsAndHeals(t *testing.T) {
	f := newFarApart(t)
	const delay = 40 * time.Millisecond
	way := Way{Delay: delay}
	f.wan.SetBoth(f.up[0], f.up[1], way)
	client := f.echo()
	eventually(t, "an echo", func() bool { _, err := ping(client, time.Second); return err == nil })
	least := time.Hour
	for range 10 {
		took, err := ping(client, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		least = min(least, took)
	}
	// A machine that is busy makes it longer, and nothing makes it shorter.
	if least < 2*delay || least > 2*delay+time.Second {
		t.Errorf("the fastest of ten echoes took %v, want %v and a little", least, 2*delay)
	}

	cut := Way{Delay: delay, Cut: true}
	for _, c := range []struct {
		name string
		cut  func()
	}{
		{"both ways", func() { f.wan.SetBoth(f.up[0], f.up[1], cut) }},
		{"there", func() { f.wan.Set(f.up[0], f.up[1], cut) }},
		{"back", func() { f.wan.Set(f.up[1], f.up[0], cut) }},
	} {
		c.cut()
		for range 3 {
			if took, err := ping(client, 200*time.Millisecond); err == nil {
				t.Errorf("cut %s: an echo after %v", c.name, took)
			}
		}
		f.wan.SetBoth(f.up[0], f.up[1], way)
		eventually(t, "an echo after a cut "+c.name, func() bool { _, err := ping(client, 500*time.Millisecond); return err == nil })
	}
}

func TestWANLosesWhatItWasAskedTo(t *testing.T) {
	f := newFarApart(t)
	client := f.echo()
	eventually(t, "an echo", func() bool { _, err := ping(client, time.Second); return err == nil })
	const datagrams, loss = 2000, 0.1
	f.wan.Set(f.up[0], f.up[1], Way{Loss: loss})
	before := f.wan.Counts(f.up[1], f.up[0]).Sent
	buf := make([]byte, 2000)
	sent := 0
	for ; sent < datagrams; sent++ {
		if _, err := client.Write([]byte("twelve bytes")); err != nil {
			t.Fatal(err)
		}
		if sent%100 == 99 { // what has come back makes room in all queues
			for client.SetReadDeadline(time.Now().Add(20*time.Millisecond)) == nil {
				if _, err := client.Read(buf); err != nil {
					break
				}
			}
		}
	}
	// ARP may have asked again meanwhile.
	there := f.wan.Counts(f.up[0], f.up[1])
	if share := float64(there.Lost) / datagrams; share < loss/2 || share > loss*2 {
		t.Errorf("lost %d of %d, want %.0f", there.Lost, datagrams, loss*datagrams)
	}
	eventually(t, "the rest comes back", func() bool {
		back := f.wan.Counts(f.up[1], f.up[0]).Sent - before
		missing := datagrams - int(there.Lost) - int(back)
		return missing > -20 && missing < 20
	})
}

func TestWANCarriesTCPThroughLoss(t *testing.T) {
	f := newFarApart(t)
	f.wan.SetBoth(f.up[0], f.up[1], Way{Delay: 2 * time.Millisecond, Loss: 0.01})
	var l net.Listener
	err := f.ports[1].Do(func() (err error) {
		l, err = net.Listen("tcp", netip.AddrPortFrom(f.ports[1].Addr, 0).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	f.closed = append(f.closed, l)
	dice := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 5_000_000)
	_, _ = dice.Read(data) // never fails
	sent := make(chan error, 1)
	go func() {
		sent <- f.ports[0].Do(func() error {
			c, err := net.DialTimeout("tcp", l.Addr().String(), 20*time.Second)
			if err != nil {
				return err
			}
			_, err = c.Write(data)
			return errors.Join(err, c.Close())
		})
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	f.closed = append(f.closed, c)
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	got := sha256.New()
	if n, err := io.Copy(got, c); err != nil || n != int64(len(data)) {
		t.Errorf("%d bytes arrived, want %d: %v", n, len(data), err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if want := sha256.Sum256(data); !bytes.Equal(got.Sum(nil), want[:]) {
		t.Error("other bytes arrived than were sent")
	}
	there, back := f.wan.Counts(f.up[0], f.up[1]), f.wan.Counts(f.up[1], f.up[0])
	if there.Lost == 0 || there.Sent < 5_000_000/1500 {
		t.Errorf("there %+v, back %+v: no loss, or frames longer than a cable's", there, back)
	}
}
