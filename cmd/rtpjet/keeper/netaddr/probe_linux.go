package netaddr

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// How a probe goes: RFC 5227 §2.1.1 asks three times within some seconds; on a local network an answer takes less than a
// millisecond, and a node that starts is waited for.
const (
	probes     = 3
	probeEvery = 100 * time.Millisecond
)

// Probe asks the network whether another host has one of the addresses (RFC 5227 §2.1.1, RFC 4862 §5.4), and returns the
// hardware addresses of those that answer. It takes some hundred milliseconds.
func (p *Netlink) Probe(ctx context.Context, addrs ...Address) (map[netip.Addr]net.HardwareAddr, error) {
	found := make(map[netip.Addr]net.HardwareAddr)
	for _, a := range addrs {
		p.mu.Lock()
		l, err := p.link(a.Device)
		p.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if len(l.mac) != 6 {
			continue
		}
		mac, err := probe(ctx, l, a.Addr())
		if err != nil {
			return nil, fmt.Errorf("ask who has %s: %w", a, err)
		}
		if mac != nil {
			found[a.Addr()] = mac
		}
	}
	return found, nil
}

func probe(ctx context.Context, l link, addr netip.Addr) (net.HardwareAddr, error) {
	var protocol uint16 = unix.ETH_P_IPV6
	to, ask := solicit(addr)
	if addr.Is4() {
		protocol, to, ask = unix.ETH_P_ARP, broadcast, arpProbe(l.mac, addr)
	}
	wire := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, protocol)) // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(wire))
	if err != nil {
		return nil, err
	}
	s := &packetSocket{fd: fd}
	defer func() { _ = s.close() }()
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: wire, Ifindex: l.index}); err != nil {
		return nil, err
	}
	buf := make([]byte, 1500)
	for range probes {
		if err := s.send(l, protocol, to, ask); err != nil {
			return nil, err
		}
		for end := time.Now().Add(probeEvery); ctx.Err() == nil; {
			left := time.Until(end)
			if left <= 0 {
				break
			}
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			if n, err := unix.Poll(fds, int(left/time.Millisecond)+1); err != nil || n == 0 {
				continue
			}
			n, _, err := unix.Recvfrom(fd, buf, 0)
			if err != nil {
				continue
			}
			if mac := answers(buf[:n], addr); mac != nil && !bytes.Equal(mac, l.mac) {
				return mac, nil
			}
		}
	}
	return nil, ctx.Err()
}
