package lab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"rtpjet/relay/eventfd"
)

// WAN joins switches over long distances: with a delay, with loss, and with cuts. It
// is a switch itself, in user space, in a namespace of its own, since the kernels that
// this is for have no netem. Each switch that joins has one cable to it.
type WAN struct {
	Side
	id      string
	began   time.Time
	sockets []int // by port; they are added to before and while run reads them
	wake    *eventfd.Event
	thread  chan int // gets the id of the thread of run
	done    sync.WaitGroup

	mu     sync.Mutex // guards what follows, and sockets
	queue  *wanQueue
	closed bool
	failed error // what ended run
}

// Uplink is the cable of a switch to a WAN.
type Uplink struct {
	Name string

	wan  *WAN
	port int
}

// wanFrameMost is the longest frame: no cable of the laboratory carries more.
const wanFrameMost = 1600

// NewWAN makes a WAN that nobody has joined yet. Which frames get lost depends on seed.
func NewWAN(seed uint64) (w *WAN, err error) {
	id := fmt.Sprintf("rtpjet-%d-%d", os.Getpid(), netCount.Add(1))
	w = &WAN{id: id, Side: Side{Name: id + "-wan", handle: netns.None()}, queue: newWanQueue(seed), began: time.Now(), thread: make(chan int, 1)}
	if err := w.make(); err != nil {
		return nil, err
	}
	if w.wake, err = eventfd.New(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	w.done.Go(w.run)
	return w, nil
}

// Join plugs a switch into the WAN. Ways from and to it have no delay yet.
func (w *WAN) Join(name string, s *Switch) (*Uplink, error) {
	far, err := netlink.NewHandleAt(w.handle)
	if err != nil {
		return nil, fmt.Errorf("open netlink in %s: %w", w.Name, err)
	}
	defer far.Close()
	near, err := netlink.NewHandleAt(s.handle)
	if err != nil {
		return nil, fmt.Errorf("open netlink in %s: %w", s.Name, err)
	}
	defer near.Close()

	const uplink = "uplink"
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "w-" + name
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: uplink, PeerNamespace: netlink.NsFd(int(s.handle))}
	if err := far.LinkAdd(pair); err != nil {
		return nil, fmt.Errorf("join %s to the WAN: %w", name, err)
	}
	farLink, err := far.LinkByName(attrs.Name)
	if err != nil {
		return nil, fmt.Errorf("join %s to the WAN: %w", name, err)
	}
	nearLink, err := near.LinkByName(uplink)
	if err != nil {
		return nil, fmt.Errorf("join %s to the WAN: %w", name, err)
	}
	// Else TCP's segments of 64 kB without checksums would come, which no cable carries.
	for side, device := range map[*Side]string{&s.Side: uplink, &w.Side: attrs.Name} {
		if err := side.Do(func() error { return noOffload(device) }); err != nil {
			return nil, fmt.Errorf("join %s to the WAN: %w", name, err)
		}
	}
	if err := near.LinkSetMasterByIndex(nearLink, s.bridge); err != nil {
		return nil, fmt.Errorf("join %s to the WAN: %w", name, err)
	}
	var socket int
	err = w.Do(func() (err error) {
		socket, err = frameSocket(farLink.Attrs().Index)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("join %s to the WAN: %w", name, err)
	}
	w.mu.Lock()
	u := &Uplink{Name: name, wan: w, port: w.queue.join()}
	w.sockets = append(w.sockets, socket)
	w.mu.Unlock()
	w.wake.Signal()
	for h, link := range map[*netlink.Handle]netlink.Link{near: nearLink, far: farLink} {
		if err := h.LinkSetUp(link); err != nil {
			return nil, fmt.Errorf("join %s to the WAN: %w", name, err)
		}
	}
	return u, nil
}

// frameSocket opens a socket for the raw frames of a device.
func frameSocket(device int) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open a packet socket: %w", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		return -1, fmt.Errorf("set up a packet socket: %w", err)
	}
	// A burst waits here while this process does not get a processor.
	for _, option := range []int{unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 8<<20); err != nil {
			return -1, fmt.Errorf("set up a packet socket: %w", err)
		}
	}
	all := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff})
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: device}); err != nil {
		return -1, fmt.Errorf("bind a packet socket: %w", err)
	}
	return fd, nil
}

