package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"rtpjet/cmd/rtpjet/keeper/netaddr"
)

// addressBound is for how long an address may be on two machines: the kernel takes it from a holder that cannot do it itself
// (package netaddr has the figures), and the notices that this process gets may be late by a little.
const addressBound = netaddr.DefaultLifetime + time.Second + time.Second

// watch looks at each frame from a floating address that reaches the phones, and at the addresses of all nodes' devices. A
// node that says that an address is now with it (ARP, neighbour advertisement) is the one that may speak for the whole float,
// until another one says so, or speaks that was given the address since: its announcement may have been lost in a cut cable.
type watch struct {
	f    *floating
	stop atomic.Bool
	wg   sync.WaitGroup
	done chan struct{}

	mu      sync.Mutex
	speaker map[netip.Addr]int // the numbers of nodes, by the first address of a float
	turns   map[netip.Addr][]int
	events  int                        // all that was seen, counted
	since   map[netip.Addr]int         // when the speaker began to be it, by that count
	given   map[netip.Addr]map[int]int // when each node was given an address of the float, likewise
	packets map[netip.Addr]int
	bad     []string
	told    bool // the newest of these is in the story
	on      map[netip.Addr]map[int]bool
	twice   map[netip.Addr]time.Time // since when an address is on two machines
	longest time.Duration
	story   []string // what happened, with times
}

// note keeps what happened for those who look for the cause of a fault.
func (w *watch) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteLocked(what)
}

// noteLocked is note, under mu.
func (w *watch) noteLocked(what string) {
	w.story = append(w.story, time.Now().UTC().Format("15:04:05.000 ")+what)
}

// faults counts the packets of second senders.
func (w *watch) faults() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.bad)
}

// newWatch begins to watch, until the end of the test. It is made once all nodes have their places.
func newWatch(f *floating) *watch {
	f.t.Helper()
	w := &watch{
		f: f, done: make(chan struct{}), speaker: make(map[netip.Addr]int), turns: make(map[netip.Addr][]int),
		since: make(map[netip.Addr]int), given: make(map[netip.Addr]map[int]int),
		packets: make(map[netip.Addr]int), on: make(map[netip.Addr]map[int]bool), twice: make(map[netip.Addr]time.Time),
	}
	for _, network := range f.s.nets {
		if network == natsNet {
			continue
		}
		fd, err := f.s.sniffer(network)
		if err != nil {
			f.t.Fatal(err)
		}
		w.wg.Go(func() { w.capture(fd) })
	}
	for number, h := range f.s.side {
		ch := make(chan netlink.AddrUpdate, 64)
		if err := netlink.AddrSubscribeAt(h, ch, w.done); err != nil {
			f.t.Fatal(err)
		}
		w.wg.Go(func() {
			for u := range ch {
				w.address(number, u)
			}
		})
	}
	f.t.Cleanup(w.end)
	return w
}

// sniffer opens a socket for all frames that a bridge hands to the hub.
func (s *spread) sniffer(bridge string) (fd int, err error) {
	err = s.do(func() error {
		dev, err := net.InterfaceByName(bridge)
		if err != nil {
			return err
		}
		all := int(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)))
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all); err != nil {
			return err
		}
		tick := unix.NsecToTimeval(int64(100 * time.Millisecond)) // how often it is asked whether to end
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20),
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tick),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: dev.Index}),
		)
	})
	return fd, err
}

func (w *watch) capture(fd int) {
	defer func() { _ = unix.Close(fd) }()
	buf := make([]byte, 2048)
	for {
		n, from, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			if w.stop.Load() || !errors.Is(err, unix.EAGAIN) {
				return
			}
		default:
			if l, ok := from.(*unix.SockaddrLinklayer); ok && l.Pkttype == unix.PACKET_OUTGOING {
				continue
			}
			w.frame(buf[:n])
		}
	}
}

// frame takes in one frame from a node.
func (w *watch) frame(b []byte) {
	if len(b) < 14 {
		return
	}
	number := w.f.s.macs[net.HardwareAddr(b[6:12]).String()]
	kind, b := binary.BigEndian.Uint16(b[12:]), b[14:]
	addr := func(b []byte) netip.Addr { a, _ := netip.AddrFromSlice(b); return a }
	switch {
	case kind == unix.ETH_P_ARP && len(b) >= 28:
		if sender := addr(b[14:18]); sender == addr(b[24:28]) {
			w.announced(sender, number)
		}
	case kind == unix.ETH_P_IPV6 && len(b) >= 64 && b[6] == unix.IPPROTO_ICMPV6 && b[40] == 136 && addr(b[24:40]).IsMulticast():
		w.announced(addr(b[48:64]), number)
	case kind == unix.ETH_P_IPV6 && len(b) >= 48 && b[6] == unix.IPPROTO_UDP:
		w.spoke(addr(b[8:24]), number, fmt.Sprintf("port %d", binary.BigEndian.Uint16(b[40:])))
	case kind == unix.ETH_P_IP && len(b) >= 28 && b[9] == unix.IPPROTO_UDP:
		w.spoke(addr(b[12:16]), number, fmt.Sprintf("port %d", binary.BigEndian.Uint16(b[20:])))
	}
}

