package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rtpjet/cmd/rtpjet/config"
)

// running is a node in this process.
type running struct {
	t           testing.TB
	stdout, log output
	end         context.CancelFunc
	done        chan struct{}
	err         error // once done is closed
}

func serve(t testing.TB, c *config.Config, dev bool) *running {
	t.Helper()
	t.Setenv("GOGC", "100") // leaves the collector of the tests alone
	ctx, end := context.WithCancel(context.Background())
	r := &running{t: t, end: end, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = Serve(ctx, c, dev, &r.stdout, r.log.logger())
	}()
	t.Cleanup(func() {
		end()
		<-r.done
		if t.Failed() {
			t.Logf("%s\n%s", &r.stdout, &r.log)
		}
	})
	return r
}

// ended waits for the node's end, and returns what Serve has.
func (r *running) ended() error {
	r.t.Helper()
	select {
	case <-r.done:
		return r.err
	case <-time.After(patience):
		r.t.Fatal("the node does not end")
		return nil
	}
}

// check fails if the node has ended.
func (r *running) check() error {
	select {
	case <-r.done:
		r.t.Fatalf("it has ended: %v", r.err)
	default:
	}
	return nil
}

// ping asks a node by NG whether it is there.
func ping(addr string) error {
	c, err := net.Dial("udp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := c.Write([]byte("1_1 d7:command4:pinge")); err != nil {
		return err
	}
	buf := make([]byte, 1500)
	n, err := c.Read(buf)
	if err == nil && string(buf[:n]) != "1_1 d6:result4:ponge" {
		err = fmt.Errorf("it answers %q", buf[:n])
	}
	return err
}

// get asks over HTTP.
func get(url string) (code int, body string, err error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	return r.StatusCode, string(b), err
}

// TestServe: the whole of a node, from its start to its end, with all that it opens.
func TestServe(t *testing.T) {
	host := newHost()
	float := newHost()
	dir := t.TempDir()
	pid := filepath.Join(dir, "pid")
	ng, web := host.String()+":2223", netip.AddrPortFrom(host, 8080)
	c := configure(t, "--interface="+host.String()+"!203.0.113.9", "--float="+float.String()+"/8@lo", "--float-provider=none",
		"--listen-ng="+ng, "--listen-http="+web.String(), "--pidfile="+pid, "--data-dir="+dir, "--port-min=30000", "--port-max=30099",
		"--nats-listen="+host.String()+":4222")
	c.Warnings = append(c.Warnings, "an option without effect")
	r := serve(t, c, true)
	eventually(t, "the node answers no ping", func() error { r.check(); return ping(ng) })

	code, body, err := get("http://" + web.String() + "/healthz")
	if err != nil || code != http.StatusOK || body != "ok\n" {
		t.Errorf("/healthz: %d %q %v", code, body, err)
	}
	eventually(t, "it is not ready", func() error {
		code, body, err := get("http://" + web.String() + "/readyz")
		if err == nil && (code != http.StatusOK || body != `{"ready":true,"node":"n1","reasons":[]}`+"\n") {
			err = fmt.Errorf("%d %s", code, body)
		}
		return err
	})
	eventually(t, "the float is not held", func() error {
		_, body, err := get("http://" + web.String() + "/metrics")
		if err == nil && !strings.Contains(body, fmt.Sprintf("\nrtpjet_float_held{float=%q} 1\n", float)) {
			err = errors.New(body)
		}
		if err == nil && !strings.Contains(body, "\nrtpjet_ready 1\n") {
			t.Errorf("%s", body)
		}
		return err
	})
	if code, body, err := get("http://" + web.String() + "/"); err != nil || code != http.StatusOK || !strings.Contains(body, "<html") {
		t.Errorf("the page: %d %s %v", code, body, err)
	}
	if text, err := os.ReadFile(pid); err != nil || string(text) != strconv.Itoa(os.Getpid())+"\n" {
		t.Errorf("the pid file: %q, %v", text, err)
	}
	want := "rtpjet node n1 is running.\n" +
		"  NG commands   udp " + ng + "\n" +
		"  media         " + host.String() + ", ports 30000 to 30099, advertised as 203.0.113.9\n" +
		"  web page      http://" + web.String() + "/\n" +
		"  state         " + dir + "\n" +
		"  NATS          nats://" + host.String() + ":4222\n" +
		"\nIn kamailio.cfg:\n  modparam(\"rtpengine\", \"rtpengine_sock\", \"udp:" + ng + "\")\n" +
		"\nTo look at calls:\n  rtpjet call list --nats nats://" + host.String() + ":4222\n  rtpjet call show --nats nats://" + host.String() + ":4222 CALL-ID\n" +
		"\nCtrl-C ends it; the calls are there again at the next start.\n"
	if got := r.stdout.String(); got != want {
		t.Errorf("a newcomer reads\n%s\nwant\n%s", got, want)
	}

	r.end()
	if err := r.ended(); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(pid); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pid file is still there: %v", err)
	}
	free(t, "udp", ng)
	free(t, "tcp", web.String())
	free(t, "tcp", host.String()+":4222")
	lines := strings.Split(strings.TrimSpace(r.log.String()), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, `msg="rtpjet has ended" node=n1 uptime=`) || !strings.HasSuffix(last, " calls=0") {
		t.Errorf("the last line of the log is %s", last)
	}
	for _, once := range []string{
		`level=WARN msg="an option without effect"`, `msg="answering HTTP" listen=` + web.String(), `msg="answering NG commands" node=n1 listen=` + ng,
	} {
		if n := strings.Count(r.log.String(), once); n != 1 {
			t.Errorf("logged %d times: %s", n, once)
		}
	}
}

