package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// floating is a cluster with floating addresses. Its nodes are in namespaces, and everything that is sent from a floating
// address is watched.
type floating struct {
	*cluster
	s     *spread
	w     *watch
	addrs []netip.Addr              // the first address of each float, which names it
	more  map[netip.Addr]netip.Addr // their other addresses, and the first one of their float
}

// The floats of most tests.
var (
	floatOne = onNet(mediaNet, 100)
	floatTwo = onNet(mediaNet, 101)
)

func floatArg(name, network string, a netip.Addr) []string {
	bits := 24
	if a.Is6() {
		bits = 64
	}
	return []string{"--float", fmt.Sprintf("%s/%s/%d@%s", name, a, bits, network)}
}

// withFloats makes a cluster with these floating addresses and does not start it.
func withFloats(t *testing.T, s *spread, size int, addrs ...netip.Addr) *floating {
	t.Helper()
	f := withVoters(t, s, size, addrs...)
	f.carry(f.nodes...)
	return f
}

// withVoters is withFloats for nodes that only vote.
func withVoters(t *testing.T, s *spread, size int, addrs ...netip.Addr) *floating {
	t.Helper()
	f := &floating{cluster: assemble(t, s, size, "--float-timeout", fmt.Sprint(floatTimeout.Milliseconds())), s: s, addrs: addrs}
	return f
}

// carry has nodes be able to hold the floats.
func (f *floating) carry(nodes ...*node) {
	for _, n := range nodes {
		for _, a := range f.addrs {
			n.args = append(n.args, floatArg("default", mediaNet, a)...)
		}
		n.args = append(n.args, "--listen-ng", "float:default:2223")
	}
}

// floatTimeout is what a test waits for a silent holder: on a machine that does other things too, one that is heard 60 ms late
// is nothing strange. The random schedules keep to the program's own.
const floatTimeout = 400 * time.Millisecond

// startFloats starts a cluster with these floating addresses and waits until all of them are held.
func startFloats(t *testing.T, size int, addrs ...netip.Addr) *floating {
	t.Helper()
	f := withFloats(t, newSpread(t), size, addrs...)
	f.begin()
	return f
}

// begin starts all nodes.
func (f *floating) begin() {
	f.t.Helper()
	f.w = newWatch(f)
	f.launch()
	f.settled()
}

// ng stands for whoever answers NG commands on a floating address.
func (f *floating) ng(a netip.Addr) *node {
	return &node{c: f.cluster, id: "float", where: where{media: a, do: f.s.do}}
}

// floatRow is a float in the output of rtpjet float list --json.
type floatRow struct {
	Float, Holder, Successor string
	Epoch                    uint64
	Holding                  bool
	Calls                    int
	Moves                    string
	Warm                     []string
	Seen                     map[string]string
}

// floats is what a node's operator sees of the floating addresses.
func (n *node) floats() (map[string]floatRow, error) {
	out, err := n.tool("float", "list", "--json")
	if err != nil {
		return nil, err
	}
	var rows []floatRow
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		return nil, fmt.Errorf("%w in %s", err, out)
	}
	byID := make(map[string]floatRow)
	for _, r := range rows {
		byID[r.Float] = r
	}
	return byID, nil
}

// id is the name of a float.
func floatID(a netip.Addr) string { return strings.ReplaceAll(a.String(), ":", "_") }

