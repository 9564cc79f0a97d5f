package peers

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// A secure peer is a program with an SRTP of its own: ffmpeg, which wrote one,
// and GStreamer, which uses libsrtp. Either sends a file as G.711, or receives
// one; the other side of the call is a phone without encryption, or another
// secure peer. What is said crosses a wrap of the sequence number.

// suite is what SDES calls it, and GStreamer.
type suite struct {
	name         string
	size         int // of key and salt
	cipher, auth string
	rtcpAuth     string
}

var suites = []suite{
	{"AES_CM_128_HMAC_SHA1_80", 30, "aes-128-icm", "hmac-sha1-80", "hmac-sha1-80"},
	{"AES_CM_128_HMAC_SHA1_32", 30, "aes-128-icm", "hmac-sha1-32", "hmac-sha1-80"},
	{"AES_256_CM_HMAC_SHA1_80", 46, "aes-256-icm", "hmac-sha1-80", "hmac-sha1-80"},
	{"AES_256_CM_HMAC_SHA1_32", 46, "aes-256-icm", "hmac-sha1-32", "hmac-sha1-80"},
	{"AEAD_AES_128_GCM", 28, "aes-128-gcm", "null", "null"},
	{"AEAD_AES_256_GCM", 44, "aes-256-gcm", "null", "null"},
}

func (u suite) key() []byte {
	key := make([]byte, u.size)
	rand.Read(key)
	return key
}

// securePeer starts the programs.
type securePeer interface {
	suites() []suite
	// send says a speech from the port and the one after it, and ends.
	send(t *testing.T, to netip.AddrPort, port int, u suite, key []byte, s *speech) *process
	// receive writes to the file what it hears at the port, once it listens.
	receive(t *testing.T, port int, u suite, key []byte, ssrc uint32, file string) *process
}

// said is how many packets a secure peer says or hears.
const said = 100

// wrapping is a speech that crosses the wrap of its sequence number.
func wrapping() *speech {
	s := newSpeech()
	s.from = 0xffff - said/2
	return s
}

// audio is all that is said.
func (s *speech) audio() []byte {
	var all bytes.Buffer
	for i := range said {
		all.WriteString(s.payload(i))
	}
	return all.Bytes()
}

