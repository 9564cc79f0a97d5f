package node_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/tests/procs"
	"rtpjet/tests/rerun"
)

// process is a running program.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdout procs.Output
	stderr procs.Output
	done   chan struct{}
	err    error // of Wait, once done is closed
}

func start(t testing.TB, change func(*exec.Cmd), args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(program(t), args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if change != nil {
		change(p.cmd)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		select {
		case <-p.done:
		default:
			if i := slices.Index(args, "--nats-listen"); i >= 0 && !t.Failed() {
				var more []string
				if j := slices.Index(args, "--region"); j >= 0 {
					more = args[j : j+2]
				}
				rerun.Server(t, program(t), args[i+1], more...)
			}
		}
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("rtpjet %s\n%s%s", strings.Join(args, " "), &p.stdout, &p.stderr)
		}
	})
	return p
}

// wait returns the exit code of a process that ends by itself.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.done
		p.t.Fatalf("the program does not end\n%s", &p.stderr)
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		p.t.Fatal(p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// run runs the program to its end.
func run(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := start(t, nil, args...)
	code = p.wait()
	return code, p.stdout.String(), p.stderr.String()
}

// service is a node in a process of its own, which can be killed and started again.
type service struct {
	*ng
	*process
	t    testing.TB
	host netip.Addr
	nats string // URL
	args []string
}

func serve(t testing.TB, args ...string) *service {
	t.Helper()
	s := &service{t: t, host: newHost()}
	ln, err := net.Listen("tcp", netip.AddrPortFrom(s.host, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	listen := ln.Addr().String()
	_ = ln.Close() // nobody else uses the address
	s.nats = "nats://" + listen
	s.args = append([]string{
		"serve", "--config-file", "none", "--foreground", "--log-stderr", "--log-level", "6", "--node-id", "n1",
		"--region", region, "--data-dir", t.TempDir(), "--nats-listen", listen, "--interface", s.host.String(),
		"--listen-ng", s.host.String() + ":2223", "--port-min", fmt.Sprint(firstPort), "--port-max", fmt.Sprint(lastPort),
	}, args...)
	s.start()
	return s
}

func (s *service) start() {
	s.t.Helper()
	s.process = start(s.t, nil, s.args...)
	s.ng = dial(s.t, s.host.String()+":2223")
	s.c.Timeout = 100 * time.Millisecond
	eventually(s.t, "the node answers no ping", func() error {
		select {
		case <-s.done:
			return fmt.Errorf("it has ended: %s", &s.stderr)
		default:
		}
		_, err := s.c.Do(dict{"command": "ping"})
		return err
	})
	s.c.Timeout = patience
}

func (s *service) kill() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	<-s.done
}

// log is the log of the node, seen from outside.
func (s *service) log() *embed.Log {
	s.t.Helper()
	nc, err := nats.Connect(s.nats)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	l, err := embed.Attach(s.t.Context(), nc, embed.Config{Region: region, Logger: quiet()})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(l.Close)
	return l
}

// awaitLearned returns once so many of a call's events say that an address was learned.
func awaitLearned(t testing.TB, l *embed.Log, id string, count int) {
	t.Helper()
	eventually(t, "learned addresses are not in the log", func() error {
		n := 0
		for _, env := range eventsOf(t, l, id) {
			if kindOf(env) == events.KindEndpointLearned {
				n++
			}
		}
		return when(n >= count)
	})
}
