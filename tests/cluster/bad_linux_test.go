package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/events"
	"rtpjet/ngserver/ngtest"
	"rtpjet/tests/lab"
)

// fails runs the node to its end, which must come by itself and with a sentence that has all the words.
func (n *node) fails(words ...string) {
	n.c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	line := append(slices.Clone(n.under), n.line()...)
	if s := n.where.side; s != nil {
		line = append([]string{"nsenter", "--net=/run/netns/" + s.Name, "--"}, line...)
	}
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		n.c.t.Errorf("%s goes on:\n%s", n.id, &stderr)
	case !errors.As(err, &exit):
		n.c.t.Errorf("%s: %v, want an exit code", n.id, err)
	}
	lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	last := lines[len(lines)-1]
	for _, w := range words {
		if !strings.Contains(last, w) {
			n.c.t.Errorf("%s says %q, want %q in it", n.id, last, w)
		}
	}
	n.c.t.Logf("%s: %s", n.id, last)
}

// A second process of the same name is refused, and the first goes on.
func TestNameTaken(t *testing.T) {
	c := start(t, 3)
	k := c.place(c.nodes[0], c.nodes[1])
	twin := c.add("n1", 7, "--nats-routes", c.nodes[1].route())
	c.nodes = c.nodes[:3]
	twin.fails("n1", "--node-id")
	if err := k.reinvite(c.nodes[0], c.nodes[2]); err != nil {
		t.Error(err)
	}
	if err := k.talk(); err != nil {
		t.Error(err)
	}
	c.agree()
	c.nodes[0].ok(remove(k.id))
	c.idle()
}

// key writes a file with a cluster key.
func key(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// A node with another key, or none, is refused and says so; those with the right one go on.
func TestClusterKey(t *testing.T) {
	lab.Only(t, "two clusters")
	right := key(t, "the right key of this cluster")
	c := start(t, 3, "--cluster-key-file", right)
	k := c.place(c.nodes[0], c.nodes[1])
	c.args = nil
	for i, args := range [][]string{{"--cluster-key-file", key(t, "another key, just as long")}, nil} {
		n := c.add(fmt.Sprintf("stranger%d", i), 10+i, append(args, "--nats-routes", c.nodes[0].route()+","+c.nodes[1].route())...)
		c.nodes = c.nodes[:3]
		n.fails("refuse", "key", "--cluster-key-file")
	}
	if _, err := c.nodes[0].run("node", "list", "--nats", c.nodes[0].url()); err == nil {
		t.Error("somebody without the key can look at the nodes")
	}
	if err := k.talk(); err != nil {
		t.Error(err)
	}
	c.agree()
	c.nodes[2].ok(remove(k.id))
	c.idle()
}

// Somebody deletes the bucket of leases. Calls go on, commands too, and the leases come back.
func TestLeasesDeleted(t *testing.T) {
	lab.Only(t, "a quarter of a minute")
	c := start(t, 3)
	ks := c.placeEverywhere(6)
	l := c.traffic(c.nodes, 2)
	l.more(t, 5)
	js, err := jetstream.New(c.nodes[0].nats())
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteKeyValue(t.Context(), leasesBucket); err != nil {
		t.Fatal(err)
	}
	l.more(t, 30)
	l.end(t, "leases deleted")
	c.agree()
	for _, k := range ks {
		if err := k.reinvite(c.nodes[1], c.nodes[2]); err != nil {
			t.Error(err)
		}
		if kinds := c.nodes[0].show(k.id).kinds(); kinds["taken_over"] > 0 {
			t.Errorf("%v", kinds)
		}
	}
	c.talkAll(ks)
	// The leases work as before.
	dead := c.nodes[2]
	mine, _ := split(ks, dead)
	dead.kill()
	for _, k := range mine {
		if err := k.reinvite(c.nodes[0], c.nodes[1]); err != nil {
			t.Error(err)
		}
	}
	c.talkAll(ks)
	for _, k := range ks {
		c.nodes[0].ok(remove(k.id))
	}
	c.idle()
}

// Garbage on the subject of a call is left alone and counted, by every node, and after a restart as well. The call goes on
// or is refused, the others know nothing of it.
func TestPoisonedEvent(t *testing.T) {
	lab.Only(t, "half a minute of restarts")
	c := start(t, 3)
	victim, other := c.place(c.nodes[0], c.nodes[1]), c.place(c.nodes[1], c.nodes[2])
	js, err := jetstream.New(c.nodes[0].nats())
	if err != nil {
		t.Fatal(err)
	}
	for _, poison := range []string{"garbage", "", `{"v":1,"kind":"offered"}` + "\n", strings.Repeat("\x00", 5000)} {
		if _, err := js.Publish(t.Context(), callsPrefix+events.Key(victim.id), []byte(poison)); err != nil {
			t.Fatal(err)
		}
	}
	counted := func() {
		eventually(t, "poison is not counted", func() error {
			rows, err := c.nodes[0].list()
			if err != nil {
				return err
			}
			for _, n := range c.nodes {
				if s := rows[n.id].Status; s == nil || s.Unreadable < 4 {
					return fmt.Errorf("%s: %+v", n.id, s)
				}
			}
			return nil
		})
	}
	counted()
	// Whatever they say, they say something.
	for _, n := range c.nodes {
		for _, req := range []dict{
			query(victim.id), offer(victim.id, victim.a.version(7), dict{"to-tag": "B"}), block(victim.id), unblock(victim.id),
		} {
			r, err := n.do(req)
			if err != nil {
				t.Error(err)
				continue
			}
			t.Logf("%v at %s: %v %v after %v", req["command"], n.id, r.dict["result"], r.dict["error-reason"], r.took)
		}
		if err := other.reinvite(n, n); err != nil {
			t.Error(err)
		}
		if err := other.talk(); err != nil {
			t.Error(err)
		}
	}
	if err := victim.talk(); err != nil {
		t.Errorf("media of the call: %v", err)
	}
	for _, n := range c.nodes {
		n.kill()
		n.restart()
		if err := other.reinvite(n, n); err != nil {
			t.Error(err)
		}
	}
	counted()
	c.talkAll([]*call{other})
	r, err := c.nodes[1].exchange(ngtest.NextCookie(), []byte("d7:call-id"+fmt.Sprintf("%d:%s", len(victim.id), victim.id)+"7:command6:deletee"))
	if err != nil || r.dict["result"] != "ok" {
		t.Errorf("delete of the call: %v, %v", r.dict, err)
	}
	c.nodes[2].ok(remove(other.id))
	c.idle()
}
