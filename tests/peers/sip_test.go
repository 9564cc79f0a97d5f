//go:build unix

package peers

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// proxy is a Kamailio in front of the relay under test.
type proxy struct {
	*process
	addr  string // its own, and that of all phones
	port  int
	users int // who has registered so far
}

// startKamailio runs a configuration that names udp:127.0.0.1:2223 as its
// relay, pointed at the relay under test, and waits until it answers.
func startKamailio(t *testing.T, s *server, config string, args ...string) *proxy {
	t.Helper()
	path := program(t, "kamailio", "kamailio")
	k := &proxy{addr: s.phones, port: freePort(t)}
	run := t.TempDir()
	args = append([]string{
		"-f", config, "-DD", "-E", "-T", "-n", "2", "-Y", run, "-P", filepath.Join(run, "kamailio.pid"),
		"-l", "udp:" + k.at(),
		fmt.Sprintf("--subst=/udp:127.0.0.1:2223/%s/", s.socks),
	}, args...)
	k.process = start(t, path, args...)

	conn, err := net.Dial("udp4", k.at())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var replied atomic.Bool
	go func() { // ends when conn closes or the first reply came
		buf := make([]byte, 4096)
		for {
			if n, err := conn.Read(buf); err == nil && n > 0 {
				replied.Store(true)
				return
			} else if strings.Contains(fmt.Sprint(err), "closed") {
				return
			}
		}
	}()
	number := 0
	eventually(t, "Kamailio answers OPTIONS", func() bool {
		if k.ended() {
			t.Fatalf("kamailio ended at its start: %v", k.err)
		}
		number++
		// Refused while nobody listens there: tried again.
		_, _ = fmt.Fprintf(conn, "OPTIONS sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK-o%d;rport\r\n"+
			"Max-Forwards: 5\r\nFrom: <sip:test@%s>;tag=o\r\nTo: <sip:%s>\r\nCall-ID: o%d\r\n"+
			"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", k.at(), conn.LocalAddr(), number, k.addr, k.at(), number)
		return replied.Load()
	})
	return k
}

// at is where the proxy takes SIP.
func (k *proxy) at() string { return net.JoinHostPort(k.addr, strconv.Itoa(k.port)) }

// agent is one SIPp: one side of one call or of many.
type agent struct {
	*process
	addr  string
	port  int
	logs  string
	stat  string // the file with SIPp's counters
	gates int
}

// startAgent runs a scenario against Kamailio. The keys become SIPp's.
func startAgent(t *testing.T, k *proxy, port, calls int, scenario string, keys map[string]string, args ...string) *agent {
	t.Helper()
	path := program(t, "sipp", "sip-tester")
	dir := t.TempDir()
	file := filepath.Join(dir, "scenario.xml")
	if err := os.WriteFile(file, []byte(scenario), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &agent{addr: k.addr, port: port, logs: filepath.Join(dir, "log"), stat: filepath.Join(dir, "stat")}
	args = append([]string{
		"-sf", file, "-i", k.addr, "-p", strconv.Itoa(port), "-m", strconv.Itoa(calls), "-nostdin",
		"-trace_logs", "-log_file", a.logs, "-trace_err", "-error_file", filepath.Join(dir, "errors"),
		"-trace_msg", "-message_file", filepath.Join(dir, "messages"), "-trace_stat", "-stf", a.stat, "-fd", "1",
		"-timeout", "120", "-timeout_error", "-recv_timeout", "30000", "-default_behaviors", "none",
	}, args...)
	for name, value := range keys {
		args = append(args, "-key", name, value)
	}
	args = append(args, k.at())
	a.process = start(t, path, args...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("SIPp's errors on port %d:\n%s", port, tail(filepath.Join(dir, "errors")))
			t.Logf("SIPp's messages on port %d:\n%s", port, tail(filepath.Join(dir, "messages")))
		}
	})
	return a
}

// told is what a side learned from the SDP it was sent last.
type told struct {
	callID string
	relay  netip.AddrPort
	mode   string
}

// reached lists the calls that have come to a gate.
func (a *agent) reached(t *testing.T, word string) []told {
	t.Helper()
	data, err := os.ReadFile(a.logs)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var calls []told
	for line := range strings.Lines(string(data)) {
		var at, callID, relay, mode string
		if n, _ := fmt.Sscan(line, &at, &callID, &relay, &mode); n != 4 || at != word || !strings.HasSuffix(line, "\n") {
			continue
		}
		addr, err := netip.ParseAddrPort(relay)
		if err != nil {
			t.Fatalf("SIPp logged %q: %v", line, err)
		}
		calls = append(calls, told{callID, addr, mode})
	}
	return calls
}

// at waits until the call has come to a gate and returns what its side was told.
func (a *agent) at(t *testing.T, callID, word string) told {
	t.Helper()
	var found told
	eventually(t, fmt.Sprintf("port %d: %s for %s", a.port, word, callID), func() bool {
		for _, c := range a.reached(t, word) {
			if c.callID == callID {
				found = c
				return true
			}
		}
		if a.ended() {
			t.Fatalf("SIPp on port %d ended (%v) before %q", a.port, a.err, word)
		}
		return false
	})
	return found
}

// goOn opens the gate at which the call waits.
func (a *agent) goOn(t *testing.T, callID string) {
	t.Helper()
	a.gates++
	at := net.JoinHostPort(a.addr, strconv.Itoa(a.port))
	conn, err := net.Dial("udp4", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "MESSAGE sip:gate@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK-g%d\r\n"+
		"Max-Forwards: 5\r\nFrom: <sip:test@%s>;tag=g\r\nTo: <sip:gate@%s>\r\nCall-ID: %s\r\n"+
		"CSeq: %d MESSAGE\r\nContent-Length: 0\r\n\r\n", at, conn.LocalAddr(), a.gates, a.addr, a.addr, callID, a.gates)
	if err != nil {
		t.Fatal(err)
	}
}