// free fails if an address cannot be had.
func free(t testing.TB, network, addr string) {
	t.Helper()
	switch network {
	case "udp":
		c, err := net.ListenPacket(network, addr)
		if err != nil {
			t.Error(err)
			return
		}
		_ = c.Close()
	default:
		l, err := net.Listen(network, addr)
		if err != nil {
			t.Error(err)
			return
		}
		_ = l.Close()
	}
}

// TestServeFails: what keeps a node from starting is one sentence: what, where, what to do. All that was open by then is closed.
func TestServeFails(t *testing.T) {
	host := newHost().String()
	ng, web := host+":2223", host+":8080"
	usedUDP, err := net.ListenPacket("udp", host+":2224")
	must(t, err)
	defer func() { _ = usedUDP.Close() }()
	usedTCP, err := net.Listen("tcp", host+":8081")
	must(t, err)
	defer func() { _ = usedTCP.Close() }()
	for name, c := range map[string]struct {
		args       []string
		want, then string // how the error begins and ends
	}{
		"no address":     {[]string{"--interface=other/192.0.2.77"}, "interface other: this machine cannot use the address 192.0.2.77: ", "or correct --interface"},
		"HTTP in use":    {[]string{"--listen-http=" + host + ":8081"}, "cannot listen for HTTP on " + host + ":8081: ", "; end the program that uses the port, or choose another with --listen-http"},
		"HTTP elsewhere": {[]string{"--listen-http=192.0.2.77:8081"}, "cannot listen for HTTP on 192.0.2.77:8081: ", "; this machine does not have the address: correct --listen-http"},
		"no script": {[]string{"--float=" + newHost().String() + "/8@lo", "--float-provider=exec:/nonexistent/float"},
			"cannot hold floating addresses: ", "/nonexistent/float: no such file or directory"},
		"NG in use": {[]string{"--listen-ng=" + host + ":2224"}, "", "; end the program that uses the port, or choose another with --listen-ng"},
		"no NATS":   {[]string{"--nats=nats://" + host + ":4222"}, "cannot reach NATS at nats://" + host + ":4222: ", "or leave --nats out to use the embedded one"},
		"no data":   {[]string{"--data-dir=/proc/nowhere"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"--interface=" + host}, c.args...)
			if name != "HTTP in use" && name != "HTTP elsewhere" {
				args = append(args, "--listen-http="+web)
			}
			if name != "NG in use" {
				args = append(args, "--listen-ng="+ng)
			}
			r := serve(t, configure(t, args...), true)
			err := r.ended()
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || !strings.HasSuffix(err.Error(), c.then) {
				t.Errorf("%v\nwant %s … %s", err, c.want, c.then)
			}
			if r.stdout.String() != "" {
				t.Errorf("a newcomer is told that it is running:\n%s", &r.stdout)
			}
			free(t, "udp", ng)
			free(t, "tcp", web)
		})
	}
}

// TestServeNoPIDFile: by then the node is there, and goes with its process.
func TestServeNoPIDFile(t *testing.T) {
	host := newHost().String()
	cmd := exec.Command("/proc/self/exe")
	args := options(t, "--interface="+host, "--listen-ng="+host+":2223", "--pidfile=/nonexistent/pid")
	cmd.Env = append(os.Environ(), serving+"="+strings.Join(args, " "))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || string(out) != "cannot write the pid file /nonexistent/pid: no such file or directory; name another with --pidfile\n" {
		t.Errorf("%v: %s", err, out)
	}
	free(t, "udp", host+":2223")
}

// TestServeEndsWhileStarting: a node that is asked to end while it waits for the other servers of the log does.
func TestServeEndsWhileStarting(t *testing.T) {
	host := newHost().String()
	c := configure(t, "--interface="+host, "--nats-listen="+host+":4222", "--nats-cluster-listen="+host+":6222",
		"--nats-routes="+host+":6222,"+newHost().String()+":6222,"+newHost().String()+":6222", "--listen-http="+host+":8080", "--listen-ng="+host+":2223")
	r := serve(t, c, false)
	eventually(t, "it does not say that it starts", func() error {
		r.check()
		code, body, err := get("http://" + host + ":8080/readyz")
		if err == nil && (code != http.StatusServiceUnavailable || body != `{"ready":false,"reasons":["the node starts"]}`+"\n") {
			err = fmt.Errorf("%d %s", code, body)
		}
		return err
	})
	r.end()
	if err := r.ended(); err == nil {
		t.Error("it has not started, and ends without a word")
	}
	if strings.Contains(r.log.String(), "rtpjet has ended") {
		t.Error("it never was a node, and has ended as one")
	}
	free(t, "tcp", host+":8080")
}
