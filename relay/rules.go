package relay

import (
	"net/netip"

	"rtpjet/relay/plan"
)

// rules are what the packet path needs of a plan.Stream beside its lists, under the same names. There are four of them for each section
// of a call, so they have no room to spare.
type rules struct {
	Signalled, Learned, Former netip.AddrPort
	Seen                       netip.Addr
	Epoch                      uint64
	LearnUntil                 int64
	Decrypt, Encrypt           *plan.SRTP
	Mode                       plan.Learning

	RTCP, Opaque                                    bool
	Confirmed, MayLearn, Lenient, Asymmetric        bool
	StrictSource, MediaHandover, NATWait, PierceNAT bool
	Blocked, BlockDTMF, NoFeedback, LoopCheck       bool
}

// rulesOf takes them from a plan, with addresses in the form in which packets have them.
func rulesOf(st *plan.Stream) rules {
	return rules{
		Signalled: plain(st.Signalled), Learned: plain(st.Learned), Former: plain(st.Former), Seen: st.Seen.Unmap().WithZone(""),
		Epoch: st.Epoch, LearnUntil: st.LearnUntil, Decrypt: st.Decrypt, Encrypt: st.Encrypt, Mode: st.Mode,
		RTCP: st.RTCP, Opaque: st.Opaque, Confirmed: st.Confirmed, MayLearn: st.MayLearn, Lenient: st.Lenient, Asymmetric: st.Asymmetric,
		StrictSource: st.StrictSource, MediaHandover: st.MediaHandover, NATWait: st.NATWait, PierceNAT: st.PierceNAT,
		Blocked: st.Blocked, BlockDTMF: st.BlockDTMF, NoFeedback: st.NoFeedback, LoopCheck: st.LoopCheck,
	}
}
