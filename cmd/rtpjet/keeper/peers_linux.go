package keeper

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Times of tethers, in µs.
const (
	tetherDial = 300_000
	// A machine that refuses is asked again soon: the first refusal may be followed by a late pulse, and a voter that is
	// refused does not count as long as it is.
	tetherSoon  = 5_000
	tetherAgain = 20_000
	tetherLater = 100_000
	soonFor     = 1_000_000
	// maxAccepted bounds the tethers of others.
	maxAccepted = 128
)

// peer is another node's keeper. The tether is a TCP connection to it on which nothing is said: when the process dies its
// machine closes it at once, and refuses the next one.
type peer struct {
	node string
	addr netip.AddrPort
	to   unix.Sockaddr

	fd           int // of the tether; -1: none
	connecting   bool
	begun        int64 // when the connection was begun
	due          int64 // when to connect again, or to give up connecting
	refusedSince int64
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// link is how a keeper hears the others.
type link struct {
	key      []byte
	bind     netip.Addr
	udp, tcp int
	addr     netip.AddrPort
	accepted []int
	peers    map[string]*peer
	buf      []byte
}

// openLink listens by UDP and TCP on a port that both have free.
func openLink(bind netip.Addr, key []byte) (*link, error) {
	l := &link{key: key, bind: bind, udp: -1, tcp: -1, peers: make(map[string]*peer), buf: make([]byte, 64<<10)}
	var err error
	for range 16 {
		if err = l.open(); err == nil {
			return l, nil
		}
		l.close()
		if !errors.Is(err, unix.EADDRINUSE) {
			break
		}
	}
	return nil, fmt.Errorf("listen for pulses on %s: %w", bind, err)
}

func (l *link) socket(kind int) (int, error) {
	family := unix.AF_INET
	if l.bind.Is6() {
		family = unix.AF_INET6
	}
	return unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

func (l *link) open() (err error) {
	if l.udp, err = l.socket(unix.SOCK_DGRAM); err != nil {
		return err
	}
	if err = unix.Bind(l.udp, sockaddr(netip.AddrPortFrom(l.bind, 0))); err != nil {
		return err
	}
	own, err := unix.Getsockname(l.udp)
	if err != nil {
		return err
	}
	switch a := own.(type) {
	case *unix.SockaddrInet4:
		l.addr = netip.AddrPortFrom(l.bind, uint16(a.Port))
	case *unix.SockaddrInet6:
		l.addr = netip.AddrPortFrom(l.bind, uint16(a.Port))
	}
	if l.tcp, err = l.socket(unix.SOCK_STREAM); err != nil {
		return err
	}
	if err = unix.Bind(l.tcp, sockaddr(l.addr)); err != nil {
		return err
	}
	return unix.Listen(l.tcp, maxAccepted)
}

func (l *link) close() {
	for _, fd := range append(l.accepted, l.udp, l.tcp) {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	for _, p := range l.peers {
		p.drop()
	}
	l.udp, l.tcp, l.accepted = -1, -1, nil
}

// setPeers says who there is.
func (l *link) setPeers(addrs map[string]netip.AddrPort) {
	for node, p := range l.peers {
		if addrs[node] != p.addr {
			p.drop()
			delete(l.peers, node)
		}
	}
	for node, addr := range addrs {
		if l.peers[node] == nil && addr.IsValid() && addr.Addr().Is4() == l.bind.Is4() {
			l.peers[node] = &peer{node: node, addr: addr, to: sockaddr(addr), fd: -1}
		}
	}
}

func (p *peer) drop() {
	if p.fd >= 0 {
		_ = unix.Close(p.fd)
	}
	p.fd, p.connecting = -1, false
}

func (l *link) sum(data []byte) []byte {
	h := hmac.New(sha256.New, l.key)
	h.Write(data)
	return h.Sum(nil)
}

// cast sends a pulse to all peers, with an HMAC-SHA256 of the cluster key, so that nobody else can keep a dead node alive. What
// cannot be sent is one of many.
func (l *link) cast(data []byte) {
	frame := append(data, l.sum(data)...)
	for _, p := range l.peers {
		_ = unix.Sendto(l.udp, frame, unix.MSG_DONTWAIT, p.to)
	}
}

// receive hands each pulse that has arrived to f.
func (l *link) receive(f func(data []byte)) {
	for range 256 { // a flood must not keep us from everything else
		n, _, err := unix.Recvfrom(l.udp, l.buf, unix.MSG_DONTWAIT)
		if err != nil {
			return
		}
		if n < sha256.Size {
			continue
		}
		data, sum := l.buf[:n-sha256.Size], l.buf[n-sha256.Size:n]
		if hmac.Equal(sum, l.sum(data)) {
			f(data)
		}
	}
}

// accept takes the tethers of others.
func (l *link) accept() {
	for {
		fd, _, err := unix.Accept4(l.tcp, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		if len(l.accepted) >= maxAccepted {
			_ = unix.Close(l.accepted[0]) // whoever that was connects again
			l.accepted = l.accepted[1:]
		}
		keepAlive(fd)
		l.accepted = append(l.accepted, fd)
	}
}

// keepAlive has the kernel notice a machine that has gone without a word.
func keepAlive(fd int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 5)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3)
}

// ended tells whether a connection is over, and reads what came on it.
func ended(fd int) bool {
	var b [64]byte
	for {
		n, err := unix.Read(fd, b[:])
		if n == 0 || err != nil {
			return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
		}
	}
}

// tend does what is due for the tethers, and returns when there is something next. refused is told of machines that refuse.
func (l *link) tend(now int64, refused func(node string, begun int64)) (next int64) {
	next = now + int64(time.Second/time.Microsecond)
	for _, p := range l.peers {
		if p.fd >= 0 && p.connecting && now >= p.due {
			p.drop()
			p.due = now
		}
		if p.fd < 0 && now >= p.due {
			l.connect(p, now, refused)
		}
		if p.fd < 0 || p.connecting {
			next = min(next, p.due)
		}
	}
	return next
}

func (l *link) connect(p *peer, now int64, refused func(string, int64)) {
	p.begun, p.due = now, now+tetherLater
	fd, err := l.socket(unix.SOCK_STREAM)
	if err != nil {
		return
	}
	_ = unix.Bind(fd, sockaddr(netip.AddrPortFrom(l.bind, 0)))
	p.fd, p.connecting, p.due = fd, true, now+tetherDial
	l.connected(p, unix.Connect(fd, p.to), now, refused)
}

// connected takes in the outcome of a connection that was begun.
func (l *link) connected(p *peer, err error, now int64, refused func(string, int64)) {
	switch {
	case err == nil:
		p.connecting, p.refusedSince = false, 0
		keepAlive(p.fd)
	case errors.Is(err, unix.EINPROGRESS) || errors.Is(err, unix.EINTR):
	case errors.Is(err, unix.ECONNREFUSED):
		p.drop()
		if p.refusedSince == 0 {
			p.refusedSince = now
		}
		if p.due = now + tetherAgain; now-p.refusedSince < soonFor {
			p.due = now + tetherSoon
		}
		refused(p.node, p.begun)
	default:
		p.drop()
		p.refusedSince, p.due = 0, now+tetherLater
	}
}

// polls returns what to wait for.
func (l *link) polls(fds []unix.PollFd) []unix.PollFd {
	fds = append(fds, unix.PollFd{Fd: int32(l.udp), Events: unix.POLLIN}, unix.PollFd{Fd: int32(l.tcp), Events: unix.POLLIN})
	for _, p := range l.peers {
		if p.fd >= 0 {
			events := int16(unix.POLLIN)
			if p.connecting {
				events = unix.POLLOUT
			}
			fds = append(fds, unix.PollFd{Fd: int32(p.fd), Events: events})
		}
	}
	for _, fd := range l.accepted {
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	return fds
}

// happened takes in an event of one of these.
func (l *link) happened(fd int, now int64, heard func([]byte), refused func(string, int64)) {
	switch fd {
	case l.udp:
		l.receive(heard)
		return
	case l.tcp:
		l.accept()
		return
	}
	for _, p := range l.peers {
		if p.fd != fd {
			continue
		}
		if !p.connecting {
			if ended(fd) {
				p.drop()
				p.due = now
			}
			return
		}
		code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && code != 0 {
			err = unix.Errno(code)
		}
		l.connected(p, err, now, refused)
		return
	}
	for i, a := range l.accepted {
		if a == fd && ended(fd) {
			_ = unix.Close(fd)
			l.accepted = append(l.accepted[:i], l.accepted[i+1:]...)
			return
		}
	}
}