// settled waits until all running nodes agree who holds each float, and until it has a successor that is ready, if there is
// anybody for that. It returns the holders in the order of f.addrs.
func (f *floating) settled() []*node {
	f.t.Helper()
	var holders []*node
	eventually(f.t, "the floats have no holder that all agree on", func() error {
		holders = holders[:0]
		var first map[string]floatRow
		for _, n := range f.running() {
			rows, err := n.floats()
			if err != nil {
				return err
			}
			if first == nil {
				first = rows
			}
			for _, a := range f.addrs {
				r, ok := rows[floatID(a)]
				h := f.byID(r.Holder)
				switch {
				case !ok || !r.Holding || r.Seen != nil || r.Moves != "" || h == nil || !h.up:
					return fmt.Errorf("%s says %+v", n.id, r)
				case r.Holder != first[floatID(a)].Holder:
					return fmt.Errorf("%s says %+v, another node %+v", n.id, r, first[floatID(a)])
				case len(f.carriers()) > 1 && (!slices.Contains(r.Warm, r.Successor) || r.Successor == r.Holder):
					return fmt.Errorf("%s says that the successor is not ready: %+v", n.id, r)
				}
			}
		}
		for _, a := range f.addrs {
			holders = append(holders, f.byID(first[floatID(a)].Holder))
		}
		return nil
	})
	for i, a := range f.addrs {
		eventually(f.t, "the address is not where it should be", func() error { return f.onlyOn(a, holders[i]) })
	}
	return holders
}

// carriers are the running nodes that can hold a float.
func (f *floating) carriers() []*node {
	return slices.DeleteFunc(f.running(), func(n *node) bool { return !slices.Contains(n.args, "--float") })
}

// onlyOn tells whether an address is on the device of one node and of no other one.
func (f *floating) onlyOn(a netip.Addr, holder *node) error {
	for i, n := range f.nodes {
		has, err := f.s.has(i+1, a)
		if err != nil {
			return err
		}
		if has != (n == holder) {
			return fmt.Errorf("%s on the machine of %s: %v, and %s holds it", a, n.id, has, holder.id)
		}
	}
	return nil
}

// moved waits until another node than before has said that a float's address is now there, and returns it.
func (f *floating) moved(a netip.Addr, before *node) *node {
	f.t.Helper()
	var now *node
	eventually(f.t, fmt.Sprintf("%s does not move from %s", a, before.id), func() error {
		if now = f.w.holder(a); now == nil || now == before {
			return errors.New("it is still there")
		}
		return nil
	})
	return now
}

// number is the place of a node.
func (f *floating) number(n *node) int { return slices.Index(f.nodes, n) + 1 }

// successor is who is to follow the holder of a float.
func (f *floating) successor(a netip.Addr) *node {
	f.t.Helper()
	rows, err := f.running()[0].floats()
	if err != nil {
		f.t.Fatal(err)
	}
	return f.byID(rows[floatID(a)].Successor)
}

// move has the operator move a float, and waits until all agree.
func (f *floating) move(a netip.Addr, to *node) {
	f.t.Helper()
	eventually(f.t, "the float cannot be moved", func() error { // a node that has just started may not be able to hold it yet
		_, err := f.running()[0].tool("float", "move", a.String(), to.id)
		return err
	})
	for i, n := range f.settled() {
		if f.addrs[i] == a && n != to {
			f.t.Fatalf("%s moved to %s, and was to move to %s", a, n.id, to.id)
		}
	}
}

// keeper is the process beside a node, 0 if there is none.
func (n *node) keeper() int {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", n.proc.PID))
	for _, name := range files {
		b, _ := os.ReadFile(name) // a thread may have ended
		for _, s := range strings.Fields(string(b)) {
			pid, _ := strconv.Atoi(s)
			if line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); strings.Contains(string(line), "\x00keeper\x00") {
				return pid
			}
		}
	}
	return 0
}

// freeze stops a node and its keeper at once, as a host that is frozen. It returns what thaws them.
func (f *floating) freeze(n *node) (thaw func()) {
	f.t.Helper()
	keeper := n.keeper()
	if keeper == 0 {
		f.t.Fatalf("%s has no keeper", n.id)
	}
	if err := syscall.Kill(keeper, syscall.SIGSTOP); err != nil {
		f.t.Fatal(err)
	}
	n.pause()
	thawed := false
	thaw = func() {
		if !thawed {
			thawed = true
			n.resume() // the node first: nobody takes the address away before it goes on
			_ = syscall.Kill(keeper, syscall.SIGCONT)
		}
	}
	f.t.Cleanup(func() {
		if !thawed { // a keeper that is stopped does not notice the end of its node
			_ = syscall.Kill(keeper, syscall.SIGKILL)
		}
	})
	return thaw
}
