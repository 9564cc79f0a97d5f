//go:build unix

package peers

import (
	"bufio"
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// describe is the SDP of a phone with one audio stream.
func describe(p *phone) string {
	return strings.Join([]string{
		"v=0", "o=phone 20 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0",
		"m=audio " + strconv.Itoa(p.port) + " RTP/AVP 0 101",
		"a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=sendrecv", "",
	}, "\r\n")
}

var (
	connection = regexp.MustCompile(`(?m)^c=IN IP4 (\S+)`)
	audio      = regexp.MustCompile(`(?m)^m=audio (\d+) `)
)

// where reads the relay's address out of an SDP.
func where(t *testing.T, s *server, sdp string) netip.AddrPort {
	t.Helper()
	c, m := connection.FindStringSubmatch(sdp), audio.FindStringSubmatch(sdp)
	if c == nil || m == nil {
		t.Fatalf("no c= or m= in %q", sdp)
	}
	addr, err := netip.ParseAddrPort(c[1] + ":" + m[1])
	if err != nil {
		t.Fatalf("%v in %q", err, sdp)
	}
	if port := int(addr.Port()); !addr.Addr().IsLoopback() || port < s.media.min || port > s.media.max {
		t.Fatalf("%v is not the relay's, in %q", addr, sdp)
	}
	return addr
}

// TestNGClient drives the relay with rtpengine's own command line client, a
// Perl program from Debian's rtpengine-utils, in both encodings.
func TestNGClient(t *testing.T) {
	client := program(t, "rtpengine-ng-client", "rtpengine-utils")
	// Its JSON module is another package, which rtpengine-utils does not ask for.
	if out, err := exec.Command("perl", "-e", "use NGCP::Rtpengine").CombinedOutput(); err != nil {
		missing(t, "rtpengine-ng-client lacks a Perl module (Debian package libjson-perl):\n%s", out)
	}
	s := startServer(t)
	for _, encoding := range []string{"bencode", "json"} {
		t.Run(encoding, func(t *testing.T) {
			ng := func(args ...string) (string, error) {
				if encoding == "json" {
					args = append(args, "--json")
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				args = append([]string{"--proxy-address=127.0.0.1", "--proxy-port=" + strconv.Itoa(s.port)}, args...)
				out, err := exec.CommandContext(ctx, client, args...).CombinedOutput()
				return string(out), err
			}
			must := func(args ...string) string {
				t.Helper()
				out, err := ng(args...)
				if err != nil {
					t.Fatalf("%q: %v\n%s", args, err, out)
				}
				return out
			}
			// The client prints the SDP that it sends and the one that it gets.
			newSDP := func(out string) string {
				t.Helper()
				_, sdp, ok := strings.Cut(out, "New SDP:")
				if !ok {
					t.Fatalf("no new SDP in %q", out)
				}
				return sdp
			}

			if out := must("ping"); !strings.Contains(out, "pong") {
				t.Fatalf("ping: %s", out)
			}
			alice, bob := newPhone(t), newPhone(t)
			id, from, to := "--call-id=ng-client-"+encoding, "--from-tag=alice", "--to-tag=bob"
			b := where(t, s, newSDP(must("offer", id, from, "--sdp="+describe(alice),
				"--replace-origin", "--replace-session-connection", "--ICE=remove", "--trust-address")))
			a := where(t, s, newSDP(must("answer", id, from, to, "--sdp="+describe(bob),
				"--replace-origin", "--replace-session-connection", "--ICE=remove", "--trust-address")))
			bothHear(t, alice, bob, a, b)

			out := must("query", id)
			for _, want := range []string{"alice", "bob", "totals", "local port", strconv.Itoa(int(a.Port())), strconv.Itoa(int(b.Port()))} {
				if !strings.Contains(out, want) {
					t.Errorf("query does not show %q:\n%s", want, out)
				}
			}
			must("delete", id, from)
			if out, err := ng("query", id); err == nil || !strings.Contains(out, "Unknown call-id") {
				t.Errorf("query after delete: %v\n%s", err, out)
			}
			s.idle(t)
		})
	}
}

// jambonz is the npm package rtpengine-client, called through bridge.js.
type jambonz struct {
	t   *testing.T
	in  *json.Encoder
	out *bufio.Scanner
}

func startJambonz(t *testing.T, s *server) *jambonz {
	t.Helper()
	node := program(t, "node", "nodejs")
	if _, err := os.Stat(filepath.Join("jambonz", "node_modules", "rtpengine-client")); err != nil {
		missing(t, "the npm package is not installed (npm ci --prefix tests/peers/jambonz): %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience) // t.Context ends before Cleanup
	cmd := exec.CommandContext(ctx, node, "bridge.js", "127.0.0.1", strconv.Itoa(s.port))
	cmd.Dir = "jambonz"
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer cancel()
		in.Close()
		if err := cmd.Wait(); err != nil && !t.Failed() {
			t.Errorf("bridge.js: %v", err)
		}
	})
	j := &jambonz{t: t, in: json.NewEncoder(in), out: bufio.NewScanner(out)}
	j.out.Buffer(nil, 1<<20)
	return j
}

// call sends one command by the package's method of that name.
func (j *jambonz) call(verb string, args request) reply {
	j.t.Helper()
	if err := j.in.Encode(map[string]any{"verb": verb, "args": args}); err != nil {
		j.t.Fatal(err)
	}
	if !j.out.Scan() {
		j.t.Fatalf("%s: bridge.js ended: %v", verb, j.out.Err())
	}
	var answer reply
	if err := json.Unmarshal(j.out.Bytes(), &answer); err != nil {
		j.t.Fatalf("%s: %v in %q", verb, err, j.out.Text())
	}
	return answer
}

// ok is call for a command that must succeed.
func (j *jambonz) ok(verb string, args request) reply {
	j.t.Helper()
	answer := j.call(verb, args)
	if answer["result"] != "ok" {
		j.t.Fatalf("%s %v: %v", verb, args, answer)
	}
	return answer
}

// TestJambonz sends what jambonz sends, keys with spaces and strings for lists
// included, by the package that it uses.
func TestJambonz(t *testing.T) {
	program(t, "node", "nodejs")
	s := startServer(t, "public/127.0.0.1", "private/127.0.0.2")
	j := startJambonz(t, s)

	if answer := j.call("ping", request{}); answer["result"] != "pong" {
		t.Fatalf("ping: %v", answer)
	}
	alice, bob := newPhone(t), newPhone(t)
	const callID = "jambonz-1"
	with := func(more request) request {
		all := request{
			"call-id":     callID,
			"replace":     []string{"origin", "session-connection"},
			"record call": "no",
		}
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	flags := []string{"port latching", "inject DTMF", "media handover"}
	if os.Getenv("RTPJET_TEST_SERVER") == "rtpengine" {
		// rtpengine decodes and encodes the audio for this, and then a burst of
		// packets does not come through as it was.
		flags = []string{"port latching", "media handover"}
	}
	leg := func(more request) request {
		all := with(request{
			"transport protocol": "RTP/AVP",
			"DTLS":               "off",
			"SDES":               "off",
			"ICE":                "remove",
			"rtcp-mux":           []string{"accept"},
			"flags":              flags,
			"from-tag":           "alice",
		})
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	sessions := func() (total float64) {
		t.Helper()
		statistics, _ := j.ok("statistics", request{})["statistics"].(map[string]any)
		current, _ := statistics["currentstatistics"].(map[string]any)
		total, ok := current["sessionstotal"].(float64)
		if _, own := current["sessionsown"].(float64); !ok || !own {
			t.Fatalf("no sessionstotal and sessionsown in %v", current)
		}
		return total
	}
	if n := sessions(); n != 0 {
		t.Errorf("%v sessions before the first call", n)
	}
	sdpOf := func(answer reply) string {
		sdp, _ := answer["sdp"].(string)
		return sdp
	}

	b := where(t, s, sdpOf(j.ok("offer", leg(request{
		"sdp":       describe(alice),
		"direction": []string{"public", "private"},
	}))))
	a := where(t, s, sdpOf(j.ok("answer", leg(request{"sdp": describe(bob), "to-tag": "bob"}))))
	if a.Addr().String() != "127.0.0.1" || b.Addr().String() != "127.0.0.2" {
		t.Errorf("public side is %v, private side is %v", a, b)
	}
	bothHear(t, alice, bob, a, b)
	if n := sessions(); n != 1 {
		t.Errorf("%v sessions during a call", n)
	}

	// A re-INVITE is an offer and an answer with both tags. The codecs are
	// strings with commas.
	again := where(t, s, sdpOf(j.ok("offer", leg(request{
		"sdp": describe(alice), "to-tag": "bob",
		"codec": map[string]string{"mask": "g729", "strip": "g722,opus"},
	}))))
	if again != b {
		t.Errorf("the re-INVITE moved the relay from %v to %v", b, again)
	}
	if again := where(t, s, sdpOf(j.ok("answer", leg(request{"sdp": describe(bob), "to-tag": "bob"})))); again != a {
		t.Errorf("the answer to the re-INVITE moved the relay from %v to %v", a, again)
	}
	bothHear(t, alice, bob, a, b)

	query := j.ok("query", with(nil))
	if tags, _ := query["tags"].(map[string]any); tags["alice"] == nil || tags["bob"] == nil {
		t.Errorf("query does not know both tags: %v", query)
	}
	j.ok("delete", with(nil))
	if answer := j.call("query", with(nil)); answer["result"] != "error" {
		t.Errorf("query after delete: %v", answer)
	}
	if n := sessions(); n != 0 {
		t.Errorf("%v sessions after the call", n)
	}
	s.idle(t)
}
