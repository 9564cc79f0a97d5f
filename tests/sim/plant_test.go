package sim

import "testing"

// bug is a fault that is put into a run on purpose, to see that it is found.
type bug int

const (
	none             bug = iota
	bugLostFence         // a takeover is appended whatever the log ends with
	bugUnordered         // the owner applies back-updates as they arrive
	bugSkip              // the follower of the stream misses an entry
	bugReplyFirst        // the reply leaves before the event is acknowledged
	bugKeepLosers        // whoever lost a race keeps his ports
	bugNoLookup          // a reply that is in the log is not found
	bugKeepSockets       // who is silent is taken for gone, and an owner that lost a call goes on
	bugIgnoreEnd         // one node does not notice the end of calls
	bugForgetLearned     // a restart does not know the learned addresses
	bugEpoch             // a projection takes any claim for the next epoch
	bugHold              // sockets of an append without answer are freed at once
	bugStaleRead         // the log is read at a replica that lags
	bugNoRebind          // a restart does not open the sockets of its calls
	bugFenceBlind        // a lease is claimed without looking
	bugOwnPorts          // an alternate takes ports of its own for a call of another node
	bugLevel             // a node writes what it reads itself, whoever else is there
	bugAtOnce            // an offer is in force before it is answered
	bugSettled           // sections that a refused offer has brought are in the next one
	bugForgetOffers      // a takeover forgets the offers that wait
	bugLastOffer         // each answer is measured against the last offer
	bugOneAnswer         // an offer has one answer
	bugCloseEarly        // the sockets of an offer are closed while it may be accepted
	bugForkTakes         // what one fork refuses is refused to the others
	bugHoldAtOnce        // the direction of an offer counts before it is answered
	bugPublishOrder      // what waits for the log is published out of order
	bugPublishTwice      // what waits is not recognised in the log
	bugKeepUnfit         // what waits is published though the call is another node's
	bugForgetWaiting     // a process that starts forgets what the one before could not publish
	bugSettleEarly       // sockets of a decision are freed though it may be under way, and the log was not asked
	bugOrphan            // a call is ended for want of an owner that is there
	bugRetireEarly       // the events of a call leave the stream as soon as it ends
	bugRetireAny         // ... though one could not be read, or waits
	bugLetGo             // what arrived meanwhile is not folded when a command lets go of the call
)

var planted = []struct {
	name string
	bug  bug
	max  uint64 // seeds within which it must be found
}{
	{"lost fence", bugLostFence, 300},
	{"unordered back-updates", bugUnordered, 300},
	{"skipped sequence", bugSkip, 100},
	{"reply before append", bugReplyFirst, 100},
	{"losers keep ports", bugKeepLosers, 100},
	{"reply in the log not looked up", bugNoLookup, 100},
	{"silent owner keeps its sockets", bugKeepSockets, 300},
	{"end ignored at one node", bugIgnoreEnd, 100},
	{"restart forgets learned addresses", bugForgetLearned, 300},
	{"any epoch taken", bugEpoch, 300},
	{"uncertain ports freed at once", bugHold, 300},
	{"stale read", bugStaleRead, 300},
	{"restart without sockets", bugNoRebind, 300},
	{"lease claimed blindly", bugFenceBlind, 300},
	{"ports of the wrong node", bugOwnPorts, 100},
	{"own level of events", bugLevel, 100},
	{"offer in force at once", bugAtOnce, 100},
	{"refused sections stay", bugSettled, 100},
	{"takeover forgets offers", bugForgetOffers, 300},
	{"answer measured against the last offer", bugLastOffer, 300},
	{"one answer to an offer", bugOneAnswer, 100},
	{"sockets of an offer closed early", bugCloseEarly, 100},
	{"refusal of a fork", bugForkTakes, 100},
	{"hold before the answer", bugHoldAtOnce, 100},
	{"published out of order", bugPublishOrder, 300},
	{"published twice", bugPublishTwice, 300},
	{"published after a takeover", bugKeepUnfit, 300},
	{"what waits is forgotten", bugForgetWaiting, 300},
	{"granted ports freed early", bugSettleEarly, 300},
	{"owned call ended as an orphan", bugOrphan, 300},
	{"retired early", bugRetireEarly, 300},
	{"retired in spite of what waits", bugRetireAny, 300},
	{"let go with entries in the inbox", bugLetGo, 100},
}

func TestPlantedBugs(t *testing.T) {
	for _, p := range planted {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			for seed := range p.max {
				if w := simulate(seed+1, p.bug, false); w.broken != nil {
					t.Logf("found after %d seeds: %.200s", seed+1, w.broken)
					return
				}
			}
			t.Errorf("not found in %d seeds", p.max)
		})
	}
}
