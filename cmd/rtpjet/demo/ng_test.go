package demo

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtpjet/ngserver/bencode"
)

// server answers NG commands: answer gets the cookie and the rest of each datagram and returns what is sent back, datagram by
// datagram.
func server(t *testing.T, answer func(cookie, body string) []string) (addr string, asked func() []string) {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 65535)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			got = append(got, string(buf[:n]))
			cookie, body, _ := strings.Cut(string(buf[:n]), " ")
			for _, out := range answer(cookie, body) {
				_, _ = conn.WriteToUDPAddrPort([]byte(out), from)
			}
		}
	}()
	stop := func() []string {
		_ = conn.Close()
		<-done
		return got
	}
	t.Cleanup(func() { stop() })
	return conn.LocalAddr().String(), stop
}

func TestAsk(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer func(cookie, body string) []string
		want   string // of the reply
		err    string
	}{
		"ok":         {func(c, _ string) []string { return []string{c + " d6:result2:ok3:sdp3:v=0e"} }, "v=0", ""},
		"refused":    {func(c, _ string) []string { return []string{c + " d12:error-reason9:too large6:result5:errore"} }, "", `the reply is error "too large"`},
		"load limit": {func(c, _ string) []string { return []string{c + " d6:result10:load limite"} }, "", `the reply is load limit ""`},
		"no result":  {func(c, _ string) []string { return []string{c + " d3:sdp3:v=0e"} }, "", `the reply is  ""`},
		"no bencode": {func(c, _ string) []string { return []string{c + " nonsense"} }, "", "bencode"},
		"no dict":    {func(c, _ string) []string { return []string{c + " le"} }, "", "bencode"},
		"other first": {func(c, _ string) []string {
			return []string{"x_1 d6:result5:errore", c + "0 de", " ", "", c, c + " d6:result2:ok3:sdp1:2e"}
		}, "2", ""},
	} {
		addr, stop := server(t, tt.answer)
		c := &client{run: "r"}
		reply, took, err := c.ask(t.Context(), addr, new(bencode.Dict).Add("command", "query"))
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) || text(reply, "sdp") != tt.want && err == nil || took <= 0 {
			t.Errorf("%s: %v %v after %v", name, reply, err, took)
		}
		if got := stop(); len(got) != 1+int(c.resent.Load()) || got[0] != "r_1 d7:command5:querye" || got[len(got)-1] != got[0] || c.asked.Load() != 1 {
			t.Errorf("%s: asked %d times, sent %q", name, c.asked.Load(), got)
		}
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{"d6:result4:ponge": "", "d6:result2:oke": "the reply is no pong", "de": "the reply is no pong", "x": "bencode"} {
		addr, stop := server(t, func(c, _ string) []string { return []string{c + " " + answer} })
		c := &client{}
		err := c.ping(t.Context(), addr)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", answer, err)
		}
		if got := stop(); got[0] != "_1 d7:command4:pinge" || c.asked.Load() != 0 {
			t.Errorf("a ping counts as a command, or is none: %q", got)
		}
	}
}

