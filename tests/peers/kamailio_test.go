//go:build unix

package peers

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestKamailio has SIPp phones call each other through Kamailio: with the
// configuration file that Debian's package installs, and with the one that
// README.md starts from.
func TestKamailio(t *testing.T) {
	eachConfig(t, func(t *testing.T, config string, args ...string) {
		throughKamailio(t, startServer(t), config, args...)
	})
}

// eachConfig runs a test with both configurations of Kamailio.
func eachConfig(t *testing.T, run func(t *testing.T, config string, args ...string)) {
	t.Run("debian", func(t *testing.T) {
		sipPeers(t)
		const config = "/etc/kamailio/kamailio.cfg"
		if _, err := os.Stat(config); err != nil {
			missing(t, "no default configuration of Debian's kamailio: %v", err)
		}
		run(t, config, "-A", "WITH_NAT", "-A", "WITH_RTPENGINE")
	})
	t.Run("example", func(t *testing.T) {
		sipPeers(t)
		config, err := filepath.Abs("../../examples/kamailio/kamailio.cfg")
		if err != nil {
			t.Fatal(err)
		}
		run(t, config)
	})
}

func sipPeers(t *testing.T) {
	t.Helper()
	program(t, "sipp", "sip-tester")
	program(t, "kamailio", "kamailio")
}

// throughKamailio runs all scenarios and returns the Kamailio for more.
func throughKamailio(t *testing.T, s *server, config string, args ...string) *proxy {
	t.Helper()
	k := startKamailio(t, s, config, args...)
	for _, c := range scenarios {
		t.Run(c.name, func(t *testing.T) {
			c.begin(t, s, k)(t)
			s.idle(t)
		})
	}
	return k
}

// scenarios are the calls that every relay must carry. Each begins, and rests at a gate where all is well or nothing is
// answered yet; what is returned does the rest of it.
var scenarios = []struct {
	name  string
	begin func(*testing.T, *server, *proxy) (rest func(*testing.T))
}{
	{"call", callAndHangUp},
	{"behind NAT", behindNAT},
	{"moving caller", movingCaller},
	{"change", changeAndHold},
	{"held", heldByBob},
	{"ringing", ringing},
	{"late offer", lateOffer},
	{"cancel", cancelEarly},
	{"busy", calleeBusy},
	{"many", manyCalls},
}

// loopback is what phones without NAT announce. natted is what a phone in a
// home network would: Kamailio sees that it is private and tells the relay to
// use the address the SIP message came from. Nothing is ever sent to it: a
// socket on 127.0.0.1 has no way to it.
const (
	loopback = "127.0.0.1"
	natted   = "192.168.88.20"
)

// pair is a call in the making: both SIPps and both phones.
type pair struct {
	callID       string
	callee       string
	alice, bob   *agent
	aliceMedia   *phone
	bobMedia     *phone
	aliceKeys    map[string]string
	bobKeys      map[string]string
	calls, limit int
	rate         int // calls a second
}

// newPair makes two phones where the proxy is.
func newPair(t *testing.T, k *proxy) *pair {
	t.Helper()
	c := &pair{calls: 1, limit: 1, rate: 50, aliceMedia: newPhoneAt(t, k.addr), bobMedia: newPhoneAt(t, k.addr)}
	k.users++
	c.callee = fmt.Sprint("bob", k.users) // Kamailio would ring every place where one Bob ever was
	c.callID = strings.NewReplacer("/", ".", " ", "_").Replace(t.Name()) + "." + c.callee
	keys := func(p *phone) map[string]string {
		return map[string]string{"via": "9", "addr": k.addr, "media": strconv.Itoa(p.port)}
	}
	c.aliceKeys, c.bobKeys = keys(c.aliceMedia), keys(c.bobMedia)
	return c
}

// start registers Bob, lets him wait for calls, and has Alice call.
func (c *pair) start(t *testing.T, k *proxy, aliceDoes, bobDoes string) {
	t.Helper()
	alicePort, bobPort := freePort(t), freePort(t)
	startAgent(t, k, bobPort, 1, register(), nil, "-s", c.callee).finish(t)
	c.bob = startAgent(t, k, bobPort, c.calls, bobDoes, c.bobKeys, "-s", c.callee)
	c.alice = startAgent(t, k, alicePort, c.calls, aliceDoes, c.aliceKeys,
		"-s", c.callee, "-cid_str", c.callID+"-%u", "-r", strconv.Itoa(c.rate), "-l", strconv.Itoa(c.limit))
	c.callID += "-1"
}

// finish waits for both sides, and checks that the relay has let go of the call.
func (c *pair) finish(t *testing.T, s *server) {
	t.Helper()
	c.alice.finish(t)
	c.bob.finish(t)
	eventually(t, "the relay has forgotten "+c.callID, func() bool { return !s.knows(t, c.callID) })
}

