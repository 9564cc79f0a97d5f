//go:build unix

package peers

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// phone is the media side of a SIP phone: an RTP socket on an even port and an
// RTCP socket on the next one. SIPp announces its port.
type phone struct {
	port int
	rtp  *net.UDPConn
	rtcp *net.UDPConn

	mu      sync.Mutex
	heard   map[string]bool // payloads that came in
	reports map[uint32]bool // SSRCs of RTCP reports that came in
}

func newPhone(t *testing.T) *phone {
	t.Helper()
	return newPhoneAt(t, loopback)
}

// newPhoneAt makes a phone with another address of this machine.
func newPhoneAt(t *testing.T, addr string) *phone {
	t.Helper()
	p := &phone{heard: map[string]bool{}, reports: map[uint32]bool{}}
	for range 100 {
		port := freePort(t) &^ 1
		a, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(addr), Port: port})
		if err != nil {
			continue
		}
		b, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(addr), Port: port + 1})
		if err != nil {
			a.Close()
			continue
		}
		p.port, p.rtp, p.rtcp = port, a, b
		break
	}
	if p.rtp == nil {
		t.Fatal("found no two free ports in a row")
	}
	var readers sync.WaitGroup
	readers.Go(func() { p.listen(p.rtp, p.hear) })
	readers.Go(func() { p.listen(p.rtcp, p.note) })
	t.Cleanup(func() {
		p.rtp.Close()
		p.rtcp.Close()
		readers.Wait()
	})
	return p
}

// listen reads until the socket is closed.
func (p *phone) listen(conn *net.UDPConn, each func([]byte)) {
	buf := make([]byte, 2048)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		each(buf[:n])
	}
}

func (p *phone) hear(data []byte) {
	var packet rtp.Packet
	if packet.Unmarshal(data) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard[string(packet.Payload)] = true
}

func (p *phone) note(data []byte) {
	packets, err := rtcp.Unmarshal(data)
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, packet := range packets {
		if report, ok := packet.(*rtcp.SenderReport); ok {
			p.reports[report.SSRC] = true
		}
	}
}

// burst is how many packets one side says at a time.
const burst = 20

// speech is a run of RTP packets whose payloads nobody else uses.
type speech struct {
	ssrc uint32
	from uint16 // first sequence number
}

func newSpeech() *speech { return &speech{ssrc: rand.Uint32(), from: uint16(rand.Uint32())} }

// payload is 20 ms of G.711, 160 bytes, so that a relay which looks into the
// audio finds what the SDP announced.
func (s *speech) payload(i int) string {
	return strings.Repeat(fmt.Sprintf("%08x %06d ", s.ssrc, i), 10)
}

// say sends packets i to i+n-1 of a speech to the relay.
func (p *phone) say(t *testing.T, s *speech, i, n int, relay netip.AddrPort) {
	t.Helper()
	if err := p.speak(s, i, n, relay); err != nil {
		t.Fatal(err)
	}
}

// speak is say for any goroutine.
func (p *phone) speak(s *speech, i, n int, relay netip.AddrPort) error {
	for ; n > 0; i, n = i+1, n-1 {
		packet := rtp.Packet{
			Header: rtp.Header{
				Version: 2, SSRC: s.ssrc,
				SequenceNumber: s.from + uint16(i), Timestamp: uint32(160 * i),
			},
			Payload: []byte(s.payload(i)),
		}
		data, err := packet.Marshal()
		if err != nil {
			return err
		}
		if _, err := p.rtp.WriteToUDPAddrPort(data, relay); err != nil {
			return err
		}
	}
	return nil
}

// count returns how many of the packets i to i+n-1 of a speech came in.
func (p *phone) count(s *speech, i, n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	got := 0
	for ; n > 0; i, n = i+1, n-1 {
		if p.heard[s.payload(i)] {
			got++
		}
	}
	return got
}

// hears has one phone speak to another and checks that every packet arrives
// unchanged. Each phone sends to its own side of the relay.
func hears(t *testing.T, from, to *phone, relay netip.AddrPort) {
	t.Helper()
	if err := heard(from, to, relay); err != nil {
		t.Fatal(err)
	}
}

// heard is hears for any goroutine.
func heard(from, to *phone, relay netip.AddrPort) error {
	s := newSpeech()
	if err := from.speak(s, 0, burst, relay); err != nil {
		return err
	}
	if !poll(func() bool { return to.count(s, 0, burst) == burst }) {
		return fmt.Errorf("%d of %d packets came from port %d through %v to port %d",
			to.count(s, 0, burst), burst, from.port, relay, to.port)
	}
	return nil
}

// trickle sends a packet at a time until one arrives, and returns how many of
// those before it did not: a node may answer a moment before the one that
// relays the call has obeyed.
func trickle(from, to *phone, relay netip.AddrPort) (lost int, err error) {
	s, n := newSpeech(), 0
	arrived := poll(func() bool {
		err = from.speak(s, n, 1, relay)
		n++
		return err != nil || to.count(s, 0, n) > 0
	})
	if err == nil && !arrived {
		err = fmt.Errorf("none of %d packets came from port %d through %v to port %d", n, from.port, relay, to.port)
	}
	return n - to.count(s, 0, n), err
}

// reaches waits until packets arrive.
func reaches(t *testing.T, from, to *phone, relay netip.AddrPort) {
	t.Helper()
	if _, err := trickle(from, to, relay); err != nil {
		t.Fatal(err)
	}
}

// bothReach waits until packets arrive in both directions.
func bothReach(t *testing.T, a, b *phone, relayA, relayB netip.AddrPort) {
	t.Helper()
	reaches(t, a, b, relayA)
	reaches(t, b, a, relayB)
}

// bothHear checks both directions.
func bothHear(t *testing.T, a, b *phone, relayA, relayB netip.AddrPort) {
	t.Helper()
	hears(t, a, b, relayA)
	hears(t, b, a, relayB)
}

// bothReport checks that RTCP passes in both directions.
func bothReport(t *testing.T, a, b *phone, relayA, relayB netip.AddrPort) {
	t.Helper()
	for _, way := range []struct {
		from, to *phone
		relay    netip.AddrPort
	}{{a, b, relayA}, {b, a, relayB}} {
		report := &rtcp.SenderReport{SSRC: rand.Uint32(), NTPTime: uint64(time.Now().UnixNano())}
		data, err := report.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		// RTCP without rtcp-mux goes to the next port.
		odd := netip.AddrPortFrom(way.relay.Addr(), way.relay.Port()+1)
		if _, err := way.from.rtcp.WriteToUDPAddrPort(data, odd); err != nil {
			t.Fatal(err)
		}
		eventually(t, fmt.Sprintf("a report from port %d at port %d", way.from.port+1, way.to.port+1), func() bool {
			way.to.mu.Lock()
			defer way.to.mu.Unlock()
			return way.to.reports[report.SSRC]
		})
	}
}
