package sim

import (
	"bytes"
	"net/netip"
	"slices"
	"sort"

	"rtpjet/events"
	"rtpjet/projection"
)

// eventLog is the stream of calls, and what is true by it: the fold of each subject at the moment of each append.
type eventLog struct {
	w        *world
	entries  []logEntry // entry i has the sequence i+1
	subjects map[string]*subject
	keys     []string // of the subjects, in the order of their first entries
	named    map[netip.AddrPort]string
	caused   map[string][]uint64  // sequences of what a command led to, by its cookie and bytes
	mixed    map[string]bool      // calls of which events were decided without the log, on something else than it has
	twice    map[string]bool      // commands that were carried out without the log
	owners   map[ownership]string // who owned which epoch, by all projections there are
}

type logEntry struct {
	key  string
	prev uint64
	data []byte
	env  events.Envelope // as decoded
	sum  uint64          // of the call after it
	gone bool            // it was retired
	at   int64

	unreadable bool
}

type subject struct {
	seqs   []uint64
	call   projection.Call
	locals []netip.AddrPort
	ports  map[netip.AddrPort]bool // that some event has named

	session *session // of a talk
}

type ownership struct {
	key          string
	first, epoch uint64
}

func (l *eventLog) init(w *world) {
	l.w = w
	l.subjects = map[string]*subject{}
	l.named = map[netip.AddrPort]string{}
	l.caused = map[string][]uint64{}
	l.mixed, l.twice = map[string]bool{}, map[string]bool{}
	l.owners = map[ownership]string{}
}

func (l *eventLog) subject(key string) *subject {
	s := l.subjects[key]
	if s == nil {
		s = &subject{ports: map[netip.AddrPort]bool{}}
		l.subjects[key] = s
	}
	return s
}

func (l *eventLog) entry(seq uint64) *logEntry { return &l.entries[seq-1] }

func (l *eventLog) last(key string) uint64 {
	if s := l.subjects[key]; s != nil && len(s.seqs) > 0 {
		return s.seqs[len(s.seqs)-1]
	}
	return 0
}

// since returns the sequences of a subject's entries after one.
func (l *eventLog) since(key string, after uint64) []uint64 {
	s := l.subjects[key]
	if s == nil {
		return nil
	}
	return s.seqs[sort.Search(len(s.seqs), func(i int) bool { return s.seqs[i] > after }):]
}

// append stores data if the subject ends at expected. ok is false if it does not.
func (l *eventLog) append(by *node, key string, expected uint64, data []byte, fenced bool) (seq uint64, ok bool) {
	if last := l.last(key); fenced && last != expected {
		return 0, false
	} else if !fenced {
		expected = last
	}
	env, err := events.Decode(data)
	if err != nil {
		l.w.fail("an event of %s cannot be read: %v", by.id, err)
		return 0, false
	}
	s := l.subject(key)
	if !slices.Contains(l.keys, key) {
		l.keys = append(l.keys, key)
	}
	l.entries = append(l.entries, logEntry{key: key, prev: expected, data: data, env: env, at: l.w.now})
	seq = uint64(len(l.entries))
	s.seqs = append(s.seqs, seq)
	l.w.stats.events++
	l.w.trace.add(l.w.now, "log", "%d: %s of %s by %s, generation %d", seq, events.KindOf(env.Event), l.w.short(key), env.Node, env.Gen)
	l.w.checkOrphan(by, key, &s.call, env)
	l.w.checkAppended(key, s, seq, env, l.w.checkKept(key, s, seq, data, env))
	s.call.ID = env.Call
	l.w.fold(&s.call, seq, env)
	l.entries[seq-1].sum = summary(&s.call)
	l.name(key, s)
	l.w.checkPorts(key, s)
	l.w.checkSession(key, s, env)
	l.w.checkOwner("the log", key, &s.call)
	for _, n := range l.w.nodes {
		n.wake()
	}
	return seq, true
}

// ours tells whether data is what follows a sequence.
func (l *eventLog) ours(key string, after uint64, data []byte) (seq uint64, ok bool) {
	next := l.since(key, after)
	if len(next) == 0 || !bytes.Equal(l.entry(next[0]).data, data) {
		return 0, false
	}
	return next[0], true
}

// retire removes the entries of an ended call from the stream.
func (l *eventLog) retire(key string, upto uint64) {
	s := l.subject(key)
	for len(s.seqs) > 0 && s.seqs[0] <= upto {
		l.entry(s.seqs[0]).gone = true
		s.seqs = s.seqs[1:]
	}
	l.w.trace.add(l.w.now, "log", "the entries of %s are retired up to %d", l.w.short(key), upto)
}

// name notes which sockets a call names now.
func (l *eventLog) name(key string, s *subject) {
	for _, a := range s.locals {
		if l.named[a] == key {
			delete(l.named, a)
		}
	}
	s.locals = s.call.Locals()
	for _, a := range s.locals {
		if other := l.named[a]; other != "" && !l.w.behind(s.call.Owner) {
			l.w.fail("socket %s is in two live calls, %s and %s", a, l.w.short(key), l.w.short(other))
		}
		l.named[a] = key
		s.ports[a] = true
	}
}
