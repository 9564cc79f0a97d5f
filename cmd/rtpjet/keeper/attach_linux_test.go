package keeper

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"rtpjet/projection/floats"
	"rtpjet/projection/members"
)

// scripted is the other end of a Keeper's socket: the test says what the process would.
type scripted struct {
	t   testing.TB
	far *os.File
}

// newScripted begins a keeper, which may not be up yet.
func newScripted(t testing.TB) (s *scripted, begin func(ctx context.Context, wait func() error) (*Keeper, error)) {
	t.Helper()
	node, fd := socketPair(t)
	s = &scripted{t, os.NewFile(uintptr(fd), "node")}
	t.Cleanup(func() { _ = s.far.Close() })
	shared := newShared(t)
	return s, func(ctx context.Context, wait func() error) (*Keeper, error) {
		return attach(ctx, Config{Node: "n1"}, node, shared, wait)
	}
}

func fine() error { return nil }

// up begins a keeper that is up.
func up(t testing.TB) (*scripted, *Keeper) {
	t.Helper()
	s, begin := newScripted(t)
	s.say(report{Started: &started{Addr: netip.MustParseAddrPort("127.0.0.1:7"), Runs: []string{"real-time priority"}}})
	k, err := begin(t.Context(), fine)
	must(t, err)
	t.Cleanup(func() {
		_ = s.far.Close()
		<-k.Done()
	})
	if o := s.next(); o.Config == nil || o.Config.Node != "n1" {
		t.Fatalf("the first message is %+v", o)
	}
	return s, k
}

func (s *scripted) say(r report) {
	s.t.Helper()
	data, err := encode(r)
	must(s.t, err)
	s.sayRaw(data)
}

func (s *scripted) sayRaw(data []byte) {
	s.t.Helper()
	_, err := s.far.Write(data)
	must(s.t, err)
}

// next is the node's next message.
func (s *scripted) next() (o order) {
	s.t.Helper()
	buf := make([]byte, maxMessage)
	must(s.t, s.far.SetReadDeadline(time.Now().Add(patience)))
	n, err := s.far.Read(buf)
	must(s.t, err)
	must(s.t, decode(buf[:n], &o))
	return o
}

func TestAttach(t *testing.T) {
	_, k := up(t)
	if k.Addr() != netip.MustParseAddrPort("127.0.0.1:7") || !slices.Equal(k.Runs(), []string{"real-time priority"}) {
		t.Errorf("%v, %v", k.Addr(), k.Runs())
	}
}

// TestAttachFails: the error is what the keeper says, or what became of it, and nothing is left.
func TestAttachFails(t *testing.T) {
	died := errors.New("exit status 2")
	t.Run("it cannot", func(t *testing.T) {
		s, begin := newScripted(t)
		s.say(report{Started: &started{Error: "there is no device media7"}})
		if _, err := begin(t.Context(), fine); err == nil || err.Error() != "there is no device media7" {
			t.Errorf("%v", err)
		}
	})
	t.Run("it dies", func(t *testing.T) {
		s, begin := newScripted(t)
		_ = s.far.Close()
		_, err := begin(t.Context(), func() error { return died })
		if !errors.Is(err, ErrEnded) {
			t.Errorf("%v", err)
		}
	})
	t.Run("it says nothing more", func(t *testing.T) {
		s, begin := newScripted(t)
		go func() {
			s.next()
			_ = s.far.Close()
		}()
		_, err := begin(t.Context(), func() error { return died })
		if !errors.Is(err, ErrEnded) || !errors.Is(err, died) {
			t.Errorf("%v", err)
		}
	})
	t.Run("nobody waits for it", func(t *testing.T) {
		s, begin := newScripted(t)
		ctx, cancel := context.WithCancel(t.Context())
		waited := false
		go func() {
			s.next()
			cancel()
		}()
		if _, err := begin(ctx, func() error { waited = true; return nil }); !errors.Is(err, context.Canceled) || !waited {
			t.Errorf("%v; its end was waited for: %v", err, waited)
		}
	})
}

