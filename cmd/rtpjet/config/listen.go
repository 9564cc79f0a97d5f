package config

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// listen decodes where NG commands and HTTP requests come in. Host names are resolved once.
func (d *decoder) listen(ctx context.Context, c *Config, dev bool, env Env) {
	list := d.s["listen-ng"]
	if len(list) == 0 && dev {
		list = []setting{{defaultNG, "--listen-ng"}}
	}
	if len(list) == 0 {
		d.faults.add("there is no --listen-ng: name the address and port on which the SIP proxy sends its commands, such as 127.0.0.1:2223")
	}
	for _, v := range list {
		if strings.HasPrefix(strings.TrimSpace(v.value), "float:") {
			d.listenFloat(c, v)
			continue
		}
		if addr, ok := d.listenAddr(ctx, v, "127.0.0.1:2223", env); ok {
			c.Listen = append(c.Listen, addr)
		}
	}
	http := d.s["listen-http"]
	if dev && len(http) == 0 {
		if http = []setting{{defaultHTTP, "--listen-http"}}; !env.CanListen(defaultHTTP) {
			http[0].value = "127.0.0.1:0"
		}
	}
	c.HTTPToken = d.httpToken(env)
	for _, v := range http {
		if addr, ok := d.listenAddr(ctx, v, "127.0.0.1:8080", env); ok {
			c.ListenHTTP = append(c.ListenHTTP, addr)
		}
	}
}

// minHTTPToken is how long a token must be at least: nobody is to guess it.
const minHTTPToken = 16

func (d *decoder) httpToken(env Env) string {
	name := d.s.one("http-token-file", "")
	if name == "" {
		return ""
	}
	token := d.secret("http-token-file", name, env)
	if token != "" && (len(token) < minHTTPToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })) {
		d.faults.add("--http-token-file: %s must have one line of at least %d letters and digits, for example from openssl rand -hex 32", name, minHTTPToken)
	}
	return token
}

// listenAddr decodes [ADDR:]PORT.
func (d *decoder) listenAddr(ctx context.Context, v setting, example string, env Env) (addr string, ok bool) {
	s := strings.TrimSpace(v.value)
	if port, err := strconv.ParseUint(s, 10, 16); err == nil && port > 0 {
		return s, true
	}
	if checkHostPort(s) != nil {
		d.faults.add("%s is %s; it must be [ADDR:]PORT, such as %s", v.where, Quote(v.value), example)
		return "", false
	}
	host, port, _ := net.SplitHostPort(s)
	if host == "" {
		return port, true
	}
	a, err := oneAddr(ctx, host, env)
	if err != nil {
		d.faults.add("%s is %s, and the host name cannot be resolved: %v; write the address instead", v.where, Quote(v.value), err)
		return "", false
	}
	return net.JoinHostPort(a.String(), port), true
}

// checkHostPort accepts HOST:PORT with a port from 0 to 65535.
func checkHostPort(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return err
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err
}

// oneAddr reads an address, or resolves a host name and prefers IPv4.
func oneAddr(ctx context.Context, host string, env Env) (netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return a, nil
	}
	addrs, err := env.LookupHost(ctx, host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs {
		if a.Unmap().Is4() {
			return a.Unmap(), nil
		}
	}
	if len(addrs) == 0 {
		return netip.Addr{}, errors.New("it has no address")
	}
	return addrs[0], nil
}

// fixedPort tells whether a text is ADDR:PORT with a port that others can be told.
func fixedPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != "0" && checkHostPort(s) == nil
}

// reachable tells whether a text is fixedPort with an address to connect to.
func reachable(s string) bool {
	host, _, err := net.SplitHostPort(s)
	return err == nil && host != "" && fixedPort(s)
}
