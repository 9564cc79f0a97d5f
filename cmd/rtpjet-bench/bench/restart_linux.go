package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// RestartResult is what `rtpjet-bench restart` found. Times count from the start
// of the new process; the kill came KillToStart before it.
type RestartResult struct {
	Calls         int     `json:"calls"`
	PlaceSeconds  float64 `json:"place_s"`
	BytesPerCall  float64 `json:"bytes_per_call"`
	FDsPerSection float64 `json:"fds_per_media_section"`

	KillToStart float64 `json:"kill_to_start_s"`
	Pong        float64 `json:"pong_s"`       // NG answers
	LastKnown   float64 `json:"last_known_s"` // the call placed last answers a query
	AllKnown    float64 `json:"all_known_s"`  // so do all queried ones
	Queried     int     `json:"queried"`
	Unknown     int     `json:"unknown"` // queried calls that the server did not know at the end

	FirstForwarded  float64 `json:"first_forwarded_s"`
	MedianForwarded float64 `json:"median_forwarded_s"`
	LastForwarded   float64 `json:"last_forwarded_s"`
	Silent          int     `json:"silent_legs"` // legs that got nothing until the time limit

	RSSAfter uint64 `json:"rss_bytes_after"`
	FDsAfter int    `json:"fds_after"`
}

const restartUsage = `rtpjet-bench restart: place calls, kill the server with SIGKILL, start it again, and
see when the calls are known and their media flows again.

  rtpjet-bench restart --ng 127.0.0.1:2223 --pid PID --calls 4000 --cmd 'rtpjet serve ...'

The first of the --pid list is killed; --cmd is run by the shell as the new server,
and ended with SIGTERM after the benchmark.

`

// restartRun is the state of one such run.
type restartRun struct {
	t      *traffic
	began  time.Time // of the new process
	limit  time.Time
	result RestartResult
}

// runRestart is `rtpjet-bench restart`.
func runRestart(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlagSet("rtpjet-bench restart", restartUsage, stderr)
	var c common
	c.register(fs.FlagSet)
	calls := fs.Int("calls", 4000, "`NUMBER` of calls")
	command := fs.String("cmd", "", "`COMMAND` line that starts the server again, in the foreground")
	logFile := fs.String("log", os.DevNull, "`FILE` for the output of the new server")
	settle := fs.Duration("settle", 4*time.Second, "how long media flows before the kill")
	rate := fs.Float64("rate", 4, "`PACKETS/S` that each leg sends before the kill")
	probe := fs.Float64("probe", 50000, "`PACKETS/S` of all legs together while waiting for media to flow again")
	limit := fs.Duration("limit", 30*time.Second, "how long to wait for that")
	queries := fs.Int("queries", 400, "`NUMBER` of calls, spread over all, that must answer a query")
	nat := fs.Bool("nat", false, "name ports in the SDP that the packets do not come from, so that the learned ones must survive")
	if err := fs.parse(args); err != nil {
		return err
	}
	at, err := c.resolve()
	if err != nil {
		return err
	}
	switch {
	case len(at.pids) == 0:
		return usageError{"--pid must name the server's process"}
	case *command == "":
		return usageError{"--cmd must say how to start the server again"}
	case *calls < 1 || *calls > 30000, *queries < 1:
		return usageError{"--calls must be between 1 and 30000, --queries at least 1"}
	case *rate <= 0 || *probe < 100 || *probe > 1e6 || *settle <= 0 || *limit <= 0:
		return usageError{"--rate, --settle and --limit must be above 0, --probe between 100 and 1,000,000"}
	}

	idle, err := usageOf(at.pids[:1], true)
	if err != nil {
		return err
	}
	t, err := place(ctx, trafficOptions{
		ng: c.ng, local: at.local, payload: 160, calls: *calls, workers: 1,
		nat: *nat, options: c.options(), tick: 250 * time.Microsecond,
	})
	if err != nil {
		return err
	}
	defer t.end(context.WithoutCancel(ctx))
	before, err := t.stream(ctx, stretch{rate: *rate, duration: *settle})
	if err != nil {
		return err
	}
	// More may have arrived than were sent in this stretch: packets of the one before it, on a busy machine.
	if before.received < before.sent && before.sent-before.received > before.sent/100 {
		return fmt.Errorf("check that media flows before the kill: %d of %d packets lost", before.sent-before.received, before.sent)
	}
	full, err := usageOf(at.pids[:1], true)
	if err != nil {
		return err
	}
	r := &restartRun{t: t}
	r.result = RestartResult{
		Calls:         *calls,
		PlaceSeconds:  t.placed.Seconds(),
		BytesPerCall:  (float64(full.rss[at.pids[0]]) - float64(idle.rss[at.pids[0]])) / float64(*calls),
		FDsPerSection: float64(full.fds[at.pids[0]]-idle.fds[at.pids[0]]) / float64(*calls),
		Queried:       min(*queries, *calls),
	}

	server, err := r.killAndStart(ctx, at.pids[0], *command, *logFile)
	if err != nil {
		return err
	}
	defer server.stop()
	r.limit = r.began.Add(*limit)
	if err := r.wait(ctx, *probe, server); err != nil {
		return err
	}
	if after, err := usageOf([]int{server.cmd.Process.Pid}, true); err == nil {
		r.result.RSSAfter = after.rss[server.cmd.Process.Pid]
		r.result.FDsAfter = after.fds[server.cmd.Process.Pid]
	}
	// The calls end while the new server is there to hear of it.
	t.end(context.WithoutCancel(ctx))
	t.calls, t.workers = nil, nil

	if c.jsonOut {
		return json.NewEncoder(stdout).Encode(&r.result)
	}
	r.result.print(stdout)
	return nil
}

