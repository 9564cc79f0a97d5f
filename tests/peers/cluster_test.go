//go:build unix

package peers

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/embed"
)

// clusterSize is how many nodes a cluster has here.
const clusterSize = 3

// startCluster starts three nodes of rtpjet on one address, each with media
// ports of its own, and a packet balancer, which is the cluster's NG address. It
// waits until all answer and each has a copy of everything.
func startCluster(t *testing.T, interfaces ...string) *server {
	t.Helper()
	if os.Getenv("RTPJET_TEST_SERVER") == "rtpengine" {
		t.Skip("rtpengine has no cluster")
	}
	s := &server{phones: loopback}
	address := func() string { return net.JoinHostPort(loopback, strconv.Itoa(freePort(t))) }
	var used []ports
	var routes []string
	for range clusterSize {
		n := newServer(t, freePort(t), mediaPorts(t, used...), interfaces...)
		used = append(used, n.media)
		n.nats = address()
		route := address()
		routes = append(routes, route)
		n.args = append([]string{
			"serve", "--node-id=n" + strconv.Itoa(len(routes)), "--nats-listen=" + n.nats, "--nats-cluster-listen=" + route,
			"--data-dir=" + filepath.Join(t.TempDir(), "data"),
		}, n.args...)
		s.nodes = append(s.nodes, n)
	}
	for _, n := range s.nodes {
		n.args = append(n.args, "--nats-routes="+strings.Join(routes, ","))
		n.launch(t)
	}
	for _, n := range s.nodes {
		n.answers(t)
	}
	copied(t, s.nodes[0].nats, nil)
	t.Cleanup(func() {
		for _, n := range s.nodes {
			n.rerun(t)
		}
	})
	return s
}

// copied waits until all of the log is on all nodes, so that one may be lost.
func copied(t *testing.T, at string, key []byte) {
	t.Helper()
	var nc *nats.Conn
	var err error
	var connecting sync.WaitGroup
	connecting.Go(func() { // the test's own thread may be in another network namespace
		nc, err = embed.Connect(t.Context(), "test", []string{"nats://" + at}, embed.Credentials{ClusterKey: key})
	})
	connecting.Wait()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	why := "nothing was seen"
	ok := poll(func() bool {
		streams, list := 0, js.ListStreams(t.Context())
		why = ""
		for info := range list.Info() {
			streams++
			if info.Cluster == nil || len(info.Cluster.Replicas) != clusterSize-1 {
				why = info.Config.Name + " has too few copies"
				continue
			}
			for _, r := range info.Cluster.Replicas {
				if !r.Current || r.Offline {
					why = fmt.Sprintf("%s is behind with %s", r.Name, info.Config.Name)
				}
			}
		}
		if list.Err() != nil || streams == 0 {
			why = fmt.Sprintf("%d streams, %v", streams, list.Err())
		}
		return why == ""
	})
	if !ok {
		t.Fatal(why)
	}
}

// socksOfNodes is how Kamailio is told of each node.
func (s *server) socksOfNodes() string {
	var all []string
	for _, n := range s.nodes {
		all = append(all, n.socks)
	}
	return strings.Join(all, " ")
}
