package regions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rtpjet/cmd/rtpjet/cli"
	"rtpjet/cmd/rtpjet/config"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/regions"
)

// tool is what an operator does beside a node; more says which region is meant if it is not the node's.
func (n *node) tool(args ...string) (stdout string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	args = append(args, "--cluster-key-file", n.r.key, "--nats", n.url())
	if !slices.Contains(args, "--region") {
		args = append(args, "--region", n.r.name)
	}
	cmd, err := config.ParseArgs(ctx, args, config.Env{})
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = cli.Run(ctx, cmd, &out)
	return out.String(), err
}

// fails is a tool that must end with an error that has all the words.
func (n *node) fails(words []string, args ...string) {
	t := n.r.w.t
	t.Helper()
	out, err := n.tool(args...)
	if err == nil {
		t.Fatalf("%v at %s succeeds: %s", args, n.name(), out)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Fatalf("%v at %s: %q, want %q in it", args, n.name(), err, w)
		}
	}
	t.Logf("%v at %s: %v", args, n.name(), err)
}

// sees is how another region is for a node.
func (n *node) sees(region string) (regions.Status, error) {
	out, err := n.tool("region", "list", "--json")
	if err != nil {
		return regions.Status{}, err
	}
	var rows []regions.Status
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		return regions.Status{}, fmt.Errorf("%w in %s", err, out)
	}
	i := slices.IndexFunc(rows, func(s regions.Status) bool { return s.Region == region })
	if i < 0 {
		return regions.Status{}, fmt.Errorf("%s does not list %s: %s", n.name(), region, out)
	}
	return rows[i], nil
}

// until waits until a node sees a region as ok wants it.
func (n *node) until(region, what string, ok func(regions.Status) bool) regions.Status {
	n.r.w.t.Helper()
	var s regions.Status
	eventually(n.r.w.t, fmt.Sprintf("%s does not see %s %s", n.name(), region, what), func() (err error) {
		if s, err = n.sees(region); err == nil && !ok(s) {
			err = fmt.Errorf("%+v", s)
		}
		return err
	})
	return s
}

func (n *node) untilCut(region string) {
	n.r.w.t.Helper()
	n.until(region, "cut off", func(s regions.Status) bool { return s.State == regions.CutOff })
}

// agree waits until regions see each other up, each has the whole of the others, and knows which calls live there.
func (w *world) agree(list ...*region) {
	w.t.Helper()
	for _, a := range list {
		for _, b := range list {
			if a == b {
				continue
			}
			for _, n := range a.nodes {
				n.until(b.name, "up", func(s regions.Status) bool { return s.State == regions.Up && s.Ready && s.AgeMS >= 0 })
			}
			w.mirrored(b, a)
			live, err := b.nodes[0].owners()
			w.must(err)
			for _, n := range a.nodes {
				n.until(b.name, fmt.Sprintf("with %d calls", len(live)), func(s regions.Status) bool { return s.Calls == len(live) })
			}
		}
	}
}

// mirrored waits until what a region has of another one is the same, entry for entry.
func (w *world) mirrored(home, at *region) {
	w.t.Helper()
	eventually(w.t, "the mirror of "+home.name+" in "+at.name, func() error {
		want, err := home.nodes[0].entries(home.name)
		if err != nil {
			return err
		}
		have, err := at.nodes[0].entries(home.name)
		if err != nil {
			return err
		}
		last := uint64(0)
		for seq, data := range want {
			if have[seq] != data {
				return fmt.Errorf("entry %d is %.80q there and %.80q at home; %d of %d entries are there", seq, have[seq], data, len(have), len(want))
			}
			last = max(last, seq)
		}
		for seq := range have {
			if seq > last && last > 0 {
				return fmt.Errorf("entry %d is not at home", seq)
			}
		}
		return nil
	})
}

// entries are what a node's NATS has of a region's live stream.
func (n *node) entries(region string) (map[uint64]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l, done, err := n.log(ctx, region)
	if err != nil {
		return nil, err
	}
	defer done()
	out := make(map[uint64]string)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	err = l.Follow(ctx, 1, embed.Follower{
		Entry:    func(e embed.Entry) { out[e.Seq] = e.Key + " " + string(e.Data) },
		CaughtUp: func(uint64) { stop() },
		Pace:     -1,
	})
	if !errors.Is(err, context.Canceled) {
		return nil, fmt.Errorf("read the stream of %s at %s: %w", region, n.name(), err)
	}
	return out, nil
}

// log opens a region's log, or what a node's NATS has of it.
func (n *node) log(ctx context.Context, region string) (l *embed.Log, done func(), err error) {
	creds := embed.Credentials{ClusterKey: []byte(keyText)}
	if region != n.r.name {
		creds = creds.ForRegion(region)
	}
	nc, err := embed.Connect(ctx, "test", []string{n.url()}, creds)
	if err != nil {
		return nil, nil, err
	}
	l, err = embed.Attach(ctx, nc, embed.Config{Region: region})
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return l, func() { l.Close(); nc.Close() }, nil
}

// shown is the output of rtpjet call show --json.
type shown struct {
	Call struct {
		ID, Owner string
		Ended     bool
	} `json:"call"`
	Events []struct {
		Node  string          `json:"node"`
		Kind  events.Kind     `json:"kind"`
		Event json.RawMessage `json:"event"`
	} `json:"events"`
}

// show reads what a region has of a call; n is where it is looked at.
func (n *node) show(region, id string) (s shown, err error) {
	out, err := n.tool("call", "show", "--json", id, "--region", region)
	if err == nil {
		err = json.Unmarshal([]byte(out), &s)
	}
	return s, err
}

// kinds are those of a call's events, in their order.
func (s shown) kinds() string {
	var list []string
	for _, e := range s.Events {
		list = append(list, fmt.Sprint(e.Kind))
	}
	return strings.Join(list, " ")
}

// listed are the calls that rtpjet call list shows of a region. It shows them, too, if there is an event that it cannot read.
func (n *node) listed(region string) (string, error) {
	out, err := n.tool("call", "list", "--json", "--region", region)
	if err != nil && !errors.Is(err, events.ErrNewer) {
		return "", err
	}
	var calls []json.RawMessage
	if err := json.Unmarshal([]byte(out), &calls); err != nil {
		return "", err
	}
	return out, nil
}
