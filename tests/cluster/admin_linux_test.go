package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/embed"
)

// streams are all that there should be copies of.
var streams = []string{callsStream, "ARCHIVE_default", "ARCHIVEX_default", "KV_" + leasesBucket}

// The names of what the region keeps in NATS.
const (
	callsStream  = "CALLS_default"
	leasesBucket = "LEASES_default"
	callsPrefix  = "calls.default."
)

// tool runs the program beside a node, as its operator does.
func (n *node) tool(args ...string) (stdout string, err error) {
	if n.key != "" {
		args = append(args, "--cluster-key-file", n.key)
	}
	return n.run(append(args, "--nats", n.url())...)
}

// run runs the program where a node is, to its end.
func (n *node) run(args ...string) (stdout string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	args = append([]string{program(n.c.t)}, args...)
	if s := n.where.side; s != nil {
		args = append([]string{"nsenter", "--net=/run/netns/" + s.Name, "--"}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var out, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &fault
	if err := cmd.Run(); err != nil {
		return out.String(), &toolError{err, strings.TrimSpace(fault.String())}
	}
	return out.String(), nil
}

type toolError struct {
	err    error
	stderr string
}

func (e *toolError) Error() string { return e.err.Error() + ": " + e.stderr }
func (e *toolError) Unwrap() error { return e.err }

// row is a node in the output of rtpjet node list --json.
type row struct {
	Node    string `json:"node"`
	Epoch   uint64 `json:"epoch"`
	State   string `json:"state"`
	Verdict string `json:"verdict"`
	Zone    string `json:"zone"`
	Status  *struct {
		Epoch      uint64 `json:"epoch"`
		Draining   bool   `json:"draining"`
		Own        int    `json:"own"`
		Foreign    int    `json:"foreign"`
		Followed   uint64 `json:"followed"`
		Unreadable int    `json:"unreadable"`
		Held       int    `json:"held"`
		Peers      []struct {
			Node    string
			Verdict int
		} `json:"peers"`
	} `json:"status"`
}

// list is what a node's operator sees of the cluster.
func (n *node) list() (map[string]row, error) {
	out, err := n.tool("node", "list", "--json")
	if err != nil {
		return nil, err
	}
	var rows []row
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		return nil, fmt.Errorf("%w in %s", err, out)
	}
	byID := make(map[string]row)
	for _, r := range rows {
		byID[r.Node] = r
	}
	return byID, nil
}

// agree waits until the running nodes see each other alive and know of the same number of calls. It is for a cluster in which no
// call begins or ends: the counts of several nodes are those of several moments.
func (c *cluster) agree() { c.see(true) }

// acquainted waits until the running nodes see each other alive.
func (c *cluster) acquainted() { c.see(false) }

func (c *cluster) see(sameCalls bool) {
	c.t.Helper()
	up := c.running()
	eventually(c.t, "the nodes do not agree", func() error {
		known := -1
		for _, n := range up {
			rows, err := n.list()
			if err != nil {
				return err
			}
			for _, m := range up {
				r, ok := rows[m.id]
				if !ok || r.Verdict != "alive" || r.Status == nil {
					return fmt.Errorf("%s says of %s: %+v", n.id, m.id, r)
				}
				for _, p := range r.Status.Peers {
					if q := c.byID(p.Node); q != nil && q.up && p.Verdict != 0 {
						return fmt.Errorf("%s judges %s %d", m.id, p.Node, p.Verdict)
					}
				}
				if !sameCalls {
					continue
				}
				if r.Status.Held > 0 {
					return fmt.Errorf("%s holds reservations: %+v", m.id, r.Status)
				}
				if sum := r.Status.Own + r.Status.Foreign; known < 0 {
					known = sum
				} else if sum != known {
					return fmt.Errorf("%s knows %d calls, another one %d", m.id, sum, known)
				}
			}
		}
		return nil
	})
}

// level is agree for a cluster in which nothing goes on: all nodes have followed the log to the same event. The same number of
// calls may be another set.
func (c *cluster) level() {
	c.t.Helper()
	c.agree()
	eventually(c.t, "the nodes have not followed the log to the same event", func() error {
		rows, err := c.running()[0].list()
		if err != nil {
			return err
		}
		followed := make(map[uint64]string)
		for id, r := range rows {
			if r.Status != nil {
				followed[r.Status.Followed] = id
			}
		}
		if len(followed) != 1 {
			return fmt.Errorf("%v", followed)
		}
		return nil
	})
}

// shown is the output of rtpjet call show --json.
type shown struct {
	Call struct {
		ID, Owner string
		Epoch     uint64
		Gen       uint64
		Ended     bool
	} `json:"call"`
	Events []struct {
		Seq    uint64    `json:"seq"`
		At     time.Time `json:"at"`
		Node   string    `json:"node"`
		Kind   string    `json:"kind"`
		Cookie string    `json:"cookie"`
	} `json:"events"`
}

// ask reads what the log has of a call, if there is one at the moment.
func (n *node) ask(id string) (s shown, err error) {
	out, err := n.tool("call", "show", "--json", id)
	if err == nil {
		err = json.Unmarshal([]byte(out), &s)
	}
	return s, err
}

func (n *node) show(id string) shown {
	n.c.t.Helper()
	s, err := n.ask(id)
	if err != nil {
		n.c.t.Fatal(err)
	}
	return s
}

// kinds counts the events of a call by what they are.
func (s shown) kinds() map[string]int {
	m := make(map[string]int)
	for _, e := range s.Events {
		m[e.Kind]++
	}
	return m
}

// use is what a node's statistics say.
type use struct{ own, foreign, ports, streams int64 }

func (n *node) use() (u use, err error) {
	r, err := n.good(dict{"command": "statistics"})
	if err != nil {
		return u, err
	}
	s := r.dict["statistics"]
	u.own, _ = dig(s, "currentstatistics", "sessionsown").(int64)
	u.foreign, _ = dig(s, "currentstatistics", "sessionsforeign").(int64)
	u.streams, _ = dig(s, "currentstatistics", "media_userspace").(int64)
	var ok bool
	if u.ports, ok = dig(s, "interfaces", 0, "ports", "used").(int64); !ok {
		return u, fmt.Errorf("no port usage in %v", s)
	}
	return u, nil
}

// idle waits until no running node has a call or a port, and none waits for the log to say what became of one.
func (c *cluster) idle() {
	c.t.Helper()
	eventually(c.t, "calls or ports are left", func() error {
		var errs []error
		for _, n := range c.running() {
			u, err := n.use()
			if err != nil {
				return err
			}
			if u != (use{}) {
				errs = append(errs, fmt.Errorf("%s: %+v", n.id, u))
			}
		}
		return errors.Join(errs...)
	})
	c.agree()
}

// nats connects to a node's NATS as a stranger.
func (n *node) nats() *nats.Conn {
	n.c.t.Helper()
	if n.key != "" {
		key, err := os.ReadFile(n.key)
		if err != nil {
			n.c.t.Fatal(err)
		}
		nc, err := embed.Connect(n.c.t.Context(), "test", []string{n.url()}, embed.Credentials{ClusterKey: bytes.TrimSpace(key)})
		if err != nil {
			n.c.t.Fatal(err)
		}
		n.c.t.Cleanup(nc.Close)
		return nc
	}
	nc, err := nats.Connect(n.url(), nats.SetCustomDialer(dialer(n.where)), nats.Timeout(5*time.Second), nats.IgnoreDiscoveredServers())
	if err != nil {
		n.c.t.Fatal(err)
	}
	n.c.t.Cleanup(nc.Close)
	return nc
}

// dialer opens connections where a node is.
type dialer where

func (d dialer) Dial(network, address string) (conn net.Conn, err error) {
	err = d.do(func() error { conn, err = net.DialTimeout(network, address, 5*time.Second); return err })
	return conn, err
}

// leader is the node whose NATS leads a stream.
func (c *cluster) leader(stream string) *node {
	c.t.Helper()
	js, err := jetstream.New(c.running()[0].nats())
	if err != nil {
		c.t.Fatal(err)
	}
	var lead *node
	eventually(c.t, "nobody leads "+stream, func() error {
		s, err := js.Stream(context.Background(), stream)
		if err != nil {
			return err
		}
		info, err := s.Info(context.Background())
		if err != nil {
			return err
		}
		if info.Cluster == nil || info.Cluster.Leader == "" {
			return errors.New("no leader")
		}
		for _, n := range c.running() {
			if strings.HasSuffix(info.Cluster.Leader, n.id) {
				lead = n
				return nil
			}
		}
		return fmt.Errorf("the leader %q is no node", info.Cluster.Leader)
	})
	return lead
}

// replicas waits until a stream has so many copies, all up to date.
func (c *cluster) replicas(stream string, want int) {
	c.t.Helper()
	js, err := jetstream.New(c.running()[0].nats())
	if err != nil {
		c.t.Fatal(err)
	}
	eventually(c.t, "copies of "+stream, func() error {
		s, err := js.Stream(context.Background(), stream)
		if err != nil {
			return err
		}
		info, err := s.Info(context.Background())
		switch {
		case err != nil:
			return err
		case info.Config.Replicas != want:
			return fmt.Errorf("%d copies, want %d", info.Config.Replicas, want)
		case info.Cluster == nil || len(info.Cluster.Replicas) != want-1:
			return fmt.Errorf("cluster %+v", info.Cluster)
		}
		for _, r := range info.Cluster.Replicas {
			if !r.Current || r.Offline {
				return fmt.Errorf("copy %+v", r)
			}
		}
		return nil
	})
}
