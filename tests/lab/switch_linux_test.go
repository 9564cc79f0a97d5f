package lab

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tries is how often hears sends where it is to be heard: ARP asks again after a second only, and may ask before the switch
// has noticed that a cable is in. unheard is how often it is where it is not to be.
const (
	tries   = 200
	unheard = 20
)

// hears says whether one of so many packets from one port reaches another one.
func hears(from, to *Port, tries int) error {
	var conn *net.UDPConn
	err := to.Do(func() (err error) {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(to.Addr, 0)))
		return err
	})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return from.Do(func() error {
		out, err := net.DialUDP("udp", nil, conn.LocalAddr().(*net.UDPAddr))
		if err != nil {
			return err
		}
		defer func() { _ = out.Close() }()
		for range tries {
			_, _ = out.Write([]byte("twelve bytes and more")) // refused while the cable is cut
			if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				return err
			}
			if _, err = conn.Read(make([]byte, 64)); err == nil {
				return nil
			}
		}
		return err
	})
}

func TestSwitchCutsIsolatesAndMends(t *testing.T) {
	needs(t, "nsenter")
	s, err := NewSwitch()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir("/run/netns"); slices.ContainsFunc(left, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), s.id+"-") }) {
			t.Error("namespaces are left")
		}
	}()
	a, err := s.Plug("a", netip.MustParseAddr("10.98.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Plug("b", netip.MustParseAddr("10.98.0.2"))
	if err != nil {
		t.Fatal(err)
	}
	capture, err := s.Capture([]netip.Addr{a.Addr, netip.MustParseAddr("10.98.0.77")}, a, b)
	if err != nil {
		t.Fatal(err)
	}
	if err := hears(a, b, tries); err != nil {
		t.Errorf("at first: %v", err)
	}
	if err := hears(b, a, tries); err != nil {
		t.Errorf("at first, back: %v", err)
	}
	for _, broken := range []struct {
		name         string
		strike, heal func() error
	}{{"cut", a.Cut, a.Mend}, {"isolated", a.Isolate, a.Rejoin}} {
		if err := broken.strike(); err != nil {
			t.Fatal(err)
		}
		if err := hears(a, b, unheard); err == nil {
			t.Errorf("%s: it is heard", broken.name)
		}
		if err := broken.heal(); err != nil {
			t.Fatal(err)
		}
		if err := hears(a, b, tries); err != nil {
			t.Errorf("%s and mended: %v", broken.name, err)
		}
	}

	frames, err := capture.Stop()
	if err != nil {
		t.Fatal(err)
	}
	var arp, udp int
	for i, f := range frames {
		if f.Port != 0 || f.From != a.Addr || net.HardwareAddr(f.MAC[:]).String() != a.MAC.String() {
			t.Fatalf("captured %+v", f)
		}
		if i > 0 && f.At < frames[i-1].At {
			t.Fatal("the frames are out of order")
		}
		if f.ARP {
			arp++
		} else if f.To != 0 {
			udp++
		}
	}
	if arp == 0 || udp < 3 {
		t.Errorf("captured %d ARP frames and %d of UDP, want some and at least 3", arp, udp)
	}
}

func TestFreezeStopsWhatRunsOnAPort(t *testing.T) {
	needs(t, "nsenter", "sleep")
	s, err := NewSwitch()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	p, err := s.Plug("a", netip.MustParseAddr("10.98.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	// A shell and its child, of which nobody knows.
	proc, err := Start(&p.Side, t.TempDir()+"/log", "sh", "-c", "sleep 60; true")
	if err != nil {
		t.Fatal(err)
	}
	states := func() (all []string) {
		pids, err := p.Processes()
		if err != nil {
			t.Fatal(err)
		}
		for _, pid := range pids {
			all = append(all, stateOf(t, pid))
		}
		return all
	}
	eventually(t, "two processes", func() bool { return len(states()) == 2 })
	if err := p.Freeze(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are stopped", func() bool { return slices.Equal(states(), []string{"T", "T"}) })
	if err := p.Thaw(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both sleep again", func() bool { return slices.Equal(states(), []string{"S", "S"}) })
	p.killAll()
	<-proc.Ended()
}

func stateOf(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return rest[:1]
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in ten seconds: %s", what)
		}
	}
}
