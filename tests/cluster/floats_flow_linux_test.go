package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// flows are calls in which both sides speak all the time.
type flows struct {
	streams []*flow
	sent    atomic.Int64 // of each
	stop    chan struct{}
	wg      sync.WaitGroup
}

// floatSilence is several times the silence after which a holder is replaced.
const floatSilence = 5 * floatTimeout / 2

// flow is what one phone sends and another one hears.
type flow struct {
	call     string
	from, to *phone
	in, out  netip.AddrPort
	pkt      []byte
	seqAt    int                                // where the number of a packet stands in it
	seal     func(plain []byte) ([]byte, error) // nil: as it is
	open     func(got []byte) ([]byte, error)
	first    uint32 // the packet before the first one
	sent     uint32 // the newest one, with its rollovers

	mu      sync.Mutex
	heard   map[uint32]bool
	last    uint32 // the highest that was heard
	lastAt  time.Time
	silence time.Duration // the longest
	strange int           // packets of others
	errs    []error
}

// speak has all phones speak until the flows end.
func speak(t testing.TB, ks ...*call) *flows {
	fs := &flows{stop: make(chan struct{})}
	for _, k := range ks {
		fs.streams = append(fs.streams, newFlow(k.id, k.a, k.atA, k.b, k.atB), newFlow(k.id, k.b, k.atB, k.a, k.atA))
	}
	fs.begin(t)
	return fs
}

func newFlow(id string, from *phone, in netip.AddrPort, to *phone, out netip.AddrPort) *flow {
	f := &flow{call: id, from: from, to: to, in: in, out: out, pkt: make([]byte, 172), seqAt: 2, heard: make(map[uint32]bool)}
	f.pkt[0] = 0x80
	binary.BigEndian.PutUint32(f.pkt[8:], sources.Add(1))
	return f
}

// newReports is the same for RTCP: sender reports with nothing in them.
func newReports(id string, from *phone, in netip.AddrPort, to *phone, out netip.AddrPort) *flow {
	f := newFlow(id, from, in, to, out)
	f.pkt, f.seqAt = make([]byte, 28), 16 // in the time
	f.pkt[0], f.pkt[1] = 0x80, 200
	binary.BigEndian.PutUint16(f.pkt[2:], uint16(len(f.pkt)/4-1))
	binary.BigEndian.PutUint32(f.pkt[8:], sources.Add(1))
	return f
}

func (fs *flows) begin(t testing.TB) {
	for _, f := range fs.streams {
		fs.wg.Go(func() { f.listen(fs.stop) })
	}
	fs.wg.Go(func() {
		tick := time.NewTicker(step)
		defer tick.Stop()
		for {
			select {
			case <-fs.stop:
				return
			case <-tick.C:
			}
			for _, f := range fs.streams {
				f.send()
			}
			fs.sent.Add(1)
		}
	})
	t.Cleanup(fs.halt)
	fs.more(t, 3)
}

// send sends the next packet. That nobody has the address at the moment is no matter: a phone goes on.
func (f *flow) send() {
	f.sent++
	pkt := slices.Clone(f.pkt)
	binary.BigEndian.PutUint16(pkt[f.seqAt:], uint16(f.sent))
	if f.seal != nil {
		var err error
		if pkt, err = f.seal(pkt); err != nil {
			f.fault(err)
			return
		}
	}
	_, _ = f.from.rtp.WriteToUDPAddrPort(pkt, f.in)
}

func (f *flow) listen(stop <-chan struct{}) {
	buf := make([]byte, 2048)
	for {
		select {
		case <-stop:
			return
		default:
		}
		_ = f.to.rtp.SetReadDeadline(time.Now().Add(10 * step))
		n, src, err := f.to.rtp.ReadFromUDPAddrPort(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil:
			f.fault(err)
			return
		default:
			f.hear(buf[:n], netip.AddrPortFrom(src.Addr().Unmap(), src.Port()))
		}
	}
}