// file is the audio as a file.
func (s *speech) file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audio.ulaw")
	if err := os.WriteFile(path, s.audio(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// listening waits until somebody has the ports. To bind them for a try could
// take them away from him.
func listening(t *testing.T, p *process, ports ...int) {
	t.Helper()
	eventually(t, fmt.Sprint(p.name, " listens at ", ports), func() bool {
		if p.ended() {
			t.Fatalf("%s ended: %v\n%s", p.name, p.err, tail(p.log))
		}
		table, err := os.ReadFile("/proc/thread-self/net/udp") // a test that was in another namespace may have left the main thread there
		if err != nil {
			t.Fatal(err)
		}
		for _, port := range ports {
			if !bytes.Contains(table, fmt.Appendf(nil, ":%04X 00000000:0000 ", port)) {
				return false
			}
		}
		return true
	})
}

// ffmpeg has only AES_CM_128.
type ffmpeg struct{ path string }

func (ffmpeg) suites() []suite { return suites[:2] }

func (f ffmpeg) send(t *testing.T, to netip.AddrPort, port int, u suite, key []byte, s *speech) *process {
	t.Helper()
	name := u.name
	if strings.HasSuffix(name, "SHA1_32") {
		// By the name from SDES, ffmpeg shortens the tags of SRTCP too, which RFC 4568 does not (6.2.2).
		name = "SRTP_AES128_CM_HMAC_SHA1_32"
	}
	return start(t, f.path, "-nostdin", "-hide_banner",
		"-f", "mulaw", "-ar", "8000", "-ac", "1", "-i", s.file(t),
		"-c:a", "copy", "-f", "rtp", "-payload_type", "0",
		"-ssrc", strconv.Itoa(int(int32(s.ssrc))), "-seq", strconv.Itoa(int(s.from)),
		"-srtp_out_suite", name, "-srtp_out_params", base64.StdEncoding.EncodeToString(key),
		// 12 bytes of header, 160 of audio, 14 for the tag.
		fmt.Sprintf("srtp://%v?localrtpport=%d&localrtcpport=%d&pkt_size=186", to, port, port+1))
}

func (f ffmpeg) receive(t *testing.T, port int, u suite, key []byte, _ uint32, file string) *process {
	t.Helper()
	sdp := filepath.Join(t.TempDir(), "in.sdp")
	if err := os.WriteFile(sdp, []byte(describeSecure(port, 1, u, key)), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, f.path, "-nostdin", "-hide_banner", "-protocol_whitelist", "file,crypto,data,udp,rtp",
		"-analyzeduration", "0", "-probesize", "32", "-reorder_queue_size", "0",
		"-i", sdp, "-c:a", "copy", "-f", "mulaw", "-flush_packets", "1", file)
	t.Cleanup(func() {
		if !p.ended() {
			p.kill(t) // it would end 10 s after its last packet only
		}
	})
	listening(t, p, port, port+1)
	return p
}

// gstreamer is libsrtp.
type gstreamer struct{ path string }

func (gstreamer) suites() []suite { return suites }

// report is what a gstreamer sends by RTCP, beside its audio.
func (s *speech) report(t *testing.T) []byte {
	t.Helper()
	data, err := (&rtcp.SenderReport{SSRC: s.ssrc, PacketCount: said, OctetCount: 160 * said}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (g gstreamer) send(t *testing.T, to netip.AddrPort, port int, u suite, key []byte, s *speech) *process {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report")
	if err := os.WriteFile(report, s.report(t), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, g.path, strings.Fields(fmt.Sprintf(
		"--no-fault srtpenc name=enc key=%x rtp-cipher=%s rtp-auth=%s rtcp-cipher=%s rtcp-auth=%s"+
			" filesrc location=%s ! rawaudioparse format=mulaw sample-rate=8000 num-channels=1"+
			" ! rtppcmupay pt=0 ssrc=%d seqnum-offset=%d min-ptime=20000000 max-ptime=20000000 ! enc.rtp_sink_0"+
			" enc.rtp_src_0 ! udpsink host=%v port=%d bind-port=%d sync=false"+
			" filesrc location=%s ! application/x-rtcp ! enc.rtcp_sink_0"+
			" enc.rtcp_src_0 ! udpsink host=%v port=%d bind-port=%d sync=false",
		key, u.cipher, u.auth, u.cipher, u.rtcpAuth,
		s.file(t), s.ssrc, s.from, to.Addr(), to.Port(), port,
		report, to.Addr(), to.Port()+1, port+1))...)
}

func (g gstreamer) receive(t *testing.T, port int, u suite, key []byte, ssrc uint32, file string) *process {
	t.Helper()
	caps := fmt.Sprintf("ssrc=(uint)%d,srtp-key=(buffer)%s,srtp-cipher=(string)%s,srtp-auth=(string)%s,"+
		"srtcp-cipher=(string)%s,srtcp-auth=(string)%s,roc=(uint)0",
		ssrc, hex.EncodeToString(key), u.cipher, u.auth, u.cipher, u.rtcpAuth)
	p := start(t, g.path, strings.Fields(fmt.Sprintf(
		// With one srtpdec for both, GStreamer 1.22 crashes at times if RTP and RTCP begin at once.
		"--no-fault srtpdec name=dec srtpdec name=reports"+
			" udpsrc address=127.0.0.1 port=%d caps=application/x-srtp,media=audio,clock-rate=8000,encoding-name=PCMU,payload=0,%s ! dec.rtp_sink"+
			" dec.rtp_src ! rtppcmudepay ! filesink location=%s buffer-mode=unbuffered sync=false async=false"+
			" udpsrc address=127.0.0.1 port=%d caps=application/x-srtcp,%s ! reports.rtcp_sink"+
			" reports.rtcp_src ! filesink location=%s.rtcp buffer-mode=unbuffered sync=false async=false",
		port, caps, file, port+1, caps, file))...)
	listening(t, p, port, port+1)
	return p
}

// describeSecure is the SDP of a secure peer.
func describeSecure(port, tag int, u suite, key []byte) string {
	return strings.Join([]string{
		"v=0", "o=peer 20 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0",
		"m=audio " + strconv.Itoa(port) + " RTP/SAVP 0",
		"a=rtpmap:0 PCMU/8000", "a=sendrecv",
		fmt.Sprintf("a=crypto:%d %s inline:%s", tag, u.name, base64.StdEncoding.EncodeToString(key)), "",
	}, "\r\n")
}

var cryptoLine = regexp.MustCompile(`(?m)^a=crypto:(\d+) (\S+) inline:([A-Za-z0-9+/]+)`)

// keyOf finds the tag and the key of a suite in the relay's SDP.
func keyOf(t *testing.T, sdp string, u suite) (tag int, key []byte) {
	t.Helper()
	for _, m := range cryptoLine.FindAllStringSubmatch(sdp, -1) {
		if m[2] != u.name {
			continue
		}
		tag, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		key, err := base64.RawStdEncoding.DecodeString(m[3])
		if err != nil || len(key) != u.size {
			t.Fatalf("key of %d bytes (%v) in\n%s", len(key), err, sdp)
		}
		return tag, key
	}
	t.Fatalf("no %s in\n%s", u.name, sdp)
	return 0, nil
}

// pairs are the ports that secure peers use. They bind all addresses, so that these are apart from whatever other tests have
// on some address of the loopback device.
const firstPair, manyPairs = 15000, 2400

var lastPair atomic.Uint32

// freePair is an even port that is free on all addresses, and so is the next one.
func freePair(t *testing.T) int {
	t.Helper()
	var port int
	eventually(t, "a free pair of ports", func() bool {
		port = firstPair + 2*int((uint32(os.Getpid())+lastPair.Add(1))%manyPairs)
		for _, p := range []int{port, port + 1} {
			conn, err := net.ListenUDP("udp4", &net.UDPAddr{Port: p})
			if err != nil {
				return false
			}
			conn.Close()
		}
		return true
	})
	return port
}

// tape is a phone that keeps every packet it hears.
type tape struct {
	*phone
	packets []*rtp.Packet
	strange [][]byte // what is no RTP
}

func newTape(t *testing.T) *tape {
	t.Helper()
	p := &tape{phone: &phone{port: freePair(t), reports: map[uint32]bool{}}}
	var readers sync.WaitGroup
	listen := func(port int, each func([]byte)) *net.UDPConn {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			t.Fatal(err)
		}
		readers.Go(func() { p.listen(conn, each) })
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	t.Cleanup(readers.Wait)
	p.rtp, p.rtcp = listen(p.port, p.record), listen(p.port+1, p.note)
	return p
}

func (p *tape) record(data []byte) {
	var packet rtp.Packet
	err := packet.Unmarshal(bytes.Clone(data))
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.strange = append(p.strange, bytes.Clone(data))
		return
	}
	p.packets = append(p.packets, &packet)
}

// holds checks that the tape has the speech, every packet of it in its order
// and as it was said, and nothing else.
func (p *tape) holds(t *testing.T, s *speech) {
	t.Helper()
	count := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.packets)
	}
	if !poll(func() bool { return count() >= said }) {
		t.Fatalf("%d of %d packets came", count(), said)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.packets) > said || len(p.strange) > 0 {
		t.Errorf("%d packets came instead of %d, and %d that are none: % x", len(p.packets), said, len(p.strange), p.strange)
	}
	for i, packet := range p.packets[:said] {
		if packet.SequenceNumber != s.from+uint16(i) || packet.SSRC != s.ssrc || packet.PayloadType != 0 ||
			packet.Timestamp-p.packets[0].Timestamp != uint32(160*i) {
			t.Fatalf("packet %d of %08x from %d has the header %v", i, s.ssrc, s.from, packet)
		}
		if string(packet.Payload) != s.payload(i) {
			t.Fatalf("packet %d says %q, not %q", i, packet.Payload, s.payload(i))
		}
	}
}

// reported waits for an RTCP report of the speaker.
func (p *tape) reported(t *testing.T, s *speech) {
	t.Helper()
	eventually(t, "an RTCP report", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.reports[s.ssrc]
	})
}

