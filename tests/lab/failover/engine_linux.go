package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"text/template"
	"time"

	"rtpjet/tests/lab"
)

//go:embed keepalived.conf.tmpl
var keepalivedTemplate string

//go:embed supervise.sh
var superviseScript []byte

// engineShape is one way to run rtpengine, Redis and keepalived together. What the
// tables show is the best of engineShapes, bestEngine; docs/measurements.md has more.
type engineShape struct {
	// cold starts rtpengine when its node becomes master, and has it read the calls
	// from Redis then. Otherwise it runs on all nodes and is told of each call by
	// Redis' keyspace notifications, with its sockets open on the address that it
	// does not have yet (net.ipv4.ip_nonlocal_bind).
	cold bool
	// keyspaces gives each node a Redis database of its own, which the others are
	// subscribed to. Otherwise all share one.
	keyspaces bool
	// switchover has rtpengine take control of a call when its first packet comes
	// (--active-switchover); otherwise keepalived's notify script says it.
	switchover bool
	advert     string // seconds between adverts
	down       int    // adverts that must be missing
}

var engineShapes = map[string]engineShape{
	"hot":      {keyspaces: true, switchover: true, advert: "0.01", down: 3},
	"hot-slow": {keyspaces: true, switchover: true, advert: "0.1", down: 3},
	"hot-cli":  {keyspaces: true, advert: "0.01", down: 3},
	"shared":   {switchover: true, advert: "0.01", down: 3},
	"cold":     {cold: true, advert: "0.01", down: 3},
}

// engines is Debian's rtpengine with Redis and keepalived.
type engines struct {
	*world
	engineShape
	redis *lab.Redis
	vrrp  []*lab.Proc
	relay []*lab.Proc // supervise.sh, with rtpengine below it
}

func newEngines(w *world, shape engineShape) *engines {
	return &engines{world: w, engineShape: shape, vrrp: make([]*lab.Proc, len(w.nodes)), relay: make([]*lab.Proc, len(w.nodes))}
}

func (e *engines) file(node int, name string) string {
	return filepath.Join(e.dir, fmt.Sprintf("n%d-%s", node+1, name))
}

func (e *engines) start(ctx context.Context) error {
	if err := os.WriteFile(filepath.Join(e.dir, "supervise.sh"), superviseScript, 0o755); err != nil {
		return fmt.Errorf("write the scripts: %w", err)
	}
	if err := e.storeUp(ctx); err != nil {
		return err
	}
	for i, n := range e.nodes {
		if err := n.Sysctl("net.ipv4.ip_nonlocal_bind", "1"); err != nil {
			return err
		}
		if err := e.scripts(i); err != nil {
			return err
		}
		if !e.cold {
			if err := e.startRelay(ctx, i); err != nil {
				return err
			}
		}
	}
	for i := range e.nodes {
		if err := e.startVRRP(i); err != nil {
			return err
		}
		if i == 0 {
			if err := e.hasFloat(ctx, 0); err != nil {
				return err
			}
		}
	}
	ng := netip.AddrPortFrom(e.float, ngPort)
	return eventually(ctx, 10*time.Second, func() (bool, error) {
		return e.client.Do(func() error { return lab.PingNG(ng) }) == nil, nil
	})
}

// hasFloat waits until a node has the floating address.
func (e *engines) hasFloat(ctx context.Context, node int) error {
	err := eventually(ctx, 10*time.Second, func() (bool, error) { return e.nodes[node].Has(e.float) })
	if err != nil {
		return fmt.Errorf("wait for %s on n%d: %w; keepalived last said:\n%s", e.float, node+1, err, e.vrrp[node].LastLines())
	}
	return nil
}

// database returns the number of the Redis database that a node writes to.
func (e *engines) database(node int) int {
	if e.keyspaces {
		return 1 + node
	}
	return 1
}

// relayArgs is rtpengine's command line on a node.
func (e *engines) relayArgs(node int) []string {
	args := []string{
		filepath.Join(e.dir, "supervise.sh"), e.file(node, "relay"),
		"rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--log-level=3", "--table=-1",
		"--interface=main/" + e.float.String(), "--listen-ng=" + netip.AddrPortFrom(e.float, ngPort).String(),
		"--listen-cli=127.0.0.1:9900", "--port-min=10000", "--port-max=59999", "--priority=-10",
		// Its threads serve packets and commands alike, and a command waits for Redis.
		"--num-threads=8",
		fmt.Sprintf("--redis=%s/%d", e.redis.Addr, e.database(node)),
		// Redis may be away, at the start and later; the media must not wait for it.
		"--no-redis-required", "--redis-allowed-errors=0", "--redis-disable-time=1", "--redis-cmd-timeout=200", "--redis-connect-timeout=200",
	}
	if e.cold {
		return args
	}
	if e.switchover {
		args = append(args, "--active-switchover")
	}
	for other := range e.nodes {
		if other != node || !e.keyspaces {
			args = append(args, fmt.Sprintf("--subscribe-keyspace=%d", e.database(other)))
		}
		if !e.keyspaces {
			break
		}
	}
	return args
}

