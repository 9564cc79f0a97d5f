package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// SilenceEvent is a line that `rtpjet-bench silence --control` writes.
type SilenceEvent struct {
	Event  string         `json:"event"` // flowing, checked or done
	At     int64          `json:"at"`    // ns since 1970
	Check  *SilenceCheck  `json:"check,omitempty"`
	Result *SilenceResult `json:"result,omitempty"`
}

// SilenceCheck is what commands showed while media flowed.
type SilenceCheck struct {
	Queries  CommandTally `json:"queries"` // of all calls
	Unknown  uint64       `json:"unknown"` // calls that the server no longer knows
	Reoffers CommandTally `json:"reoffers"`
	Moved    int          `json:"moved"` // legs that a re-offer gave another address
}

// SilenceResult is what `rtpjet-bench silence` found.
type SilenceResult struct {
	Calls        int            `json:"calls"`
	PlaceSeconds float64        `json:"place_s"`
	PacketsPS    float64        `json:"offered_pps"`
	Sent         uint64         `json:"sent"`
	Received     uint64         `json:"received"`
	Silence      SilenceSummary `json:"silence"` // of the whole run

	Damaged uint64 `json:"damaged"`
	Foreign uint64 `json:"foreign"`

	Meanwhile CommandTally `json:"meanwhile"` // calls placed and ended while media flowed
	Deletes   CommandTally `json:"deletes"`   // of all calls, after it
	// NewCall says why a call that was placed at the end did not do; empty: media went both ways.
	NewCall string `json:"new_call,omitempty"`

	WorstLagMS float64 `json:"worst_lag_ms"` // how late the generator sent its latest packet
	WorstLagAt int64   `json:"worst_lag_at"` // ns since 1970
	Skipped    uint64  `json:"skipped"`      // packets too late to be sent at all
	Refused    uint64  `json:"icmp_refused"`
	Overflows  uint64  `json:"receive_overflows"`
}

const silenceUsage = `rtpjet-bench silence: place calls, let media flow, and report each stream's longest silence.

  rtpjet-bench silence --ng 192.0.2.100:2223 --calls 100 --duration 30s       (break something meanwhile)
  rtpjet-bench silence --ng 192.0.2.100:2223 --calls 2000 --fast 100 --slow-rate 2

With --fast, an evenly spread part of the calls has the full --rate, and its silence is measured; the
others carry --slow-rate, and show whether a call is dead. With --control, words on standard input say
what to do while media flows: "check" queries all calls and re-offers some, "stop" ends it.

`

// silenceOptions are the flags of `rtpjet-bench silence`.
type silenceOptions struct {
	traffic          trafficOptions
	fast             int
	rate, slowRate   float64
	duration, limit  time.Duration
	record           string
	every            time.Duration // between the calls placed meanwhile
	control, jsonOut bool
	realtime         bool
}

// runSilence is `rtpjet-bench silence`.
func runSilence(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := silenceFlags(args, stderr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	if o.realtime {
		undisturbed()
	}
	t, err := place(ctx, o.traffic)
	if err != nil {
		return err
	}
	defer t.end(context.WithoutCancel(ctx))
	run := &silenceRun{silenceOptions: o, traffic: t, out: json.NewEncoder(stdout)}
	result, err := run.carryOut(ctx)
	if err != nil {
		return err
	}
	if o.control || o.jsonOut {
		return run.say(SilenceEvent{Event: "done", Result: result})
	}
	result.print(stdout)
	return nil
}

func silenceFlags(args []string, stderr io.Writer) (o silenceOptions, err error) {
	fs := newFlagSet("rtpjet-bench silence", silenceUsage, stderr)
	var c common
	c.register(fs.FlagSet)
	calls := fs.Int("calls", 100, "`NUMBER` of calls; each has two legs")
	fs.IntVar(&o.fast, "fast", 0, "`NUMBER` of calls with the full rate (default: all)")
	fs.Float64Var(&o.rate, "rate", 50, "`PACKETS/S` of each leg of these")
	fs.Float64Var(&o.slowRate, "slow-rate", 2, "`PACKETS/S` of each leg of the other calls")
	fs.DurationVar(&o.duration, "duration", 10*time.Second, "how long media flows; with --control, until the word stop")
	fs.DurationVar(&o.limit, "limit", 10*time.Minute, "the end of it all, whatever happens")
	fs.StringVar(&o.record, "record", "", "`FILE` that gets all arrivals (Recording)")
	fs.DurationVar(&o.every, "place-every", 0, "place and end a call each such `TIME` meanwhile; 0: none")
	fs.BoolVar(&o.control, "control", false, "obey words on standard input")
	fs.BoolVar(&o.realtime, "realtime", false, "go before all other processes of the machine (root)")
	secure := fs.String("srtp", "", "`SUITE` of SDES that the callers speak to the server, which speaks plain RTP to the callees")
	codecBytes := fs.Int("codec-bytes", 160, "RTP payload `BYTES` of a packet")
	tick := fs.Duration("tick", 250*time.Microsecond, "how often the sender looks what is due")
	if err := fs.parse(args); err != nil {
		return o, err
	}
	if o.fast == 0 {
		o.fast = *calls
	}
	switch {
	case *calls < 1 || *calls > 30000 || o.fast < 1 || o.fast > *calls:
		return o, usageError{"--calls must be between 1 and 30000, --fast between 1 and that"}
	case o.rate <= 0 || o.rate > 500 || o.slowRate <= 0 || o.slowRate > 500:
		return o, usageError{"--rate and --slow-rate must be above 0 and at most 500"}
	case *codecBytes < minPayload || *codecBytes > maxPayload:
		return o, usageError{fmt.Sprintf("--codec-bytes must be between %d and %d", minPayload, maxPayload)}
	case o.duration <= 0 || o.limit <= 0 || o.limit > time.Hour || *tick < 10*time.Microsecond:
		return o, usageError{"--duration and --limit must be above 0, --limit at most 1h, --tick at least 10us"}
	case o.every != 0 && o.every < time.Millisecond:
		return o, usageError{"--place-every must be at least 1ms"}
	}
	suite, err := suiteOf(*secure)
	if err != nil {
		return o, err
	}
	at, err := c.resolve()
	if err != nil {
		return o, err
	}
	o.jsonOut = c.jsonOut
	o.traffic = trafficOptions{
		ng: c.ng, local: at.local, payload: *codecBytes, calls: *calls, srtp: suite, options: c.options(), tick: *tick,
	}
	o.traffic.options.bridge = suite != nil
	return o, nil
}

// undisturbed keeps everything from the packet threads that can be kept from them:
// other processes, the collection of garbage, a wait for one of Go's processors, and
// pages that must be read again. It is for a process that does nothing else.
func undisturbed() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(1 << 30)
	runtime.GOMAXPROCS(runtime.NumCPU() + 6)
	stayInMemory()
	goFirst()
}

