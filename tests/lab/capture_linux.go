package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Frame is a frame that a port sent into the switch.
type Frame struct {
	At   int64 // ns since 1970, the kernel's time stamp
	Port int   // index in the ports that are listened to
	MAC  [6]byte
	From netip.Addr // the sender's address, of ARP as well
	ARP  bool
	To   uint16 // UDP port
	Seq  uint16 // RTP sequence number
}

// Capture listens at ports of a switch for what is sent from certain addresses.
type Capture struct {
	rings []*ring
	stop  atomic.Bool
	done  sync.WaitGroup
	mu    sync.Mutex
	all   []Frame
}

const (
	captureSnap  = 80 // up to the RTP header and some
	captureFrame = 256
	captureBlock = 1 << 18
	captureSlots = 16384 // 1.6 s of 10,000 packets/s
	captureEvery = 20 * time.Millisecond
)

// Capture begins to listen at ports for frames with one of the IPv4 addresses as
// their source.
func (s *Switch) Capture(from []netip.Addr, ports ...*Port) (c *Capture, err error) {
	c = &Capture{}
	filter, err := captureFilter(from)
	if err != nil {
		return nil, err
	}
	err = s.Do(func() error {
		for i, p := range ports {
			r, err := newRing(p.index, filter)
			if err != nil {
				return fmt.Errorf("listen at the port of %s: %w", p.Name, err)
			}
			r.port = i
			c.rings = append(c.rings, r)
		}
		return nil
	})
	if err != nil {
		c.close()
		return nil, err
	}
	c.done.Go(c.run)
	return c, nil
}

// run empties the rings now and then.
func (c *Capture) run() {
	tick := time.NewTicker(captureEvery)
	defer tick.Stop()
	for last := false; !last; {
		last = c.stop.Load()
		if !last {
			<-tick.C
		}
		c.mu.Lock()
		for _, r := range c.rings {
			c.all = r.take(c.all)
		}
		c.mu.Unlock()
	}
}

// Stop ends it and returns all frames in the order of time.
func (c *Capture) Stop() ([]Frame, error) {
	c.stop.Store(true)
	c.done.Wait()
	var errs []error
	for _, r := range c.rings {
		if n := r.dropped(); n > 0 {
			errs = append(errs, fmt.Errorf("the capture lost %d frames", n))
		}
	}
	c.close()
	slices.SortStableFunc(c.all, func(a, b Frame) int { return int(min(max(a.At-b.At, -1), 1)) })
	return c.all, errors.Join(errs...)
}

func (c *Capture) close() {
	for _, r := range c.rings {
		_ = unix.Munmap(r.memory)
		_ = unix.Close(r.fd)
	}
}

// captureFilter lets through what came in over the cable from one of the addresses.
func captureFilter(from []netip.Addr) ([]unix.SockFilter, error) {
	const outgoing = 4 // PACKET_OUTGOING: what the switch sends to the port
	n := len(from)
	code := []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: outgoing, SkipTrue: uint8(2*n + 5)},
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x0806, SkipFalse: uint8(n + 1)}, // ARP: the sender's address
		bpf.LoadAbsolute{Off: 28, Size: 4},
	}
	for i, a := range from {
		if !a.Is4() {
			return nil, fmt.Errorf("capture from %s: not IPv4", a)
		}
		b := a.As4()
		code = append(code, bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(b[:]), SkipTrue: uint8(2*n + 2 - i)})
	}
	// What is no ARP comes here with its type; ARP from others with an address, which is none.
	code = append(code,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x0800, SkipFalse: uint8(n + 1)},
		bpf.LoadAbsolute{Off: 26, Size: 4},
	)
	for i, a := range from {
		b := a.As4()
		code = append(code, bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(b[:]), SkipTrue: uint8(n - i)})
	}
	code = append(code, bpf.RetConstant{Val: 0}, bpf.RetConstant{Val: captureSnap})
	raw, err := bpf.Assemble(code)
	if err != nil {
		return nil, fmt.Errorf("assemble the filter of the capture: %w", err)
	}
	out := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		out[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return out, nil
}

// ring is a packet socket whose frames the kernel puts into shared memory
// (packet(7), TPACKET_V2), so that none of them costs a system call.
type ring struct {
	fd, port int
	memory   []byte
	next     int
}

func newRing(device int, filter []unix.SockFilter) (r *ring, err error) {
	// Protocol 0: nothing arrives before the filter is set.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
		return nil, fmt.Errorf("set the filter: %w", err)
	}
	runtime.KeepAlive(filter)
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2); err != nil {
		return nil, fmt.Errorf("choose the ring's layout: %w", err)
	}
	size := unix.TpacketReq{
		Block_size: captureBlock, Block_nr: captureSlots * captureFrame / captureBlock, Frame_size: captureFrame, Frame_nr: captureSlots,
	}
	if err := unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &size); err != nil {
		return nil, fmt.Errorf("make the ring: %w", err)
	}
	memory, err := unix.Mmap(fd, 0, captureSlots*captureFrame, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the ring: %w", err)
	}
	all := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff})
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: device}); err != nil {
		_ = unix.Munmap(memory)
		return nil, fmt.Errorf("bind a packet socket: %w", err)
	}
	return &ring{fd: fd, memory: memory}, nil
}

// take appends the frames that have arrived.
func (r *ring) take(to []Frame) []Frame {
	for range captureSlots {
		slot := r.memory[r.next*captureFrame:][:captureFrame]
		head := (*unix.Tpacket2Hdr)(unsafe.Pointer(&slot[0]))
		if atomic.LoadUint32(&head.Status)&unix.TP_STATUS_USER == 0 {
			break
		}
		from := int(head.Mac)
		if data := slot[min(from, len(slot)):min(from+int(head.Snaplen), len(slot))]; len(data) >= 34 {
			f := readFrame(data)
			f.At, f.Port = int64(head.Sec)*int64(time.Second)+int64(head.Nsec), r.port
			to = append(to, f)
		}
		atomic.StoreUint32(&head.Status, unix.TP_STATUS_KERNEL)
		r.next = (r.next + 1) % captureSlots
	}
	return to
}

// readFrame reads an Ethernet frame with IPv4 or ARP in it.
func readFrame(b []byte) (f Frame) {
	copy(f.MAC[:], b[6:12])
	if binary.BigEndian.Uint16(b[12:]) == 0x0806 {
		f.ARP = true
		f.From = netip.AddrFrom4([4]byte(b[28:32]))
		return f
	}
	f.From = netip.AddrFrom4([4]byte(b[26:30]))
	const udp = 17
	head := int(b[14]&15) * 4
	if b[23] != udp || len(b) < 14+head+8+4 {
		return f
	}
	f.To = binary.BigEndian.Uint16(b[14+head+2:])
	f.Seq = binary.BigEndian.Uint16(b[14+head+8+2:])
	return f
}

// dropped returns how many frames found the ring full.
func (r *ring) dropped() uint32 {
	stats, err := unix.GetsockoptTpacketStats(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0
	}
	return stats.Drops
}
