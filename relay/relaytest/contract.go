package relaytest

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"rtpjet/relay"
	"rtpjet/relay/plan"
)

// Open makes an engine from a configuration. The suite closes it.
type Open func(relay.Config) (relay.Engine, error)

// Contract runs the suite on the engines that open makes.
func Contract(t *testing.T, open Open) {
	for name, test := range map[string]func(*fixture){
		"ForwardsBothWays":     forwardsBothWays,
		"ForwardsAcrossFamily": forwardsAcrossFamilies,
		"Mux":                  mux,
		"SeparateRTCP":         separateRTCP,
		"SeveralSinks":         severalSinks,
		"RefusesWhatIsNotRTP":  refusesWhatIsNotRTP,
		"Opaque":               opaque,
		"Blocked":              blocked,
		"BlockDTMF":            blockDTMF,
		"Echo":                 echo,
		"Hold":                 hold,
		"NATWait":              natWait,
		"PierceNAT":            pierceNAT,
		"Asymmetric":           asymmetric,
		"NoForwardingLoop":     noForwardingLoop,
		"Statistics":           statistics,
		"Reception":            reception,
		"LoopCheck":            loopCheck,
		"EchoUnheard":          echoUnheard,
		"MaskExtensions":       maskExtensions,
		"MaskExtensionsSecure": maskExtensionsSecure,
		"NoFeedback":           noFeedback,
		"NoFeedbackSecure":     noFeedbackSecure,
		"Totals":               totals,
		"Shed":                 shed,
		"Answers":              answers,

		"LearnHeuristic":       learnHeuristic,
		"LearnSeen":            learnSeen,
		"LearnUnknown":         learnUnknown,
		"LearnMoved":           learnMoved,
		"LearnLenient":         learnLenient,
		"LearnHeuristicStrict": learnHeuristicStrict,
		"LearnImmediate":       learnImmediate,
		"LearnDelayed":         learnDelayed,
		"LearnOff":             learnOff,
		"MayNotLearn":          mayNotLearn,
		"StrictSource":         strictSource,
		"MediaHandover":        mediaHandover,
		"NewEpoch":             newEpoch,
		"RecordedAddress":      recordedAddress,
		"FullLearnedQueue":     fullLearnedQueue,

		"SecureSuites":        secureSuites,
		"SecureToPlain":       secureToPlain,
		"SecureRTCP":          secureRTCP,
		"SecureForged":        secureTeachesNothingForged,
		"SecureFork":          secureFork,
		"SecureNewKeys":       secureNewKeys,
		"SecurePassesThrough": securePassesThrough,
		"SecureDTMF":          secureDTMF,
		"SecureBadKeys":       secureBadKeys,
		"SecureCrossings":     secureCrossings,

		"FloatingPermit":     floatingPermit,
		"FloatingDeadline":   floatingDeadline,
		"FloatingAndFixed":   floatingAndFixed,
		"FloatingAbsent":     floatingAbsent,
		"FloatingProbes":     floatingProbes,
		"FloatingWarm":       floatingWarm,
		"FloatingWarmSecure": floatingWarmSecure,
		"FloatingNewKeys":    floatingNewKeys,
		"FloatingLapse":      floatingLapse,
		"FloatingDrop":       floatingDrop,

		"SetReplacesStreams":  setReplacesStreams,
		"SetKeepsState":       setKeepsState,
		"SetBindsAgain":       setBindsAgain,
		"SetBindsAfterDrop":   setBindsAfterDrop,
		"SetWithFaults":       setWithFaults,
		"Release":             release,
		"PortsRest":           portsRest,
		"PoolExhausted":       poolExhausted,
		"SkipsForeignPorts":   skipsForeignPorts,
		"AddressNotAvailable": addressNotAvailable,
		"UnreachablePeer":     unreachablePeer,
		"Close":               closeEngine,
	} {
		t.Run(name, func(t *testing.T) { test(openFixture(t, open, relay.Config{})) })
	}
}

// opener is kept for tests that need a second engine.
type opened struct {
	relay.Engine
	open Open
}

func openFixture(t testing.TB, open Open, cfg relay.Config) *fixture {
	t.Helper()
	if cfg.Pools == nil {
		cfg.Pools = []relay.Pool{{Addr: loopback4, Min: 20000, Max: 29999}, {Addr: loopback6, Min: 20000, Max: 29999}}
	}
	if cfg.Loops == 0 {
		cfg.Loops = 2
	}
	e, err := open(cfg)
	if err != nil {
		t.Fatalf("open the engine: %v", err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close the engine: %v", err)
		}
	})
	return &fixture{TB: t, Engine: opened{e, open}}
}

// another opens a second engine.
func (f *fixture) another(cfg relay.Config) *fixture {
	f.Helper()
	return openFixture(f.TB, f.Engine.(opened).open, cfg)
}

