package demo

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

const nodeCount = 3

// place is where a node lives: addresses and ports that nobody else has.
type place struct {
	id                string
	addr              netip.Addr
	ng, nats, cluster uint16
	http              uint16
	// mediaMin and mediaMax are the ports for media; 0: the node's own choice, because it has an address of its own.
	mediaMin, mediaMax uint16
}

func (p place) at(port uint16) string { return netip.AddrPortFrom(p.addr, port).String() }

// relays tells whether an address of an SDP is one of this node's.
func (p place) relays(a netip.AddrPort) bool {
	return a.Addr() == p.addr && (p.mediaMin == 0 || a.Port() >= p.mediaMin && a.Port() <= p.mediaMax)
}

func (p place) serveArgs(routes, dataDir string) []string {
	args := []string{
		"serve", "--config-file", "none", "--node-id", p.id, "--interface", p.addr.String(),
		"--listen-ng", p.at(p.ng), "--nats-listen", p.at(p.nats), "--nats-cluster-listen", p.at(p.cluster),
		"--nats-routes", routes, "--data-dir", dataDir, "--listen-http", p.at(p.http),
	}
	if p.mediaMin > 0 {
		args = append(args, "--port-min", strconv.Itoa(int(p.mediaMin)), "--port-max", strconv.Itoa(int(p.mediaMax)))
	}
	return args
}

// findPlaces looks for addresses of the loopback network whose ports are free: the usual ports if that can be, since they are
// what people know. Systems with one loopback address only get one address with ports of the system's choice.
func findPlaces() ([]place, error) {
	for _, up := range []uint16{0, 10000, 20000, 40000} {
		for block := range byte(8) {
			var places []place
			for i := range byte(nodeCount) {
				p := place{
					id: fmt.Sprintf("n%d", i+1), addr: netip.AddrFrom4([4]byte{127, 0, 1 + block, 1 + i}),
					ng: 2223 + up, nats: 4222 + up, cluster: 6222 + up, http: 8080 + up,
				}
				if !p.free() {
					break
				}
				places = append(places, p)
			}
			if len(places) == nodeCount {
				return places, nil
			}
		}
	}
	return oneAddress(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
}

func (p place) free() bool {
	var h holder
	defer h.letGo()
	for _, port := range []uint16{p.nats, p.cluster, p.http} {
		if _, err := h.tcp(p.addr, port); err != nil {
			return false
		}
	}
	_, err := h.udp(p.addr, p.ng)
	return err == nil
}

// oneAddress puts all nodes on one address.
func oneAddress(addr netip.Addr) ([]place, error) {
	var h holder // of all ports until the last is found: the system must not name one twice
	defer h.letGo()
	var places []place
	for i := range nodeCount {
		first := uint16(30000 + 1000*i)
		p := place{id: fmt.Sprintf("n%d", i+1), addr: addr, mediaMin: first, mediaMax: first + 999}
		var errs [4]error
		p.ng, errs[0] = h.udp(addr, 0)
		p.nats, errs[1] = h.tcp(addr, 0)
		p.cluster, errs[2] = h.tcp(addr, 0)
		p.http, errs[3] = h.tcp(addr, 0)
		if err := errors.Join(errs[:]...); err != nil {
			return nil, fmt.Errorf("find free ports on %s: %w", addr, err)
		}
		places = append(places, p)
	}
	return places, nil
}

// holder holds ports while others are looked for.
type holder []interface{ Close() error }

func (h *holder) tcp(addr netip.Addr, port uint16) (uint16, error) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, port)))
	if err != nil {
		return 0, err
	}
	*h = append(*h, l)
	return uint16(l.Addr().(*net.TCPAddr).Port), nil
}

func (h *holder) udp(addr netip.Addr, port uint16) (uint16, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, port)))
	if err != nil {
		return 0, err
	}
	*h = append(*h, c)
	return uint16(c.LocalAddr().(*net.UDPAddr).Port), nil
}

func (h *holder) letGo() {
	for _, c := range *h {
		_ = c.Close()
	}
}
