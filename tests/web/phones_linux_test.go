package web

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"sync/atomic"
	"time"
)

// phone sends a packet each 20 ms to where an SDP told it.
type phone struct {
	conn *net.UDPConn
	ssrc uint32
	skip int // each so many packets, one is not sent; 0: none
	to   atomic.Pointer[netip.AddrPort]
	done chan struct{}
}

func newPhone(at netip.Addr, ssrc uint32, skip int) (*phone, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
	if err != nil {
		return nil, err
	}
	p := &phone{conn: conn, ssrc: ssrc, skip: skip, done: make(chan struct{})}
	go p.speak()
	return p, nil
}

func (p *phone) close() {
	close(p.done)
	_ = p.conn.Close()
}

func (p *phone) speak() {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	packet := make([]byte, 172)
	packet[0] = 0x80
	binary.BigEndian.PutUint32(packet[8:], p.ssrc)
	for seq := uint16(1); ; {
		select {
		case <-p.done:
			return
		case <-tick.C:
		}
		to := p.to.Load()
		if to == nil {
			continue
		}
		binary.BigEndian.PutUint16(packet[2:], seq)
		binary.BigEndian.PutUint32(packet[4:], uint32(seq)*160)
		if p.skip == 0 || int(seq)%p.skip != 0 {
			_, _ = p.conn.WriteToUDPAddrPort(packet, *to)
		}
		seq++
	}
}

func (p *phone) sdp(version int) string {
	a := p.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return fmt.Sprintf("v=0\r\no=- 1 %d IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP 8 0 101\r\n"+
		"a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n",
		version, a.Addr(), a.Addr(), a.Port())
}

// call is one between two phones.
type call struct {
	id             string
	caller, callee *phone
	version        int
}

// place makes a call: the offer at one node, the answer at another.
func (c *cluster) place(id string, offer, answer *node, skip int) (*call, error) {
	n := uint32(len(c.phones))
	a, err := newPhone(c.addr(201), 0x1000+n, skip)
	if err != nil {
		return nil, err
	}
	c.phones = append(c.phones, a)
	b, err := newPhone(c.addr(202), 0x1001+n, 0)
	if err != nil {
		return nil, err
	}
	c.phones = append(c.phones, b)
	x := &call{id: id, caller: a, callee: b}
	return x, x.signal(offer, answer)
}

// signal is an offer and its answer.
func (x *call) signal(offer, answer *node) error {
	x.version++
	cmd := map[string]any{"command": "offer", "call-id": x.id, "from-tag": "caller", "sdp": x.caller.sdp(x.version), "ICE": "remove", "replace": []string{"origin"}}
	if x.version > 1 {
		cmd["to-tag"] = "callee"
	}
	to, err := ask(offer, cmd)
	if err != nil {
		return err
	}
	back, err := ask(answer, map[string]any{"command": "answer", "call-id": x.id, "from-tag": "caller", "to-tag": "callee", "sdp": x.callee.sdp(x.version), "ICE": "remove", "replace": []string{"origin"}})
	if err != nil {
		return err
	}
	x.callee.to.Store(&to)
	x.caller.to.Store(&back)
	return nil
}

func (x *call) delete(at *node) error {
	reply, err := at.ng(map[string]any{"command": "delete", "call-id": x.id, "from-tag": "caller", "delete delay": 0})
	if err == nil && reply["result"] != "ok" {
		err = fmt.Errorf("delete: %v", reply)
	}
	x.caller.to.Store(nil)
	x.callee.to.Store(nil)
	return err
}

var (
	connection = regexp.MustCompile(`(?m)^c=IN IP4 (\S+)`)
	audio      = regexp.MustCompile(`(?m)^m=audio (\d+) `)
)

func ask(n *node, cmd map[string]any) (addr netip.AddrPort, err error) {
	reply, err := n.ng(cmd)
	if err != nil {
		return addr, err
	}
	sdp, _ := reply["sdp"].(string)
	c, m := connection.FindStringSubmatch(sdp), audio.FindStringSubmatch(sdp)
	if c == nil || m == nil {
		return addr, fmt.Errorf("%v: %v", cmd["command"], reply)
	}
	return netip.ParseAddrPort(c[1] + ":" + m[1])
}
