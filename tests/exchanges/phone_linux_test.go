package exchanges

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/pion/srtp/v3"
)

// phone is a pair of sockets, RTP on an even port and RTCP on the next.
type phone struct {
	name      string
	rtp, rtcp *net.UDPConn
	port      uint16
	kind      string // of the section that it was in last
	place     int    // of that section in its party's SDP
	party     string // whose SDP named it
	formats   []string
	ssrc      uint32
	seq       uint16
	barred    int // packets with a higher number must not come; 0: no bar
	open      map[string]*srtp.Context
	seal      map[string]*srtp.Context
}

func bind(host netip.Addr, n int, name string) (*phone, error) {
	p := &phone{name: name, port: uint16(4000 + 2*n), ssrc: 0x10000 * uint32(name[0]), seq: uint16(1000 * n)}
	p.open, p.seal = map[string]*srtp.Context{}, map[string]*srtp.Context{}
	var err error
	if p.rtp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, p.port))); err != nil {
		return nil, err
	}
	if p.rtcp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, p.port+1))); err != nil {
		_ = p.rtp.Close()
	}
	return p, err
}

func (p *phone) close() {
	_ = p.rtp.Close()
	_ = p.rtcp.Close()
}

const mark = "packet "

// packet is RTP, or UDPTL for a fax, with a number in it.
func (p *phone) packet(number int, pt byte) []byte {
	p.seq++
	text := fmt.Sprintf("%s%d.", mark, number)
	if p.kind == "image" {
		return append([]byte{byte(p.seq >> 8), byte(p.seq), byte(len(text))}, text...)
	}
	b := []byte{0x80, pt}
	b = binary.BigEndian.AppendUint16(b, p.seq)
	b = binary.BigEndian.AppendUint32(b, uint32(p.seq)*160)
	b = binary.BigEndian.AppendUint32(b, p.ssrc)
	return append(b, text+strings.Repeat("x", 160-len(text))...)
}

// report is a receiver report with an application packet behind it that has the number.
func (p *phone) report(number int) []byte {
	text := fmt.Sprintf("%s%d.", mark, number)
	text += strings.Repeat("x", (4-len(text)%4)%4)
	b := binary.BigEndian.AppendUint32([]byte{0x80, 201, 0, 1}, p.ssrc)
	b = append(b, 0x80, 204, 0, byte(2+len(text)/4))
	b = binary.BigEndian.AppendUint32(b, p.ssrc)
	return append(append(b, "test"...), text...)
}

func numberIn(pkt []byte) (n int, ok bool) {
	_, rest, ok := strings.Cut(string(pkt), mark)
	if !ok {
		return 0, false
	}
	_, err := fmt.Sscanf(rest, "%d.", &n)
	return n, err == nil
}

// context is one direction of SRTP with a key in base64.
func context(in map[string]*srtp.Context, key string) (*srtp.Context, error) {
	if c := in[key]; c != nil {
		return c, nil
	}
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return nil, err
	}
	c, err := srtp.CreateContext(raw[:16], raw[16:], srtp.ProtectionProfileAes128CmHmacSha1_80)
	in[key] = c
	return c, err
}

// read waits for one packet; nil if none comes in time.
func read(at *net.UDPConn, wait time.Duration) ([]byte, netip.AddrPort, error) {
	if err := at.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, netip.AddrPort{}, err
	}
	buf := make([]byte, 2048)
	n, src, err := at.ReadFromUDPAddrPort(buf)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, src, nil
	}
	return buf[:n], netip.AddrPortFrom(src.Addr().Unmap(), src.Port()), err
}
