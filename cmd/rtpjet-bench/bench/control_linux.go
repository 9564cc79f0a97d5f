package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sort"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ControlResult is what `rtpjet-bench control` found.
type ControlResult struct {
	Callers  int     `json:"callers"`
	Seconds  float64 `json:"seconds"`
	Calls    uint64  `json:"calls"` // offer, answer and delete all done
	CallsPS  float64 `json:"calls_per_s"`
	Resends  uint64  `json:"resends"`
	NoReply  uint64  `json:"no_reply"`
	Failures uint64  `json:"failures"`
	// Reasons counts the failures by the server's words.
	Reasons map[string]uint64 `json:"reasons,omitempty"`

	Offer  Latency `json:"offer"`
	Answer Latency `json:"answer"`
	Delete Latency `json:"delete"`

	CPUPerCall       float64      `json:"cpu_us_per_call"`
	MachineCPU       float64      `json:"machine_cpu_us_per_call"`
	GeneratorCPU     float64      `json:"generator_cpu_us_per_call"`
	Processes        []ProcessUse `json:"processes"`
	FirstFailureSeen string       `json:"first_failure,omitempty"`
}

const controlUsage = `rtpjet-bench control: set up and end calls as fast as the server answers.

  rtpjet-bench control --ng 127.0.0.1:2223 --pid PID --callers 8 --duration 10s

Each caller has a UDP socket of its own and sends offer, answer and delete, each
after the reply to the one before. No media is sent.

`

// maxReasons bounds the table of failures.
const maxReasons = 20

// step is where a caller is in its call.
type step int

const (
	stepOffer step = iota
	stepAnswer
	stepDelete
	steps
)

// caller is one client that places calls one after the other.
type caller struct {
	fd       int
	number   int // of its calls so far
	at       step
	failed   bool // the call that it is about to end did not come about
	request  []byte
	sent     time.Time // the first copy
	resendAt time.Time
	copies   int
	done     bool
}

// port is where the phone of a step says that it listens. Nobody does: no media is sent.
func (c *caller) port(at step) uint16 {
	return uint16(10000 + 4*(c.number%10000) + 2*int(at))
}

// controlRun is all callers, on one thread: a benchmark client that wakes eight
// threads takes a good part of what it measures.
type controlRun struct {
	c       common
	at      resolved
	run     string
	opts    ngOptions
	callers []*caller
	poll    *poller
	in      []byte
	reader  replyReader
	// templates are the requests of all callers' calls, by step. The call's number and its port change from call to call.
	templates [steps]*template

	latency [steps]*histogram
	result  ControlResult
	counts  bool // the warm-up is over, the end not reached
	last    bool // begin no new calls
}

// runControl is `rtpjet-bench control`.
func runControl(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlagSet("rtpjet-bench control", controlUsage, stderr)
	var c common
	c.register(fs.FlagSet)
	callers := fs.Int("callers", 8, "`NUMBER` of clients at a time")
	duration := fs.Duration("duration", 10*time.Second, "how long to measure")
	warmup := fs.Duration("warmup", time.Second, "how long to run before measuring")
	if err := fs.parse(args); err != nil {
		return err
	}
	at, err := c.resolve()
	if err != nil {
		return err
	}
	switch {
	case *callers < 1 || *callers > 1000:
		return usageError{"--callers must be between 1 and 1000"}
	case *duration <= 0 || *duration > time.Hour || *warmup < 0:
		return usageError{"--duration must be above 0 and at most 1h, --warmup at least 0"}
	}

	r := &controlRun{c: c, at: at, run: runName(), opts: c.options(), in: make([]byte, maxDatagram)}
	r.result.Callers = *callers
	for i := range r.latency {
		r.latency[i] = newHistogram()
	}
	r.writeTemplates()
	r.result.Reasons = map[string]uint64{}
	defer r.close()
	if err := r.open(*callers); err != nil {
		return err
	}
	if err := r.loop(ctx, *warmup, *duration); err != nil {
		return err
	}
	r.result.Offer = r.latency[stepOffer].summary()
	r.result.Answer = r.latency[stepAnswer].summary()
	r.result.Delete = r.latency[stepDelete].summary()
	if c.jsonOut {
		return json.NewEncoder(stdout).Encode(&r.result)
	}
	r.result.print(stdout)
	return nil
}