// wrote waits until the file of a secure peer has what was said, and no more.
func wrote(t *testing.T, p *process, file string, want []byte) {
	t.Helper()
	read := func() []byte {
		if p.ended() {
			t.Fatalf("%s ended: %v\n%s", p.name, p.err, tail(p.log))
		}
		data, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return data
	}
	if !poll(func() bool { return len(read()) >= len(want) }) {
		t.Fatalf("%s wrote %d of %d bytes", p.name, len(read()), len(want))
	}
	if got := read(); !bytes.Equal(got, want) {
		t.Fatalf("%s wrote %d bytes instead of %d, or other ones", p.name, len(got), len(want))
	}
}

// secured asks for an offer or an answer and returns its SDP, which must be of
// the transport.
func (s *server) secured(t *testing.T, r request, transport string) string {
	t.Helper()
	r["ICE"] = "remove"
	answer := s.do(t, r)
	sdp, _ := answer["sdp"].(string)
	if answer["result"] != "ok" || !strings.Contains(sdp, " "+transport+" ") ||
		strings.Contains(sdp, "a=crypto") != strings.Contains(transport, "SAVP") {
		t.Fatalf("%v: %v instead of an SDP of %s", r, answer, transport)
	}
	return sdp
}

func (s *server) offer(t *testing.T, id, sdp, transport string) string {
	t.Helper()
	return s.secured(t, request{
		"command": "offer", "call-id": id, "from-tag": "caller", "sdp": sdp, "transport-protocol": transport,
	}, transport)
}

