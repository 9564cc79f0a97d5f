package relay

import (
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"

	"rtpjet/relay/plan"
	"rtpjet/relay/srtp"
)

// jump is a packet whose sequence number is as far above that of the one before as may be, so that each crosses.
func jump(n int) []byte {
	pkt := append([]byte(nil), voice...)
	seq := uint16(200 + n*0x7fff)
	pkt[2], pkt[3] = byte(seq>>8), byte(seq)
	return pkt
}

func TestCrossingsAreSpacedAndTheLastIsNotLost(t *testing.T) {
	a, b := twoParties()
	b.Encrypt, b.Epoch = secretFor("AEAD_AES_128_GCM", "b"), 7
	sc := newScript(64, a, b)
	now := int64(1_000_000)
	const jumps = 100
	for i := range jumps {
		sc.handle(sc.streams[a.Local], jump(i), a.Signalled, now)
		now += 1000
	}
	if n := len(sc.crossed); n != crossBurst {
		t.Fatalf("%d reports in 100 ms, want %d", n, crossBurst)
	}
	for range crossBurst {
		<-sc.crossed
	}
	if len(sc.crossings) != 1 {
		t.Errorf("%d reports wait, want 1", len(sc.crossings))
	}
	due := sc.chores(now)
	if want := int64(1_000_000 + reportInterval); due != want {
		t.Fatalf("next report due at %d, want %d", due, want)
	}
	if due := sc.chores(due); due != 0 {
		t.Errorf("chores due at %d with nothing to do", due)
	}
	want := plan.Crossed{
		Call: "call", Local: b.Local, Out: true, Epoch: 7,
		Rollover: plan.Rollover{SSRC: 0x01020304, ROC: 49, Seq: 0x8000 + 101},
	}
	if got := <-sc.crossed; got != want {
		t.Errorf("reported %+v, want %+v", got, want)
	}
}

