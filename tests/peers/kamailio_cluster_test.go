//go:build unix

package peers

import (
	"fmt"
	"os"
	"testing"

	"rtpjet/tests/lab"
)

// TestKamailioBalanced has all scenarios run through a balancer: each command of
// a call, and each one that Kamailio sends again, goes to a random node.
func TestKamailioBalanced(t *testing.T) {
	lab.Only(t, "all scenarios through three nodes")
	eachConfig(t, func(t *testing.T, config string, args ...string) {
		s := startCluster(t)
		balance(t, s, 1, 0)
		throughKamailio(t, s, config, args...)
	})
}

// TestKamailioBadNetwork is the same where each datagram reaches two nodes at
// once and some replies are lost, so that Kamailio asks again.
func TestKamailioBadNetwork(t *testing.T) {
	lab.Only(t, "all scenarios through a network that loses")
	if os.Getenv("RTPJET_BAD_NETWORK") == "" {
		t.Skip("takes a minute, and SIPp loses its way when replies are late for want of processors: set RTPJET_BAD_NETWORK=1")
	}
	eachConfig(t, func(t *testing.T, config string, args ...string) {
		s := startCluster(t)
		balance(t, s, 2, 4)
		throughKamailio(t, s, config, args...)
	})
}

// TestKamailioNodeSet has Kamailio know each node and choose: by the Call-ID for
// a new call, and then the same one until the call ends. Then a node is killed.
func TestKamailioNodeSet(t *testing.T) {
	lab.Only(t, "all scenarios through three nodes")
	eachConfig(t, func(t *testing.T, config string, args ...string) {
		s := startCluster(t)
		balance(t, s, 1, 0) // for what the test itself asks
		s.socks = s.socksOfNodes()
		k := throughKamailio(t, s, config, args...)
		t.Run("a node killed", func(t *testing.T) { nodeKilled(t, s, k) })
	})
}

// nodeKilled kills the node of some calls. Calls of the others go on, and so do
// new ones: Kamailio hears at once that nobody is there, asks another node, and
// leaves the dead one alone for a minute. The commands of the dead node's own
// calls it gives up by itself (5.6 logs "no available proxies"): the BYE passes
// and no relay hears of it. Any survivor ends such a call, if asked, and the
// cluster does when nothing was heard of it for --timeout.
func nodeKilled(t *testing.T, s *server, k *proxy) {
	c := newPair(t, k)
	c.calls, c.limit = 12, 12
	prefix := c.callID
	c.start(t, k,
		steps(invite(), answered(), gate("talking"), hangUp(aliceSends, 2)),
		steps(called(), ring(), pickUp(), gate("talking"), hungUp()))
	type call struct {
		id         string
		alice, bob told
		relay      *server
	}
	var calls []*call
	for i := range c.calls {
		callID := fmt.Sprintf("%s-%d", prefix, i+1)
		one := &call{id: callID, alice: c.alice.at(t, callID, "talking"), bob: c.bob.at(t, callID, "talking")}
		one.relay = s.owner(s.relays(t, one.alice, "sendrecv"))
		if s.relays(t, one.bob, "sendrecv"); one.relay != s.owner(one.bob.relay) {
			t.Errorf("%s is relayed by %s and by %s", callID, one.relay.ng, s.owner(one.bob.relay).ng)
		}
		calls = append(calls, one)
	}

	dead := calls[0].relay
	dead.kill(t)
	var orphans []*call
	for _, one := range calls {
		if one.relay == dead {
			orphans = append(orphans, one)
			continue
		}
		bothHear(t, c.aliceMedia, c.bobMedia, one.alice.relay, one.bob.relay)
	}
	if len(orphans) == len(calls) {
		t.Fatalf("all %d calls were on one node", len(calls))
	}
	t.Run("new calls", func(t *testing.T) { manyCalls(t, s, k)(t) })

	for _, one := range calls {
		c.bob.goOn(t, one.id)
		c.alice.goOn(t, one.id)
	}
	c.alice.finish(t)
	c.bob.finish(t)
	left := 0
	for _, one := range orphans {
		if s.knows(t, one.id) {
			left++
			if answer := s.do(t, request{"command": "delete", "call-id": one.id}); answer["result"] != "ok" {
				t.Errorf("delete of %s at a survivor: %v", one.id, answer)
			}
		}
	}
	t.Logf("of %d calls whose node was killed, Kamailio did not delete %d at another node", len(orphans), left)
	s.idle(t)
}
