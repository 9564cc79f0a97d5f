package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/zeebo/bencode"

	"rtpjet/ngserver/ngtest"
	"rtpjet/tests/lab"
	"rtpjet/tests/oldlogs"
)

// stage is where scenes are played: nodes of one act, and its phones.
type stage struct {
	options
	work   string
	act    int // each has loopback addresses of its own
	nodes  []*node
	phones []*phone
}

// node is one process of rtpjet.
type node struct {
	s    *stage
	id   string
	addr netip.Addr
	dir  string
	more []string // its own options
	args []string // of the command line tool, beside --nats
	proc *lab.Proc
}

// clear ends all processes of an act.
func (s *stage) clear() {
	for _, n := range s.nodes {
		if n.proc != nil {
			n.proc.Kill()
		}
	}
	for _, p := range s.phones {
		_ = p.conn.Close()
	}
	s.nodes, s.phones = nil, nil
}

// addr is an address of the act's own.
func (s *stage) addr(last int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 77, byte(s.act), byte(last)})
}

// add makes a node; more are options.
func (s *stage) add(id string, last int, more ...string) *node {
	n := &node{s: s, id: id, addr: s.addr(last), more: more}
	n.dir = filepath.Join(s.work, fmt.Sprintf("%d-%d", s.act, last))
	must(os.MkdirAll(n.dir, 0o755))
	s.nodes = append(s.nodes, n)
	return n
}

func (n *node) at(port uint16) string { return netip.AddrPortFrom(n.addr, port).String() }

// start starts the process and waits until it answers.
func (n *node) start() {
	n.launch()
	n.ready()
}

func (n *node) launch() {
	args := []string{
		n.s.program, "serve", "--config-file", "none", "--foreground", "--log-stderr", "--node-id", n.id, "--interface", n.addr.String(),
		"--listen-ng", n.at(2223), "--nats-listen", n.at(4222), "--data-dir", filepath.Join(n.dir, "data"),
	}
	p, err := lab.Start(nil, filepath.Join(n.dir, "log"), append(args, n.more...)...)
	must(err)
	n.proc = p
}

func (n *node) ready() {
	poll(n.id+" does not answer", time.Minute, func() error {
		r, err := n.try(dict{"command": "ping"})
		if err == nil && r["result"] != "pong" {
			err = fmt.Errorf("%v", r)
		}
		return err
	})
}

type dict = map[string]any

// try sends a command, as often as a proxy does.
func (n *node) try(req dict) (dict, error) {
	payload, err := bencode.EncodeBytes(req)
	if err != nil {
		return nil, err
	}
	c, err := ngtest.Dial(n.at(2223))
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	c.Timeout = time.Second
	cookie := ngtest.NextCookie()
	for range 6 {
		var raw []byte
		if err = c.Send(cookie, payload); err == nil {
			raw, err = c.Receive(cookie)
		}
		var timeout net.Error
		if err == nil {
			return ngtest.Decode(raw)
		}
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			return nil, err
		}
	}
	return nil, err
}

// do sends a command that must succeed.
func (n *node) do(parts ...dict) dict {
	req := dict{}
	for _, p := range parts {
		for k, v := range p {
			req[k] = v
		}
	}
	r, err := n.try(req)
	if err == nil && r["result"] != "ok" {
		err = fmt.Errorf("%v", r)
	}
	if err != nil {
		must(fmt.Errorf("%v of %v at %s: %w", req["command"], req["call-id"], n.id, err))
	}
	return r
}

// tool runs the command line tool against the node.
func (n *node) tool(args ...string) (string, error) {
	args = append(append(args, "--nats", "nats://"+n.at(4222)), n.args...)
	out, err := exec.Command(n.s.program, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// raw are all entries of the live stream.
func (n *node) raw() []oldlogs.Entry {
	nc, err := nats.Connect("nats://" + n.at(4222))
	must(err)
	defer nc.Close()
	js, err := nc.JetStream()
	must(err)
	info, err := js.StreamInfo("CALLS_default")
	must(err)
	var out []oldlogs.Entry
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		m, err := js.GetMsg("CALLS_default", seq)
		if errors.Is(err, nats.ErrMsgNotFound) {
			continue // retired
		}
		must(err)
		out = append(out, oldlogs.Entry{Seq: m.Sequence, Stored: m.Time.UnixMicro(), Subject: m.Subject, Data: m.Data})
	}
	return out
}

// live are the call-ids of the log that live, with their owners.
func (n *node) live() map[string]string {
	out, err := n.tool("call", "list", "--json")
	must(err)
	var calls []struct{ ID, Owner string }
	must(json.Unmarshal([]byte(out), &calls))
	by := map[string]string{}
	for _, c := range calls {
		by[c.ID] = c.Owner
	}
	return by
}

// gone waits until none of the calls lives.
func (n *node) gone(patience time.Duration, ids ...string) {
	poll(fmt.Sprintf("%v do not end", ids), patience, func() error {
		live := n.live()
		for _, id := range ids {
			if _, ok := live[id]; ok {
				return fmt.Errorf("%s lives", id)
			}
		}
		return nil
	})
}

// writeEntries writes the entries of the live stream into the corpus, and keys that seal them.
func (n *node) writeEntries(name string, keys ...string) {
	n.s.write(name+".jsonl", oldlogs.AppendEntries(nil, n.raw()))
	n.s.keepKey(name, keys...)
}

func (s *stage) keepKey(name string, keys ...string) {
	if len(keys) > 0 {
		s.write(name+".key", []byte(strings.Join(keys, "\n")+"\n"))
	}
}

func (s *stage) write(name string, data []byte) {
	must(os.WriteFile(filepath.Join(s.out, name), data, 0o644))
}

// export writes bundles of calls into the corpus: sealed, or without their keys.
func (n *node) export(name string, sealed bool, ids ...string) {
	slices.Sort(ids)
	for i, id := range ids {
		args := []string{"call", "export", id, "-o", filepath.Join(n.s.out, "bundles", fmt.Sprintf("%s-%02d.rtpjet", name, i+1))}
		if sealed {
			args = append(args, "--sealed")
		}
		_, err := n.tool(args...)
		must(err)
	}
}
