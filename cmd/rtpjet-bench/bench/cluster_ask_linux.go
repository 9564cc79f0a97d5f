package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// clusterNodes are the nodes under test.
type clusterNodes struct {
	ng    []string
	addrs []netip.Addr // of ng: the media addresses too, where the owner of a call is to be told
}

func parseNodes(list string) (n clusterNodes, err error) {
	for field := range strings.SplitSeq(list, ",") {
		at, err := net.ResolveUDPAddr("udp", strings.TrimSpace(field))
		if err != nil {
			return n, fmt.Errorf("read --ng: %w", err)
		}
		n.ng = append(n.ng, at.String())
		n.addrs = append(n.addrs, at.AddrPort().Addr().Unmap())
	}
	return n, nil
}

// owner returns the node whose address the relay has put into an SDP, -1 if that is no node's.
func (n clusterNodes) owner(media netip.AddrPort) int {
	for i, a := range n.addrs {
		if a == media.Addr() {
			return i
		}
	}
	return -1
}

// CommandTally says what became of the commands of a run.
type CommandTally struct {
	Commands   uint64             `json:"commands"`
	Alternates uint64             `json:"answered_by_alternates"` // by another node than the owner of the call
	Resends    uint64             `json:"resends"`
	NoReply    uint64             `json:"no_reply"`
	Failures   uint64             `json:"failures"` // commands refused or unanswered, and media that did not arrive
	Reasons    map[string]uint64  `json:"reasons,omitempty"`
	First      string             `json:"first_failure,omitempty"`
	WithinS    uint64             `json:"within_1s"` // answered by then, refusals not among them
	Latency    map[string]Latency `json:"latency"`
	LongestUS  float64            `json:"longest_us"`
}

// tally is a CommandTally in the making. Its methods are safe for concurrent use.
type tally struct {
	mu     sync.Mutex
	spread map[string]*histogram
	all    *histogram
	out    CommandTally
}

func newTally() *tally {
	return &tally{spread: map[string]*histogram{}, all: newHistogram(), out: CommandTally{Reasons: map[string]uint64{}, Latency: map[string]Latency{}}}
}

// answered notes a command that was answered as it should.
func (t *tally) answered(command string, took time.Duration, alternate bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out.Commands++
	if alternate {
		t.out.Alternates++
	}
	if took <= time.Second {
		t.out.WithinS++
	}
	t.recordLocked(command, took)
	t.all.record(int64(took))
}

// record notes a time that is not a command's.
func (t *tally) record(what string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recordLocked(what, took)
}

func (t *tally) recordLocked(what string, took time.Duration) {
	h := t.spread[what]
	if h == nil {
		h = newHistogram()
		t.spread[what] = h
	}
	h.record(int64(took))
}

// failed notes what went wrong; command is empty for media.
func (t *tally) failed(command, callID, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if command != "" {
		t.out.Commands++
		why = command + ": " + why
	}
	t.out.Failures++
	if t.out.First == "" {
		t.out.First = callID + ": " + why
	}
	if _, known := t.out.Reasons[why]; known || len(t.out.Reasons) < maxReasons {
		t.out.Reasons[why]++
	}
}

func (t *tally) result() CommandTally {
	t.mu.Lock()
	defer t.mu.Unlock()
	for what, h := range t.spread {
		t.out.Latency[what] = h.summary()
	}
	t.out.LongestUS = float64(t.all.max) / float64(time.Microsecond)
	return t.out
}

// asker is a client of all nodes. It belongs to one goroutine.
type asker struct {
	tally   *tally
	clients []*client
}

func newAsker(n clusterNodes, t *tally) (*asker, error) {
	a := &asker{tally: t}
	for _, addr := range n.ng {
		c, err := dialNG(addr)
		if err != nil {
			a.close()
			return nil, err
		}
		a.clients = append(a.clients, c)
	}
	return a, nil
}

func (a *asker) close() {
	for _, c := range a.clients {
		c.close()
	}
}

// ask sends a command to a node, like Kamailio: the same bytes again each second, five times. It returns false if the
// command was refused or not answered, which the tally then knows. owner is the node that has the call, -1 if there is none.
func (a *asker) ask(ctx context.Context, node, owner int, command, callID string, r request) (ngReply, bool) {
	c := a.clients[node]
	cookie := c.write(r)
	began := time.Now()
	dict, copies, err := c.insist(ctx, cookie)
	took := time.Since(began)
	var reply ngReply
	if err == nil {
		reply, err = c.reader.read(dict)
	}
	a.tally.mu.Lock()
	a.tally.out.Resends += uint64(max(copies-1, 0))
	if errors.Is(err, errNoReply) {
		a.tally.out.NoReply++
	}
	a.tally.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return reply, false // the end of the benchmark is nobody's failure
	case err != nil:
		a.tally.failed(command, callID, err.Error())
	case !reply.ok():
		a.tally.failed(command, callID, reply.why())
	default:
		a.tally.answered(command, took, owner >= 0 && owner != node)
		return reply, true
	}
	return reply, false
}

// insist sends what write has made for a server that may be gone: a refused datagram is like silence. It returns the dictionary
// of the reply, and counts the copies sent.
func (c *client) insist(ctx context.Context, cookie string) (dict []byte, copies int, err error) {
	for range 1 + resends {
		if err := ctx.Err(); err != nil {
			return nil, copies, err
		}
		deadline := time.Now().Add(resendAfter)
		_, _ = c.conn.Write(c.out)
		copies++
		for {
			dict, err = c.receive(cookie, deadline)
			if err == nil || !isNetError(err) {
				return dict, copies, err
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
		}
	}
	return nil, copies, errNoReply
}

// isNetError tells trouble of the network, which may be over, from that of the socket.
func isNetError(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && !errors.Is(err, net.ErrClosed)
}

// askMedia asks for an offer or answer and returns where the reply's SDP has media sent.
func (a *asker) askMedia(ctx context.Context, node, owner int, command string, s signalling) (netip.AddrPort, bool) {
	reply, ok := a.ask(ctx, node, owner, command, s.names.callID, s.request())
	if !ok {
		return netip.AddrPort{}, false
	}
	m, err := readMedia(reply.SDP)
	if err != nil {
		a.tally.failed("", s.names.callID, command+": "+err.Error())
		return netip.AddrPort{}, false
	}
	return m.at, true
}

// use asks all nodes for their statistics.
func (a *asker) use(ctx context.Context) (sum nodeUse, err error) {
	for i, c := range a.clients {
		cookie := c.write(request{Command: "statistics"})
		_, _ = c.conn.Write(c.out)
		if err := c.conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return sum, err
		}
		for {
			n, err := c.conn.Read(c.in)
			if err != nil {
				return sum, fmt.Errorf("ask node %d for its statistics: %w", i+1, err)
			}
			got, dict, ok := splitReply(c.in[:n])
			if !ok || string(got) != cookie {
				continue
			}
			u, err := readStatistics(dict)
			if err != nil {
				return sum, fmt.Errorf("read the statistics of node %d: %w", i+1, err)
			}
			sum.own, sum.ports = sum.own+u.own, sum.ports+u.ports
			break
		}
	}
	return sum, ctx.Err()
}