func setReplacesStreams(f *fixture) {
	p := newPair(f, "call")
	p.apply()
	p.toB(p.a, p.b)

	// B leaves, C comes.
	c := NewPhone(f, loopback4)
	lc := f.reserve(loopback4, 1)[0]
	sc := plan.Stream{Local: lc, Signalled: c.Addr(), Epoch: 2, RTPSinks: []netip.AddrPort{p.sa.Local}}
	p.sa.RTPSinks = []netip.AddrPort{lc}
	f.set("call", p.sa, sc)
	pkt := p.next()
	p.a.Send(p.sa.Local, pkt)
	c.Expect(lc, pkt)
	if _, ok := f.Stats(p.sb.Local); ok {
		f.Errorf("the stream of B is still open")
	}
	if got := f.Totals().Streams; got != 2 {
		f.Errorf("%d streams are open, want 2", got)
	}

	f.set("call")
	if got := f.Totals(); got.Calls != 0 || got.Streams != 0 {
		f.Errorf("%d calls and %d streams are left of a call without streams", got.Calls, got.Streams)
	}
}

func setKeepsState(f *fixture) {
	p := newPair(f, "call")
	p.sa.Mode = plan.LearnImmediate
	p.apply()
	natted := NewPhone(f, loopback4)
	p.toB(natted, p.b)
	p.toA(p.b, natted)

	p.sa.TOS = 184
	p.apply()
	p.toA(p.b, natted)
	f.awaitSent(p.sa.Local, 2)
	st := f.stats(p.sa.Local)
	if st.In.Packets != 1 || st.Out.Packets != 2 || st.Remote != natted.Addr() || !st.Confirmed {
		f.Errorf("after the second plan: %+v, want 1 packet in, 2 out, and the learned address", st)
	}
}

func setBindsAgain(f *fixture) {
	p := newPair(f, "call")
	p.sa.Mode = plan.LearnImmediate
	p.apply()
	natted := NewPhone(f, loopback4)
	p.toB(natted, p.b)
	learned := f.learned()
	if err := f.Close(); err != nil {
		f.Fatal(err)
	}

	// The next process knows what the log knows.
	next := f.another(relay.Config{})
	p.fixture = next
	p.sa.Learned, p.sa.Confirmed = learned.Remote, learned.Confirmed
	p.apply()
	p.toA(p.b, natted)
	p.toB(natted, p.b)

	stranger := NewPhone(next, loopback4.Next())
	stranger.Send(p.sa.Local, p.next())
	next.strangers(1)
	p.toA(p.b, natted)

	// Its ports are taken.
	for range 100 {
		for _, l := range next.reserve(loopback4, 2) {
			if l == p.sa.Local || l == p.sb.Local {
				f.Fatalf("%v was given out twice", l)
			}
		}
	}
}

func setBindsAfterDrop(f *fixture) {
	p := newPair(f, "call")
	for range 50 {
		p.apply()
		p.toB(p.a, p.b)
		f.Drop("call")
		if _, ok := f.Stats(p.sa.Local); ok {
			f.Fatal("a dropped stream has statistics")
		}
	}
}

func setWithFaults(f *fixture) {
	p := newPair(f, "call")
	p.apply()

	other := newPair(f, "other")
	other.apply()
	foreign := NewPhone(f, loopback4)
	err := f.Set("call", []plan.Stream{p.sa, p.sb, {Local: foreign.Addr()}, {Local: other.sa.Local}})
	var bind *relay.BindError
	if !errors.As(err, &bind) || bind.Local != foreign.Addr() || !errors.Is(err, syscall.EADDRINUSE) {
		f.Errorf("a stream on a foreign port: %v, want a BindError for %v", err, foreign.Addr())
	}
	if !errors.Is(err, relay.ErrInUse) {
		f.Errorf("a stream of another call: %v, want ErrInUse", err)
	}
	p.toB(p.a, p.b)
	p.toA(p.b, p.a)
	other.toB(other.a, other.b)
}

func release(f *fixture) {
	locals := f.reserve(loopback4, 2)
	if locals[0].Port()%2 != 0 || locals[1].Port() != locals[0].Port()+1 {
		f.Errorf("reserved %v, want an even port and the next", locals)
	}
	f.Release(locals...)
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(locals[0]))
	if err != nil {
		f.Fatalf("a released port is still bound: %v", err)
	}
	_ = conn.Close()

	// What belongs to a call is not released.
	p := newPair(f, "call")
	p.apply()
	f.Release(p.sa.Local, p.sb.Local, netip.MustParseAddrPort("127.0.0.1:9"))
	p.toB(p.a, p.b)
}

