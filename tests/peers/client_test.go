//go:build unix

package peers

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
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
	addr, err := read(sdp)
	if err != nil {
		t.Fatal(err)
	}
	if s.owner(addr) == nil {
		t.Fatalf("%v is not the relay's, in %q", addr, sdp)
	}
	return addr
}

// read reads the first address for audio out of an SDP.
func read(sdp string) (netip.AddrPort, error) {
	c, m := connection.FindStringSubmatch(sdp), audio.FindStringSubmatch(sdp)
	if c == nil || m == nil {
		return netip.AddrPort{}, fmt.Errorf("no c= or m= in %q", sdp)
	}
	addr, err := netip.ParseAddrPort(c[1] + ":" + m[1])
	if err != nil {
		return addr, fmt.Errorf("%w in %q", err, sdp)
	}
	return addr, nil
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
