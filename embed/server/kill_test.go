package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// childEnv makes the test binary a server of a cluster: "id,host,dir,routes".
const childEnv = "RTPJET_EMBED_CHILD"

// runChild is a process with a server and nothing else, until its input ends.
func runChild(spec string) int {
	f := strings.Split(spec, "|")
	s, err := Start(context.Background(), Config{
		NodeID: f[0], Region: "r", Listen: f[1] + ":4222", ClusterListen: f[1] + ":6222", StoreDir: f[2],
		Routes: strings.Split(f[3], ","), Logger: testLogger(nil),
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	return 0
}

type child struct {
	cmd   *exec.Cmd
	in    io.Closer
	ready chan string
}

func startChild(t testing.TB, cfg Config) *child {
	t.Helper()
	host, _, _ := strings.Cut(cfg.Listen, ":")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join([]string{cfg.NodeID, host, cfg.StoreDir, strings.Join(cfg.Routes, ",")}, "|"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: cmd, in: in, ready: make(chan string, 1)}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		c.ready <- strings.TrimSpace(line)
	}()
	t.Cleanup(c.kill)
	return c
}

// kill is kill -9 and wait.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	_ = c.in.Close()
}

// TestLeaderKilled: the process that leads the streams is killed with SIGKILL under appends. None of them fails, none is
// there twice, and followers go on. It prints how long writes stood still.
func TestLeaderKilled(t *testing.T) {
	t.Parallel()
	list := clusterConfigs(t, 3)
	victim := startChild(t, list[2])
	members := startMembers(t, list[:2])
	if line := <-victim.ready; line != "ready" {
		t.Fatal(line)
	}
	awaitReplicas(t, members[0].log, 3)
	lead(t, members[0].log, "n3")

	var followers []*recorder
	for _, m := range members {
		followers = append(followers, startFollow(t, m.log))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const writers = 8
	var mu sync.Mutex
	var took []time.Duration
	var confirmed, failed atomic.Int64
	killed := make(chan struct{})
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			l := members[w%2].log
			after := 0
			for i := 0; after < 200; i++ {
				select {
				case <-killed:
					after++
				default:
				}
				actx, stop := context.WithTimeout(ctx, 10*time.Second)
				start := time.Now()
				_, err := l.Append(actx, fmt.Sprintf("k%d-%d", w, i), 0, fmt.Appendf(nil, "%d-%d", w, i))
				d := time.Since(start)
				stop()
				if err != nil {
					failed.Add(1)
					t.Error(err)
					return
				}
				confirmed.Add(1)
				mu.Lock()
				took = append(took, d)
				mu.Unlock()
			}
		})
	}
	followers[0].until(t, 200)
	victim.kill()
	at := time.Now()
	close(killed)
	wg.Wait()
	n := int(confirmed.Load())
	for i, f := range followers {
		got := f.until(t, n)
		var late time.Duration
		for j := 1; j < len(got); j++ {
			if got[j].Seq <= got[j-1].Seq {
				t.Fatalf("follower %d: %d after %d", i, got[j].Seq, got[j-1].Seq)
			}
			late = max(late, got[j].Time.Sub(got[j-1].Time))
		}
		seen := map[string]bool{}
		for _, e := range got {
			if seen[e.Key] {
				t.Errorf("%s is there twice", e.Key)
			}
			seen[e.Key] = true
		}
		t.Logf("follower %d has all %d entries %v after the kill; the log stood still for %v", i, n, time.Since(at), late)
	}
	slices.Sort(took)
	t.Logf("%d appends, %d failed; p50 %v, p99 %v, longest %v", n, failed.Load(), took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
}

// lead makes a server the leader of the live stream.
func lead(t testing.TB, l *testLog, server string) {
	t.Helper()
	eventually(t, server+" leads", func() bool {
		if l.info(t, l.calls).Cluster.Leader == server {
			return true
		}
		req := fmt.Appendf(nil, `{"placement":{"preferred":%q}}`, server)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.nc.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+l.calls, req); err != nil {
			t.Logf("step down: %v", err)
		}
		return false
	})
}