// child is a server that this benchmark started.
type child struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed once it has ended; then cmd says how
	log   *os.File
}

// killAndStart ends a process by SIGKILL, waits until its sockets are free, and
// starts a command.
func (r *restartRun) killAndStart(ctx context.Context, pid int, command, logFile string) (*child, error) {
	log, err := os.OpenFile(logFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of the new server: %w", err)
	}
	killed := time.Now()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		_ = log.Close()
		return nil, fmt.Errorf("kill process %d: %w", pid, err)
	}
	for !gone(pid) {
		if err := waitUntil(ctx, time.Now().Add(time.Millisecond)); err != nil {
			_ = log.Close()
			return nil, err
		}
		if time.Since(killed) > 10*time.Second {
			_ = log.Close()
			return nil, fmt.Errorf("kill process %d: still there after 10 s", pid)
		}
	}
	c := &child{ended: make(chan struct{}), log: log}
	started := make(chan error)
	go func() {
		defer close(c.ended)
		// The child is to die with this program, and the kernel takes the thread
		// that started it for the program.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		c.cmd = exec.Command("/bin/sh", "-c", "exec "+command)
		c.cmd.Stdout, c.cmd.Stderr = log, log
		c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		r.began = time.Now()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			_ = c.cmd.Wait() // how it ended is read from cmd
		}
	}()
	if err := <-started; err != nil {
		_ = log.Close()
		return nil, fmt.Errorf("start the server again: %w", err)
	}
	r.result.KillToStart = r.began.Sub(killed).Seconds()
	return c, nil
}

// stop ends the server and waits until it has.
func (c *child) stop() {
	defer func() { _ = c.log.Close() }()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(10 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.ended
	}
}

// gone says whether a process has ended; one that nobody has waited for yet has. Its first thread may have ended, and look like that,
// while others still hold the sockets.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	end := bytes.LastIndexByte(stat, ')')
	if end >= 0 && end+2 < len(stat) && stat[end+2] != 'Z' && stat[end+2] != 'X' {
		return false
	}
	threads, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	return err != nil || len(threads) <= 1
}

// wait probes the server over NG and by packets until all is as it was.
func (r *restartRun) wait(ctx context.Context, probe float64, server *child) error {
	ctx, cancel := context.WithDeadline(ctx, r.limit)
	defer cancel()
	stopWatching := make(chan struct{})
	defer close(stopWatching)
	go func() {
		select {
		case <-server.ended:
			cancel()
		case <-stopWatching:
		}
	}()
	var group sync.WaitGroup
	var ngErr error
	group.Go(func() { ngErr = r.query(ctx) })
	group.Go(func() { r.probe(ctx, probe) })
	group.Wait()
	select {
	case <-server.ended:
		return fmt.Errorf("start the server again: it ended: %s", server.cmd.ProcessState)
	default:
	}
	return ngErr
}

// since is the time from the start of the new server in seconds.
func (r *restartRun) since(t time.Time) float64 { return t.Sub(r.began).Seconds() }

// query asks until the server answers, and until it knows the calls again.
func (r *restartRun) query(ctx context.Context) error {
	ng, err := dialNG(r.t.opts.ng)
	if err != nil {
		return err
	}
	defer ng.close()
	const pause = 2 * time.Millisecond
	for {
		reply, err := ng.try(request{Command: "ping"}, time.Now().Add(50*time.Millisecond))
		if err == nil && reply.ok() {
			break
		}
		if waitUntil(ctx, time.Now().Add(pause)) != nil {
			return fmt.Errorf("wait for the restarted server: no pong within %s", r.limit.Sub(r.began))
		}
	}
	r.result.Pong = r.since(time.Now())

	// The call that was placed last comes first.
	n := len(r.t.calls)
	for i := range r.result.Queried {
		c := r.t.calls[n-1-i*n/r.result.Queried]
		for {
			reply, err := ng.try(queryRequest(c.names), time.Now().Add(250*time.Millisecond))
			if err == nil && reply.ok() {
				break
			}
			if waitUntil(ctx, time.Now().Add(pause)) != nil {
				r.result.Unknown = r.result.Queried - i
				return nil
			}
		}
		if i == 0 {
			r.result.LastKnown = r.since(time.Now())
		}
	}
	r.result.AllKnown = r.since(time.Now())
	return nil
}

