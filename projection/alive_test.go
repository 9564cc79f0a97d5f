package projection_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"rtpjet/events"
	"rtpjet/projection"
)

// TestWhyAliveIsTimeout: what WhyAlive foretells is what Timeout does, for any call.
func TestWhyAliveIsTimeout(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	at := func() int64 { return int64(rng.IntN(100)) }
	ap := netip.MustParseAddrPort
	ended, kept := 0, 0
	for range 20000 {
		c := &projection.Call{Gen: 1, Created: at(), LastSignal: at()}
		for id := range rng.IntN(4) {
			p := &events.Party{ID: id}
			for range rng.IntN(3) {
				m := events.Media{SignalAt: at(), Direction: []events.Direction{events.SendRecv, events.RecvOnly, events.Inactive}[rng.IntN(3)]}
				if rng.IntN(4) > 0 {
					m.Local = events.Ports{RTP: ap("192.0.2.1:1000"), RTCP: ap("192.0.2.1:1001")}
				}
				switch rng.IntN(4) {
				case 0:
					m.Remote.RTP = ap("0.0.0.0:4000")
				case 1:
				default:
					m.Remote.RTP = ap("192.0.2.2:4000")
				}
				p.Medias = append(p.Medias, m)
			}
			c.Parties = append(c.Parties, p)
		}
		limit := func() int64 { return int64(rng.IntN(3) * rng.IntN(60)) }
		set := projection.Timeouts{Media: limit(), Silent: limit(), Offer: limit(), Final: limit()}
		packets := [2]int64{at() - 50, at() - 50}
		last := func(a netip.AddrPort) int64 { return max(0, packets[a.Port()%2]) }
		alive := c.WhyAlive(set, last)
		for _, now := range []int64{at(), at() * 2, alive.Ends - 1, alive.Ends, 1 << 40} {
			if now < 0 {
				continue
			}
			why, over := c.Timeout(set, last, now)
			if want := alive.Ends > 0 && now >= alive.Ends || alive.Ends == 0 && alive.Why != ""; over != want {
				t.Fatalf("at %d of %+v: over is %t (%s), foretold was %+v, timeouts %+v", now, c, over, why, alive, set)
			}
			if over && now == alive.Ends && why != alive.Why && why != events.ReasonFinalTimeout {
				t.Fatalf("it ended for %s, foretold was %s", why, alive.Why)
			}
			if over {
				ended++
			} else {
				kept++
			}
		}
	}
	if ended < 1000 || kept < 1000 {
		t.Errorf("%d ended, %d kept", ended, kept)
	}
}
