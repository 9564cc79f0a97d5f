package main

import (
	"fmt"
	"net/netip"
	"strconv"

	"rtpjet/ngserver/bencode"
)

// The commands that the clients send, as Kamailio's module does.

// sdpOf is a phone's SDP with one audio section. version counts its changes.
func sdpOf(at netip.AddrPort, version int) string {
	host := at.Addr().String()
	return "v=0\r\no=- 3900000001 " + strconv.Itoa(version) + " IN IP4 " + host + "\r\ns=-\r\nc=IN IP4 " + host +
		"\r\nt=0 0\r\nm=audio " + strconv.Itoa(int(at.Port())) + " RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
}

// call is a call of the laboratory.
type call struct {
	id             string
	caller, callee netip.AddrPort
}

func command(name, id string) *bencode.Dict {
	return new(bencode.Dict).Add("command", name).Add("call-id", id)
}

func (c call) signal(name string, from netip.AddrPort, version int) *bencode.Dict {
	d := command(name, c.id).Add("from-tag", "f-"+c.id).Add("sdp", sdpOf(from, version)).
		Add("replace", []string{"origin", "session-connection"}).Add("ICE", "remove")
	if name == "answer" {
		d.Add("to-tag", "t-"+c.id)
	}
	return d
}

func (c call) offer() *bencode.Dict  { return c.signal("offer", c.caller, 1) }
func (c call) answer() *bencode.Dict { return c.signal("answer", c.callee, 1) }

// again is the offer of a phone that has something to change.
func (c call) reoffer() *bencode.Dict { return c.signal("offer", c.caller, 2).Add("to-tag", "t-"+c.id) }

func (c call) query() *bencode.Dict { return command("query", c.id) }
func (c call) remove() *bencode.Dict {
	return command("delete", c.id).Add("from-tag", "f-"+c.id).Add("delete delay", 0)
}

// outcomeOf reads a reply: nil if the command was done.
func outcomeOf(reply []byte) error {
	d, _, err := bencode.DecodeDict(reply)
	if err != nil {
		return fmt.Errorf("read the reply: %w", err)
	}
	if text(d, "result") != "ok" {
		return fmt.Errorf("%s: %s", text(d, "result"), text(d, "error-reason"))
	}
	return nil
}

func text(d *bencode.Dict, key string) string {
	v, _ := d.Get(key)
	b, _ := v.([]byte)
	return string(b)
}