// relays checks what a side was told against where the relay is.
func (s *server) relays(t *testing.T, who told, mode string) netip.AddrPort {
	t.Helper()
	if s.owner(who.relay) == nil {
		t.Fatalf("%s was sent to %v, which is no relay's", who.callID, who.relay)
	}
	if who.mode != mode {
		t.Errorf("%s: direction is %s, want %s", who.callID, who.mode, mode)
	}
	return who.relay
}

// talking is what Alice and Bob do until the gate of the same name.
func talking(aliceThen, bobThen string) (aliceDoes, bobDoes string) {
	return steps(invite(), answered(), gate("talking"), aliceThen), steps(called(), ring(), pickUp(), gate("talking"), bobThen)
}

// sides waits until both sides are at a gate, and returns where each of them sends its media.
func (c *pair) sides(t *testing.T, s *server, word string) (a, b netip.AddrPort) {
	t.Helper()
	return s.relays(t, c.alice.at(t, c.callID, word), "sendrecv"), s.relays(t, c.bob.at(t, c.callID, word), "sendrecv")
}

// goOn opens the gate for both sides. The first to act goes on last: by then the other's MESSAGE is in its socket, ahead
// of what the first will send.
func (c *pair) goOn(t *testing.T, first *agent) {
	t.Helper()
	for _, side := range []*agent{c.alice, c.bob} {
		if side != first {
			side.goOn(t, c.callID)
		}
	}
	first.goOn(t, c.callID)
}

func callAndHangUp(t *testing.T, s *server, k *proxy) func(*testing.T) {
	c := newPair(t, k)
	aliceDoes, bobDoes := talking(hangUp(aliceSends, 2), hungUp())
	c.start(t, k, aliceDoes, bobDoes)
	a, b := c.sides(t, s, "talking")
	if a == b {
		t.Fatalf("both sides were told %v", a)
	}
	return func(t *testing.T) {
		bothHear(t, c.aliceMedia, c.bobMedia, a, b)
		bothReport(t, c.aliceMedia, c.bobMedia, a, b)
		eventually(t, "the relay has counted the packets", func() bool { return s.relayed(t, c.callID) >= 2*burst })
		c.goOn(t, c.alice)
		c.finish(t, s)
	}
}

// behindNAT has Alice announce an address that she cannot be reached at.
func behindNAT(t *testing.T, s *server, k *proxy) func(*testing.T) {
	c := newPair(t, k)
	c.aliceKeys["addr"] = natted
	aliceDoes, bobDoes := talking(hangUp(aliceSends, 2), hungUp())
	c.start(t, k, aliceDoes, bobDoes)
	a, b := c.sides(t, s, "talking")
	return func(t *testing.T) {
		// Bob speaks first: nothing was learned from Alice's packets yet.
		hears(t, c.bobMedia, c.aliceMedia, b)
		hears(t, c.aliceMedia, c.bobMedia, a)
		c.goOn(t, c.alice)
		c.finish(t, s)
	}
}

// movingCaller has Alice send from another port than the one she announced, as
// NAT would have it: the relay learns where she is from her packets.
func movingCaller(t *testing.T, s *server, k *proxy) func(*testing.T) {
	c := newPair(t, k)
	c.aliceKeys["media"] = strconv.Itoa(newPhoneAt(t, k.addr).port)
	aliceDoes, bobDoes := talking(hangUp(aliceSends, 2), hungUp())
	c.start(t, k, aliceDoes, bobDoes)
	a, b := c.sides(t, s, "talking")
	speech, spoken := newSpeech(), 0
	eventually(t, "Alice is heard", func() bool {
		c.aliceMedia.say(t, speech, spoken, 1, a)
		spoken++
		return c.bobMedia.count(speech, 0, spoken) > 0
	})
	back, n := newSpeech(), 0
	eventually(t, "Alice hears, where she really is", func() bool {
		c.aliceMedia.say(t, speech, spoken, 1, a)
		c.bobMedia.say(t, back, n, 1, b)
		spoken, n = spoken+1, n+1
		return c.aliceMedia.count(back, 0, n) > 0
	})
	return func(t *testing.T) {
		// Bob speaks first: where Alice is must still be known.
		hears(t, c.bobMedia, c.aliceMedia, b)
		hears(t, c.aliceMedia, c.bobMedia, a)
		c.goOn(t, c.alice)
		c.finish(t, s)
	}
}