func (s *server) answer(t *testing.T, id, sdp, transport string) string {
	t.Helper()
	return s.secured(t, request{
		"command": "answer", "call-id": id, "from-tag": "caller", "to-tag": "callee", "sdp": sdp,
	}, transport)
}

// hangUp ends a call that has relayed what was said.
func (s *server) hangUp(t *testing.T, id string) {
	t.Helper()
	if got := s.relayed(t, id); got != said {
		t.Errorf("the relay counts %d packets, not %d", got, said)
	}
	if answer := s.do(t, request{"command": "delete", "call-id": id, "from-tag": "caller"}); answer["result"] != "ok" {
		t.Errorf("delete %s: %v", id, answer)
	}
}

// secureCaller has a secure peer call a phone and speak.
func secureCaller(t *testing.T, s *server, peer securePeer, u suite) {
	id, key, port, bob := "caller "+u.name, u.key(), freePair(t), newTape(t)
	s.offer(t, id, describeSecure(port, 1, u, key), "RTP/AVP")
	sdp := s.answer(t, id, describe(bob.phone), "RTP/SAVP")
	keyOf(t, sdp, u)
	what := wrapping()
	peer.send(t, where(t, s, sdp), port, u, key, what).finish(t)
	bob.holds(t, what)
	bob.reported(t, what)
	s.hangUp(t, id)
}

