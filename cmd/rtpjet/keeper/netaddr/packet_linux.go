package netaddr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// link is what is known of a device.
type link struct {
	name  string
	index int
	mac   net.HardwareAddr // none where nobody asks for one: lo, tun
}

// packetSocket sends announcements on any device, without the addresses having to be usable yet.
type packetSocket struct{ fd int }

// openPacketSocket opens a socket that receives nothing (its protocol is 0).
func openPacketSocket() (*packetSocket, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("open the socket that announces addresses: %w: run rtpjet as root, or give it CAP_NET_RAW", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open the socket that announces addresses: %w", err)
	}
	return &packetSocket{fd: fd}, nil
}

func (s *packetSocket) close() error { return unix.Close(s.fd) }

// announce sends the frames for one address. A device without hardware addresses needs none.
func (s *packetSocket) announce(l link, a Address) error {
	if len(l.mac) != 6 {
		return nil
	}
	var err error
	if a.Addr().Is4() {
		err = errors.Join(
			s.send(l, unix.ETH_P_ARP, broadcast, gratuitousARP(arpRequest, l.mac, a.Addr())),
			s.send(l, unix.ETH_P_ARP, broadcast, gratuitousARP(arpReply, l.mac, a.Addr())))
	} else {
		err = s.send(l, unix.ETH_P_IPV6, allNodesMAC, unsolicitedNA(l.mac, a.Addr()))
	}
	switch {
	case errors.Is(err, unix.ENETDOWN):
		return fmt.Errorf("announce %s: the device is down, see \"ip link show %s\": %w", a, a.Device, err)
	case err != nil:
		return fmt.Errorf("announce %s: %w", a, err)
	}
	return nil
}

func (s *packetSocket) send(l link, protocol uint16, to net.HardwareAddr, payload []byte) error {
	at := unix.SockaddrLinklayer{Ifindex: l.index, Halen: 6}
	at.Protocol = binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, protocol)) // in network order
	copy(at.Addr[:], to)
	return unix.Sendto(s.fd, payload, 0, &at)
}