// scouts is how many legs look for the first packet. Before it, all others would
// only load the machine that the server restarts on.
const scouts = 100

// probe sends from all legs whose peer has not heard anything yet, until none is
// left, and notes when each peer heard its first packet.
func (r *restartRun) probe(ctx context.Context, rate float64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	exactTimers()
	w := r.t.workers[0]
	w.begin(time.Now().UnixNano(), 1, 0, 2)
	for _, l := range w.legs {
		l.first, l.received = l.next, 0
	}
	waiting := make([]*leg, 0, len(w.legs)) // legs whose packets have not come through
	for i := range min(scouts, len(w.legs)) {
		waiting = append(waiting, w.legs[i*len(w.legs)/min(scouts, len(w.legs))])
	}
	scouting := true
	times := newHistogram()
	origin := r.began.UnixNano()
	for ctx.Err() == nil && len(waiting) > 0 {
		start := time.Now().UnixNano()
		r.sendRound(ctx, waiting, rate, times, origin)
		if times.count() > 0 && scouting {
			scouting = false
			waiting = append(waiting[:0], w.legs...)
		}
		left := waiting[:0]
		for _, l := range waiting {
			if l.peer.received == 0 {
				left = append(left, l)
			}
		}
		waiting = left
		// No leg sends more often than every 5 ms.
		sleepUntil(start + int64(5*time.Millisecond))
		r.hear(times, origin)
	}
	r.result.Silent = len(waiting)
	if scouting {
		r.result.Silent = len(w.legs)
	}
	if times.count() > 0 {
		r.result.FirstForwarded = times.quantile(0).Seconds()
		r.result.MedianForwarded = times.quantile(0.5).Seconds()
		r.result.LastForwarded = times.max.Seconds()
	}
}

// sendRound sends one packet from each of the legs at the rate.
func (r *restartRun) sendRound(ctx context.Context, legs []*leg, rate float64, times *histogram, origin int64) {
	began := time.Now().UnixNano()
	for i, l := range legs {
		if i%16 == 0 {
			if ctx.Err() != nil {
				return
			}
			if due := began + int64(float64(i)/rate*1e9); due > time.Now().UnixNano() {
				sleepUntil(due)
			}
			r.hear(times, origin)
		}
		if l.peer.received > 0 {
			continue
		}
		l.packet.stamp(l.next, time.Now().UnixNano())
		if send(l.fd, l.packet.bytes) == unix.ECONNREFUSED {
			_ = send(l.fd, l.packet.bytes)
		}
		l.next++
	}
}

// hear takes what has arrived and notes the first packet of each leg.
func (r *restartRun) hear(times *histogram, origin int64) {
	w := r.t.workers[0]
	for {
		events := w.poll.ready()
		for i := range events {
			l := w.legs[events[i].Fd]
			had := l.received
			w.lastHeard = 0
			w.take(l)
			if had == 0 && l.received > 0 {
				times.record(w.lastHeard - origin)
			}
		}
		if len(events) < pollBatch {
			return
		}
	}
}

func (r *RestartResult) print(w io.Writer) {
	fmt.Fprintf(w, "%d calls placed in %.2f s; %.0f bytes a call, %.2f descriptors a media section\n", r.Calls, r.PlaceSeconds, r.BytesPerCall, r.FDsPerSection)
	fmt.Fprintf(w, "killed, and started again %.3f s later; counted from that start:\n", r.KillToStart)
	fmt.Fprintf(w, "answers    a ping after %.3f s\n", r.Pong)
	fmt.Fprintf(w, "known      the call placed last after %.3f s, all %d queried after %.3f s; %d unknown\n", r.LastKnown, r.Queried, r.AllKnown, r.Unknown)
	fmt.Fprintf(w, "forwarding the first leg after %.3f s, half of them after %.3f s, the last after %.3f s; %d silent\n",
		r.FirstForwarded, r.MedianForwarded, r.LastForwarded, r.Silent)
	fmt.Fprintf(w, "then       %.1f MB resident, %d descriptors\n", float64(r.RSSAfter)/1e6, r.FDsAfter)
}
