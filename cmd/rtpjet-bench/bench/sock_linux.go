package bench

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file holds the system calls of the packet loops. They never block, so they
// go past the Go scheduler (RawSyscall), which halves their overhead.

// legSocket opens a UDP socket on addr with a port of the system's choice. The
// kernel notes the arrival time of each packet.
func legSocket(addr netip.Addr, rcvbuf int) (fd int, at netip.AddrPort, err error) {
	family := unix.AF_INET
	if addr.Is6() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, at, fmt.Errorf("open a UDP socket: %w", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
			fd = -1
		}
	}()
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return fd, at, fmt.Errorf("switch on arrival times: %w", err)
	}
	if rcvbuf > 0 {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, rcvbuf) != nil {
			// Without the right to exceed the system's limit, take what it gives.
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, rcvbuf)
		}
	}
	if err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(addr, 0))); err != nil {
		return fd, at, fmt.Errorf("bind a UDP socket to %s: %w", addr, err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return fd, at, fmt.Errorf("read the address of a UDP socket: %w", err)
	}
	switch sa := name.(type) {
	case *unix.SockaddrInet4:
		return fd, netip.AddrPortFrom(addr, uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		return fd, netip.AddrPortFrom(addr, uint16(sa.Port)), nil
	}
	err = fmt.Errorf("read the address of a UDP socket: unknown kind %T", name)
	return fd, at, err
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is6() {
		return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}

// send sends b over a connected socket.
func send(fd int, b []byte) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return errno
}

// mmsghdr is the kernel's struct mmsghdr; Go pads it as C does.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

const stampSpace = 64 // room for one control message with a timespec

// receiver is the buffers of recvmmsg for a batch of packets.
type receiver struct {
	msgs []mmsghdr
	iovs []unix.Iovec
	bufs [][]byte
	ctls [][stampSpace]byte
}

// newReceiver makes buffers for a batch of packets of at most size bytes.
func newReceiver(batch, size int) *receiver {
	r := &receiver{
		msgs: make([]mmsghdr, batch),
		iovs: make([]unix.Iovec, batch),
		bufs: make([][]byte, batch),
		ctls: make([][stampSpace]byte, batch),
	}
	for i := range r.msgs {
		r.bufs[i] = make([]byte, size)
		r.iovs[i].Base = &r.bufs[i][0]
		r.iovs[i].SetLen(size)
		r.msgs[i].hdr.Iov = &r.iovs[i]
		r.msgs[i].hdr.SetIovlen(1)
		r.msgs[i].hdr.Control = &r.ctls[i][0]
	}
	return r
}

// receive reads what has arrived at a socket, at most a batch.
func (r *receiver) receive(fd int) (int, unix.Errno) {
	for i := range r.msgs {
		r.msgs[i].hdr.SetControllen(stampSpace)
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.msgs[0])),
		uintptr(len(r.msgs)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// packet returns packet i of the last batch.
func (r *receiver) packet(i int) []byte { return r.bufs[i][:min(int(r.msgs[i].n), len(r.bufs[i]))] }

// arrived returns the time in ns at which the kernel took packet i, 0 if it did
// not say.
func (r *receiver) arrived(i int) int64 {
	const head = unix.SizeofCmsghdr
	if r.msgs[i].hdr.Controllen < head+16 {
		return 0
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(&r.ctls[i][0]))
	if c.Level != unix.SOL_SOCKET || c.Type != unix.SO_TIMESTAMPNS {
		return 0
	}
	ts := (*unix.Timespec)(unsafe.Pointer(&r.ctls[i][head]))
	return ts.Nano()
}

// poller is an epoll instance.
type poller struct {
	fd     int
	events []unix.EpollEvent
}

func newPoller(batch int) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open an epoll instance: %w", err)
	}
	return &poller{fd: fd, events: make([]unix.EpollEvent, batch)}, nil
}

// add watches a socket for packets; id comes back from ready.
func (p *poller) add(fd int, id int32) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: id}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("watch a UDP socket: %w", err)
	}
	return nil
}

// ready returns the sockets that have something now, without waiting.
func (p *poller) ready() []unix.EpollEvent {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])),
		uintptr(len(p.events)), 0, 0, 0)
	if errno != 0 {
		return nil
	}
	return p.events[:n]
}

// wait returns the sockets that have something, after at most the milliseconds.
func (p *poller) wait(ms int) []unix.EpollEvent {
	n, err := unix.EpollWait(p.fd, p.events, ms)
	if err != nil {
		return nil
	}
	return p.events[:n]
}

func (p *poller) close() { _ = unix.Close(p.fd) }

// sleepUntil waits until the time in ns of the real-time clock.
func sleepUntil(t int64) {
	ts := unix.NsecToTimespec(t)
	// An early return by a signal only makes a tick shorter.
	_ = unix.ClockNanosleep(unix.CLOCK_REALTIME, unix.TIMER_ABSTIME, &ts, nil)
}

// exactTimers makes the calling thread's sleeps end on time rather than within
// the usual 50 µs of it.
func exactTimers() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
}

// goFirst has all threads of this process run before all ordinary ones of the
// machine, if that is allowed. The packet threads alone would not do: they now and
// then wait for a lock of Go's, and whoever holds it must not be made to wait.
func goFirst() {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range threads { // later ones inherit it
		if id, err := strconv.Atoi(t.Name()); err == nil {
			_ = unix.SchedSetAttr(id, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0)
		}
	}
}

// stayInMemory keeps what this process has touched from being paged out, if that is
// allowed: reading a page of code again takes tens of milliseconds.
func stayInMemory() {
	_ = unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT)
}