// TestHostilePackets: what is forged, replayed or cut leaves no trace but in the count of errors. RTPJET_HOSTILE is how many
// packets, 10000000 for the whole of it.
func TestHostilePackets(t *testing.T) {
	count := 100_000
	if n, err := strconv.Atoi(os.Getenv("RTPJET_HOSTILE")); err == nil {
		count = n
	}
	a, b := twoParties()
	a.Decrypt = secretFor("AES_CM_128_HMAC_SHA1_80", "a")
	a.Mode, a.MediaHandover, a.Mux = plan.LearnImmediate, true, true // whoever sends is believed
	sc := newScript(64, a, b)
	in, party := sc.streams[a.Local], newSender(t, a.Decrypt)
	seal := func(pkt []byte) []byte {
		sealed, _, err := party.Protect(nil, pkt)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	heard, coming := seal(jump(0)), [][]byte{seal(jump(1)), seal([]byte{0x80, 201, 0, 1, 1, 2, 3, 4})}
	sc.handle(in, heard, addr("1:5000"), 1)
	before, known := in.stats(), in.route.Load().in.Rollovers()
	pkt, draw := make([]byte, 0, 2000), rand.New(rand.NewPCG(5, 6))
	var mem, after runtime.MemStats
	stranger := addr("1:6666")
	runtime.ReadMemStats(&mem)
	for n := range count {
		pkt = append(pkt[:0], coming[n&1]...)
		switch draw.IntN(4) {
		case 0:
			pkt = append(pkt[:0], heard...)
		case 1:
			pkt = pkt[:draw.IntN(len(pkt))]
		case 2:
			pkt[draw.IntN(len(pkt))] ^= 1 << draw.IntN(8)
		case 3:
			for i := 2; i < len(pkt); i++ {
				pkt[i] = byte(draw.Uint32())
			}
		}
		sc.handle(in, pkt, stranger, int64(n)+1+pauseAfter) // the party is quiet, so that each of them has to be looked into
		sc.chores(int64(n) + 1 + pauseAfter)
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - mem.Mallocs; n > 1000 {
		t.Errorf("%d allocations for %d packets", n, count)
	}
	want := before
	want.In.Errors = uint64(count)
	if got := in.stats(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := in.route.Load().in.Rollovers(); sc.out.sent != 1 || len(got) != 1 || got[0] != known[0] || len(sc.crossed) != 1 {
		t.Errorf("%d sent, %d reported, sources %+v, were %+v", sc.out.sent, len(sc.crossed), got, known)
	}
	for _, pkt := range coming {
		sc.handle(in, pkt, addr("1:5000"), int64(count)+10)
	}
	if sc.out.sent != 2 { // RTCP has no sink here
		t.Errorf("%d sent, want 2: a true packet was refused", sc.out.sent)
	}
}

func TestFullChannelOfCrossings(t *testing.T) {
	a, b := twoParties()
	a.Encrypt, b.Encrypt = secretFor("AEAD_AES_128_GCM", "a"), secretFor("AEAD_AES_128_GCM", "b")
	sc := newScript(1, a, b)
	sc.handle(sc.streams[a.Local], jump(0), a.Signalled, 1)
	sc.handle(sc.streams[b.Local], jump(0), b.Signalled, 1) // finds the channel full
	if got := <-sc.crossed; got.Local != b.Local {
		t.Errorf("reported %+v, want %v", got, b.Local)
	}
	sc.chores(1 + reportRetry)
	if got := <-sc.crossed; got.Local != a.Local {
		t.Errorf("reported %+v, want %v", got, a.Local)
	}

	// What waits is not reported under keys that have come since, nor for a stream that is gone.
	sc.handle(sc.streams[b.Local], jump(1), b.Signalled, 2+reportRetry)
	sc.handle(sc.streams[a.Local], jump(1), a.Signalled, 2+reportRetry) // waits
	b.Encrypt = secretFor("AEAD_AES_128_GCM", "c")
	sc.set(a, b)
	sc.handle(sc.streams[a.Local], []byte("noise"), a.Signalled, 3+reportRetry)
	<-sc.crossed
	sc.streams[b.Local].sync()
	if sc.chores(3 + 3*reportRetry); len(sc.crossed) != 0 || len(sc.crossings) != 0 {
		t.Errorf("%d reported, %d wait", len(sc.crossed), len(sc.crossings))
	}
	sc.handle(sc.streams[a.Local], jump(2), a.Signalled, 4+3*reportRetry)
	sc.handle(sc.streams[b.Local], jump(2), b.Signalled, 4+3*reportRetry) // waits
	if len(sc.crossings) != 1 {
		t.Fatalf("%d wait, want 1", len(sc.crossings))
	}
	sc.forget(sc.streams[a.Local])
	if len(sc.crossings) != 0 {
		t.Error("a report of a closed stream waits")
	}
}

func TestSendersOfACallAreBounded(t *testing.T) {
	a, b := twoParties()
	sc := newScript(1, a, b)
	b.Encrypt = secretFor("AEAD_AES_128_GCM", "kept")
	sc.set(a, b)
	kept := sc.streams[b.Local].route.Load().out
	for i := range 3 * maxSenders {
		a.Encrypt = secretFor("AEAD_AES_128_GCM", string(rune('A'+i)))
		sc.set(a, b)
	}
	if n := len(sc.call.senders); n > maxSenders {
		t.Errorf("%d senders are remembered, want %d at most", n, maxSenders)
	}
	if sc.streams[b.Local].route.Load().out != kept {
		t.Error("a sender in use was forgotten")
	}
}

func TestStreamsWithTheSameKeysBeginWithAllThatIsKnown(t *testing.T) {
	a, b := twoParties()
	a.Encrypt, b.Encrypt = secretFor("AEAD_AES_128_GCM", "k"), secretFor("AEAD_AES_128_GCM", "k")
	a.Encrypt.Rollovers = []plan.Rollover{{SSRC: 1, ROC: 2, Seq: 3}, {SSRC: 2, ROC: 9}}
	b.Encrypt.Rollovers = []plan.Rollover{{SSRC: 1, ROC: 1, Seq: 5, Index: 700}, {SSRC: 3, Index: 4}}
	sc := newScript(1, a, b)
	out := sc.streams[a.Local].route.Load().out
	if out != sc.streams[b.Local].route.Load().out {
		t.Fatal("two senders for the same keys")
	}
	want := []plan.Rollover{{SSRC: 1, ROC: 2, Seq: 3, Index: 1724}, {SSRC: 2, ROC: 9, Index: 1024}, {SSRC: 3, Index: 1028}}
	for i, got := range out.Rollovers() {
		if got != want[i] {
			t.Errorf("%+v, want %+v", got, want[i])
		}
	}
}

func TestGroupSinks(t *testing.T) {
	senders := [2]*srtp.Sender{newSender(t, secretFor("AEAD_AES_128_GCM", "a")), newSender(t, secretFor("AEAD_AES_128_GCM", "b"))}
	by := map[*stream]*srtp.Sender{}
	var sinks []*stream
	for i := range 7 {
		s := &stream{slot: uint32(i)}
		if i%3 < 2 {
			by[s] = senders[i%3]
		}
		sinks = append(sinks, s)
	}
	groupSinks(sinks, by)
	seen := map[*srtp.Sender]int{}
	for i, s := range sinks {
		if i == 0 || by[s] != by[sinks[i-1]] {
			seen[by[s]]++
		}
	}
	if seen[senders[0]] != 1 || seen[senders[1]] != 1 {
		t.Errorf("the senders are in %d and %d places, want 1 each", seen[senders[0]], seen[senders[1]])
	}
}