// writeTemplates makes the requests of all calls.
func (r *controlRun) writeTemplates() {
	names := namesAs(r.run, anyNumber)
	sdp := phoneSDP(netip.AddrPortFrom(r.at.local, anyPort), r.opts.sdp)
	for at, request := range [steps]request{
		stepOffer:  offerRequest(names, sdp, r.at.local, r.opts),
		stepAnswer: answerRequest(names, sdp, r.at.local, r.opts),
		stepDelete: deleteRequest(names, r.opts),
	} {
		r.templates[at] = newTemplate(request, r.run+"_"+anyNumber+"_"+strconv.Itoa(at))
	}
}

// open makes the sockets.
func (r *controlRun) open(n int) error {
	server, err := net.ResolveUDPAddr("udp", r.c.ng)
	if err != nil {
		return fmt.Errorf("read --ng: %w", err)
	}
	to := server.AddrPort()
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	if r.poll, err = newPoller(64); err != nil {
		return err
	}
	for i := range n {
		family := unix.AF_INET
		if to.Addr().Is6() {
			family = unix.AF_INET6
		}
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open a UDP socket: %w", err)
		}
		r.callers = append(r.callers, &caller{fd: fd, number: i << 24, done: true})
		if err := unix.Connect(fd, sockaddr(to)); err != nil {
			return fmt.Errorf("connect a UDP socket to %s: %w", to, err)
		}
		if err := r.poll.add(fd, int32(i)); err != nil {
			return err
		}
	}
	return nil
}

func (r *controlRun) close() {
	if r.poll != nil {
		r.poll.close()
	}
	for _, c := range r.callers {
		_ = unix.Close(c.fd)
	}
}

// loop runs the callers through the warm-up and the measured time, and lets them
// end their calls.
func (r *controlRun) loop(ctx context.Context, warmup, duration time.Duration) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before usage
	var own time.Duration
	var began time.Time
	from := time.Now().Add(warmup)
	stop := from.Add(duration)
	for _, c := range r.callers {
		r.begin(c)
	}
	for running := len(r.callers); running > 0; {
		now := time.Now()
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		if !r.counts && !r.last && !now.Before(from) {
			if before, err = usageOf(r.at.pids, false); err != nil {
				return err
			}
			own, began, r.counts = ownCPU(), time.Now(), true
		}
		if r.counts && !now.Before(stop) {
			r.counts, r.last = false, true
			after, err := usageOf(r.at.pids, true)
			if err != nil {
				return err
			}
			r.fill(before, after, ownCPU()-own, time.Since(began))
		}
		for _, ev := range r.poll.wait(20) {
			r.receive(r.callers[ev.Fd])
		}
		running = r.resendLate(time.Now())
	}
	return nil
}

// resendLate sends overdue requests again and returns how many callers are not
// done yet.
func (r *controlRun) resendLate(now time.Time) (running int) {
	for _, c := range r.callers {
		if c.done {
			continue
		}
		running++
		if now.Before(c.resendAt) {
			continue
		}
		if c.copies > resends {
			r.result.NoReply++
			if r.last {
				c.done = true
				continue
			}
			r.begin(c)
			continue
		}
		r.result.Resends++
		r.transmit(c)
	}
	return running
}

// begin lets a caller start its next call.
func (r *controlRun) begin(c *caller) {
	c.done, c.failed = false, false
	c.number++
	c.at = stepOffer
	r.ask(c)
}

// ask sends the request of the caller's step.
func (r *controlRun) ask(c *caller) {
	c.request = append(c.request[:0], r.templates[c.at].with(c.number, c.port(c.at))...)
	c.copies = 0
	c.sent = time.Now()
	r.transmit(c)
}

// transmit sends one copy of a caller's request. If the socket refuses, the
// resend timer sees to it.
func (r *controlRun) transmit(c *caller) {
	c.copies++
	c.resendAt = time.Now().Add(resendAfter)
	if send(c.fd, c.request) == unix.ECONNREFUSED {
		_ = send(c.fd, c.request)
	}
}

