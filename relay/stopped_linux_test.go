package relay_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rtpjet/relay"
)

// holder is the variable that makes TestStoppedProcess the process that is stopped: the party's address.
const holder = "RTPJET_TEST_HOLDER"

const permission = 30 * time.Millisecond

// TestStoppedProcess stops a process that relays in the middle of a flood and has it go on when its permission is over: of
// what it holds and of what waits in its sockets, it must not forward anything.
func TestStoppedProcess(t *testing.T) {
	if party := os.Getenv(holder); party != "" {
		hold(t, netip.MustParseAddrPort(party))
		return
	}
	rounds := 30
	if testing.Short() {
		rounds = 3
	}
	party := listen(t)
	child := exec.Command(os.Args[0], "-test.run=^TestStoppedProcess$")
	child.Env = append(os.Environ(), holder+"="+addrOf(party).String())
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	ask := func(what string) (answer string) {
		t.Helper()
		if _, err := fmt.Fprintln(in, what); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() {
			t.Fatalf("the process has ended: %v", lines.Err())
		}
		return lines.Text()
	}
	defer func() {
		_ = child.Process.Signal(unix.SIGCONT)
		_ = in.Close()
		_, _ = io.Copy(io.Discard, out)
		if err := child.Wait(); err != nil {
			t.Error(err)
		}
	}()
	target := netip.MustParseAddrPort(ask("where"))

	pkt, buf := make([]byte, 172), make([]byte, 1500)
	pkt[0] = 0x80
	number := uint32(0)
	send := func() {
		number++
		binary.BigEndian.PutUint32(pkt[12:], number)
		if _, err := party.WriteToUDPAddrPort(pkt, target); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := party.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	// heard counts what has arrived and takes it.
	heard := func() (n int) {
		fault := raw.Control(func(fd uintptr) {
			for err = nil; err == nil; n++ {
				_, _, err = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
			}
			n--
		})
		if fault != nil || !errors.Is(err, unix.EAGAIN) {
			t.Fatalf("read: %v, %v", fault, err)
		}
		return n
	}
	late, waiting := 0, uint64(0)
	for range rounds {
		for n := 0; n == 0; { // on a busy machine the permission may be over too soon
			ask("permit")
			send()
			for start := time.Now(); n == 0 && time.Since(start) < permission; n = heard() {
				runtime.Gosched()
			}
			if number > 10_000 {
				t.Fatal("nothing is relayed")
			}
		}
		for range 20 { // in the middle of it
			send()
		}
		if err := child.Process.Signal(unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		stopped := time.Now()
		var status unix.WaitStatus
		if _, err := unix.Wait4(child.Process.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
			t.Fatalf("the process has not stopped: %v, %v", status, err)
		}
		for range 50 { // wait in its sockets
			send()
		}
		for time.Since(stopped) <= permission {
			runtime.Gosched()
		}
		heard()
		before := number
		if err := child.Process.Signal(unix.SIGCONT); err != nil {
			t.Fatal(err)
		}
		// What it has refused of these, it has seen.
		var carried, refused uint64
		for start := time.Now(); ; {
			if _, err := fmt.Sscan(ask("count"), &carried, &refused); err != nil {
				t.Fatal(err)
			}
			if carried+refused >= uint64(before) {
				break
			}
			if time.Since(start) > 10*time.Second {
				t.Fatalf("%d packets carried and %d refused of %d", carried, refused, before)
			}
		}
		waiting = refused
		late += heard()
	}
	t.Logf("%d times stopped, %d packets refused, %d forwarded too late", rounds, waiting, late)
	if waiting < uint64(50*rounds) {
		t.Errorf("%d packets were refused, want 50 a round at least", waiting)
	}
	// Between its last look at the clock and the system call, a thread can be stopped nevertheless.
	if late > max(1, rounds/10) {
		t.Errorf("%d packets were forwarded when the permission was over, in %d rounds", late, rounds)
	}
}

// hold relays what comes from party and does as it is told.
func hold(t *testing.T, party netip.AddrPort) {
	e := newEngine(t, relay.Config{Pools: []relay.Pool{{Addr: loopback, Min: 10000, Max: 29999, Floating: true}}})
	locals := reserve(t, e, 2)
	if err := e.Set("call", between(locals[0], locals[1], party)); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		switch strings.TrimSpace(lines.Text()) {
		case "where":
			fmt.Println(locals[0])
		case "permit":
			e.Permit(time.Now().Add(permission), loopback)
			fmt.Println()
		case "count":
			st, _ := e.Stats(locals[0])
			fmt.Println(st.In.Packets, st.In.Errors)
		}
	}
}