// float is the first address of the float of an address; not valid if that does not float.
func (w *watch) float(a netip.Addr) netip.Addr {
	if slices.Contains(w.f.addrs, a) {
		return a
	}
	return w.f.more[a]
}

func (w *watch) announced(a netip.Addr, number int) {
	if a = w.float(a); !a.IsValid() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turn(a, number)
}

// turn notes who has a float now. It is called under mu.
func (w *watch) turn(a netip.Addr, number int) {
	w.events++
	if w.speaker[a] != number {
		w.told = false
		w.speaker[a], w.since[a] = number, w.events
		w.turns[a] = append(w.turns[a], number)
		w.noteLocked(fmt.Sprintf("%s is with n%d", a, number))
	}
}

func (w *watch) spoke(from netip.Addr, number int, what string) {
	a := w.float(from)
	if !a.IsValid() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.packets[a]++
	if w.speaker[a] == 0 || w.speaker[a] != number && w.given[a][number] > w.since[a] {
		w.turn(a, number)
	}
	if w.speaker[a] != number {
		w.bad = append(w.bad, fmt.Sprintf("n%d sends from %s, %s, and the float is with n%d (so far: %v)", number, from, what, w.speaker[a], w.turns[a]))
		if !w.told {
			w.noteLocked(w.bad[len(w.bad)-1])
		}
		w.told = true // once until another node has it
	}
}

// holder is the node at which a float is by what was heard last; nil if nobody has said anything yet.
func (w *watch) holder(a netip.Addr) *node {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.speaker[a]; n > 0 && n <= len(w.f.nodes) {
		return w.f.nodes[n-1]
	}
	return nil
}

// handovers counts how often an address went to another node.
func (w *watch) handovers(a netip.Addr) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.turns[a])
}

// address takes in that an address was set or removed.
func (w *watch) address(number int, u netlink.AddrUpdate) {
	a, _ := netip.AddrFromSlice(u.LinkAddress.IP)
	if a = a.Unmap(); !w.float(a).IsValid() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.on[a] == nil {
		w.on[a] = make(map[int]bool)
	}
	if u.NewAddr != w.on[a][number] {
		w.noteLocked(fmt.Sprintf("%s is on n%d: %v", a, number, u.NewAddr))
	}
	if u.NewAddr {
		if first := w.float(a); !w.on[a][number] {
			if w.given[first] == nil {
				w.given[first] = make(map[int]int)
			}
			w.events++
			w.given[first][number] = w.events
		}
		w.on[a][number] = true
	} else {
		delete(w.on[a], number)
	}
	w.overlap(a)
}

// overlap measures for how long an address is on two machines. It is called under mu.
func (w *watch) overlap(a netip.Addr) {
	since, twice := w.twice[a]
	switch {
	case len(w.on[a]) > 1 && !twice:
		w.twice[a] = time.Now()
	case len(w.on[a]) <= 1 && twice:
		w.longest = max(w.longest, time.Since(since))
		delete(w.twice, a)
	}
}

// end checks what was seen.
func (w *watch) end() {
	w.stop.Store(true)
	close(w.done)
	w.wg.Wait()
	for a, since := range w.twice {
		w.longest = max(w.longest, time.Since(since))
		w.f.t.Errorf("%s is on two machines: %v", a, w.on[a])
	}
	if w.longest > addressBound {
		w.f.t.Errorf("an address was on two machines for %v, want at most %v", w.longest, addressBound)
	}
	if len(w.bad) > 0 {
		w.f.t.Errorf("%d packets of a second sender:\n%v", len(w.bad), w.bad[:min(len(w.bad), 8)])
	}
	if w.f.t.Failed() {
		w.f.t.Logf("what happened:\n%s", strings.Join(w.story[max(0, len(w.story)-1000):], "\n"))
	}
	w.f.t.Logf("senders: %v, packets: %v, longest on two machines: %v", w.turns, w.packets, w.longest.Round(time.Millisecond))
}

// has tells whether an address is on the machine of a node.
func (s *spread) has(number int, a netip.Addr) (bool, error) {
	h, err := netlink.NewHandleAt(s.side[number])
	if err != nil {
		return false, err
	}
	defer h.Close()
	list, err := h.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(list, func(b netlink.Addr) bool {
		ip, _ := netip.AddrFromSlice(b.IP)
		return ip.Unmap() == a
	}), nil
}

// strip takes an address off a device of a node, as an operator does.
func (s *spread) strip(number int, device string, a netip.Addr) {
	s.t.Helper()
	h, err := netlink.NewHandleAt(s.side[number])
	if err != nil {
		s.t.Fatal(err)
	}
	defer h.Close()
	link, err := h.LinkByName(device)
	if err != nil {
		s.t.Fatal(err)
	}
	list, err := h.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, b := range list {
		if ip, _ := netip.AddrFromSlice(b.IP); ip.Unmap() == a {
			if err := h.AddrDel(link, &b); err != nil {
				s.t.Fatal(err)
			}
			return
		}
	}
	s.t.Fatalf("n%d does not have %s", number, a)
}
