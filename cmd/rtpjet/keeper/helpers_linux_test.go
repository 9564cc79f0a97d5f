package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rtpjet/cmd/rtpjet/keeper/netaddr"
	"rtpjet/projection/floats"
	"rtpjet/relay/eventfd"
	"rtpjet/tests/procs"
)

// patience is how long something that must happen may take before a test gives up.
const patience = 20 * time.Second

// eventually waits for a condition.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lines is where a logger writes to.
type lines struct{ procs.Output }

// count is how many lines have all of these words.
func (l *lines) count(words ...string) (n int) {
	for line := range strings.Lines(l.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			n++
		}
	}
	return n
}

// newShared makes deadlines that are unmapped when the test ends.
func newShared(t testing.TB) *Deadlines {
	t.Helper()
	d, err := NewDeadlines()
	must(t, err)
	t.Cleanup(func() { _, _ = unix.Munmap(d.mem), unix.Close(d.fd) })
	return d
}

// socketPair makes what node and keeper speak over. Both ends are closed when the test ends, if nobody has done so before.
func socketPair(t testing.TB) (node *os.File, keeper int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	must(t, err)
	for _, fd := range pair {
		must(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4*maxMessage))
	}
	return os.NewFile(uintptr(pair[0]), "keeper"), pair[1]
}

// fakeProvider notes what it is asked to do. It does what do says, if that is there; otherwise all succeeds.
type fakeProvider struct {
	mu    sync.Mutex
	calls []string // "add 192.0.2.100"
	do    func(ctx context.Context, verb, addr string) error
}

func (p *fakeProvider) note(ctx context.Context, verb string, addrs []netaddr.Address) error {
	var errs []error
	for _, a := range addrs {
		p.mu.Lock()
		p.calls = append(p.calls, verb+" "+a.Addr().String())
		do := p.do
		p.mu.Unlock()
		if do != nil {
			errs = append(errs, do(ctx, verb, a.Addr().String()))
		}
	}
	return errors.Join(errs...)
}

// take returns the calls since the last time.
func (p *fakeProvider) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.calls
	p.calls = nil
	return c
}

func (p *fakeProvider) Prepare(ctx context.Context, a ...netaddr.Address) error {
	return p.note(ctx, "prepare", a)
}
func (p *fakeProvider) Add(ctx context.Context, a ...netaddr.Address) error {
	return p.note(ctx, "add", a)
}
func (p *fakeProvider) Remove(ctx context.Context, a ...netaddr.Address) error {
	return p.note(ctx, "remove", a)
}
func (p *fakeProvider) Renew(ctx context.Context, a ...netaddr.Address) error {
	return p.note(ctx, "renew", a)
}
func (p *fakeProvider) Sweep(ctx context.Context, a ...netaddr.Address) error {
	return p.note(ctx, "sweep", a)
}
func (p *fakeProvider) Check(context.Context, netaddr.Address) (bool, error) { return false, nil }
func (p *fakeProvider) Announce(...netaddr.Address)                          {}
func (p *fakeProvider) Close() error                                         { return nil }

// bench is a loop whose provider is a fake and whose node is the test. It is the only voter, and its silence is long: a float
// that it may hold it holds at once, until the test is over. Nothing goes round by itself: the test calls the parts of a step.
type bench struct {
	*loop
	t    testing.TB
	far  int // the node's end
	fake *fakeProvider
	log  lines
}

const (
	float1 = "192.0.2.100"
	float2 = "192.0.2.101"
	// longSilence is the silence of a bench, and with it of how long its holders may act.
	longSilence = 40 * time.Second
)

func addressOf(id string) netaddr.Address {
	return netaddr.Address{Prefix: netip.PrefixFrom(netip.MustParseAddr(id), 24), Device: "media0"}
}

