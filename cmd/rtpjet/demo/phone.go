package demo

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	frame = 20 * time.Millisecond // of speech in a packet

	// A packet is an RTP header, and a payload as long as G.711 has it that begins with who sent it.
	packetSize = 12 + 160
	offRun     = 12 // uint64: this demonstration, and no other program
	offPhone   = 20 // uint32
	offRound   = 24 // uint32: of the signalling after which it was sent
	offNumber  = 28 // uint64: of the packet
)

// phone is one end of a call. It sends a packet each 20 ms once it knows where to, and listens for the other end's.
type phone struct {
	conn      *net.UDPConn
	run       uint64
	id, hears uint32 // itself, and the one that it should hear
	to        atomic.Pointer[target]
	sent      atomic.Int64
	done      chan struct{}
	closing   sync.Once
	at        sync.WaitGroup // speaking and listening

	mu  sync.Mutex
	ear ear
}

// target is where a phone sends to, since when.
type target struct {
	addr  netip.AddrPort
	round uint32
}

// ear is what a phone has heard.
type ear struct {
	heard int64
	next  int64 // number after the highest packet
	stray int64 // packets of other calls
	round uint32
	first time.Time // when the first packet of that round came; zero: none yet
	last  time.Time
	pause time.Duration // longest one since that was set to 0
}

// lost is how many packets have been missed before the last one.
func (e *ear) lost() int64 { return e.next - e.heard }

// newPhone makes a phone on a port of the system's choice.
func newPhone(run uint64, id, hears uint32) (*phone, error) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("open a socket for a phone: %w", err)
	}
	p := &phone{conn: conn, run: run, id: id, hears: hears, done: make(chan struct{})}
	p.at.Go(p.speak)
	p.at.Go(p.listen)
	return p, nil
}

func (p *phone) addr() netip.AddrPort {
	a := p.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// expect has the phone wait for the first packet of a round.
func (p *phone) expect(round uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ear.round, p.ear.first = round, time.Time{}
}

// sendTo tells the phone where to send from now on.
func (p *phone) sendTo(addr netip.AddrPort, round uint32) { p.to.Store(&target{addr, round}) }

// hush has the phone send no more.
func (p *phone) hush() { p.to.Store(nil) }

// hearing returns what was heard up to now, and measures pauses anew if that is wanted.
func (p *phone) hearing(anew bool) ear {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.ear
	if anew {
		p.ear.pause = 0
	}
	return e
}

func (p *phone) speak() {
	tick := time.NewTicker(frame)
	defer tick.Stop()
	b := make([]byte, packetSize)
	b[0] = 2 << 6 // RTP version 2, payload type 0
	binary.BigEndian.PutUint32(b[8:], p.id)
	binary.BigEndian.PutUint64(b[offRun:], p.run)
	binary.BigEndian.PutUint32(b[offPhone:], p.id)
	for n := uint64(0); ; {
		select {
		case <-p.done:
			return
		case <-tick.C:
		}
		to := p.to.Load()
		if to == nil {
			continue
		}
		binary.BigEndian.PutUint16(b[2:], uint16(n))
		binary.BigEndian.PutUint32(b[4:], uint32(n*160))
		binary.BigEndian.PutUint32(b[offRound:], to.round)
		binary.BigEndian.PutUint64(b[offNumber:], n)
		n++
		p.sent.Add(1)
		_, _ = p.conn.WriteToUDPAddrPort(b, to.addr) // what does not arrive is counted where it should have
	}
}

func (p *phone) listen() {
	b := make([]byte, 2048)
	for {
		n, err := p.conn.Read(b)
		select {
		case <-p.done:
			return
		default:
		}
		if err == nil && n == packetSize && binary.BigEndian.Uint64(b[offRun:]) == p.run {
			p.hear(b[:n], time.Now())
		}
	}
}

func (p *phone) hear(b []byte, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := &p.ear
	if binary.BigEndian.Uint32(b[offPhone:]) != p.hears {
		e.stray++
		return
	}
	e.heard++
	e.next = max(e.next, int64(binary.BigEndian.Uint64(b[offNumber:]))+1)
	if !e.last.IsZero() {
		e.pause = max(e.pause, now.Sub(e.last))
	}
	e.last = now
	if e.first.IsZero() && binary.BigEndian.Uint32(b[offRound:]) == e.round {
		e.first = now
	}
}

// close ends the phone, and returns when it has ended.
func (p *phone) close() {
	p.closing.Do(func() {
		close(p.done)
		_ = p.conn.Close()
	})
	p.at.Wait()
}
