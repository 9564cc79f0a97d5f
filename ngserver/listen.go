package ngserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// receiveBuffer is what is asked of the kernel for a socket, so that a burst of commands, each up to a few kB, waits there
// instead of being lost. The kernel gives less if its own limit is lower.
const receiveBuffer = 4 << 20

// socket is one UDP socket.
type socket struct {
	conn  *net.UDPConn
	local netip.AddrPort
	// pktinfo is set on sockets that are bound to all addresses: replies then say from which one they leave.
	pktinfo bool
	// stamped is set on floating sockets whose datagrams come with the time of their arrival.
	stamped bool
}

// listenAll opens the sockets of one [ADDR:]PORT. A bare port is two sockets, for all IPv4 and for all IPv6 addresses; on a
// host without IPv6 it is one.
func listenAll(addr string, tos int, floating bool) ([]*socket, error) {
	host, port, err := splitListen(addr)
	if err != nil {
		return nil, err
	}
	if host != "" {
		ip, err := resolve(host)
		if err != nil {
			return nil, fmt.Errorf("ngserver: listen on %q: %w", addr, err)
		}
		s, err := listenOne(netip.AddrPortFrom(ip, port), tos, floating)
		if err != nil {
			return nil, fmt.Errorf("ngserver: listen on %q: %w", addr, err)
		}
		return []*socket{s}, nil
	}
	v4, err := listenOne(netip.AddrPortFrom(netip.IPv4Unspecified(), port), tos, false)
	if err != nil {
		return nil, fmt.Errorf("ngserver: listen on %q: %w", addr, err)
	}
	// With port 0 the second socket takes the port that the first one was given.
	v6, err := listenOne(netip.AddrPortFrom(netip.IPv6Unspecified(), v4.local.Port()), tos, false)
	if errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		return []*socket{v4}, nil
	}
	if err != nil {
		v4.conn.Close()
		return nil, fmt.Errorf("ngserver: listen on %q: %w", addr, err)
	}
	return []*socket{v4, v6}, nil
}

// splitListen reads [ADDR:]PORT; host is empty for a bare port.
func splitListen(addr string) (host string, port uint16, err error) {
	p := addr
	if strings.Contains(addr, ":") {
		if host, p, err = net.SplitHostPort(addr); err != nil {
			return "", 0, fmt.Errorf("ngserver: %q is not [ADDRESS:]PORT: %w", addr, err)
		}
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("ngserver: %q is not [ADDRESS:]PORT: port %q is not a number up to 65535", addr, p)
	}
	return host, uint16(n), nil
}

func resolve(host string) (netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip, nil
	}
	a, err := net.ResolveIPAddr("ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	ip, _ := netip.AddrFromSlice(a.IP)
	return ip.Unmap().WithZone(a.Zone), nil
}

func listenOne(addr netip.AddrPort, tos int, floating bool) (*socket, error) {
	network := "udp4"
	if addr.Addr().Is6() {
		network = "udp6" // Go makes such a socket IPv6 only
	}
	var lc net.ListenConfig
	if floating {
		lc.Control = prepareFloating
	}
	pc, err := lc.ListenPacket(context.Background(), network, addr.String())
	if err != nil {
		return nil, err
	}
	conn := pc.(*net.UDPConn)
	s := &socket{conn: conn, local: conn.LocalAddr().(*net.UDPAddr).AddrPort(), pktinfo: addr.Addr().IsUnspecified(), stamped: floating}
	if err := s.configure(addr.Addr().Is6(), tos); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *socket) configure(v6 bool, tos int) error {
	// Best effort: with less the kernel only drops sooner.
	_ = s.conn.SetReadBuffer(receiveBuffer)
	if v6 {
		p := ipv6.NewPacketConn(s.conn)
		if s.pktinfo {
			if err := p.SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true); err != nil {
				return fmt.Errorf("ask for destination addresses: %w", err)
			}
		}
		if tos > 0 {
			if err := p.SetTrafficClass(tos); err != nil {
				return fmt.Errorf("set traffic class %d: %w", tos, err)
			}
		}
		return nil
	}
	p := ipv4.NewPacketConn(s.conn)
	if s.pktinfo {
		if err := p.SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true); err != nil {
			return fmt.Errorf("ask for destination addresses: %w", err)
		}
	}
	if tos > 0 {
		if err := p.SetTOS(tos); err != nil {
			return fmt.Errorf("set TOS %d: %w", tos, err)
		}
	}
	return nil
}
