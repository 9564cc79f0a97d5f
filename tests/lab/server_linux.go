package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// readyWithin is how long a server may take until it answers.
const readyWithin = 20 * time.Second

// Redis is a running redis-server.
type Redis struct {
	*Proc
	Addr netip.AddrPort
}

// StartRedis starts redis-server on the loopback of a namespace, with its built-in
// settings and its files in dir.
func StartRedis(ctx context.Context, side *Side, dir string) (*Redis, error) {
	addr, err := freePort(side, netip.MustParseAddr("127.0.0.1"), 6379)
	if err != nil {
		return nil, err
	}
	return StartRedisAt(ctx, side, addr, dir)
}

// StartRedisAt starts redis-server at an address. Whoever reaches it may use it.
func StartRedisAt(ctx context.Context, side *Side, addr netip.AddrPort, dir string, args ...string) (*Redis, error) {
	args = append([]string{
		"redis-server", "--bind", addr.Addr().String(), "--port", strconv.Itoa(int(addr.Port())), "--dir", dir, "--protected-mode", "no",
	}, args...)
	p, err := Start(side, filepath.Join(dir, "redis.log"), args...)
	if err != nil {
		return nil, err
	}
	r := &Redis{Proc: p, Addr: addr}
	if err := p.ready(ctx, side, func() error { return pingRedis(addr) }); err != nil {
		p.Stop()
		return nil, err
	}
	return r, nil
}

func pingRedis(addr netip.AddrPort) error {
	conn, err := net.DialTimeout("tcp", addr.String(), 100*time.Millisecond)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	reply := make([]byte, 5)
	if _, err := io.ReadFull(conn, reply); err != nil {
		return err
	}
	if string(reply) != "+PONG" {
		return fmt.Errorf("redis answered %q", reply)
	}
	return nil
}

// Options say where and how a media server is to run.
type Options struct {
	Side *Side      // nil: where this process is
	Addr netip.Addr // for NG and media
	Dir  string     // for its log and data
	// PortMin and PortMax bound the media ports; 0 means 10000 and 59999.
	PortMin, PortMax int
	Redis            *Redis   // rtpengine only; nil: it keeps no state
	Args             []string // more of them
}

// Server is a running media server.
type Server struct {
	*Proc
	NG netip.AddrPort
}

func (o *Options) fill() (ng netip.AddrPort, err error) {
	if o.PortMin == 0 {
		o.PortMin, o.PortMax = 10000, 59999
	}
	return freePort(o.Side, o.Addr, 2223)
}

// StartRtpengine starts Debian's rtpengine in user space. It logs errors only:
// warnings about keys that its version does not know would slow it down.
func StartRtpengine(ctx context.Context, o Options) (*Server, error) {
	ng, err := o.fill()
	if err != nil {
		return nil, err
	}
	args := []string{
		"rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--log-level=3", "--table=-1",
		"--interface=" + o.Addr.String(), "--listen-ng=" + ng.String(),
		"--port-min=" + strconv.Itoa(o.PortMin), "--port-max=" + strconv.Itoa(o.PortMax),
	}
	if o.Redis != nil {
		args = append(args, "--redis="+o.Redis.Addr.String()+"/0")
	}
	return startServer(ctx, o, ng, "rtpengine.log", append(args, o.Args...))
}

// StartRtpjet starts a built rtpjet as one node with its stream on disk.
func StartRtpjet(ctx context.Context, binary string, o Options) (*Server, error) {
	ng, err := o.fill()
	if err != nil {
		return nil, err
	}
	args := []string{
		binary, "serve", "--node-id=n1", "--foreground", "--log-stderr", "--log-level=3",
		"--interface=" + o.Addr.String(), "--listen-ng=" + ng.String(),
		"--port-min=" + strconv.Itoa(o.PortMin), "--port-max=" + strconv.Itoa(o.PortMax),
		"--data-dir=" + filepath.Join(o.Dir, "data"), "--nats-listen=none",
	}
	return startServer(ctx, o, ng, "rtpjet.log", append(args, o.Args...))
}

func startServer(ctx context.Context, o Options, ng netip.AddrPort, log string, args []string) (*Server, error) {
	p, err := Start(o.Side, filepath.Join(o.Dir, log), args...)
	if err != nil {
		return nil, err
	}
	if err := p.ready(ctx, o.Side, func() error { return PingNG(ng) }); err != nil {
		p.Stop()
		return nil, err
	}
	return &Server{Proc: p, NG: ng}, nil
}

// PingNG asks an NG server once whether it is there.
func PingNG(addr netip.AddrPort) error {
	conn, err := net.Dial("udp", addr.String())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("lab d7:command4:pinge")); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		return err
	}
	buf := make([]byte, 2048)
	n, err := conn.Read(buf)
	if err != nil {
		return err
	}
	if !bytes.Contains(buf[:n], []byte("4:pong")) {
		return fmt.Errorf("ping answered by %q", buf[:n])
	}
	return nil
}

// ready waits until a process answers. The pause between two tries only keeps a
// refused one from being repeated without end.
func (p *Proc) ready(ctx context.Context, side *Side, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for {
		err := side.Do(ask)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended before it was ready (%s); the end of its log:\n%s", p.Name, p.cmd.ProcessState, p.LastLines())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer (%w); the end of its log:\n%s", p.Name, errors.Join(ctx.Err(), err), p.LastLines())
		case <-pause.C:
		}
	}
}

// freePort finds a port of an address that neither UDP nor TCP has in use. In a
// namespace of the lab's own that is the usual one, if it can be had.
func freePort(side *Side, addr netip.Addr, usual uint16) (free netip.AddrPort, err error) {
	err = side.Do(func() error {
		for try := range 20 {
			var port uint16
			if side != nil && try == 0 {
				port = usual
			}
			l, err := net.Listen("tcp", netip.AddrPortFrom(addr, port).String())
			if err != nil {
				if port == usual {
					continue
				}
				return err
			}
			at := l.Addr().(*net.TCPAddr).AddrPort()
			c, err := net.ListenPacket("udp", at.String())
			_ = l.Close()
			if err == nil {
				free = netip.AddrPortFrom(addr, at.Port())
				return c.Close()
			}
		}
		return errors.New("no port is free for both UDP and TCP")
	})
	if err != nil {
		return free, fmt.Errorf("find a free port of %s: %w", addr, err)
	}
	return free, nil
}

// BuiltRtpjet returns the path of a built rtpjet: the given one, or else one that it
// builds into dir.
func BuiltRtpjet(ctx context.Context, given, dir string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	path := filepath.Join(dir, "rtpjet")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/rtpjet")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build rtpjet: %w; run this from the repository's root, or name a binary with --rtpjet", err)
	}
	return path, nil
}
