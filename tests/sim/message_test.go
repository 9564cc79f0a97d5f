package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
)

// message is one NG command of a client.
type message struct {
	*ng.Request
	cookie string
	raw    []byte
	call   *script
	sig    *signal // of a talk; nil for any other command
}

func (m *message) id() string { return m.cookie + "\x00" + string(m.raw) }

// moves tells whether the reply names sockets.
func (m *message) moves() bool { return m.Command == ng.CommandOffer || m.Command == ng.CommandAnswer }

// newMessage makes a message from keys and values in turn. It parses the very bytes that the log will keep.
func (s *script) newMessage(command string, keysAndValues ...string) *message {
	var b strings.Builder
	b.WriteByte('d')
	for _, v := range append([]string{"command", command, "call-id", s.id}, keysAndValues...) {
		if strings.HasPrefix(v, "[") {
			b.WriteString("l" + bstring(v[1:]) + "e")
			continue
		}
		b.WriteString(bstring(v))
	}
	b.WriteByte('e')
	raw := []byte(b.String())
	dict, _, err := ng.DecodeDict(raw)
	if err != nil {
		panic(err)
	}
	req, err := ng.Parse(dict)
	if err != nil {
		panic(err)
	}
	return &message{Request: req, cookie: s.cookie(), raw: raw, call: s}
}

func bstring(s string) string { return strconv.Itoa(len(s)) + ":" + s }

func (s *script) cookie() string {
	s.cookies++
	return fmt.Sprintf("%s-%d", s.id, s.cookies)
}

// script is one client with one call-id. It sends a command after the other; each waits for the reply to the one before.
type script struct {
	w       *world
	id, key string
	cookies int
	version int      // of SDPs
	plan    []string // what is still to be done
	video   bool
	srtp    bool // alice speaks SRTP, and bob does not
	mux     bool
	moved   int   // how often alice has changed her address
	talk    *talk // what is negotiated beyond that; nil: nothing

	last *message
	full bool // the last reply was that there is no port
	over bool // nothing more is to be done, or the time is over
}

func (w *world) newScript(i int) *script {
	s := &script{w: w, id: fmt.Sprintf("call%d", i), video: w.chance(300), mux: w.chance(300)}
	s.srtp = i%4 == 3
	s.key = events.Key(s.id)
	if w.cfg.talks && i%2 == 0 {
		w.newTalk(s)
		return s
	}
	for range w.between(1, 2) { // generations
		if w.chance(150) {
			s.plan = append(s.plan, "branch") // a parallel fork
		}
		s.plan = append(s.plan, "offer", "answer")
		for range w.rng.IntN(5) {
			switch w.rng.IntN(8) {
			case 0:
				s.plan = append(s.plan, "hold", "answer")
			case 1, 2:
				s.plan = append(s.plan, "move", "answer")
			case 3:
				s.plan = append(s.plan, "turn", "turned")
			case 4:
				s.plan = append(s.plan, "block media", "unblock media")
			case 5:
				s.plan = append(s.plan, "block media", "query")
			case 6:
				s.plan = append(s.plan, "offer", "answer")
			case 7:
				s.plan = append(s.plan, "block DTMF")
			}
		}
		switch w.rng.IntN(6) {
		case 0:
			s.plan = append(s.plan, "leave")
		case 1: // the call stays
		default:
			s.plan = append(s.plan, "delete")
		}
	}
	return s
}

// build makes the message for a step.
func (s *script) build(step string) *message {
	s.version++
	if s.talk != nil {
		if m := s.talk.build(step); m != nil {
			return m
		}
	}
	switch step {
	case "offer":
		return s.newMessage("offer", append(s.toward("a"), "from-tag", "a", "sdp", s.sdp("a", "sendrecv"), "replace", "[origin")...)
	case "branch":
		return s.newMessage("offer", append(s.toward("a"), "from-tag", "a", "via-branch", "z1", "sdp", s.sdp("a", "sendrecv"))...)
	case "answer":
		return s.newMessage("answer", "from-tag", "a", "to-tag", "b", "sdp", s.sdp("b", "sendrecv"))
	case "hold":
		return s.newMessage("offer", append(s.toward("a"), "from-tag", "a", "to-tag", "b", "sdp", s.sdp("a", "sendonly"))...)
	case "move":
		s.moved++
		return s.newMessage("offer", append(s.toward("a"), "from-tag", "a", "to-tag", "b", "sdp", s.sdp("a", "sendrecv"))...)
	case "turn":
		return s.newMessage("offer", append(s.toward("b"), "from-tag", "b", "to-tag", "a", "sdp", s.sdp("b", "sendrecv"))...)
	case "turned":
		return s.newMessage("answer", "from-tag", "b", "to-tag", "a", "sdp", s.sdp("a", "sendrecv"))
	case "block media", "unblock media":
		return s.newMessage(step, "from-tag", "a", "flags", "[directional")
	case "block DTMF":
		return s.newMessage(step, "dtmf-security", "drop")
	case "leave":
		return s.newMessage("delete", "from-tag", "a", "delete-delay", "1")
	case "delete":
		return s.newMessage("delete", "delete-delay", "0")
	}
	return s.newMessage("query")
}

// toward are the options of an offer of one of them: the other one has its own profile.
func (s *script) toward(from string) []string {
	switch {
	case !s.srtp:
		return nil
	case from == "a":
		return []string{"transport-protocol", "RTP/AVP"}
	}
	return []string{"transport-protocol", "RTP/SAVP"}
}

func (s *script) sdp(who, direction string) string {
	addr, port := "198.51.100.1", 4000+2*s.moved
	if who == "b" {
		addr, port = "203.0.113.1", 6000
	}
	var b strings.Builder
	fmt.Fprintf(&b, "v=0\r\no=%s 1 %d IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n", who, s.version, addr, addr)
	s.section(&b, who, "audio", port, direction, 8)
	if s.video {
		s.section(&b, who, "video", port+100, direction, 34)
	}
	return b.String()
}

// section writes an m= section with its attributes.
func (s *script) section(b *strings.Builder, who, kind string, port int, direction string, pts ...int) {
	profile, keys := "RTP/AVP", ""
	if s.srtp && who == "a" {
		profile = "RTP/SAVP"
		keys = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
	}
	formats := strings.Trim(fmt.Sprint(pts), "[]")
	fmt.Fprintf(b, "m=%s %d %s %s\r\na=%s\r\n%s", kind, port, profile, formats, direction, keys)
	if slices.Contains(pts, 101) {
		b.WriteString("a=rtpmap:101 telephone-event/8000\r\n")
	}
	if s.mux {
		b.WriteString("a=rtcp-mux\r\n")
	}
}