// silenceRun is the state of one run.
type silenceRun struct {
	silenceOptions
	*traffic
	out *json.Encoder

	until     atomic.Int64 // when the workers stop
	cancelled atomic.Bool
	workersWG sync.WaitGroup
}

func (r *silenceRun) say(e SilenceEvent) error {
	if e.At == 0 {
		e.At = time.Now().UnixNano()
	}
	return r.out.Encode(e)
}

// isFast says whether call i is one of those with the full rate, which lie evenly
// among the others.
func (r *silenceRun) isFast(i int) bool {
	n := len(r.calls)
	return (i+1)*r.fast/n != i*r.fast/n
}

// carryOut lets media flow, does what it is told, and sums up.
func (r *silenceRun) carryOut(ctx context.Context) (*SilenceResult, error) {
	if err := r.divide(); err != nil {
		return nil, err
	}
	overflows := udpErrors()
	start := r.flow()
	stopWatching := context.AfterFunc(ctx, func() { r.cancelled.Store(true) })
	defer stopWatching()
	meanwhile := newTally()
	stopPlacing := r.placeMeanwhile(ctx, meanwhile)
	err := r.obey(ctx)
	stopPlacing()
	stop := time.Now().UnixNano()
	r.until.Store(stop)
	if err != nil {
		r.cancelled.Store(true)
	}
	r.workersWG.Wait()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	recording := r.recording(start, stop)
	if r.record != "" {
		if err := writeRecording(r.record, recording); err != nil {
			return nil, err
		}
	}
	result := r.sumUp(recording)
	result.Overflows = udpErrors() - overflows
	result.Meanwhile = meanwhile.result()
	result.NewCall = r.newCall(ctx)
	result.Deletes, err = r.deleteAll(ctx)
	return result, err
}

// divide gives the legs to two workers, one for each rate.
func (r *silenceRun) divide() error {
	for range 2 {
		w, err := newWorker(r.opts)
		if err != nil {
			return err
		}
		w.keep = true
		r.workers = append(r.workers, w)
	}
	for i, c := range r.calls {
		w := r.workers[1]
		if r.isFast(i) {
			w = r.workers[0]
		}
		if err := w.add(c.caller, c.callee); err != nil {
			return err
		}
	}
	return nil
}

// flow starts the media of all calls and returns when its first packet is due.
func (r *silenceRun) flow() (start int64) {
	start = time.Now().Add(50 * time.Millisecond).UnixNano()
	r.until.Store(1<<63 - 1)
	for i, w := range r.workers {
		rate := []float64{r.rate, r.slowRate}[i]
		w.begin(start, float64(time.Second)/rate, start, 1)
		r.workersWG.Go(func() { w.run(&r.until, &r.cancelled) })
	}
	return start
}

// obey waits for the end of the time, or carries out the words of standard input.
func (r *silenceRun) obey(ctx context.Context) error {
	if !r.control {
		return waitUntil(ctx, time.Now().Add(r.duration))
	}
	if err := r.say(SilenceEvent{Event: "flowing"}); err != nil {
		return err
	}
	words := make(chan string)
	go func() { // ends with the process at the latest: nothing interrupts a read of standard input
		defer close(words)
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			words <- strings.TrimSpace(lines.Text())
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case word, ok := <-words:
			switch {
			case !ok:
				return errors.New("read standard input: it ended before the word stop")
			case word == "stop":
				return nil
			case word == "check":
				check, err := r.check(ctx)
				if err != nil {
					return err
				}
				if err := r.say(SilenceEvent{Event: "checked", Check: check}); err != nil {
					return err
				}
			default:
				return fmt.Errorf("read standard input: unknown word %q", word)
			}
		}
	}
}