// secureCallee has a phone call a secure peer and speak. The peer chooses one
// of the suites that the relay offers.
func secureCallee(t *testing.T, s *server, peer securePeer, u suite) {
	id, port, alice := "callee "+u.name, freePair(t), newTape(t)
	sdp := s.offer(t, id, describe(alice.phone), "RTP/SAVP")
	tag, key := keyOf(t, sdp, u)
	relay := where(t, s, s.answer(t, id, describeSecure(port, tag, u, u.key()), "RTP/AVP"))
	what, file := wrapping(), filepath.Join(t.TempDir(), "heard")
	p := peer.receive(t, port, u, key, what.ssrc, file)
	alice.say(t, what, 0, said, relay)
	wrote(t, p, file, what.audio())
	if _, ok := peer.(gstreamer); ok { // ffmpeg writes no reports
		report := what.report(t)
		if _, err := alice.rtcp.WriteToUDPAddrPort(report, netip.AddrPortFrom(relay.Addr(), relay.Port()+1)); err != nil {
			t.Fatal(err)
		}
		wrote(t, p, file+".rtcp", report)
	}
	s.hangUp(t, id)
}

func throughSecure(t *testing.T, peer securePeer) {
	s := startServer(t)
	for _, u := range peer.suites() {
		t.Run(u.name, func(t *testing.T) {
			t.Run("to plain", func(t *testing.T) { secureCaller(t, s, peer, u) })
			t.Run("from plain", func(t *testing.T) { secureCallee(t, s, peer, u) })
		})
	}
	s.idle(t)
}

func newFFmpeg(t *testing.T) ffmpeg {
	t.Helper()
	return ffmpeg{program(t, "ffmpeg", "ffmpeg")}
}

func newGStreamer(t *testing.T) gstreamer {
	t.Helper()
	g := gstreamer{program(t, "gst-launch-1.0", "gstreamer1.0-tools")}
	inspect := program(t, "gst-inspect-1.0", "gstreamer1.0-tools")
	for element, debianPackage := range map[string]string{
		"rawaudioparse": "gstreamer1.0-plugins-base", "rtppcmupay": "gstreamer1.0-plugins-good",
		"udpsink": "gstreamer1.0-plugins-good", "srtpenc": "gstreamer1.0-plugins-bad",
	} {
		if err := exec.Command(inspect, "--exists", element).Run(); err != nil {
			missing(t, "GStreamer has no %s (Debian package %s): %v", element, debianPackage, err)
		}
	}
	return g
}

// TestSRTPFFmpeg has ffmpeg's SRTP talk with phones that have none.
func TestSRTPFFmpeg(t *testing.T) { throughSecure(t, newFFmpeg(t)) }

// TestSRTPGStreamer has libsrtp talk with phones that have none.
func TestSRTPGStreamer(t *testing.T) { throughSecure(t, newGStreamer(t)) }

// TestSRTPBridge has ffmpeg call GStreamer, each with its own suite and key.
func TestSRTPBridge(t *testing.T) {
	f, g := newFFmpeg(t), newGStreamer(t)
	s := startServer(t)
	for _, u := range f.suites() {
		for _, v := range g.suites() {
			t.Run(u.name+" to "+v.name, func(t *testing.T) {
				id, from, to, key := u.name+" to "+v.name, freePair(t), freePair(t), u.key()
				// The relay need not offer another suite than the caller's, unless it is told to.
				sdp := s.secured(t, request{
					"command": "offer", "call-id": id, "from-tag": "caller", "transport-protocol": "RTP/SAVP",
					"sdp": describeSecure(from, 1, u, key), "SDES": []string{"only-" + v.name},
				}, "RTP/SAVP")
				tag, relays := keyOf(t, sdp, v)
				sdp = s.answer(t, id, describeSecure(to, tag, v, v.key()), "RTP/SAVP")
				keyOf(t, sdp, u)
				what, file := wrapping(), filepath.Join(t.TempDir(), "heard")
				p := g.receive(t, to, v, relays, what.ssrc, file)
				f.send(t, where(t, s, sdp), from, u, key, what).finish(t)
				wrote(t, p, file, what.audio())
				s.hangUp(t, id)
			})
		}
	}
	s.idle(t)
}
