//go:build unix

package peers

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"rtpjet/tests/lab"
)

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
	s := startServer(t, twoSides...)
	startJambonz(t, s).phoneCall(s, "jambonz-1")
	s.idle(t)
}

// TestJambonzBalanced is the same, several times, with each command at a random
// node. jambonz never sends anything again.
func TestJambonzBalanced(t *testing.T) {
	lab.Only(t, "three nodes")
	program(t, "node", "nodejs")
	s := startCluster(t, twoSides...)
	balance(t, s, 1, 0)
	j := startJambonz(t, s)
	for i := range 12 {
		j.phoneCall(s, fmt.Sprintf("balanced-%d", i))
	}
	s.idle(t)
}

// TestJambonzRoundRobin has jambonz know each node and take them in turn, one
// for each call.
func TestJambonzRoundRobin(t *testing.T) {
	lab.Only(t, "three nodes")
	program(t, "node", "nodejs")
	s := startCluster(t, twoSides...)
	var clients []*jambonz
	for _, n := range s.nodes {
		clients = append(clients, startJambonz(t, n))
	}
	for i := range 4 * len(clients) {
		turn := i % len(clients)
		if owner := clients[turn].phoneCall(s, fmt.Sprintf("in-turn-%d", i)); owner != s.nodes[turn] {
			t.Errorf("call %d, placed at %s, is relayed by %s", i, s.nodes[turn].ng, owner.ng)
		}
	}
	s.idle(t)
}

// twoSides are the interfaces that phoneCall asks for.
var twoSides = []string{"public/127.0.0.1", "private/127.0.0.2"}

// common is what jambonz sends with each command of a call.
func (j *jambonz) common(callID string, more ...request) request {
	all := request{
		"call-id":     callID,
		"replace":     []string{"origin", "session-connection"},
		"record call": "no",
	}
	for _, m := range more {
		maps.Copy(all, m)
	}
	return all
}

// leg is what it sends with an SDP of a phone without WebRTC.
func (j *jambonz) leg(callID string, more ...request) request {
	flags := []string{"port latching", "inject DTMF", "media handover"}
	if os.Getenv("RTPJET_TEST_SERVER") == "rtpengine" {
		// rtpengine decodes and encodes the audio for this, and then a burst of
		// packets does not come through as it was.
		flags = []string{"port latching", "media handover"}
	}
	return j.common(callID, append([]request{{
		"transport protocol": "RTP/AVP",
		"DTLS":               "off",
		"SDES":               "off",
		"ICE":                "remove",
		"rtcp-mux":           []string{"accept"},
		"flags":              flags,
		"from-tag":           "alice",
	}}, more...)...)
}

// sdp sends an offer or answer and returns where the relay is.
func (j *jambonz) sdp(s *server, verb string, args request) netip.AddrPort {
	j.t.Helper()
	sdp, _ := j.ok(verb, args)["sdp"].(string)
	return where(j.t, s, sdp)
}

// counts waits until statistics says that there are so many calls: a node hears
// of the others' a moment later.
func (j *jambonz) counts(want float64) {
	j.t.Helper()
	eventually(j.t, fmt.Sprint(want, " sessions"), func() bool {
		statistics, _ := j.ok("statistics", request{})["statistics"].(map[string]any)
		current, _ := statistics["currentstatistics"].(map[string]any)
		total, ok := current["sessionstotal"].(float64)
		if _, own := current["sessionsown"].(float64); !ok || !own {
			j.t.Fatalf("no sessionstotal and sessionsown in %v", current)
		}
		return total == want
	})
}

// phoneCall has two phones speak, with a re-INVITE and a query, and returns the
// node that relayed it.
func (j *jambonz) phoneCall(s *server, callID string) *server {
	t := j.t
	t.Helper()
	if answer := j.call("ping", request{}); answer["result"] != "pong" {
		t.Fatalf("ping: %v", answer)
	}
	j.counts(0)
	alice, bob := newPhone(t), newPhone(t)
	toBob := request{"to-tag": "bob"}
	b := j.sdp(s, "offer", j.leg(callID, request{
		"sdp":       describe(alice),
		"direction": []string{"public", "private"},
	}))
	a := j.sdp(s, "answer", j.leg(callID, toBob, request{"sdp": describe(bob)}))
	if a.Addr().String() != "127.0.0.1" || b.Addr().String() != "127.0.0.2" {
		t.Errorf("public side is %v, private side is %v", a, b)
	}
	bothReach(t, alice, bob, a, b)
	bothHear(t, alice, bob, a, b)
	j.counts(1)

	// A re-INVITE is an offer and an answer with both tags. The codecs are
	// strings with commas.
	again := j.sdp(s, "offer", j.leg(callID, toBob, request{
		"sdp":   describe(alice),
		"codec": map[string]string{"mask": "g729", "strip": "g722,opus"},
	}))
	if again != b {
		t.Errorf("the re-INVITE moved the relay from %v to %v", b, again)
	}
	if again := j.sdp(s, "answer", j.leg(callID, toBob, request{"sdp": describe(bob)})); again != a {
		t.Errorf("the answer to the re-INVITE moved the relay from %v to %v", a, again)
	}
	bothHear(t, alice, bob, a, b)
	owner := s.owner(a)
	if s.owner(b) != owner {
		t.Errorf("%v and %v are not of one node", a, b)
	}

	j.muted(callID, alice, bob, a)
	query := j.ok("query", j.common(callID))
	if tags, _ := query["tags"].(map[string]any); tags["alice"] == nil || tags["bob"] == nil {
		t.Errorf("query does not know both tags: %v", query)
	}
	j.ok("delete", j.common(callID))
	if answer := j.call("query", j.common(callID)); answer["result"] != "error" {
		t.Errorf("query after delete: %v", answer)
	}
	j.counts(0)
	return owner
}

// muted has jambonz mute Alice, and unmute her.
func (j *jambonz) muted(callID string, alice, bob *phone, relay netip.AddrPort) {
	j.t.Helper()
	who := request{"from-tag": "alice", "flags": []string{"reset"}}
	for _, verb := range []string{"blockMedia", "blockDTMF"} {
		j.ok(verb, j.common(callID, who))
	}
	for _, verb := range []string{"unblockMedia", "unblockDTMF"} {
		j.ok(verb, j.common(callID, who))
	}
	reaches(j.t, alice, bob, relay)
	hears(j.t, alice, bob, relay)
}