// newBench makes a loop that has begun.
func newBench(t testing.TB, ids ...string) *bench {
	t.Helper()
	b := &bench{t: t, fake: new(fakeProvider)}
	node, far := socketPair(t)
	b.far = far
	cfg := Config{Node: "n1", Timeout: longSilence, NodeSilence: time.Second, Bind: netip.MustParseAddr("127.0.0.1"), Key: []byte("a key")}
	for _, id := range ids {
		cfg.Floats = append(cfg.Floats, Float{ID: id, Addrs: []netaddr.Address{addressOf(id)}})
	}
	fd, err := unix.FcntlInt(node.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	must(t, err)
	must(t, node.Close())
	must(t, unix.SetNonblock(fd, true))
	b.loop = &loop{
		cfg: cfg, log: slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelDebug})), node: fd, shared: newShared(t),
		provider: b.fake, buf: make([]byte, maxMessage), done: make(chan func(), 64), canary: -1, stat: -1, heardAt: now(),
		link: &link{key: cfg.Key, bind: cfg.Bind, udp: -1, tcp: -1, peers: map[string]*peer{}, buf: make([]byte, 64<<10)},
	}
	b.life, b.end = context.WithCancel(context.Background())
	b.wake, err = eventfd.New()
	must(t, err)
	for i, f := range cfg.Floats {
		b.units = append(b.units, &unit{Float: f, index: i})
	}
	t.Cleanup(func() { b.close(); _ = unix.Close(b.far) })
	b.begin(1)
	return b
}

// begin makes the machine of a process that has run for a while: it need not wait for what the one before may have promised.
func (b *bench) begin(run uint64) {
	var carry []string
	for _, f := range b.cfg.Floats {
		carry = append(carry, f.ID)
	}
	us := b.cfg.Timeout.Microseconds()
	b.machine = floats.New(floats.Config{Self: b.cfg.Node, Run: run, Carry: carry, Silence: us}, now()-10*us)
}

// ready has the node say that it can hold floats.
func (b *bench) ready() { b.obey(&order{Ready: true}) }

// turn is how each step of the loop ends.
func (b *bench) turn() {
	b.machine.Tick(now())
	b.settle()
}

// told returns the reports since the last time.
func (b *bench) told() (all []report) {
	b.t.Helper()
	buf := make([]byte, maxMessage)
	for {
		b.flush()
		n, err := unix.Read(b.far, buf)
		if err != nil || n == 0 {
			return all
		}
		var r report
		must(b.t, decode(buf[:n], &r))
		all = append(all, r)
	}
}

// await waits until something that is done beside the loop is finished, and has the loop take it in.
func (b *bench) await() {
	b.t.Helper()
	fds := []unix.PollFd{{Fd: int32(b.wake.FD), Events: unix.POLLIN}}
	eventually(b.t, "nothing beside the loop comes to its end", func() bool {
		n, _ := unix.Poll(fds, 100)
		return n > 0
	})
	b.finish()
}

func (b *bench) state(id string) floats.State { return b.machine.State(id, now()) }

// holds tells whether the relay may serve a float now, by the shared memory.
func (b *bench) holds(i int) bool { return b.shared.At(i).Load() > nowNano() }

// calls fails if the provider was not asked for just these things since the last time.
func (b *bench) calls(want ...string) {
	b.t.Helper()
	if got := b.fake.take(); !slices.Equal(got, want) {
		b.t.Errorf("the provider was asked for %q, want %q", got, want)
	}
}

// pulseOf is a pulse of another node that claims a float.
func pulseOf(node string, run, count, epoch uint64, float string) floats.Pulse {
	return floats.Pulse{Node: node, Run: run, Count: count, Floats: []floats.View{
		{Float: float, Epoch: epoch, Holder: node, Run: run, Carry: true, Warm: true},
	}}
}

func ids(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("127.0.0.%d", 200+i))
	}
	return all
}

func peersOf(links map[string]*link) map[string]netip.AddrPort {
	addrs := make(map[string]netip.AddrPort)
	for node, l := range links {
		addrs[node] = l.addr
	}
	return addrs
}
