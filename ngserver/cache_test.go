package ngserver

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rtpjet/ngserver/ng"
)

var t0 = time.Unix(1_700_000_000, 0)

// waiter keeps what it is told.
type waiter struct {
	got   []byte
	calls int
}

func (w *waiter) Deliver(reply []byte) { w.got, w.calls = reply, w.calls+1 }

// claim is Claim with strings, and fails the test if the outcome is another one.
func claim(t *testing.T, c *Cache, cookie, payload string, now time.Time, want Outcome) (Ticket, string) {
	t.Helper()
	got, ticket, reply := c.Claim([]byte(cookie), []byte(payload), now, new(waiter))
	if got != want {
		t.Fatalf("claim of %s/%s: outcome %d, want %d", cookie, payload, got, want)
	}
	return ticket, string(reply)
}

func TestCacheRetention(t *testing.T) {
	c := NewCache(time.Minute, 0)
	ticket, _ := claim(t, c, "a", "p", t0, Claimed)
	ticket.Finish([]byte("reply"), t0)
	for _, after := range []time.Duration{0, 59 * time.Second, 60 * time.Second, 100 * time.Second} {
		if _, reply := claim(t, c, "a", "p", t0.Add(after), Known); reply != "reply" {
			t.Errorf("after %v: %q", after, reply)
		}
	}
	// It lived in one generation and the next one; with the third it is gone.
	claim(t, c, "a", "p", t0.Add(121*time.Second), Claimed)
}

func TestCacheForgetsAfterAPause(t *testing.T) {
	c := NewCache(time.Minute, 0)
	ticket, _ := claim(t, c, "a", "p", t0, Claimed)
	ticket.Finish([]byte("reply"), t0)
	claim(t, c, "a", "p", t0.Add(time.Hour), Claimed)
	if s := c.Stats(); s.Entries != 0 || s.Bytes != 0 {
		t.Errorf("still there: %+v", s)
	}
}

// An entry that was finished just before its generation ended still lives for the retention time.
func TestCacheKeepsForAtLeastTheRetention(t *testing.T) {
	c := NewCache(time.Minute, 0)
	first, _ := claim(t, c, "first", "p", t0, Claimed)
	first.Finish(nil, t0)
	end := t0.Add(59 * time.Second)
	ticket, _ := claim(t, c, "a", "p", end, Claimed)
	ticket.Finish([]byte("reply"), end)
	claim(t, c, "b", "p", end.Add(time.Second), Claimed) // turns the generations
	claim(t, c, "a", "p", end.Add(59*time.Second), Known)
}

func TestCacheCollision(t *testing.T) {
	c := NewCache(0, 0)
	a, _ := claim(t, c, "c", "one", t0, Claimed)
	b, _ := claim(t, c, "c", "two", t0, Claimed) // while the first one runs
	a.Finish([]byte("1"), t0)
	b.Finish([]byte("2"), t0)
	claim(t, c, "c", "three", t0, Claimed) // and after
	for payload, want := range map[string]string{"one": "1", "two": "2"} {
		if _, got := claim(t, c, "c", payload, t0, Known); got != want {
			t.Errorf("%s: got %q, want %q", payload, got, want)
		}
	}
	if s := c.Stats(); s.Collisions != 2 || s.Misses != 3 || s.Hits != 2 {
		t.Errorf("counters %+v", s)
	}
}

func TestCacheJoin(t *testing.T) {
	c := NewCache(0, 0)
	ticket, _ := claim(t, c, "c", "p", t0, Claimed)
	waiters := make([]waiter, maxWaiters)
	for i := range waiters {
		if o, _, _ := c.Claim([]byte("c"), []byte("p"), t0, &waiters[i]); o != Joined {
			t.Fatalf("waiter %d: outcome %d", i, o)
		}
	}
	claim(t, c, "c", "p", t0, Refused)
	ticket.Finish([]byte("reply"), t0)
	for i, w := range waiters {
		if string(w.got) != "reply" || w.calls != 1 {
			t.Errorf("waiter %d got %q in %d calls", i, w.got, w.calls)
		}
	}
}

func TestCacheDrop(t *testing.T) {
	c := NewCache(0, 0)
	ticket, _ := claim(t, c, "c", "p", t0, Claimed)
	var w waiter
	c.Claim([]byte("c"), []byte("p"), t0, &w)
	ticket.Drop()
	if w.calls != 1 || w.got != nil {
		t.Errorf("waiter got %q in %d calls", w.got, w.calls)
	}
	claim(t, c, "c", "p", t0, Claimed)
}

