package netaddr

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkAdd is an address that comes: until Add returns (ns/op), and until a peer has received the announcement.
func BenchmarkAdd(b *testing.B) {
	for _, a := range both {
		name, protocol := "IPv4", uint16(unix.ETH_P_ARP)
		if a.Addr().Is6() {
			name, protocol = "IPv6", unix.ETH_P_IPV6
		}
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			p := w.nodes[0].netlinkProvider(b, Config{Lifetime: 10 * time.Second})
			fd := w.peer.listen(b, protocol)
			seen := make(chan time.Time, 1)
			want := a.Addr().AsSlice()
			go func() {
				buf := make([]byte, 2048)
				for {
					n, err := unix.Read(fd, buf)
					now := time.Now()
					if err != nil || n == 0 {
						close(seen)
						return
					}
					if announces(buf[:n], want) {
						select {
						case seen <- now:
						default: // the reply after the request, and repeats
						}
					}
				}
			}()
			var wire time.Duration
			for b.Loop() {
				began := time.Now()
				if err := p.Add(b.Context(), a); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				at := <-seen
				wire += at.Sub(began)
				must(b, p.Remove(b.Context(), a))
				time.Sleep(2 * time.Millisecond) // what the kernel still has to do with it
				select {
				case <-seen:
				default:
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(wire.Microseconds())/float64(b.N), "µs/seen")
			_ = unix.Shutdown(fd, unix.SHUT_RDWR)
			for range seen {
			}
			_ = unix.Close(fd)
		})
	}
}

// announces says whether a packet is an ARP packet or an advertisement from the address.
func announces(packet, addr []byte) bool {
	if len(addr) == 4 {
		return len(packet) >= 28 && string(packet[14:18]) == string(addr)
	}
	return len(packet) >= 48 && packet[40] == icmpNeighborAdvert && string(packet[8:24]) == string(addr)
}

// listen opens a packet socket on the device of a namespace. Its reads end after a while without packets.
func (s *space) listen(b *testing.B, protocol uint16) int {
	b.Helper()
	var fd int
	must(b, s.do(func() (err error) {
		order := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, protocol))
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(order)); err != nil {
			return err
		}
		if err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: order, Ifindex: s.index})
	}))
	return fd
}

// BenchmarkRemove is an address that goes.
func BenchmarkRemove(b *testing.B) {
	for _, a := range both {
		name := "IPv4"
		if a.Addr().Is6() {
			name = "IPv6"
		}
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			p := w.nodes[0].netlinkProvider(b, Config{Lifetime: 10 * time.Second})
			for b.Loop() {
				b.StopTimer()
				must(b, p.Add(b.Context(), a))
				time.Sleep(time.Millisecond)
				b.StartTimer()
				if err := p.Remove(b.Context(), a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRenew is what is done twice a second.
func BenchmarkRenew(b *testing.B) {
	w := newWorld(b)
	p := w.nodes[0].netlinkProvider(b, Config{})
	must(b, p.Add(b.Context(), both...))
	for b.Loop() {
		if err := p.Renew(b.Context(), both...); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAlive is what is done a hundred times a second.