// TestCookies: each command has one of its own, or a reply could be taken for another's.
func TestCookies(t *testing.T) {
	t.Parallel()
	addr, stop := server(t, func(c, _ string) []string { return []string{c + " d6:result2:oke"} })
	c := &client{run: "r"}
	calls := make([]*call, 8)
	if err := each(calls, 0, func(*call) error {
		_, _, err := c.ask(t.Context(), addr, new(bencode.Dict).Add("command", "list"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, line := range stop() { // some of them more than once, if this machine is slow
		cookie, _, _ := strings.Cut(line, " ")
		seen[cookie] = true
	}
	if len(seen) != len(calls) {
		t.Errorf("%d commands with %d cookies", len(calls), len(seen))
	}
}

// TestAskNobody: who waits for a node that is gone can be told to stop, whether the port is refused or silent.
func TestAskNobody(t *testing.T) {
	t.Parallel()
	silent, _ := server(t, func(string, string) []string { return nil })
	gone, stop := server(t, func(string, string) []string { return nil })
	stop()
	for name, addr := range map[string]string{"silent": silent, "refused": gone} {
		enough := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, enough)
		_, _, err := (&client{}).ask(ctx, addr, new(bencode.Dict))
		cancel()
		if !errors.Is(err, enough) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := (&client{}).ask(t.Context(), "nowhere", new(bencode.Dict)); err == nil {
		t.Error("an address that is none")
	}
	if _, _, err := (&client{}).ask(t.Context(), silent, new(bencode.Dict).Add("x", 1.5)); err == nil {
		t.Error("a command that cannot be written")
	}
	if want := "no reply, though asked 6 times"; errNoReply.Error() != want {
		t.Error(errNoReply)
	}
}

// refusing is a connection whose port nobody has for a while, as reading it says.
type refusing struct {
	net.Conn
	times int
}

func (r *refusing) Read(b []byte) (int, error) {
	if r.times > 0 {
		r.times--
		return 0, errors.New("connection refused")
	}
	return r.Conn.Read(b)
}

// TestReceive: a reply is waited for until its time is over, over what is none and over refusals.
func TestReceive(t *testing.T) {
	for name, tt := range map[string]struct {
		refusals int
		in       []string // a datagram each 100 ms
		want     string
		after    time.Duration
	}{
		"at once":        {0, []string{"c_1 d"}, "d", 100 * time.Millisecond},
		"behind others":  {0, []string{"c_0 x", "c_11 y", "", "c_1 d"}, "d", 400 * time.Millisecond},
		"after refusals": {3, []string{"c_1 d"}, "d", 100 * time.Millisecond},
		"too late":       {0, []string{"", "", "", "", "", "", "", "", "", "", "c_1 d"}, "", resendAfter},
		"never":          {0, nil, "", resendAfter},
		"refused only":   {1000, nil, "", 1000 * 10 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				ended := make(chan struct{})
				defer func() { _ = here.Close(); <-ended }()
				go func() {
					defer close(ended)
					defer there.Close()
					for _, text := range tt.in {
						time.Sleep(100 * time.Millisecond)
						if _, err := there.Write([]byte(text)); err != nil {
							return
						}
					}
					_, _ = io.Copy(io.Discard, there)
				}()
				began := time.Now()
				out, err := receive(t.Context(), &refusing{here, tt.refusals}, make([]byte, 100), "c_1 ", began.Add(resendAfter))
				if string(out) != tt.want || (err == nil) != (tt.want != "") || time.Since(began) != tt.after {
					t.Errorf("%q, %v after %v", out, err, time.Since(began))
				}
			})
		})
	}
	here, there := net.Pipe()
	_, _ = here.Close(), there.Close()
	if _, err := receive(t.Context(), here, nil, "", time.Time{}); err == nil {
		t.Error("from a closed connection")
	}
}

// TestReplies: what is taken out of them, and of those that are not as they should be.
func TestReplies(t *testing.T) {
	d, _, err := bencode.DecodeDict([]byte("d1:s4:text1:ni7e1:ll1:ai1e1:be2:edle1:dd1:ll" + "d1:dd1:xi5eee" + "eee"))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"s": "text", "n": "", "l": "", "d": "", "missing": ""} {
		if got := text(d, key); got != want {
			t.Errorf("text %s: %q", key, got)
		}
	}
	if got := text(nil, "s"); got != "" {
		t.Error(got)
	}
	if diff := cmp.Diff([]string{"a", "b"}, strs(d, "l")); diff != "" || strs(d, "ed") != nil || strs(d, "s") != nil || strs(nil, "l") != nil {
		t.Error(diff)
	}
	if x, _ := dig(d, "d", "l", "d").Get("x"); x != int64(5) {
		t.Errorf("%v", x)
	}
	for _, keys := range [][]string{{"s"}, {"n", "x"}, {"ed", "x"}, {"missing", "l"}, {"d", "l", "x"}} {
		if got := dig(d, keys...); got != nil {
			t.Errorf("%q: %v", keys, got)
		}
	}
	b, err := bencode.Append(nil, listCommand())
	if err != nil || string(b) != "d7:command4:list5:limiti200ee" {
		t.Errorf("%s %v", b, err)
	}
}
