package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
)

// listener is what an address is for, in the words of an error, and the option that sets it.
type listener struct{ who, option string }

var (
	clientListen  = listener{"NATS clients", "--nats-listen"}
	clusterListen = listener{"the other servers of the cluster", "--nats-cluster-listen"}
)

// splitListen reads "host:port".
func splitListen(what listener, listen string) (string, int, error) {
	host, p, err := net.SplitHostPort(listen)
	port, perr := strconv.Atoi(p)
	if err != nil || perr != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("cannot listen for %s on %q: it is not of the form ADDRESS:PORT", what.who, listen)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// probeListen finds out whether the address can be bound, for the sake of a good error. The server binds it again.
func probeListen(ctx context.Context, what listener, listen, host string, port int) error {
	if port < 0 {
		port = 0
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	failed := func(cause error, advice string) error {
		return fmt.Errorf("cannot listen for %s on %s: %w; %s with %s", what.who, listen, cause, advice, what.option)
	}
	switch {
	case err == nil:
		return l.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		return failed(syscall.EADDRINUSE, "another program has the port: stop it, or choose another")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return failed(syscall.EADDRNOTAVAIL, "this machine does not have the address: add it, or choose another")
	case errors.Is(err, syscall.EACCES):
		return failed(syscall.EACCES, "ports below 1024 need a privilege: choose another")
	}
	return failed(err, "choose another address")
}
