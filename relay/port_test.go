package relay

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func inOrder(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	return p
}

func TestPortRanges(t *testing.T) {
	for _, tt := range []struct {
		min, max    uint16
		pairs       int
		first, last uint16
	}{
		{30000, 30003, 2, 30000, 30002},
		{30001, 30004, 1, 30002, 30002},
		{30000, 30000, 0, 0, 0},
		{30001, 30002, 0, 0, 0},
		{1, 65535, 32767, 2, 65534},
		{65534, 65535, 1, 65534, 65534},
		{65535, 65535, 0, 0, 0},
	} {
		p := newPorts(tt.min, tt.max, 0, 0, inOrder)
		var got []uint16
		for port, ok := p.take(2, 0); ok; port, ok = p.take(2, 0) {
			got = append(got, port)
		}
		if len(got) != tt.pairs || tt.pairs > 0 && (got[0] != tt.first || got[len(got)-1] != tt.last) {
			t.Errorf("%d-%d: %d pairs %v", tt.min, tt.max, len(got), got)
		}
	}
}

func TestPortsRandomStart(t *testing.T) {
	p := newPorts(10000, 59999, 0, 0, nil)
	q := newPorts(10000, 59999, 0, 0, nil)
	for range 3 {
		a, _ := p.take(2, 0)
		b, _ := q.take(2, 0)
		if a != b {
			return
		}
	}
	t.Error("two pools start alike")
}

// TestPortsBeginAtDifferentPlaces: each sixteenth is in random order, and each pair is given out once.
func TestPortsBeginAtDifferentPlaces(t *testing.T) {
	const pairs = 100
	for _, tt := range []struct {
		skip  uint16
		first int // pair
	}{{1, 1}, {50, 50}, {99, 99}, {100, 0}, {65535, 35}} {
		p := newPorts(30000, 30000+2*pairs-1, tt.skip, 0, inOrder)
		for i := range pairs {
			port, _ := p.take(2, 0)
			if want := uint16(30000 + 2*((tt.first+i)%pairs)); port != want {
				t.Fatalf("skip %d: number %d is port %d, want %d", tt.skip, i, port, want)
			}
		}
		random := newPorts(30000, 30000+2*pairs-1, tt.skip, 0, nil)
		part := map[int]bool{}
		for range (pairs + 15) / 16 {
			port, _ := random.take(2, 0)
			part[(int(port-30000)/2-tt.first+pairs)%pairs] = true
		}
		for i := range (pairs + 15) / 16 {
			if !part[i] {
				t.Errorf("skip %d: pair %d is not among the first, %v", tt.skip, i, part)
			}
		}
	}
}

func TestPortsRefund(t *testing.T) {
	p := newPorts(30000, 30001, 0, 1000, inOrder)
	even, _ := p.take(2, 0)
	p.refund(even, 0)
	if _, ok := p.take(2, 0); !ok {
		t.Error("a pair that was never bound had to rest")
	}
}

// TestPortsAllResting: with nothing else left the pair that has rested longest is given, and a pair that need not rest before any
// that has not.
func TestPortsAllResting(t *testing.T) {
	p := newPorts(30000, 30007, 0, 1000, inOrder)
	for range 4 {
		p.take(2, 0)
	}
	for i, even := range []uint16{30004, 30000, 30006} {
		p.release(even, int64(i))
		p.release(even+1, int64(i))
	}
	p.refund(30002, 5)
	for i, want := range []uint16{30002, 30004, 30000, 30006} {
		if even, ok := p.take(2, 10); !ok || even != want {
			t.Errorf("number %d: %d %t, want %d", i+1, even, ok, want)
		}
	}
	if even, ok := p.take(1, 2000); ok {
		t.Errorf("%d was given out twice", even)
	}
}

// TestPortsModel compares the allocator with the plainest one there is, over random histories.
func TestPortsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const pairs = 5
		min := uint16(rapid.SampledFrom([]int{30000, 30001, 65536 - 2*pairs}).Draw(t, "min"))
		first := min + min&1
		rest := int64(rapid.IntRange(0, 20).Draw(t, "rest"))
		p := newPorts(min, first+2*pairs-1, 0, rest, inOrder)

		bound := map[uint16]bool{}   // by port
		rested := map[uint16]int64{} // by even port: free from
		free := func(even uint16) bool { return !bound[even] && !bound[even+1] }
		release := func(port uint16, now int64) {
			if was := bound[port]; was {
				delete(bound, port)
				if even := port &^ 1; free(even) {
					rested[even] = now + rest
				}
			}
			p.release(port, now)
		}
		now := int64(0)
		port := rapid.Custom(func(t *rapid.T) uint16 { // in the range, or just beside it
			return first - 2 + uint16(rapid.IntRange(0, 2*pairs+1).Draw(t, "port"))
		})
		inside := func(port uint16) bool { return port >= first && port-first < 2*pairs }

		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				n := rapid.IntRange(1, 2).Draw(t, "n")
				available, ready := 0, 0
				for i := range uint16(pairs) {
					if even := first + 2*i; free(even) {
						available++
						if rested[even] <= now {
							ready++
						}
					}
				}
				even, ok := p.take(n, now)
				if ok != (available > 0) {
					t.Fatalf("take: %v with %d pairs available", ok, available)
				}
				if !ok {
					return
				}
				if even%2 != 0 || !inside(even) || !free(even) || rested[even] > now && ready > 0 {
					t.Fatalf("port %d was given out", even)
				}
				for e, at := range rested {
					if free(e) && at < rested[even] {
						t.Fatalf("pair %d has rested longer than %d", e, even)
					}
				}
				for i := range n {
					bound[even+uint16(i)] = true
				}
			},
			"claim": func(t *rapid.T) {
				port := port.Draw(t, "p")
				if inside(port) {
					bound[port] = true
				}
				p.claim(port)
			},
			"release": func(t *rapid.T) { release(port.Draw(t, "p"), now) },
			"busy": func(t *rapid.T) {
				if even, ok := p.take(2, now); ok {
					rested[even] = now + rest
					p.busy(even, now)
				}
			},
			"wait": func(t *rapid.T) { now += int64(rapid.IntRange(1, 15).Draw(t, "µs")) },
			"": func(t *rapid.T) {
				total, used, available, resting := p.usage(now)
				want := [3]int{}
				for i := range uint16(pairs) {
					switch even := first + 2*i; {
					case !free(even):
						want[0] += 2
					case rested[even] > now:
						want[2] += 2
					default:
						want[1] += 2
					}
				}
				if total != 2*pairs || [3]int{used, available, resting} != want {
					t.Fatalf("usage %d %d %d %d, want %v", total, used, available, resting, want)
				}
			},
		})
	})
}

func TestPortsExclude(t *testing.T) {
	p := newPorts(30000, 30009, 0, 0, inOrder)
	p.exclude(30003, 30004) // touches two pairs
	p.exclude(29000, 29999)
	var got []uint16
	for {
		port, ok := p.take(2, 0)
		if !ok {
			break
		}
		got = append(got, port)
	}
	if want := []uint16{30000, 30006, 30008}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	if total, used, _, _ := p.usage(0); total != 6 || used != 6 {
		t.Fatalf("%d ports in all, %d used; want 6 and 6", total, used)
	}
	p.claim(30003) // a restart finds a call on it
	p.release(30003, 1)
	if port, ok := p.take(1, 5); ok { // not even though nothing else is left
		t.Fatalf("%d was given out", port)
	}
}