// changeAndHold: Alice moves to another media port, Bob holds and resumes,
// Alice holds and resumes, Bob hangs up.
func changeAndHold(t *testing.T, s *server, k *proxy) func(*testing.T) {
	c := newPair(t, k)
	moved := newPhoneAt(t, k.addr)
	c.aliceKeys["moved"] = strconv.Itoa(moved.port)
	aliceDoes, bobDoes := talking(join(
		reinvite(aliceSends, 2, sdp(2, "moved", "sendrecv")), gate("moved"),
		reinvited(sdp(3, "moved", "recvonly")), gate("bob-holds"),
		reinvited(sdp(4, "moved", "sendrecv")), gate("bob-resumes"),
		reinvite(aliceSends, 3, sdp(5, "moved", "sendonly")), gate("alice-holds"),
		reinvite(aliceSends, 4, sdp(6, "moved", "sendrecv")), gate("alice-resumes"),
		hungUp()), join(
		reinvited(sdp(2, "media", "sendrecv")), gate("moved"),
		reinvite(bobSends, 11, sdp(3, "media", "sendonly")), gate("bob-holds"),
		reinvite(bobSends, 12, sdp(4, "media", "sendrecv")), gate("bob-resumes"),
		reinvited(sdp(5, "media", "recvonly")), gate("alice-holds"),
		reinvited(sdp(6, "media", "sendrecv")), gate("alice-resumes"),
		hangUp(bobSends, 13)))
	c.start(t, k, aliceDoes, bobDoes)
	c.sides(t, s, "talking")
	return func(t *testing.T) {
		c.through(t, s, []stage{
			{"talking", "sendrecv", "sendrecv", c.aliceMedia, c.alice},
			{"moved", "sendrecv", "sendrecv", moved, c.bob},
			{"bob-holds", "sendonly", "recvonly", moved, c.bob},
			{"bob-resumes", "sendrecv", "sendrecv", moved, c.alice},
			{"alice-holds", "recvonly", "sendonly", moved, c.alice},
			{"alice-resumes", "sendrecv", "sendrecv", moved, c.bob},
		})
		c.finish(t, s)
	}
}

// heldByBob: Bob holds the call, and later resumes and hangs up.
func heldByBob(t *testing.T, s *server, k *proxy) func(*testing.T) {
	c := newPair(t, k)
	aliceDoes, bobDoes := talking(join(
		reinvited(sdp(2, "media", "recvonly")), gate("held"),
		reinvited(sdp(3, "media", "sendrecv")), gate("resumed"),
		hungUp()), join(
		reinvite(bobSends, 11, sdp(2, "media", "sendonly")), gate("held"),
		reinvite(bobSends, 12, sdp(3, "media", "sendrecv")), gate("resumed"),
		hangUp(bobSends, 13)))
	c.start(t, k, aliceDoes, bobDoes)
	c.through(t, s, []stage{{"talking", "sendrecv", "sendrecv", c.aliceMedia, c.bob}})
	c.alice.at(t, c.callID, "held")
	c.bob.at(t, c.callID, "held")
	return func(t *testing.T) {
		c.through(t, s, []stage{
			{"held", "sendonly", "recvonly", c.aliceMedia, c.bob},
			{"resumed", "sendrecv", "sendrecv", c.aliceMedia, c.bob},
		})
		c.finish(t, s)
	}
}

// stage is a gate at which both sides wait, and what they were told before it.
type stage struct {
	name               string
	aliceTold, bobTold string
	alice              *phone
	next               *agent // acts first behind the gate
}

// through checks at each gate who hears whom, and opens it.
func (c *pair) through(t *testing.T, s *server, stages []stage) {
	t.Helper()
	for _, stage := range stages {
		a := s.relays(t, c.alice.at(t, c.callID, stage.name), stage.aliceTold)
		b := s.relays(t, c.bob.at(t, c.callID, stage.name), stage.bobTold)
		if t.Failed() {
			t.Fatalf("at %s", stage.name)
		}
		// A side's last SDP from the relay is the other's word: "sendonly" from
		// the one who holds.
		if stage.aliceTold != "sendonly" {
			hears(t, stage.alice, c.bobMedia, a)
		}
		if stage.bobTold != "sendonly" {
			hears(t, c.bobMedia, stage.alice, b)
		}
		c.goOn(t, stage.next)
	}
}

// ringing: Bob was called and has not picked up yet.
func ringing(t *testing.T, s *server, k *proxy) func(*testing.T) {
	c := newPair(t, k)
	c.start(t, k,
		steps(invite(), answered(), gate("talking"), hangUp(aliceSends, 2)),
		steps(called(), ring(), gate("ringing"), answerInvite("200 OK", sdp(1, "media", "sendrecv")), gate("talking"), hungUp()))
	s.relays(t, c.bob.at(t, c.callID, "ringing"), "sendrecv")
	return func(t *testing.T) {
		c.bob.goOn(t, c.callID)
		a, b := c.sides(t, s, "talking")
		bothHear(t, c.aliceMedia, c.bobMedia, a, b)
		c.goOn(t, c.alice)
		c.finish(t, s)
	}
}

