package embed

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

func newArchiver(last uint64) *archiver {
	a := &archiver{l: &Log{cfg: Config{Region: "r"}}, open: make(map[string][]byte), last: last, wake: make(chan struct{}, 1)}
	a.room = sync.NewCond(&a.mu)
	return a
}

// TestArchiverOffer: an entry from a follower counts if nothing is missing before it and there is room.
func TestArchiverOffer(t *testing.T) {
	for _, c := range []struct {
		name      string
		prev, seq uint64
		bytes     int
		last      uint64
		missed    bool
	}{
		{"the next one", 7, 8, 0, 8, false},
		{"the next one after a removed one", 7, 12, 0, 12, false},
		{"of a follower that lags", 5, 8, 0, 8, false},
		{"known", 6, 7, 0, 7, false},
		{"after one that was missed", 8, 9, 0, 7, true},
		{"no room", 7, 8, 2 * archiveMaxRound, 7, true},
		{"room for one more", 7, 8, 2*archiveMaxRound - 1, 8, false},
	} {
		a := newArchiver(7)
		a.bytes = c.bytes
		a.offer(c.prev, Entry{Seq: c.seq, Key: "k", Data: []byte("x")})
		if a.last != c.last || a.missed != c.missed || (len(a.open) > 0) != (c.last > 7) {
			t.Errorf("%s: up to %d, missed %v, %d parts", c.name, a.last, a.missed, len(a.open))
		}
	}
}

// TestArchiverRound: a round has each entry once, in messages that are not too large, and its buffers are used again.
func TestArchiverRound(t *testing.T) {
	a := newArchiver(0)
	data := make([]byte, archiveMaxBatch/3)
	for seq := uint64(1); seq <= 4; seq++ {
		a.add(Entry{Seq: seq, Key: "big", Data: data, Time: time.Unix(int64(seq), 0)})
	}
	a.add(Entry{Seq: 5, Key: "small", Data: []byte("x")})
	a.add(Entry{Seq: 5, Key: "small", Data: []byte("again")})
	msgs, last := a.take()
	got := make(map[string][]uint64)
	for _, m := range msgs {
		if len(m.Data) > archiveMaxBatch {
			t.Errorf("a message of %d bytes", len(m.Data))
		}
		if err := eachArchived(m.Data, func(e Entry) { got[e.Key] = append(got[e.Key], e.Seq) }); err != nil {
			t.Error(err)
		}
	}
	if fmt.Sprint(got) != "map[big:[1 2 3 4] small:[5]]" || last != 5 || len(msgs) != 3 {
		t.Errorf("%v in %d messages, up to %d", got, len(msgs), last)
	}
	if msgs, last := a.take(); len(msgs) != 0 || last != 5 || a.bytes != 0 {
		t.Errorf("taken twice: %d messages up to %d, %d bytes", len(msgs), last, a.bytes)
	}
	a.recycle(msgs)
	a.add(Entry{Seq: 6, Key: "big", Data: []byte("y")})
	if again, _ := a.take(); len(a.spare) != len(msgs)-1 || eachArchived(again[0].Data, func(e Entry) {
		if e.Seq != 6 {
			t.Errorf("an entry of the round before: %d", e.Seq)
		}
	}) != nil {
		t.Errorf("%d buffers of %d are left", len(a.spare), len(msgs))
	}
}

// TestArchiverWaitsForRoom: who reads for the archiver waits while a whole round is there, until that is taken or all ends.
func TestArchiverWaitsForRoom(t *testing.T) {
	for _, taken := range []bool{true, false} {
		a := newArchiver(0)
		a.bytes = archiveMaxRound
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.add(Entry{Seq: 1, Key: "k", Data: []byte("x")})
		}()
		if taken {
			a.take()
		} else {
			a.mu.Lock()
			a.ended = true
			a.room.Broadcast()
			a.mu.Unlock()
		}
		<-done
		if (a.last == 1) != taken {
			t.Errorf("taken %v: up to %d", taken, a.last)
		}
	}
}

// TestPosition: who waits for the archive is woken by each change, and a position of which nothing is known is none.
func TestPosition(t *testing.T) {
	var p position
	_, known, change := p.get()
	if known {
		t.Error("known from the start")
	}
	p.set(7)
	<-change
	seq, known, change := p.get()
	if seq != 7 || !known {
		t.Errorf("%d, %v", seq, known)
	}
	p.forget()
	if _, known, same := p.get(); known || same != change {
		t.Error("to forget a position is a change of it")
	}
	select {
	case <-change:
		t.Error("told of a change before there was one")
	default:
	}
}
