package cluster

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rtpjet/tests/lab"
)

var floatSchedules = flag.Int("float.schedules", 2, "how many random schedules of faults TestFloatSchedules runs")

// scheduleTime is how long a schedule goes on.
const scheduleTime = 10 * time.Second

// fault is what is wrong with a node.
type fault struct {
	killed bool
	thaw   func()          // it is stopped, and this has it go on; nil: it is not
	cut    map[string]bool // networks
}

func (f *fault) none() bool { return !f.killed && f.thaw == nil && len(f.cut) == 0 }

// schedule is one run of faults.
type schedule struct {
	f      *floating
	r      *rand.Rand
	faults []*fault
	did    []string
	moves  sync.WaitGroup
}

// Nodes are killed, stopped, cut off, started again and told to move floats, at random, with calls that go on. At no time do two
// nodes speak from one address. Once all is well again, all agree, and every call has media both ways.
func TestFloatSchedules(t *testing.T) {
	lab.Only(t, "random faults for most of a minute")
	if testing.Short() {
		t.Skip("it takes its time")
	}
	f := withVoters(t, newSpread(t), 3, floatOne, floatTwo)
	f.args = []string{"--float-settle", "3"} // with the program's own time after which a holder is replaced
	f.carry(f.nodes...)
	f.begin()
	ks := f.placeFloating(8)
	roll := dice(t)
	for i := range *floatSchedules {
		s := &schedule{f: f, r: roll()}
		for range f.nodes {
			s.faults = append(s.faults, &fault{cut: make(map[string]bool)})
		}
		fs := speak(t, ks...)
		s.run()
		s.heal()
		t.Logf("schedule %d: %s", i, strings.Join(s.did, ", "))
		f.agree()
		f.settled()
		fs.more(t, 10)
		fs.end(t, fmt.Sprintf("schedule %d", i))
		f.commands(ks[i%len(ks)])
		rows, err := f.nodes[0].floats()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range f.addrs {
			if turns, epoch := f.w.handovers(a), rows[floatID(a)].Epoch; turns > int(epoch) {
				t.Errorf("%s was announced by another node %d times, and claimed %d times", a, turns, epoch)
			}
		}
		if f.w.faults() > 0 || t.Failed() {
			break
		}
	}
	for _, k := range ks {
		f.ng(k.atA.Addr()).ok(remove(k.id))
	}
	f.idle()
}

// run does one thing after the other until its time is over.
func (s *schedule) run() {
	s.f.t.Helper()
	for end := time.Now().Add(scheduleTime); time.Now().Before(end); {
		i := s.r.IntN(len(s.f.nodes))
		if !s.act(i) {
			continue
		}
		// The pauses are part of the schedule, not a wait for anything: from what nobody notices to a takeover and more.
		time.Sleep(time.Duration(s.r.IntN(700)) * time.Millisecond)
	}
}

// act does something to a node, if it can be done now.
func (s *schedule) act(i int) bool {
	n, now := s.f.nodes[i], s.faults[i]
	note := func(what string) bool {
		s.f.w.note(n.id + " " + what)
		s.did = append(s.did, n.id+" "+what)
		return true
	}
	others := 0 // nodes that are as they should be, without this one
	for j, o := range s.faults {
		if j != i && o.none() {
			others++
		}
	}
	whole := others == len(s.faults)-1
	switch what := s.r.IntN(10); {
	case now.killed:
		note("starts")
		now.killed = false
		n.spawn()
		n.up = false // it answers later
		return true
	case now.thaw != nil:
		note("goes on")
		now.thaw()
		n.up = false
		now.thaw = nil
		return true
	case len(now.cut) > 0 && what < 7:
		note("plugged in")
		s.plug(i)
		return true
	case what < 2 && whole:
		note("killed")
		now.killed = true
		n.kill()
		return true
	case what == 2 && others > 0:
		note("stopped")
		n.pause()
		now.thaw = n.resume
		return true
	case what == 3 && others > 0 && n.keeper() > 0:
		note("frozen")
		now.thaw = s.f.freeze(n)
		return true
	case what == 4 && n.keeper() > 0:
		note("keeper killed")
		_ = syscall.Kill(n.keeper(), syscall.SIGKILL)
		return true
	case what < 8 && others > 0:
		nets := [][]string{{mediaNet}, {natsNet}, {mediaNet, natsNet}}[s.r.IntN(3)]
		note("without " + strings.Join(nets, " and "))
		for _, network := range nets {
			now.cut[network] = true
			s.f.s.pull(network, i+1)
		}
		return true
	case what == 8 && whole:
		network := []string{mediaNet, natsNet}[s.r.IntN(2)]
		note("and all others without " + network)
		for j := range s.f.nodes {
			s.faults[j].cut[network] = true
			s.f.s.pull(network, j+1)
		}
		return true
	case what == 9:
		a := s.f.addrs[s.r.IntN(len(s.f.addrs))]
		note("is to hold " + a.String())
		from := s.f.nodes[s.r.IntN(len(s.f.nodes))]
		s.moves.Go(func() { _, _ = from.tool("float", "move", a.String(), n.id) }) // it may well be impossible
		return true
	}
	return false
}

func (s *schedule) plug(i int) {
	for network := range s.faults[i].cut {
		s.f.s.plug(network, i+1)
	}
	clear(s.faults[i].cut)
}

// heal mends everything and waits until all nodes answer.
func (s *schedule) heal() {
	s.f.t.Helper()
	s.f.w.note("all is mended")
	for i, n := range s.f.nodes {
		now := s.faults[i]
		s.plug(i)
		if now.thaw != nil {
			now.thaw()
		}
		if now.killed {
			n.spawn()
		}
		n.up = true
	}
	for _, n := range s.f.nodes {
		n.ready()
	}
	s.moves.Wait()
}
