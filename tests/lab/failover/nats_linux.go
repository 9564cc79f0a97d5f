package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/embed"
	"rtpjet/embed/server"
	"rtpjet/tests/lab"
)

// serveNATS is one NATS server for nodes that have none of their own: this program
// with the word nats, and NAME LISTEN CLUSTER-LISTEN ROUTES DIR.
func serveNATS(ctx context.Context, args []string) error {
	if len(args) != 5 {
		return fmt.Errorf("nats takes five words, and there are %d", len(args))
	}
	s, err := server.Start(ctx, server.Config{
		NodeID: args[0], Region: "store", Listen: args[1], ClusterListen: args[2], Routes: strings.Split(args[3], ","), StoreDir: args[4],
		ClusterKey: []byte(clusterKey),
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	s.Shutdown()
	return nil
}

// streamsLimit ends a command for streams.
const streamsLimit = 40 * time.Second

// tendStreams is this program with the words streams URLS, and what is to be done:
// there, settled, or lead NODE.
func tendStreams(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return errors.New("streams takes the URLs of NATS and a word")
	}
	ctx, cancel := context.WithTimeout(ctx, streamsLimit)
	defer cancel()
	cred := embed.Credentials{ClusterKey: []byte(clusterKey)}
	var nc *nats.Conn
	var last error
	err := eventually(ctx, streamsLimit, func() (bool, error) { // the servers may be about to start
		nc, last = embed.Connect(ctx, "laboratory", strings.Split(args[0], ","), cred)
		return last == nil, nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	switch {
	case args[1] == "there":
		err := eventually(ctx, streamsLimit, func() (bool, error) {
			ctx, cancel := context.WithTimeout(ctx, time.Second) // before there is a leader, nobody answers
			defer cancel()
			_, last = js.AccountInfo(ctx)
			return last == nil, nil
		})
		if err != nil {
			return errors.Join(err, last)
		}
		return nil
	case args[1] == "settled":
		if err := eventually(ctx, streamsLimit, func() (bool, error) { return areSettled(ctx, js), nil }); err != nil {
			return fmt.Errorf("wait until the streams' copies are current: %w", err)
		}
		return nil
	case args[1] == "lead" && len(args) == 3:
		if err := lead(ctx, nc, js, args[2]); err != nil {
			return fmt.Errorf("have %s lead all streams: %w", args[2], err)
		}
		return nil
	}
	return fmt.Errorf("streams does not know %q", args[1:])
}

// areSettled says whether all streams have a leader, three copies, and none behind.
func areSettled(ctx context.Context, js jetstream.JetStream) bool {
	all, err := streams(ctx, js)
	if err != nil || len(all) == 0 {
		return false // an election, perhaps
	}
	for _, s := range all {
		if s.Cluster == nil || s.Cluster.Leader == "" || s.Config.Replicas < 3 {
			return false
		}
		for _, r := range s.Cluster.Replicas {
			if !r.Current || r.Offline {
				return false
			}
		}
	}
	return true
}

// lead asks the leaders of all streams to make room for a node, until they have.
func lead(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, node string) error {
	return eventually(ctx, streamsLimit, func() (bool, error) {
		if all, err := streams(ctx, js); err == nil && askToLead(ctx, nc, all, node) == 0 {
			return true, nil
		} // else an election is going on, perhaps
		return false, lab.Pause(ctx, 300*time.Millisecond)
	})
}

// askToLead asks the leaders of streams to make room for a node, and returns how
// many it asked.
func askToLead(ctx context.Context, nc *nats.Conn, all []*jetstream.StreamInfo, node string) (asked int) {
	for _, s := range all {
		if s.Cluster == nil || s.Cluster.Leader == node {
			continue
		}
		asked++
		// A refusal does not matter: it is asked again.
		_, _ = nc.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+s.Config.Name, fmt.Appendf(nil, `{"placement":{"preferred":%q}}`, node))
	}
	return asked
}

// streams lists all streams.
func streams(ctx context.Context, js jetstream.JetStream) ([]*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	list := js.ListStreams(ctx)
	var all []*jetstream.StreamInfo
	for s := range list.Info() {
		all = append(all, s)
	}
	return all, list.Err()
}