// TestMessages: each method sends one message, and in it what it was given.
func TestMessages(t *testing.T) {
	s, k := up(t)
	on, off := true, false
	addr := netip.MustParseAddrPort("192.0.2.1:9")
	record := floats.Record{Float: float1, Epoch: 3, Holder: "n2", Successor: "n1", At: 5}
	described := record
	described.Interfaces, described.Aliases = make([]members.LeaseInterface, 1), map[string]string{"a": "b"} // which a keeper has no use for
	for _, c := range []struct {
		send func() error
		want order
	}{
		{func() error { return k.Begin(9) }, order{Run: 9}},
		{func() error { return k.Nodes([]string{"n1", "n2"}, map[string]netip.AddrPort{"n2": addr}) },
			order{Nodes: &nodes{[]string{"n1", "n2"}, map[string]netip.AddrPort{"n2": addr}}}},
		{k.Alive, order{}},
		{k.Ready, order{Ready: true}},
		{func() error { return k.Warm(float1, true) }, order{Warm: &warm{float1, true}}},
		{func() error { return k.Warm(float1, false) }, order{Warm: &warm{float1, false}}},
		{func() error { return k.Drain(true) }, order{Drain: &on}},
		{func() error { return k.Drain(false) }, order{Drain: &off}},
		{func() error { return k.Record(described) }, order{Record: &record}},
		{func() error { return k.Heard([]byte(`{"n":"n2"}`)) }, order{Pulse: []byte(`{"n":"n2"}`)}},
	} {
		must(t, c.send())
		if got := s.next(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("sent %+v, want %+v", got, c.want)
		}
	}
	if described.Interfaces == nil {
		t.Error("the caller's record is changed")
	}
	if err := k.Heard([]byte("no pulse")); err == nil {
		t.Error("what is no JSON is sent")
	}
}

// TestMoveAnswers: answers find those who asked, in whatever order they come, and some that nobody has asked for harm nobody.
func TestMoveAnswers(t *testing.T) {
	s, k := up(t)
	const n = 20
	var all sync.WaitGroup
	for i := range n {
		float := ids(n)[i]
		all.Go(func() {
			to, err := k.Move(t.Context(), float, "")
			if i%2 == 0 && (to != "to "+float || err != nil) || i%2 == 1 && (to != "" || err == nil || err.Error() != "not "+float) {
				t.Errorf("%s: %q, %v", float, to, err)
			}
		})
	}
	var asked []move
	for range n {
		asked = append(asked, *s.next().Move)
	}
	slices.SortFunc(asked, func(a, b move) int { return int(b.ID) - int(a.ID) })
	if len(slices.CompactFunc(slices.Clone(asked), func(a, b move) bool { return a.ID == b.ID })) != n {
		t.Errorf("two questions of one number: %+v", asked)
	}
	for _, m := range asked {
		r := moved{ID: m.ID, Target: "to " + m.Float}
		if slices.Index(ids(n), m.Float)%2 == 1 {
			r = moved{ID: m.ID, Error: "not " + m.Float}
		}
		s.say(report{Moved: &moved{ID: m.ID + 1000}})
		s.say(report{Moved: &r})
		s.say(report{Moved: &moved{ID: m.ID, Target: "elsewhere"}}) // a second answer
		s.say(report{Moved: &moved{ID: m.ID, Target: "elsewhere"}})
	}
	all.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.moves) != 0 {
		t.Errorf("%d questions are kept", len(k.moves))
	}
}

