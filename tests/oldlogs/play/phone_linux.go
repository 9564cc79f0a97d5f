package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pion/srtp/v3"
)

// phone is the media side of a phone: one socket for its first section; others are only named in SDPs.
type phone struct {
	s    *stage
	conn *net.UDPConn
	at   netip.AddrPort
	seq  uint16
	ssrc uint32
	out  *srtp.Context // encrypts what it sends; nil: nothing does
}

func (s *stage) phone() *phone {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.addr(200), 0)))
	must(err)
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	p := &phone{s: s, conn: conn, at: netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), ssrc: uint32(at.Port()), seq: 1}
	s.phones = append(s.phones, p)
	return p
}

// sdp is a body with these sections, whose lines | separates (¦ is one); %h and %p in them are the phone's address and port. Without any it has one of audio.
func (p *phone) sdp(version int, sections ...string) string {
	if len(sections) == 0 {
		sections = []string{"m=audio %p RTP/AVP 0 101|a=rtpmap:101 telephone-event/8000"}
	}
	text := fmt.Sprintf("v=0|o=- %d %d IN IP4 %%h|s=-|c=IN IP4 %%h|t=0 0|", p.at.Port(), version) + strings.Join(sections, "|") + "|"
	return strings.NewReplacer("|", "\r\n", "¦", "|", "%h", p.at.Addr().String(), "%p", fmt.Sprint(p.at.Port())).Replace(text)
}

// ports are where the phone that gets an SDP has to send to, one for each section; 0 where it must not.
func ports(reply dict) (list []netip.AddrPort) {
	sdp, _ := reply["sdp"].(string)
	host := netip.IPv4Unspecified()
	for line := range strings.Lines(sdp) {
		f := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "c="):
			a, err := netip.ParseAddr(f[len(f)-1])
			must(err)
			host = a
			for i := range list { // one of a section comes behind its m= line
				if !list[i].Addr().IsValid() || list[i].Addr().IsUnspecified() {
					list[i] = netip.AddrPortFrom(host, list[i].Port())
				}
			}
		case strings.HasPrefix(line, "m="):
			port, err := strconv.ParseUint(f[1], 10, 16)
			must(err)
			list = append(list, netip.AddrPortFrom(host, uint16(port)))
		}
	}
	return list
}

// send sends a packet of the phone.
func (p *phone) send(to netip.AddrPort, rtcp bool) {
	pkt := make([]byte, 172)
	pkt[0] = 0x80
	binary.BigEndian.PutUint16(pkt[2:], p.seq)
	binary.BigEndian.PutUint32(pkt[4:], uint32(p.seq)*160)
	binary.BigEndian.PutUint32(pkt[8:], p.ssrc)
	if rtcp {
		pkt = pkt[:8]
		pkt[1], pkt[3] = 201, 1
		binary.BigEndian.PutUint32(pkt[4:], p.ssrc)
	} else {
		p.seq++
	}
	if p.out != nil {
		var err error
		if rtcp {
			pkt, err = p.out.EncryptRTCP(nil, pkt, nil)
		} else {
			pkt, err = p.out.EncryptRTP(nil, pkt, nil)
		}
		must(err)
	}
	_, err := p.conn.WriteToUDPAddrPort(pkt, to)
	must(err)
}

// heard tells whether something has arrived, and takes all of it.
func (p *phone) heard() bool {
	buf := make([]byte, 2048)
	any := false
	must(p.conn.SetReadDeadline(time.Now().Add(time.Millisecond)))
	for {
		_, _, err := p.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return any
		}
		must(err)
		any = true
	}
}

// talk has two phones send until both have heard something, and for so long.
func talk(a *phone, toA netip.AddrPort, b *phone, toB netip.AddrPort, d time.Duration) {
	began := time.Now()
	heardA, heardB := false, false
	for i := 0; !heardA || !heardB || time.Since(began) < d; i++ {
		a.send(toA, false)
		b.send(toB, false)
		time.Sleep(20 * time.Millisecond)
		heardA, heardB = a.heard() || heardA, b.heard() || heardB
		if time.Since(began) > 20*time.Second {
			must(fmt.Errorf("phones do not hear each other: %v, %v", heardA, heardB))
		}
	}
}

// suite80 is the suite that phones of the scenes encrypt with, and the tag of its line in their offers.
const suite80 = "AES_CM_128_HMAC_SHA1_80"

// cryptoLine is a line with a test key, all of one letter.
func cryptoLine(tag int, suite string, letter byte) string {
	length := map[string]int{suite80: 30, "AES_CM_128_HMAC_SHA1_32": 30, "AES_256_CM_HMAC_SHA1_80": 46, "AEAD_AES_128_GCM": 28, "AEAD_AES_256_GCM": 44}[suite]
	key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(letter), length)))
	return fmt.Sprintf("a=crypto:%d %s inline:%s", tag, suite, strings.TrimRight(key, "="))
}

// encrypts has the phone encrypt with a test key of suite80.
func (p *phone) encrypts(letter byte) {
	key := []byte(strings.Repeat(string(letter), 30))
	ctx, err := srtp.CreateContext(key[:16], key[16:], srtp.ProtectionProfileAes128CmHmacSha1_80)
	must(err)
	p.out = ctx
}

var cryptoTag = regexp.MustCompile(`a=crypto:(\d+) ` + suite80 + ` `)

// tagOf is the tag of the line of suite80 in an SDP that a phone got.
func tagOf(reply dict) int {
	m := cryptoTag.FindStringSubmatch(fmt.Sprint(reply["sdp"]))
	if m == nil {
		must(fmt.Errorf("no %s in %v", suite80, reply["sdp"]))
	}
	tag, err := strconv.Atoi(m[1])
	must(err)
	return tag
}
