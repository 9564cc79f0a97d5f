package relay

import "math/rand/v2"

// ports hands out the port pairs of one range: the even port for RTP, the odd one after it for RTCP. It is pure: whether a
// port can be bound is tried by the caller, times come as arguments.
//
// Free pairs stand in a queue in the order in which they were freed, so the one at the head has rested longest, and if it
// has not rested long enough then none has but those that need not. The queue starts in random order, which keeps ports from being guessed and
// two programs on one range from trying the same ports in step.
type ports struct {
	first int   // an even port
	rest  int64 // µs

	// pairs[len-1] is the sentinel of a doubly linked ring of the free pairs: its next is the head of the queue. A list,
	// because after a restart pairs are claimed out of the middle.
	pairs []pair
}

type pair struct {
	bound      uint8 // bit 0: the even port, bit 1: the odd one. Invariant: in the queue if and only if 0
	next, prev int32
	free       int64 // µs: may be given out from then on
}

// newPorts manages the pairs from low to high, both included. If skip is not 0, it begins behind so many pairs, from there on in
// random order only within each sixteenth. perm returns a permutation of n numbers, as rand.Perm does.
func newPorts(low, high, skip uint16, rest int64, perm func(n int) []int) *ports {
	first := int(low) + int(low)&1
	n := 0
	if int(high) > first {
		n = (int(high) - first + 1) / 2
	}
	if perm == nil {
		perm = rand.Perm
	}
	p := &ports{first: first, rest: rest, pairs: make([]pair, n+1)}
	p.pairs[n] = pair{next: int32(n), prev: int32(n)}
	part := n
	if skip != 0 {
		part = (n + 15) / 16
	}
	for begin := 0; begin < n; begin += part {
		for _, i := range perm(min(part, n-begin)) {
			p.push(int32((int(skip) + begin + i) % n))
		}
	}
	return p
}

// take gives out n = 1 (the even port; its neighbour stays idle) or 2 ports of a pair, false if all are bound. A pair that has not
// rested is given only if none has: somebody may still send to it, but a call with a few strange packets is better than none.
func (p *ports) take(n int, now int64) (even uint16, ok bool) {
	i := p.longestRested(now)
	if i == p.sentinel() {
		return 0, false
	}
	p.unlink(i)
	p.pairs[i].bound = uint8(1)<<n - 1
	return uint16(p.first + 2*int(i)), true
}

// longestRested is the head of the queue, unless that has not rested and another one need not: a refund, behind it. It is the
// sentinel if the queue is empty.
func (p *ports) longestRested(now int64) int32 {
	end := p.sentinel()
	head := p.pairs[end].next
	for i := head; i != end; i = p.pairs[i].next {
		if p.pairs[i].free <= now {
			return i
		}
	}
	return head
}

// excluded is the bit in pair.bound of a pair that is not to be given out. It is never cleared.
const excluded = 1 << 2

// exclude takes the pairs that a range touches out of the pool.
func (p *ports) exclude(min, max uint16) {
	for port := int(min); port <= int(max); port++ {
		i, bit := p.at(uint16(port))
		if bit == 0 {
			continue
		}
		if p.pairs[i].bound == 0 {
			p.unlink(i)
		}
		p.pairs[i].bound |= excluded
	}
}

// claim marks a port as bound that the caller has bound without asking.
func (p *ports) claim(port uint16) {
	i, bit := p.at(port)
	if bit == 0 {
		return
	}
	if p.pairs[i].bound == 0 {
		p.unlink(i)
	}
	p.pairs[i].bound |= bit
}

// release returns a port at now. Once both ports of its pair are free, the pair rests.
func (p *ports) release(port uint16, now int64) { p.put(port, now+p.rest) }

// refund returns the ports of a pair that take has given out and that were never bound: they need not rest.
func (p *ports) refund(even uint16, now int64) {
	p.put(even, now)
	p.put(even+1, now)
}

// busy returns a pair that take has given out and that somebody else turned out to have bound. It goes to the end of the
// queue and is not tried again before it has rested, unless nothing else is left.
func (p *ports) busy(even uint16, now int64) {
	p.put(even, now+p.rest)
	p.put(even+1, now+p.rest)
}

func (p *ports) put(port uint16, free int64) {
	i, bit := p.at(port)
	pr := &p.pairs[i]
	if pr.bound&bit == 0 {
		return
	}
	if pr.bound &^= bit; pr.bound == 0 {
		pr.free = free
		p.push(i)
	}
}

func (p *ports) push(i int32) {
	end := p.sentinel()
	last := p.pairs[end].prev
	p.pairs[i].prev, p.pairs[i].next = last, end
	p.pairs[last].next, p.pairs[end].prev = i, i
}

func (p *ports) unlink(i int32) {
	pr := &p.pairs[i]
	p.pairs[pr.prev].next, p.pairs[pr.next].prev = pr.next, pr.prev
}

func (p *ports) sentinel() int32 { return int32(len(p.pairs) - 1) }

// at returns the pair of a port and the port's bit in it, which is 0 if the port is not in the range.
func (p *ports) at(port uint16) (i int32, bit uint8) {
	i = int32(int(port)-p.first) >> 1
	if i < 0 || i >= p.sentinel() {
		return p.sentinel(), 0
	}
	return i, 1 << (port & 1)
}

// usage counts ports. It walks the pool.
func (p *ports) usage(now int64) (total, used, free, resting int) {
	for i := range p.pairs[:p.sentinel()] {
		switch pr := &p.pairs[i]; {
		case pr.bound&excluded != 0:
		case pr.bound != 0:
			used += 2
		case pr.free > now:
			resting += 2
		default:
			free += 2
		}
	}
	return used + free + resting, used, free, resting
}
