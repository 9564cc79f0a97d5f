package regions

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

func (w *world) newPhone() (*phone, error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(w.block.addr(200), 0)))
	if err != nil {
		return nil, fmt.Errorf("bind a phone: %w", err)
	}
	return &phone{conn, conn.LocalAddr().(*net.UDPAddr).AddrPort()}, nil
}

func (p *phone) close() { _ = p.rtp.Close() }

// sdp is a body with one audio section; more are lines of that.
func (p *phone) sdp(version int, more ...string) string {
	a := p.at.Addr()
	return fmt.Sprintf("v=0\r\no=- 1 %d IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\n", version, a, a, p.at.Port()) +
		strings.Join(more, "")
}

// sentTo reads from an SDP where the phone that gets it has to send to.
func sentTo(r reply) (netip.AddrPort, error) {
	sdp, _ := r.dict["sdp"].(string)
	var host netip.Addr
	var port uint64
	for line := range strings.Lines(sdp) {
		f := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "c="):
			host, _ = netip.ParseAddr(f[len(f)-1])
		case strings.HasPrefix(line, "m="):
			port, _ = strconv.ParseUint(f[1], 10, 16)
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

// errDeaf means that a phone hears nothing.
var errDeaf = errors.New("does not hear")

// hears sends RTP from one phone until the other one hears it, at most so many packets, from where that one sends to itself.
func hears(from *phone, in netip.AddrPort, to *phone, out netip.AddrPort, packets int) error {
	pkt := make([]byte, 172)
	pkt[0] = 0x80
	ssrc := sources.Add(1)
	binary.BigEndian.PutUint32(pkt[8:], ssrc)
	buf := make([]byte, 2048)
	for sent := range packets {
		binary.BigEndian.PutUint16(pkt[2:], uint16(sent))
		if _, err := from.rtp.WriteToUDPAddrPort(pkt, in); err != nil {
			return fmt.Errorf("send from %v to %v: %w", from.at, in, err)
		}
		if err := to.rtp.SetReadDeadline(time.Now().Add(step)); err != nil {
			return err
		}
		for {
			n, src, err := to.rtp.ReadFromUDPAddrPort(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return err
			}
			if n != len(pkt) || binary.BigEndian.Uint32(buf[8:]) != ssrc {
				continue // of an earlier conversation
			}
			if src != out {
				return fmt.Errorf("%v hears %v through %v, and sends to %v itself", to.at, from.at, src, out)
			}
			return nil
		}
	}
	return fmt.Errorf("%v %w what %v sends to %v, after %d packets", to.at, errDeaf, from.at, in, packets)
}