func (f *flow) hear(pkt []byte, src netip.AddrPort) {
	if f.open != nil {
		plain, err := f.open(pkt)
		if err != nil {
			f.fault(fmt.Errorf("a packet cannot be decrypted: %w", err))
			return
		}
		pkt = plain
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(pkt) != len(f.pkt) || binary.BigEndian.Uint32(pkt[8:]) != binary.BigEndian.Uint32(f.pkt[8:]) {
		f.strange++ // or of an earlier conversation
		return
	}
	now := time.Now()
	seq := f.last + uint32(int16(binary.BigEndian.Uint16(pkt[f.seqAt:])-uint16(f.last)))
	switch {
	case src != f.out:
		f.errs = append(f.errs, fmt.Errorf("heard through %v, want %v", src, f.out))
	case f.heard[seq]:
		f.errs = append(f.errs, fmt.Errorf("packet %d came twice", seq))
	}
	f.heard[seq] = true
	f.last = max(f.last, seq)
	if !f.lastAt.IsZero() {
		f.silence = max(f.silence, now.Sub(f.lastAt))
	}
	f.lastAt = now
}

func (f *flow) fault(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errs = append(f.errs, err)
}

func (f *flow) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.heard)
}

// hearsToo tells whether the phone that hears f hears a stranger's packets as well. fs are the flows that f belongs to.
func (fs *flows) hearsToo(t testing.TB, f *flow, stranger *phone) error {
	t.Helper()
	f.mu.Lock()
	before := f.strange
	f.mu.Unlock()
	pkt := slices.Clone(f.pkt)
	binary.BigEndian.PutUint32(pkt[8:], sources.Add(1))
	for range 3 {
		if _, err := stranger.rtp.WriteToUDPAddrPort(pkt, f.in); err != nil {
			return err
		}
	}
	fs.more(t, 3) // what is sent later arrives later
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.strange - before; n > 0 {
		return fmt.Errorf("call %s: %v hears %d packets of a stranger", f.call, f.to.at, n)
	}
	return nil
}

// more waits until all phones have heard so many more packets.
func (fs *flows) more(t testing.TB, n int) {
	t.Helper()
	var goals []int
	for _, f := range fs.streams {
		goals = append(goals, f.count()+n)
	}
	eventually(t, "a phone does not hear the other one", func() error {
		for i, f := range fs.streams {
			if got := f.count(); got < goals[i] {
				return fmt.Errorf("call %s: %v hears %v through %v: %d packets, want %d", f.call, f.to.at, f.from.at, f.in, got, goals[i])
			}
		}
		return nil
	})
}

func (fs *flows) halt() {
	select {
	case <-fs.stop:
		return
	default:
	}
	close(fs.stop)
	for _, f := range fs.streams {
		_ = f.to.rtp.SetReadDeadline(time.Now())
	}
	fs.wg.Wait()
	for _, f := range fs.streams {
		_ = f.to.rtp.SetReadDeadline(time.Time{})
	}
}

// end has the phones fall silent, reports what went wrong, and returns how many packets of one stream were lost at most.
func (fs *flows) end(t testing.TB, what string) (lost int) {
	t.Helper()
	fs.halt()
	var silence time.Duration
	all := 0
	for _, f := range fs.streams {
		if len(f.errs) > 0 {
			t.Errorf("%s: call %s, %v to %v: %d faults: %v", what, f.call, f.from.at, f.to.at, len(f.errs), f.errs[:min(4, len(f.errs))])
		}
		l := int(f.last-f.first) - len(f.heard)
		all += l
		lost, silence = max(lost, l), max(silence, f.silence)
	}
	t.Logf("%s: %d streams, %d packets lost, %d of one stream at most, longest silence %v", what, len(fs.streams), all, lost, silence.Round(time.Millisecond))
	return lost
}

// longerThan waits until all phones have heard each other for so long: packets that were sent later than that have arrived.
func (fs *flows) longerThan(t testing.TB, d time.Duration) {
	t.Helper()
	fs.more(t, int(d/step)+1)
}

// deafFor waits until the phones have sent for so long, and says whether all are deaf.
func (fs *flows) deafFor(t testing.TB, d time.Duration) {
	t.Helper()
	var goals []int
	for _, f := range fs.streams {
		goals = append(goals, f.count())
	}
	sent := fs.sent.Load()
	eventually(t, "phones do not send", func() error {
		if got := fs.sent.Load() - sent; got < int64(d/step) {
			return fmt.Errorf("%d packets", got)
		}
		return nil
	})
	for i, f := range fs.streams {
		if got := f.count(); got > goals[i]+3 { // some were under way
			t.Errorf("call %s: %v hears %d packets without a network", f.call, f.to.at, got-goals[i])
		}
	}
}