// lateOffer: Alice calls without SDP, Bob offers when he picks up, and Alice
// answers in her ACK. Kamailio swaps the tags, so that the offer is Bob's.
func lateOffer(t *testing.T, s *server, k *proxy) func(*testing.T) {
	c := newPair(t, k)
	c.start(t, k,
		steps(inviteWith(""), answeredWith(sdp(1, "media", "sendrecv")), gate("talking"), hangUp(aliceSends, 2)),
		steps(calledWith(""), ring(), pickUpLate(), gate("talking"), hungUp()))
	a, b := c.sides(t, s, "talking")
	return func(t *testing.T) {
		bothHear(t, c.aliceMedia, c.bobMedia, a, b)
		c.goOn(t, c.alice)
		c.finish(t, s)
	}
}

// cancelEarly: media flows before the call is answered, then Alice gives up.
func cancelEarly(t *testing.T, s *server, k *proxy) func(*testing.T) {
	c := newPair(t, k)
	c.start(t, k,
		steps(invite(), early(), gate("early"), cancel()),
		steps(called(), respond("183 Session Progress", bobTag, sdp(1, "media", "sendrecv")), gate("early"), cancelled()))
	a, b := c.sides(t, s, "early")
	return func(t *testing.T) {
		bothHear(t, c.aliceMedia, c.bobMedia, a, b)
		c.goOn(t, c.alice)
		c.finish(t, s)
	}
}

func calleeBusy(t *testing.T, s *server, k *proxy) func(*testing.T) {
	c := newPair(t, k)
	c.start(t, k,
		steps(invite(), refused(486)),
		steps(called(), gate("refusing"), busy()))
	s.relays(t, c.bob.at(t, c.callID, "refusing"), "sendrecv")
	return func(t *testing.T) {
		if !s.knows(t, c.callID) {
			t.Errorf("the relay does not know a call that was offered")
		}
		c.bob.goOn(t, c.callID)
		c.finish(t, s)
	}
}

// manyCalls has eight calls at a time, forty in all.
func manyCalls(t *testing.T, s *server, k *proxy) func(*testing.T) {
	c := newPair(t, k)
	c.calls, c.limit = 40, 8
	aliceDoes, bobDoes := talking(hangUp(aliceSends, 2), hungUp())
	c.start(t, k, aliceDoes, bobDoes)
	c.sides(t, s, "talking")
	return func(t *testing.T) {
		c.eachCall(t, func(int) {
			a, b := c.sides(t, s, "talking")
			bothHear(t, c.aliceMedia, c.bobMedia, a, b)
			c.goOn(t, c.alice)
		})
		c.alice.finish(t)
		c.bob.finish(t)
	}
}

// eachCall does something for one call after the other.
func (c *pair) eachCall(t *testing.T, do func(i int)) {
	t.Helper()
	prefix := strings.TrimSuffix(c.callID, "-1")
	for i := range c.calls {
		c.callID = fmt.Sprintf("%s-%d", prefix, i+1)
		do(i)
	}
}

// TestFirstCall is the last part of README.md's walk: SIPp plays sound to SIPp
// through the example's Kamailio, by the example's script.
func TestFirstCall(t *testing.T) {
	sipPeers(t)
	if os.Geteuid() != 0 {
		missing(t, "SIPp plays sound through a raw socket, which needs root")
	}
	example, err := filepath.Abs("../../examples/kamailio")
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t)
	k := startKamailio(t, s, filepath.Join(example, "kamailio.cfg"))
	const callID = "first-call"
	phones := mediaPorts(t).min // a range of its own
	script := start(t, filepath.Join(example, "call.sh"),
		fmt.Sprintf("127.0.0.1:%d", k.port), callID, strconv.Itoa(phones))
	eventually(t, "the relay has counted two seconds of speech and its echo", func() bool {
		if script.ended() {
			t.Fatalf("call.sh ended early: %v\n%s", script.err, tail(script.log))
		}
		return s.knows(t, callID) && s.relayed(t, callID) >= 200
	})
	look := func(args ...string) string {
		t.Helper()
		args = append([]string{"call"}, append(args, "--nats=nats://"+s.nats)...)
		out, err := exec.Command(s.program, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("rtpjet %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if s.program != "" {
		if out := look("list"); !strings.Contains(out, callID) {
			t.Errorf("rtpjet call list does not name the call:\n%s", out)
		}
		if out := look("show", callID); !strings.Contains(out, "caller") || !strings.Contains(out, "echo") {
			t.Errorf("rtpjet call show does not name both sides:\n%s", out)
		}
	}
	script.finish(t)
	s.idle(t)
	if s.program != "" {
		out := look("show", callID)
		for _, event := range []string{"offered", "answered", "ended"} {
			if !strings.Contains(out, event) {
				t.Errorf("rtpjet call show does not say when the call was %s:\n%s", event, out)
			}
		}
	}
}
