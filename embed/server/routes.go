package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// resolveTime bounds the question whether a route leads to oneself.
const resolveTime = 2 * time.Second

// parseRoutes reads "host:port" or nats-route://host:port, each once, with the user that all servers of the cluster accept.
// The list always has oneself: the server takes its length for the size of the cluster when that begins.
func parseRoutes(ctx context.Context, list []string, listen string, user *url.Userinfo) ([]*url.URL, error) {
	var routes []*url.URL
	var seen []string
	own := false
	add := func(u *url.URL) {
		if slices.Contains(seen, u.Host) {
			return
		}
		seen = append(seen, u.Host)
		u.User = user
		routes = append(routes, u)
	}
	for _, text := range list {
		full := text
		if !strings.Contains(full, "://") {
			full = "nats-route://" + full
		}
		u, err := url.Parse(full)
		if err != nil || u.Hostname() == "" || u.Port() == "" || u.Scheme != "nats-route" && u.Scheme != "nats" && u.Scheme != "tls" {
			return nil, fmt.Errorf("the route %q is not of the form ADDRESS:PORT: correct --nats-routes", text)
		}
		own = own || isSelf(ctx, u, listen)
		add(u)
	}
	if host, port, err := net.SplitHostPort(listen); err == nil && !own {
		if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
			host = "127.0.0.1" // the way to ourselves; nobody else is told of it
		}
		add(&url.URL{Scheme: "nats-route", Host: net.JoinHostPort(host, port)})
	}
	return routes, nil
}

// isSelf tells whether a route leads to the address that we listen on ourselves.
func isSelf(ctx context.Context, u *url.URL, listen string) bool {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || u.Port() != port {
		return false
	}
	if u.Hostname() == host {
		return true
	}
	theirs := lookup(ctx, u.Hostname())
	ours := lookup(ctx, host)
	if host == "" || slices.ContainsFunc(ours, netip.Addr.IsUnspecified) {
		ours = localAddrs()
	}
	return slices.ContainsFunc(theirs, func(a netip.Addr) bool { return slices.Contains(ours, a) })
}

func lookup(ctx context.Context, host string) []netip.Addr {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	addrs, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", host) // what has no address now is not this machine
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs
}

func localAddrs() (out []netip.Addr) {
	list, _ := net.InterfaceAddrs() // none is an answer, too
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr().Unmap())
		}
	}
	return out
}