// GoLast has frames carried only when nothing else wants a processor, as [GoLast] has it for processes: they are later then than
// they should be, and whatever is measured on this machine is not disturbed by them. It may be called once.
func (w *WAN) GoLast() error {
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}
	if err := unix.SchedSetAttr(<-w.thread, &attr, 0); err != nil {
		return fmt.Errorf("lower the priority of the WAN: %w", err)
	}
	return nil
}

// run carries frames until Close.
func (w *WAN) run() {
	runtime.LockOSThread() // never unlocked: the thread keeps its priority to its end
	// This thread is in system calls nearly always, and takes one of Go's processors along, until the runtime's monitor takes that
	// away some ms later: whoever else wants to run in this process needs one more.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	const niceness = -10
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), niceness) // what is not allowed, is not
	w.thread <- unix.Gettid()
	buf := make([]byte, wanFrameMost)
	var fds []unix.PollFd
	for {
		w.mu.Lock()
		if w.closed {
			w.mu.Unlock()
			return
		}
		var wait *unix.Timespec
		if due, ok := w.queue.next(); ok {
			t := unix.NsecToTimespec(int64(max(0, due-time.Since(w.began))))
			wait = &t
		}
		fds = append(fds[:0], unix.PollFd{Fd: int32(w.wake.FD), Events: unix.POLLIN})
		for _, fd := range w.sockets {
			fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
		w.mu.Unlock()

		if _, err := unix.Ppoll(fds, wait, nil); err != nil && !errors.Is(err, unix.EINTR) {
			w.mu.Lock()
			w.failed = fmt.Errorf("wait for frames: %w", err)
			w.mu.Unlock()
			return
		}
		if fds[0].Revents != 0 {
			w.wake.Drain()
		}
		w.mu.Lock()
		for port, fd := range fds[1:] {
			if fd.Revents != 0 {
				w.receive(port, int(fd.Fd), buf)
			}
		}
		for {
			to, data, ok := w.queue.give(time.Since(w.began))
			if !ok {
				break
			}
			// A cable that is full loses it, and one that is down.
			_, _ = unix.Write(w.sockets[to], data)
		}
		w.mu.Unlock()
	}
}

// receive takes what has come in at a port, but not for ever: what is due waits.
func (w *WAN) receive(port, fd int, buf []byte) {
	const most = 256
	for range most {
		n, err := unix.Read(fd, buf)
		if err != nil {
			return // nothing more, or the cable is down
		}
		w.queue.take(time.Since(w.began), port, bytes.Clone(buf[:n]))
	}
}

// Set changes how frames go from one switch to another one, at once.
func (w *WAN) Set(from, to *Uplink, way Way) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.set(from.port, to.port, way)
}

// SetBoth changes both ways between two switches.
func (w *WAN) SetBoth(a, b *Uplink, way Way) {
	w.Set(a, b, way)
	w.Set(b, a, way)
}

// Counts returns what became of the frames from one switch to another one.
func (w *WAN) Counts(from, to *Uplink) WayCounts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queue.ports[from.port][to.port].WayCounts
}

// Close ends it and removes its namespace, and with that the cables.
func (w *WAN) Close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	if w.wake != nil {
		w.wake.Signal()
		w.done.Wait()
		w.wake.Close()
	}
	errs := []error{w.failed}
	for _, fd := range w.sockets {
		errs = append(errs, unix.Close(fd))
	}
	if w.handle.IsOpen() {
		errs = append(errs, w.handle.Close(), netns.DeleteNamed(w.Name))
	}
	return errors.Join(errs...)
}

// Introduce tells namespaces each other's hardware address for good. Between regions
// are routers: a cut swallows packets, and nobody finds out because ARP is not answered.
func Introduce(ports ...*Port) error {
	for _, p := range ports {
		h, err := netlink.NewHandleAt(p.handle)
		if err != nil {
			return fmt.Errorf("open netlink in %s: %w", p.Name, err)
		}
		link, err := h.LinkByName("eth0")
		for _, other := range ports {
			if err != nil || other == p {
				continue
			}
			err = h.NeighSet(&netlink.Neigh{
				LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: net.IP(other.Addr.AsSlice()), HardwareAddr: other.MAC,
			})
		}
		h.Close()
		if err != nil {
			return fmt.Errorf("introduce others to %s: %w", p.Name, err)
		}
	}
	return nil
}
