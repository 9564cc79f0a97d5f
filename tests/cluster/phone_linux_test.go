package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// phone is the media side of a SIP phone.
type phone struct {
	rtp *net.UDPConn
	at  netip.AddrPort
}

func newPhone(w world) (*phone, error) { return newPhoneAt(w, w.phones()) }

func newPhoneAt(w world, addr netip.Addr) (*phone, error) {
	conn, err := listen(w, addr)
	if err != nil {
		return nil, err
	}
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return &phone{conn, netip.AddrPortFrom(at.Addr().Unmap(), at.Port())}, nil
}

func (p *phone) close() { _ = p.rtp.Close() }

// sdp is a body with one audio section.
func (p *phone) sdp() string { return p.version(1) }

func (p *phone) version(n int) string {
	a, family := p.at.Addr(), "IP4"
	if a.Is6() {
		family = "IP6"
	}
	return fmt.Sprintf("v=0\r\no=- 1 %d IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\nm=audio %d RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n",
		n, family, a, family, a, p.at.Port())
}

// sentTo reads from an SDP where the phone that gets it has to send to.
func sentTo(r reply) (netip.AddrPort, error) {
	sdp, _ := r.dict["sdp"].(string)
	var host netip.Addr
	var port uint64
	var err error
	for line := range strings.Lines(sdp) {
		f := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "c="):
			if host, err = netip.ParseAddr(f[len(f)-1]); err != nil {
				return netip.AddrPort{}, err
			}
		case strings.HasPrefix(line, "m="):
			if port, err = strconv.ParseUint(f[1], 10, 16); err != nil {
				return netip.AddrPort{}, err
			}
		}
	}
	if !host.IsValid() || port == 0 {
		return netip.AddrPort{}, fmt.Errorf("no address in the SDP of %v", r.dict)
	}
	return netip.AddrPortFrom(host, uint16(port)), nil
}

var sources atomic.Uint32

// step is the time between two packets of a phone.
const step = 20 * time.Millisecond

// hears sends RTP from one phone until the other one hears it, from where that one sends to itself. It returns how many
// packets did not arrive: those sent before the owner of the call knew what it was to do.
func hears(from *phone, in netip.AddrPort, to *phone, out netip.AddrPort) (lost int, err error) {
	pkt := make([]byte, 172)
	pkt[0] = 0x80
	ssrc := sources.Add(1)
	binary.BigEndian.PutUint32(pkt[8:], ssrc)
	buf := make([]byte, 2048)
	began := time.Now()
	for sent := uint16(1); ; sent++ {
		binary.BigEndian.PutUint16(pkt[2:], sent)
		if _, err := from.rtp.WriteToUDPAddrPort(pkt, in); err != nil {
			return 0, fmt.Errorf("send from %v to %v: %w", from.at, in, err)
		}
		if err := to.rtp.SetReadDeadline(time.Now().Add(step)); err != nil {
			return 0, err
		}
		for {
			n, src, err := to.rtp.ReadFromUDPAddrPort(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return 0, err
			}
			if n != len(pkt) || binary.BigEndian.Uint32(buf[8:]) != ssrc {
				continue // of an earlier conversation
			}
			if src = netip.AddrPortFrom(src.Addr().Unmap(), src.Port()); src != out {
				return 0, fmt.Errorf("%v hears %v through %v, and sends to %v itself", to.at, from.at, src, out)
			}
			return int(binary.BigEndian.Uint16(buf[2:])) - 1, nil
		}
		if time.Since(began) > patience/4 {
			return 0, fmt.Errorf("%v does not hear what %v sends to %v, after %d packets", to.at, from.at, in, sent)
		}
	}
}

// silentFor checks that a phone hears nothing of what another one sends: what goes through a second, open way comes, and
// nothing of the first before it. It sends n packets.
func deaf(from *phone, in netip.AddrPort, to *phone, n int) error {
	pkt := make([]byte, 172)
	pkt[0] = 0x80
	ssrc := sources.Add(1)
	binary.BigEndian.PutUint32(pkt[8:], ssrc)
	buf := make([]byte, 2048)
	for i := range n {
		binary.BigEndian.PutUint16(pkt[2:], uint16(i))
		if _, err := from.rtp.WriteToUDPAddrPort(pkt, in); err != nil {
			return err
		}
		if err := to.rtp.SetReadDeadline(time.Now().Add(step)); err != nil {
			return err
		}
		for {
			got, _, err := to.rtp.ReadFromUDPAddrPort(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return err
			}
			if got == len(pkt) && binary.BigEndian.Uint32(buf[8:]) == ssrc {
				return fmt.Errorf("%v hears %v", to.at, from.at)
			}
		}
	}
	return nil
}