// A command in execution cannot be forgotten, whatever comes in meanwhile.
func TestCacheKeepsRunning(t *testing.T) {
	c := NewCache(time.Minute, 4096)
	ticket, _ := claim(t, c, "slow", "p", t0, Claimed)
	for i := range 100 {
		other, _ := claim(t, c, fmt.Sprint(i), "p", t0, Claimed)
		other.Finish(make([]byte, 1000), t0)
	}
	claim(t, c, "slow", "p", t0.Add(time.Hour), Joined)
	ticket.Finish(nil, t0)
}

func TestCacheMemoryBound(t *testing.T) {
	const limit = 1 << 20
	c := NewCache(time.Minute, limit)
	for i := range 10_000 {
		ticket, _ := claim(t, c, fmt.Sprint(i), "p", t0, Claimed)
		ticket.Finish(make([]byte, rand.IntN(4000)), t0)
		if s := c.Stats(); s.Bytes > limit {
			t.Fatalf("%d bytes after %d replies", s.Bytes, i)
		}
	}
	if s := c.Stats(); s.Shortened == 0 || s.Bytes < limit/3 {
		t.Errorf("%+v", s)
	}
	claim(t, c, "9999", "p", t0, Known)
	claim(t, c, "0", "p", t0, Claimed)
}

// The cache against a model that forgets nothing: an outcome may only differ by what was allowed to be forgotten.
func TestCacheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := NewCache(time.Minute, 1<<20)
		type key struct{ cookie, payload string }
		type known struct {
			reply string
			at    time.Time
		}
		done := make(map[key]known)
		running := make(map[key]Ticket)
		now := t0
		for n := range rapid.IntRange(1, 200).Draw(t, "steps") {
			k := key{fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "cookie")), fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "payload"))}
			switch rapid.IntRange(0, 3).Draw(t, "action") {
			case 0, 1:
				o, ticket, reply := c.Claim([]byte(k.cookie), []byte(k.payload), now, new(waiter))
				_, isRunning := running[k]
				d, isDone := done[k]
				switch {
				case isRunning && o != Joined && o != Refused:
					t.Fatalf("%v is running, outcome %d", k, o)
				case !isRunning && isDone && now.Sub(d.at) < time.Minute && o != Known:
					t.Fatalf("%v was answered %v ago, outcome %d", k, now.Sub(d.at), o)
				case o == Known && string(reply) != d.reply:
					t.Fatalf("%v: got %q, want %q", k, reply, d.reply)
				case o == Claimed:
					running[k] = ticket
				}
			case 2:
				if ticket, ok := running[k]; ok {
					done[k] = known{fmt.Sprint(n), now}
					ticket.Finish([]byte(fmt.Sprint(n)), now)
					delete(running, k)
				}
			case 3:
				now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second)
			}
		}
		if s := c.Stats(); s.Running != len(running) {
			t.Fatalf("%d running, want %d", s.Running, len(running))
		}
	})
}

func TestNumCommands(t *testing.T) {
	if numCommands != len(ng.Commands) {
		t.Errorf("numCommands is %d, ng.Commands has %d", numCommands, len(ng.Commands))
	}
}

func TestReplyControl(t *testing.T) {
	for _, in := range [][]byte{nil, {1}, make([]byte, 16), {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 8, 0, 0, 0, 1}} {
		if got := replyControl(in); len(got) != 0 {
			t.Errorf("%x: %x", in, got)
		}
	}
}

func TestSplitListen(t *testing.T) {
	tests := []struct {
		in, host string
		port     uint16
		ok       bool
	}{
		{"2223", "", 2223, true},
		{":2223", "", 2223, true},
		{"127.0.0.1:2223", "127.0.0.1", 2223, true},
		{"[::1]:2223", "::1", 2223, true},
		{"localhost:2223", "localhost", 2223, true},
		{"::1:2223", "", 0, false},
		{"65536", "", 0, false},
		{"", "", 0, false},
	}
	for _, tt := range tests {
		host, port, err := splitListen(tt.in)
		if host != tt.host || port != tt.port || (err == nil) != tt.ok {
			t.Errorf("%q: %q, %d, %v", tt.in, host, port, err)
		}
	}
}
