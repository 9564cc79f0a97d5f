package relay

// moderator decides whether a loop goes straight back to waiting or first lets packets gather, as a network card holds
// back its interrupts. To be woken is the second dearest thing that a packet costs, after being sent. It is pure.
//
// A cycle begins when the loop returns from waiting. If the last cycle brought at least two packets an interval, the loop
// polls until no socket has anything left (so under overload it never sleeps), then sleeps for one interval, then waits.
type moderator struct {
	interval int64 // µs; 0: never gather

	since   int64 // when this cycle began, µs
	packets int64 // in this cycle so far
	polling bool
}

// step is what a loop does once it has served a batch.
type step uint8

const (
	stepWait  step = iota // wait for the next packet
	stepPoll              // look whether there is another one
	stepSleep             // sleep for an interval, then wait
)

// served is told that a look at the sockets, at now, found n of them with packets.
func (m *moderator) served(n int, now int64) step {
	if m.interval == 0 {
		return stepWait
	}
	if m.polling {
		m.packets += int64(n)
		if n > 0 {
			return stepPoll
		}
		m.polling = false
		return stepSleep
	}
	elapsed := max(1, now-m.since)
	m.polling = m.packets*m.interval >= 2*elapsed
	m.since, m.packets = now, int64(n)
	if m.polling {
		return stepPoll
	}
	return stepWait
}

// turns decides when a busy loop ends its turn with the Go scheduler, only to begin the next one. The runtime's monitor
// thread finds fault with a goroutine that has had the same turn for 10 ms: it takes the processor away in the next wait and,
// since it had something to do, looks again every 20 µs for a while. That took a sixth of the relay's CPU time at 20,000
// packets/s. To end a turn costs some 50 µs, for the loop has a thread of its own: too much where hardly anything comes.
type turns struct {
	end     int64 // of this turn, µs
	packets int   // in it so far
}

const (
	turnLength = 8000 // µs; below the 10 ms by more than a loop waits when it is busy
	turnBusy   = 8    // packets in a turn, 1,000 a second
)

// served is told that a look at the sockets, at now, found n of them with packets. It returns true if the turn is to end.
func (t *turns) served(n int, now int64) bool {
	t.packets += n
	if now < t.end {
		return false
	}
	busy := t.packets >= turnBusy
	t.end, t.packets = now+turnLength, 0
	return busy
}