// TestMoveUnanswered: whoever asks is not kept for longer than the keeper lives, or than he wants to wait.
func TestMoveUnanswered(t *testing.T) {
	s, k := up(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		s.next()
		cancel()
	}()
	if _, err := k.Move(ctx, float1, "n2"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	go func() {
		s.next()
		_ = s.far.Close()
	}()
	if _, err := k.Move(t.Context(), float1, "n2"); !errors.Is(err, ErrEnded) {
		t.Errorf("%v", err)
	}
	<-k.Done()
	if _, err := k.Move(t.Context(), float1, "n2"); !errors.Is(err, ErrEnded) {
		t.Errorf("%v", err)
	}
	if err := k.Alive(); !errors.Is(err, ErrEnded) {
		t.Errorf("%v", err)
	}
}

// TestEnd: when the keeper has ended, nothing may be relayed, whoever asks is told why, and the reports are over.
func TestEnd(t *testing.T) {
	s, begin := newScripted(t)
	s.say(report{Started: &started{}})
	killed := errors.New("signal: killed")
	goOn := make(chan struct{})
	k, err := begin(t.Context(), func() error { <-goOn; return killed })
	must(t, err)
	s.next()
	k.shared.At(3).Store(1 << 62)
	s.say(report{Fatal: "one"})
	s.sayRaw([]byte("no message"))
	s.say(report{Pulse: []byte(`{}`)})
	_ = s.far.Close()
	eventually(t, "a deadline is in force, and nobody keeps it", func() bool { return k.shared.At(3).Load() == 0 })
	select {
	case <-k.Done():
		t.Error("the process is still there, and counts as ended")
	default:
	}
	close(goOn)
	var all []Report
	for r := range k.Reports() {
		all = append(all, r)
	}
	if len(all) != 2 || all[0].Fatal != "one" || string(all[1].Pulse) != "{}" {
		t.Errorf("%+v", all)
	}
	if err := k.Err(); !errors.Is(err, ErrEnded) || !errors.Is(err, killed) {
		t.Errorf("%v", err)
	}
	must(t, k.Close()) // what has ended is closed
}

// TestClose asks the keeper to end, and waits until it has.
func TestClose(t *testing.T) {
	s, k := up(t)
	go func() {
		if o := s.next(); !o.Release {
			t.Errorf("%+v", o)
		}
		_ = s.far.Close()
	}()
	must(t, k.Close())
	if err := k.Err(); err != ErrEnded {
		t.Errorf("%v", err)
	}
}

// TestReportsUnread: pulses that nobody takes are lost, but no state, and no sentence for the operator.
func TestReportsUnread(t *testing.T) {
	k := &Keeper{reports: make(chan Report, 4)}
	epoch := func(n uint64) Report { return Report{States: []floats.State{{Float: float1, Epoch: n}}} }
	k.pass(epoch(1))
	for range 10 {
		k.pass(Report{Pulse: []byte("{}")})
	}
	k.pass(Report{Fatal: "end"})
	for n := range uint64(3) {
		k.pass(epoch(n + 2))
	}
	k.pass(Report{Pulse: []byte("{}")})
	close(k.reports)
	var got []Report
	for r := range k.reports {
		got = append(got, r)
	}
	if want := []Report{{Fatal: "end"}, epoch(2), epoch(3), epoch(4)}; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestCloseOfStuck: a keeper that does not end although it was asked to is cut off after a while, and hears of it by that.
func TestCloseOfStuck(t *testing.T) {
	node, far := socketPair(t)
	defer func() { _ = unix.Close(far) }()
	conn, err := net.FileConn(node)
	must(t, err)
	must(t, node.Close())
	defer func() { _ = conn.Close() }()
	synctest.Test(t, func(t *testing.T) {
		k := &Keeper{conn: conn.(*net.UnixConn), done: make(chan struct{}), err: ErrEnded}
		open := func() bool { _, err := conn.Write([]byte("{}")); return err == nil }
		go func() {
			time.Sleep(startPatience - 1)
			if !open() {
				t.Error("it is cut off too soon")
			}
			time.Sleep(2 * time.Nanosecond)
			if open() {
				t.Error("it is not cut off")
			}
			close(k.done)
		}()
		must(t, k.Close())
	})
}

func FuzzReport(f *testing.F) {
	for _, r := range []report{
		{}, {Started: &started{Error: "x"}}, {States: []floats.State{{Float: float1}}}, {Fatal: "x"}, {Pulse: []byte(`{}`)}, {Moved: &moved{ID: 1, Target: "n2"}},
	} {
		data, err := encode(r)
		must(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > maxMessage || len(data) == 0 {
			return
		}
		s, begin := newScripted(t)
		s.say(report{Started: &started{}})
		k, err := begin(t.Context(), fine)
		must(t, err)
		answer := make(chan moved, 1)
		k.mu.Lock()
		k.moves[1] = answer
		k.mu.Unlock()
		s.sayRaw(data)
		s.sayRaw(data)
		s.say(report{Fatal: "the last word"})
		s.next() // a socket that is closed with something in it forgets what it has sent
		_ = s.far.Close()
		last := Report{}
		for r := range k.Reports() {
			last = r
		}
		if last.Fatal != "the last word" {
			t.Errorf("the reader is stuck at %q, and %+v is the last report", data, last)
		}
	})
}