// scripts writes what keepalived calls when the node becomes master.
func (e *engines) scripts(node int) error {
	line := ""
	switch {
	case e.cold:
		line = "exec setsid"
		for _, a := range e.relayArgs(node) {
			line += " '" + a + "'"
		}
		line += fmt.Sprintf(" >>'%s' 2>&1 &", e.file(node, "rtpengine.log"))
	case !e.switchover:
		// The calls of the other keyspaces become this node's own.
		line = "rtpengine-ctl -ip 127.0.0.1:9900 active"
	}
	if line == "" {
		return nil
	}
	if err := os.WriteFile(e.file(node, "relay"), []byte("0\n"), 0o644); err != nil {
		return fmt.Errorf("write the scripts: %w", err)
	}
	if err := os.WriteFile(e.file(node, "master.sh"), []byte("#!/bin/sh\n"+line+"\n"), 0o755); err != nil {
		return fmt.Errorf("write the scripts: %w", err)
	}
	return nil
}

// startRelay starts rtpengine on a node and waits until it has read its calls.
func (e *engines) startRelay(ctx context.Context, node int) error {
	p, err := lab.Start(&e.nodes[node].Side, e.file(node, "rtpengine.log"), e.relayArgs(node)...)
	if err != nil {
		return err
	}
	e.relay[node] = p
	// Its CLI answers when all is read.
	err = eventually(ctx, 20*time.Second, func() (bool, error) {
		select {
		case <-p.Ended():
			return false, errors.New("it ended")
		default:
		}
		return e.nodes[node].Do(func() error { return dialTCP("127.0.0.1:9900") }) == nil, nil
	})
	if err != nil {
		return fmt.Errorf("start rtpengine on n%d: %w; it last said:\n%s", node+1, err, p.LastLines())
	}
	return nil
}

// startVRRP starts keepalived on a node.
func (e *engines) startVRRP(node int) error {
	t, err := template.New("keepalived.conf").Parse(keepalivedTemplate)
	if err != nil {
		return fmt.Errorf("read keepalived's configuration: %w", err)
	}
	var peers []netip.Addr
	for i, n := range e.nodes {
		if i != node {
			peers = append(peers, n.Addr)
		}
	}
	master := ""
	if e.cold || !e.switchover {
		master = e.file(node, "master.sh")
	}
	var conf bytes.Buffer
	err = t.Execute(&conf, map[string]any{
		"Name": fmt.Sprintf("n%d", node+1), "Track": e.file(node, "relay"), "Priority": 254 - node, "Advert": e.advert, "Down": e.down,
		"Addr": e.nodes[node].Addr, "Peers": peers, "Float": e.float, "Master": master, "Realtime": true,
	})
	if err != nil {
		return fmt.Errorf("write keepalived's configuration: %w", err)
	}
	file := e.file(node, "keepalived.conf")
	if err := os.WriteFile(file, conf.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write keepalived's configuration: %w", err)
	}
	e.vrrp[node], err = lab.Start(&e.nodes[node].Side, e.file(node, "keepalived.log"), "keepalived", "--use-file="+file, "--dont-fork",
		"--log-console", "--no-syslog", "--vrrp", "--pid="+e.file(node, "keepalived.pid"), "--vrrp_pid="+e.file(node, "vrrp.pid"))
	return err
}

func (e *engines) pid(node int) int {
	b, err := os.ReadFile(e.file(node, "relay.pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(b)))
	if err != nil {
		return 0
	}
	return pid
}

func (e *engines) kill(node int) error {
	pid := e.pid(node)
	if pid == 0 {
		return fmt.Errorf("kill rtpengine on n%d: it does not run", node+1)
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// move has keepalived give the address away while rtpengine goes on.
func (e *engines) move(ctx context.Context, node int) error {
	if err := os.WriteFile(e.file(node, "relay"), []byte("1\n"), 0o644); err != nil {
		return fmt.Errorf("move the address: %w", err)
	}
	err := eventually(ctx, 5*time.Second, func() (bool, error) {
		has, err := e.holders()
		return len(has) == 1 && has[0] != node, err
	})
	if err != nil {
		return fmt.Errorf("move the address from n%d: %w", node+1, err)
	}
	// It may come back later.
	return os.WriteFile(e.file(node, "relay"), []byte("0\n"), 0o644)
}

func (e *engines) restart(ctx context.Context, node int) error {
	if has, err := e.nodes[node].Has(e.float); err != nil {
		return err
	} else if has {
		if err := e.move(ctx, node); err != nil {
			return err
		}
	}
	if e.cold {
		return errors.New("restart: not with this shape")
	}
	if err := syscall.Kill(e.pid(node), syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop rtpengine on n%d: %w", node+1, err)
	}
	<-e.relay[node].Ended()
	return e.startRelay(ctx, node)
}

func (e *engines) storeDown() error {
	e.redis.Kill()
	return nil
}

func (e *engines) storeUp(ctx context.Context) (err error) {
	e.redis, err = lab.StartRedisAt(ctx, &e.store.Side, netip.AddrPortFrom(e.store.Addr, 6379), e.dir,
		// Without it, a subscription hears nothing: K for keyspaces, A for all kinds.
		"--notify-keyspace-events", "KA",
		// It survives what is broken here, and a disk that is busy would hold up rtpengine's commands, and its media with them.
		"--save", "", "--appendonly", "no")
	return err
}

func (e *engines) drain(context.Context, int) error { return errNoDrain }

func (e *engines) leader(context.Context, int) error { return errNoLeader }

func (e *engines) stop() {
	// The namespaces' end takes what hangs below these.
	for _, p := range append(e.vrrp, e.relay...) {
		if p != nil {
			p.Stop()
		}
	}
	if e.redis != nil {
		e.redis.Stop()
	}
}