func portsRest(f *fixture) {
	tiny := []relay.Pool{{Addr: loopback4, Min: 31000, Max: 31003}}
	f = f.another(relay.Config{Pools: tiny, PortRest: time.Hour})
	first := f.reserve(loopback4, 2)
	f.Release(first...)
	second := f.reserve(loopback4, 2)
	if first[0] == second[0] {
		f.Errorf("%v was given out again at once", first[0])
	}
	f.Release(second...)
	if got := f.Totals().Pools[0]; got.Total != 4 || got.Used != 0 || got.Free != 0 || got.Resting != 4 {
		f.Errorf("pool %+v, want all 4 ports at rest", got)
	}
	// Nothing else is left: the one that has rested longest, rather than no call.
	if third := f.reserve(loopback4, 2); third[0] != first[0] {
		f.Errorf("%v was given out with all at rest, want %v, which has rested longest", third[0], first[0])
	}
	if fourth := f.reserve(loopback4, 2); fourth[0] != second[0] {
		f.Errorf("%v was given out, want %v", fourth[0], second[0])
	}
	if _, err := f.Reserve(loopback4, 2); !errors.Is(err, relay.ErrNoPorts) {
		f.Errorf("all ports in use: %v, want ErrNoPorts", err)
	}
	if err := f.Close(); err != nil {
		f.Fatal(err)
	}

	f = f.another(relay.Config{Pools: tiny, PortRest: -1})
	f.Release(f.reserve(loopback4, 2)...)
	f.Release(f.reserve(loopback4, 2)...)
	f.reserve(loopback4, 1)
	f.reserve(loopback4, 1)
}

func poolExhausted(f *fixture) {
	f = f.another(relay.Config{Pools: []relay.Pool{{Addr: loopback4, Min: 31011, Max: 31017}}})
	for range 3 {
		f.reserve(loopback4, 2)
	}
	if _, err := f.Reserve(loopback4, 1); !errors.Is(err, relay.ErrNoPorts) {
		f.Errorf("reserve from an empty pool: %v, want ErrNoPorts", err)
	}
	if got := f.Totals().Pools[0]; got.Total != 6 || got.Used != 6 || got.Free != 0 {
		f.Errorf("pool %+v, want all 6 ports in use", got)
	}
	if _, err := f.Reserve(loopback6, 1); !errors.Is(err, relay.ErrUnknownAddress) {
		f.Errorf("reserve on an address without a pool: %v, want ErrUnknownAddress", err)
	}
	if _, err := f.Reserve(loopback4, 3); err == nil {
		f.Errorf("three ports together were given out")
	}
}

func skipsForeignPorts(f *fixture) {
	// The odd port of the only other pair is taken: neither it nor its neighbour may be given out, or stay bound.
	odd := netip.AddrPortFrom(loopback4, 31023)
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(odd))
	if err != nil {
		f.Skipf("the port is in use: %v", err)
	}
	defer func() { _ = conn.Close() }()
	f = f.another(relay.Config{Pools: []relay.Pool{{Addr: loopback4, Min: 31020, Max: 31023}}})
	if got := f.reserve(loopback4, 2); got[0].Port() != 31020 {
		f.Errorf("reserved %v, want port 31020", got[0])
	}
	if _, err := f.Reserve(loopback4, 2); !errors.Is(err, relay.ErrNoPorts) {
		f.Errorf("reserve with the rest taken: %v, want ErrNoPorts", err)
	}
	even, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback4, 31022)))
	if err != nil {
		f.Fatalf("half of the pair stayed bound: %v", err)
	}
	_ = even.Close()
}

func addressNotAvailable(f *fixture) {
	away := netip.MustParseAddr("192.0.2.1")
	f = f.another(relay.Config{Pools: []relay.Pool{{Addr: away, Min: 31030, Max: 31033}}})
	_, err := f.Reserve(away, 2)
	if !errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, relay.ErrNoPorts) {
		f.Errorf("reserve on an address of another host: %v, want EADDRNOTAVAIL", err)
	}
	if got := f.Totals().Pools[0]; got.Free != 4 {
		f.Errorf("pool %+v: the ports are not free", got)
	}
}

func unreachablePeer(f *fixture) {
	p := newPair(f, "call")
	p.sb.Mode = plan.LearnOff
	gone := NewPhone(f, loopback4)
	p.sb.Signalled = gone.Addr()
	_ = gone.conn.Close()
	p.apply()
	// The system answers each of these with an ICMP error.
	for range 100 {
		p.a.Send(p.sa.Local, p.next())
	}
	f.await(p.sa.Local, 100)
	p.toA(p.b, p.a)
	p.sb.Signalled, p.sb.Epoch = p.b.Addr(), 2
	p.apply()
	p.toB(p.a, p.b)
}

func closeEngine(f *fixture) {
	p := newPair(f, "call")
	p.apply()
	p.toB(p.a, p.b)
	f.reserve(loopback4, 2)
	for range 2 {
		if err := f.Close(); err != nil {
			f.Errorf("close: %v", err)
		}
	}
	for range f.Learned() { // closed, too
	}
	if _, err := f.Reserve(loopback4, 1); !errors.Is(err, relay.ErrClosed) {
		f.Errorf("reserve after close: %v, want ErrClosed", err)
	}
	if err := f.Set("call", nil); !errors.Is(err, relay.ErrClosed) {
		f.Errorf("set after close: %v, want ErrClosed", err)
	}
	f.Drop("call")
	f.Release(p.sa.Local)
	if _, ok := f.Stats(p.sa.Local); ok {
		f.Errorf("a stream is open after close")
	}
	if got := f.Totals().In.Packets; got != 1 {
		f.Errorf("%d packets in total after close, want 1", got)
	}
}
