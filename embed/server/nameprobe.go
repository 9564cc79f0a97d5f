package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"rtpjet/embed"
	"rtpjet/embed/internal/names"
)

// Patience of probeName: with servers that are not there, and with one that answers.
const (
	probeDial = 300 * time.Millisecond
	probeAsk  = 500 * time.Millisecond
)

// probeName finds out, before this server joins its cluster for the first time, whether a node of its name runs there
// already: two servers of one name upset the elections of all. It asks the servers that routes lead to where their clients
// go, and there for the node. What it cannot find out is no error.
func probeName(ctx context.Context, cfg Config) error {
	var mu sync.Mutex
	var urls []string
	var wait sync.WaitGroup
	for _, route := range cfg.Routes {
		wait.Go(func() {
			found := clientURLs(ctx, route)
			mu.Lock()
			defer mu.Unlock()
			urls = append(urls, found...)
		})
	}
	wait.Wait()
	slices.Sort(urls)
	for _, u := range slices.Compact(urls) {
		cred := embed.Credentials{ClusterKey: cfg.ClusterKey, TLS: cfg.TLS}
		opts, err := cred.Options()
		if err != nil {
			return err
		}
		scheme := "nats://"
		if cfg.TLS != (embed.TLSFiles{}) {
			scheme = "tls://"
		}
		nc, err := nats.Connect(scheme+u, append(opts, nats.Timeout(probeAsk), nats.NoReconnect())...)
		if err != nil {
			continue
		}
		actx, cancel := context.WithTimeout(ctx, probeAsk)
		_, err = nc.RequestWithContext(actx, names.Bus(cfg.Region)+embed.HelloTokens(cfg.NodeID), nil)
		cancel()
		nc.Close()
		switch {
		case err == nil:
			return fmt.Errorf("the node id is in use: a node %s runs in this cluster already (the server at %s knows it); "+
				"give this node another --node-id, or stop the other one", cfg.NodeID, u)
		case errors.Is(err, nats.ErrNoResponders):
			return nil // that server knows all nodes
		}
	}
	return nil
}

// clientURLs reads the greeting of a server's route listener, which says where its clients go.
func clientURLs(ctx context.Context, route string) []string {
	host := route
	if strings.Contains(route, "://") {
		u, err := url.Parse(route)
		if err != nil {
			return nil
		}
		host = u.Host
	}
	conn, err := (&net.Dialer{Timeout: probeDial}).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	if conn.SetDeadline(time.Now().Add(probeDial)) != nil {
		return nil
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	info, ok := strings.CutPrefix(line, "INFO ")
	if err != nil || !ok {
		return nil
	}
	var greeting struct {
		ConnectURLs []string `json:"connect_urls"`
	}
	if json.Unmarshal([]byte(info), &greeting) != nil {
		return nil
	}
	return greeting.ConnectURLs
}