// receive takes one datagram of a caller.
func (r *controlRun) receive(c *caller) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(c.fd), uintptr(unsafe.Pointer(&r.in[0])),
		uintptr(len(r.in)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 || c.done {
		return
	}
	cookie, dict, ok := splitReply(r.in[:n])
	if own, _, _ := splitReply(c.request); !ok || !bytes.Equal(cookie, own) {
		return // the reply to an earlier copy
	}
	took := time.Since(c.sent)
	if why := r.refusal(dict); why != "" {
		r.fail(c, why)
	} else if r.counts {
		r.latency[c.at].record(int64(took))
	}
	r.advance(c)
}

// refusal says what is wrong with a reply; empty: nothing.
func (r *controlRun) refusal(dict []byte) string {
	if plainlyOK(dict) {
		return ""
	}
	reply, err := r.reader.read(dict)
	switch {
	case err != nil:
		return err.Error()
	case !reply.ok():
		return reply.why()
	}
	return ""
}

// advance takes a caller to its next request.
func (r *controlRun) advance(c *caller) {
	switch {
	case c.at == stepDelete:
		if r.counts && !c.failed {
			r.result.Calls++
		}
		if r.last {
			c.done = true
			return
		}
		r.begin(c)
		return
	case c.failed:
		c.at = stepDelete
	default:
		c.at++
	}
	r.ask(c)
}

// fail notes a refused command; the caller then ends its call.
func (r *controlRun) fail(c *caller, why string) {
	why = []string{"offer: ", "answer: ", "delete: "}[c.at] + why
	if c.failed && c.at == stepDelete {
		return // the consequence of a failure that has been counted
	}
	c.failed = true
	r.result.Failures++
	if r.result.FirstFailureSeen == "" {
		r.result.FirstFailureSeen = why
	}
	if _, known := r.result.Reasons[why]; known || len(r.result.Reasons) < maxReasons {
		r.result.Reasons[why]++
	}
}

// fill computes the rates and the usage of the measured time.
func (r *controlRun) fill(before, after usage, own, took time.Duration) {
	res := &r.result
	res.Seconds = took.Seconds()
	res.CallsPS = float64(res.Calls) / res.Seconds
	perCall := func(d time.Duration) float64 {
		if res.Calls == 0 {
			return 0
		}
		return float64(d) / float64(time.Microsecond) / float64(res.Calls)
	}
	for _, pid := range r.at.pids {
		cpu := after.cpu[pid] - before.cpu[pid]
		res.Processes = append(res.Processes, ProcessUse{
			PID: pid, CPUSeconds: cpu.Seconds(), CPUPerItem: perCall(cpu), RSSBytes: after.rss[pid], FDs: after.fds[pid],
		})
		res.CPUPerCall += perCall(cpu)
	}
	res.MachineCPU = perCall(after.machine - before.machine)
	res.GeneratorCPU = perCall(own)
}

func (r *ControlResult) print(w io.Writer) {
	fmt.Fprintf(w, "%d callers: %d calls in %.1f s, %.0f calls/s (offer + answer + delete)\n", r.Callers, r.Calls, r.Seconds, r.CallsPS)
	for _, l := range []struct {
		name string
		Latency
	}{{"offer", r.Offer}, {"answer", r.Answer}, {"delete", r.Delete}} {
		fmt.Fprintf(w, "%-10s p50 %.0f µs, p90 %.0f, p99 %.0f, p99.9 %.0f, max %.0f\n", l.name, l.P50, l.P90, l.P99, l.P999, l.Max)
	}
	fmt.Fprintf(w, "trouble    %d failures, %d resends, %d without any reply\n", r.Failures, r.Resends, r.NoReply)
	var reasons []string
	for why := range r.Reasons {
		reasons = append(reasons, why)
	}
	sort.Strings(reasons)
	for _, why := range reasons {
		fmt.Fprintf(w, "           %d times: %s\n", r.Reasons[why], why)
	}
	fmt.Fprintf(w, "machine    %.0f µs of CPU a call, of which the generator %.0f\n", r.MachineCPU, r.GeneratorCPU)
	for _, p := range r.Processes {
		fmt.Fprintf(w, "pid %-6d %.0f µs of CPU a call (%.2f s); %.1f MB resident; %d descriptors\n",
			p.PID, p.CPUPerItem, p.CPUSeconds, float64(p.RSSBytes)/1e6, p.FDs)
	}
}
