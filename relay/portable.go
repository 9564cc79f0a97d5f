package relay

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// NewPortable returns an engine that uses the standard library only and serves every socket with a goroutine. It behaves
// as the other does, but takes a lock per packet and some kilobytes per socket, and cannot set TOS.
func NewPortable(cfg Config) (*Sockets, error) { return newSockets(cfg, startPortable) }

// portableDatagram is the longest datagram that the portable driver relays whole; longer ones are cut. It is a jumbo frame.
const portableDatagram = 9216

type portable struct {
	cfg    Config
	lanes  []*lane
	ended  sync.WaitGroup
	closed chan struct{}
}

// lane is a shard with a lock, for the goroutines of its sockets to share.
type lane struct {
	attached int           // guarded by Sockets.mu
	due      chan struct{} // capacity 1: chores may be due earlier than thought

	mu      sync.Mutex
	shard   shard
	streams map[*stream]struct{}
}

func startPortable(cfg Config, news news) (driver, error) {
	p := &portable{cfg: cfg, closed: make(chan struct{})}
	for range cfg.Loops {
		l := &lane{due: make(chan struct{}, 1), streams: make(map[*stream]struct{})}
		l.shard = newShard(portableSender{}, news, len(cfg.Pools))
		p.lanes = append(p.lanes, l)
		p.ended.Go(func() { l.runChores(p.closed) })
	}
	return p, nil
}

// portableSender sends through net.UDPConn.
type portableSender struct{}

func (portableSender) send(s *stream, pkt []byte) bool {
	_, err := s.conn.WriteToUDPAddrPort(pkt, s.remote)
	return err == nil
}

func (p *portable) bind(local netip.AddrPort, floating bool) (*stream, error) {
	network := "udp4"
	if !local.Addr().Is4() {
		network = "udp6"
	}
	var config net.ListenConfig
	if floating {
		config.Control = controlFreebind(local.Addr())
	}
	bound, err := config.ListenPacket(context.Background(), network, local.String())
	if err != nil {
		return nil, err
	}
	conn := bound.(*net.UDPConn)
	_ = conn.SetReadBuffer(p.cfg.ReceiveBuffer) // a wish
	return &stream{local: local, conn: conn}, nil
}

func (p *portable) setTOS(*stream, uint8) error { return nil }

func (p *portable) assign() int {
	least := 0
	for i, l := range p.lanes {
		if l.attached < p.lanes[least].attached {
			least = i
		}
	}
	return least
}

func (p *portable) attach(s *stream, shard int) error {
	l := p.lanes[shard]
	l.attached++
	l.mu.Lock()
	l.streams[s] = struct{}{}
	l.mu.Unlock()
	p.ended.Go(func() { l.receive(s) })
	return nil
}

func (p *portable) attend(s *stream, shard int) {
	l := p.lanes[shard]
	l.mu.Lock()
	l.shard.attend(s, time.Now().UnixMicro())
	l.mu.Unlock()
	l.signal()
}

func (p *portable) detach(s *stream, shard int) {
	l := p.lanes[shard]
	l.attached--
	l.mu.Lock()
	l.shard.forget(s)
	delete(l.streams, s)
	l.mu.Unlock()
	_ = s.conn.Close()
}

func (p *portable) discard(s *stream) { _ = s.conn.Close() }

func (p *portable) settle() {} // detach closes at once

func (p *portable) answers(ctx context.Context) error {
	for _, l := range p.lanes {
		l.mu.Lock()   // whoever moves packets of the lane lets go between two of them
		l.mu.Unlock() //nolint:staticcheck // see above
	}
	return ctx.Err()
}

func (p *portable) totals() (s sums) {
	for _, l := range p.lanes {
		s.add(&l.shard)
	}
	return s
}

func (p *portable) close() {
	close(p.closed)
	for _, l := range p.lanes {
		l.mu.Lock()
		for s := range l.streams {
			_ = s.conn.Close()
		}
		l.mu.Unlock()
	}
	p.ended.Wait()
}

// receive relays what arrives on s until its socket is closed.
func (l *lane) receive(s *stream) {
	buf := make([]byte, portableDatagram)
	for {
		n, src, err := s.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if s.route.Load() == nil || errors.Is(err, net.ErrClosed) {
				return
			}
			continue // such as the ICMP answer to a packet sent: reading has cleared it
		}
		l.mu.Lock()
		l.shard.handle(s, buf[:n], plain(src), time.Now().UnixMicro())
		l.shard.publish()
		waiting := l.shard.due != 0
		l.mu.Unlock()
		if waiting {
			l.signal()
		}
	}
}

// signal makes runChores look again.
func (l *lane) signal() {
	select {
	case l.due <- struct{}{}:
	default:
	}
}

func (l *lane) runChores(closed <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-closed:
			return
		case <-l.due:
		case <-timer.C:
		}
		now := time.Now().UnixMicro()
		l.mu.Lock()
		due := l.shard.chores(now)
		l.mu.Unlock()
		if due != 0 {
			timer.Reset(time.Duration(max(0, due-now)) * time.Microsecond)
		} else {
			timer.Stop()
		}
	}
}
