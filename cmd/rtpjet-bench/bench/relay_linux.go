package bench

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// ProcessUse is what one watched process used.
type ProcessUse struct {
	PID           int     `json:"pid"`
	CPUSeconds    float64 `json:"cpu_s"`
	CPUPerItem    float64 `json:"cpu_us_per_item"` // item: a relayed packet, or a call
	RSSBytes      uint64  `json:"rss_bytes"`
	BytesPerCall  float64 `json:"bytes_per_call"`
	FDs           int     `json:"fds"`
	FDsPerSection float64 `json:"fds_per_media_section"`
}

// RelayResult is what `rtpjet-bench` found.
type RelayResult struct {
	Calls        int     `json:"calls"`
	Legs         int     `json:"legs"`
	PlaceSeconds float64 `json:"place_s"`

	Offered    float64 `json:"offered_pps"`
	SentPPS    float64 `json:"sent_pps"`
	ReceivedPS float64 `json:"received_pps"`
	Seconds    float64 `json:"seconds"`

	Sent       uint64  `json:"sent"`
	Received   uint64  `json:"received"`
	Lost       uint64  `json:"lost"`
	Loss       float64 `json:"loss"`
	WorstLoss  float64 `json:"worst_stream_loss"`
	LossyLegs  int     `json:"streams_with_loss"`
	Late       uint64  `json:"reordered"`
	Duplicates uint64  `json:"duplicates"`
	Damaged    uint64  `json:"damaged"` // not byte by byte what was sent, or SRTP that is not authentic
	Foreign    uint64  `json:"foreign"`
	Refused    uint64  `json:"icmp_refused"`

	Latency  Latency `json:"latency"`
	Evenness spread  `json:"received_pps_per_leg"`

	CPUPerPacket        float64      `json:"cpu_us_per_packet"`
	MachineCPUPerPacket float64      `json:"machine_cpu_us_per_packet"`
	BytesPerCall        float64      `json:"bytes_per_call"`
	FDsPerSection       float64      `json:"fds_per_media_section"`
	Processes           []ProcessUse `json:"processes"`

	Generator GeneratorUse `json:"generator"`

	Search     []SearchStep `json:"search,omitempty"`
	Best       float64      `json:"best_pps,omitempty"`
	ShareOfTop float64      `json:"share_of_best,omitempty"`
}

// GeneratorUse says how far the generator itself can be trusted.
type GeneratorUse struct {
	CPUPerPacket float64 `json:"cpu_us_per_packet"` // for sending one and receiving one
	WorstLagMs   float64 `json:"worst_lag_ms"`      // how late the latest packet was sent
	Skipped      uint64  `json:"skipped"`           // packets too late to be sent at all
	NotSent      uint64  `json:"send_errors"`
	Overflows    uint64  `json:"receive_overflows"` // packets that arrived and found its buffer full
}

// SearchStep is one rate of a search for the best.
type SearchStep struct {
	Offered   float64 `json:"offered_pps"`
	Sent      float64 `json:"sent_pps"`
	Delivered float64 `json:"delivered_pps"`
}

// common holds the flags that all modes share.
type common struct {
	ng, pids, local string
	jsonOut         bool
	rtcpMux         bool
	deleteDelay     int
}

func (c *common) register(fs *flag.FlagSet) {
	fs.StringVar(&c.ng, "ng", "127.0.0.1:2223", "`HOST:PORT` of the NG server (UDP)")
	fs.StringVar(&c.pids, "pid", "", "process `IDs` of the server, separated by commas: their CPU, memory and descriptors are reported")
	fs.StringVar(&c.local, "local", "", "local `ADDRESS` of the phones (default: the one that packets to the NG server leave from)")
	fs.BoolVar(&c.jsonOut, "json", false, "print JSON")
	fs.BoolVar(&c.rtcpMux, "rtcp-mux", false, "offer and accept rtcp-mux")
	fs.IntVar(&c.deleteDelay, "delete-delay", 0, "`SECONDS` for the key 'delete delay'; negative: leave it out")
}

// resolved is common after its checks.
type resolved struct {
	pids  []int
	local netip.Addr
}

func (c *common) resolve() (resolved, error) {
	pids, err := parsePIDs(c.pids)
	if err != nil {
		return resolved{}, err
	}
	if c.local != "" {
		local, err := netip.ParseAddr(c.local)
		if err != nil {
			return resolved{}, fmt.Errorf("read --local: %w", err)
		}
		return resolved{pids: pids, local: local.Unmap()}, nil
	}
	conn, err := net.Dial("udp", c.ng)
	if err != nil {
		return resolved{}, fmt.Errorf("find the local address towards %s: %w; give one with --local", c.ng, err)
	}
	defer func() { _ = conn.Close() }()
	addr, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return resolved{}, fmt.Errorf("read the local address towards %s: %w", c.ng, err)
	}
	return resolved{pids: pids, local: addr.Addr().Unmap()}, nil
}

func (c *common) options() ngOptions {
	return ngOptions{sdp: sdpOptions{rtcpMux: c.rtcpMux}, deleteDelay: c.deleteDelay}
}

const relayUsage = `rtpjet-bench: place calls on an NG server and send RTP through it.

  rtpjet-bench --ng 127.0.0.1:2223 --pid PID --calls 500 --rate 50 --duration 10s
  rtpjet-bench --ng 127.0.0.1:2223 --pid PID --calls 20 --offered 240000 --search
  rtpjet-bench --ng 127.0.0.1:2223 --pid PID --calls 4000 --rate 0      (memory and descriptors only)
  rtpjet-bench --ng 127.0.0.1:2223 --pid PID --calls 200 --srtp AEAD_AES_128_GCM
  rtpjet-bench control --help                                           (calls per second)
  rtpjet-bench restart --help                                           (silence after a kill)
  rtpjet-bench cluster --help                                           (all nodes of a cluster as one)
  rtpjet-bench silence --help                                           (each stream's longest silence)

`

// runRelay is `rtpjet-bench`.
func runRelay(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlagSet("rtpjet-bench", relayUsage, stderr)
	var c common
	c.register(fs.FlagSet)
	calls := fs.Int("calls", 100, "`NUMBER` of calls; each has two legs")
	rate := fs.Float64("rate", 50, "`PACKETS/S` that each leg sends; 0: place the calls, measure them, send nothing")
	offered := fs.Float64("offered", 0, "`PACKETS/S` of all legs together, instead of --rate")
	search := fs.Bool("search", false, "before the run, look for the most that gets through, in rising steps up to --offered")
	searchFrom := fs.Float64("search-from", 40000, "first `PACKETS/S` of the search")
	searchStep := fs.Duration("search-step", 2*time.Second, "how long each step of the search takes")
	duration := fs.Duration("duration", 10*time.Second, "how long to measure")
	warmup := fs.Duration("warmup", time.Second, "how long to send before measuring")
	codecBytes := fs.Int("codec-bytes", 160, "RTP payload `BYTES` of a packet")
	threads := fs.Int("threads", 0, "sending and receiving threads (default: 1, above 100,000 packets/s 2)")
	tick := fs.Duration("tick", 250*time.Microsecond, "how often the sender looks what is due")
	secure := fs.String("srtp", "", "`SUITE` of SDES that the callers speak to the server, which speaks plain RTP to the callees")
	nat := fs.Bool("nat", false, "name ports in the SDP that the packets do not come from, so that the server must learn")
	if err := fs.parse(args); err != nil {
		return err
	}
	suite, err := suiteOf(*secure)
	if err != nil {
		return err
	}
	at, err := c.resolve()
	if err != nil {
		return err
	}
	if *offered > 0 {
		*rate = *offered / float64(2**calls)
	}
	total := *rate * float64(2**calls)
	if *threads == 0 {
		*threads = 1
		if total > 100000 {
			*threads = 2
		}
	}
	switch {
	case *calls < 1 || *calls > 30000:
		return usageError{"--calls must be between 1 and 30000"}
	case *codecBytes < minPayload || *codecBytes > maxPayload:
		return usageError{fmt.Sprintf("--codec-bytes must be between %d and %d", minPayload, maxPayload)}
	case *rate < 0 || total > 2e6:
		return usageError{"--rate and --offered must be at least 0 and at most 2,000,000 packets/s together"}
	case *search && *offered <= 0:
		return usageError{"--search needs --offered"}
	case *duration <= 0 || *duration > time.Hour || *warmup < 0 || *tick < 10*time.Microsecond:
		return usageError{"--duration must be above 0 and at most 1h, --warmup at least 0, --tick at least 10us"}
	case *threads < 1 || *threads > 64:
		return usageError{"--threads must be between 1 and 64"}
	}

	opts := trafficOptions{
		ng: c.ng, local: at.local, payload: *codecBytes, calls: *calls, workers: min(*threads, *calls),
		nat: *nat, srtp: suite, options: c.options(), tick: *tick,
	}
	opts.options.bridge = suite != nil
	if *rate > 500 {
		opts.rcvbuf = 4 << 20
	}
	result := &RelayResult{Calls: *calls, Legs: 2 * *calls, Offered: total}
	if *search {
		if err := searchBest(ctx, result, opts, searchRates(min(*searchFrom, total), total, 1.25), *searchStep, stderr); err != nil {
			return err
		}
	}
	idle, err := usageOf(at.pids, true)
	if err != nil {
		return err
	}
	t, err := place(ctx, opts)
	if err != nil {
		return err
	}
	defer t.end(context.WithoutCancel(ctx))
	result.PlaceSeconds = t.placed.Seconds()
	if *rate > 0 {
		r, err := t.stream(ctx, stretch{rate: *rate, warmup: *warmup, duration: *duration, pids: at.pids})
		if err != nil {
			return err
		}
		result.fill(r, at.pids)
		if *search {
			result.Best = max(result.Best, result.ReceivedPS)
			result.ShareOfTop = result.ReceivedPS / result.Best
		}
	}
	full, err := usageOf(at.pids, true)
	if err != nil {
		return err
	}
	result.fillMemory(idle, full, at.pids)

	if c.jsonOut {
		return json.NewEncoder(stdout).Encode(result)
	}
	result.print(stdout)
	return nil
}

// searchBest streams at each rate for a step and notes what got through. Each step
// has calls of its own: a server's sockets may not recover from being overrun.
func searchBest(ctx context.Context, result *RelayResult, opts trafficOptions, rates []float64, step time.Duration, progress io.Writer) error {
	for _, rate := range rates {
		t, err := place(ctx, opts)
		if err != nil {
			return err
		}
		r, err := t.stream(ctx, stretch{rate: rate / float64(result.Legs), warmup: step / 4, duration: step})
		t.end(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
		s := SearchStep{Offered: rate, Sent: float64(r.windowSent) / r.seconds, Delivered: float64(r.windowReceived) / r.seconds}
		result.Search = append(result.Search, s)
		result.Best = max(result.Best, s.Delivered)
		fmt.Fprintf(progress, "search: offered %.0f, sent %.0f, delivered %.0f packets/s\n", s.Offered, s.Sent, s.Delivered)
	}
	return nil
}

func (r *RelayResult) fill(s *stretchResult, pids []int) {
	r.Seconds = s.seconds
	r.SentPPS = float64(s.windowSent) / s.seconds
	r.ReceivedPS = float64(s.windowReceived) / s.seconds
	r.Sent, r.Received = s.sent, s.received
	if s.sent > s.received {
		r.Lost = s.sent - s.received
		r.Loss = float64(r.Lost) / float64(s.sent)
	}
	r.WorstLoss, r.LossyLegs = s.worstLoss, s.lossyStreams
	r.Late, r.Duplicates, r.Damaged, r.Foreign, r.Refused = s.late, s.duplicate, s.damaged, s.foreign, s.refused
	r.Latency = s.latency.summary()
	r.Evenness = spreadOf(s.perLeg)
	perPacket := func(d time.Duration) float64 {
		if s.windowReceived == 0 {
			return 0
		}
		return float64(d) / float64(time.Microsecond) / float64(s.windowReceived)
	}
	for _, pid := range pids {
		cpu := s.after.cpu[pid] - s.before.cpu[pid]
		r.Processes = append(r.Processes, ProcessUse{PID: pid, CPUSeconds: cpu.Seconds(), CPUPerItem: perPacket(cpu)})
		r.CPUPerPacket += perPacket(cpu)
	}
	r.MachineCPUPerPacket = perPacket(s.after.machine - s.before.machine)
	r.Generator = GeneratorUse{
		CPUPerPacket: perPacket(s.ownCPU),
		WorstLagMs:   float64(s.worstLag) / float64(time.Millisecond),
		Skipped:      s.skipped,
		NotSent:      s.full,
		Overflows:    s.ownOverflows,
	}
}

// fillMemory adds what the placed calls hold in the server.
func (r *RelayResult) fillMemory(idle, full usage, pids []int) {
	if r.Processes == nil {
		for _, pid := range pids {
			r.Processes = append(r.Processes, ProcessUse{PID: pid})
		}
	}
	for i := range r.Processes {
		p := &r.Processes[i]
		p.RSSBytes, p.FDs = full.rss[p.PID], full.fds[p.PID]
		p.BytesPerCall = (float64(full.rss[p.PID]) - float64(idle.rss[p.PID])) / float64(r.Calls)
		p.FDsPerSection = float64(full.fds[p.PID]-idle.fds[p.PID]) / float64(r.Calls)
		r.BytesPerCall += p.BytesPerCall
		r.FDsPerSection += p.FDsPerSection
	}
}

func (r *RelayResult) print(w io.Writer) {
	fmt.Fprintf(w, "%d calls, %d legs, placed in %.2f s\n", r.Calls, r.Legs, r.PlaceSeconds)
	if r.Sent > 0 {
		fmt.Fprintf(w, "offered    %.0f packets/s; sent %.0f, received %.0f packets/s over %.1f s\n", r.Offered, r.SentPPS, r.ReceivedPS, r.Seconds)
		fmt.Fprintf(w, "lost       %d of %d (%.4f %%); worst stream %.4f %%; streams with loss %d\n", r.Lost, r.Sent, 100*r.Loss, 100*r.WorstLoss, r.LossyLegs)
		fmt.Fprintf(w, "wrong      %d reordered, %d duplicates, %d damaged, %d foreign, %d refused by ICMP\n", r.Late, r.Duplicates, r.Damaged, r.Foreign, r.Refused)
		fmt.Fprintf(w, "latency    p50 %.0f µs, p90 %.0f, p99 %.0f, p99.9 %.0f, max %.0f\n", r.Latency.P50, r.Latency.P90, r.Latency.P99, r.Latency.P999, r.Latency.Max)
		fmt.Fprintf(w, "per leg    %.1f packets/s received on average, %.1f to %.1f; evenness (Jain) %.4f\n", r.Evenness.Mean, r.Evenness.Min, r.Evenness.Max, r.Evenness.Jain)
		fmt.Fprintf(w, "machine    %.2f µs of CPU a packet, generator included\n", r.MachineCPUPerPacket)
		g := r.Generator
		fmt.Fprintf(w, "generator  %.2f µs of CPU a packet; at most %.1f ms late; %d skipped, %d send errors, %d receive overflows\n",
			g.CPUPerPacket, g.WorstLagMs, g.Skipped, g.NotSent, g.Overflows)
	}
	for _, p := range r.Processes {
		fmt.Fprintf(w, "pid %-6d %.2f µs of CPU a packet (%.2f s); %.1f MB resident, %.0f bytes a call; %d descriptors, %.2f a media section\n",
			p.PID, p.CPUPerItem, p.CPUSeconds, float64(p.RSSBytes)/1e6, p.BytesPerCall, p.FDs, p.FDsPerSection)
	}
	if r.Best > 0 {
		fmt.Fprintf(w, "best       %.0f packets/s delivered in the search; at the offered rate %.1f %% of it\n", r.Best, 100*r.ShareOfTop)
	}
}

// usageError is a mistake in the command line.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// flagSet is a flag set with a text above the list of its flags.
type flagSet struct {
	*flag.FlagSet
	usage string
	out   io.Writer
}

// newFlagSet makes a flag set that prints its help to out.
func newFlagSet(name, usage string, out io.Writer) flagSet {
	fs := flagSet{flag.NewFlagSet(name, flag.ContinueOnError), usage, out}
	fs.SetOutput(io.Discard) // Run prints the mistakes
	fs.Usage = func() {}
	return fs
}

// parse reads the flags and refuses anything else. It prints the help, if that is
// asked for, and returns flag.ErrHelp.
func (fs flagSet) parse(args []string) error {
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(fs.out)
		_, _ = io.WriteString(fs.out, fs.usage)
		fs.PrintDefaults()
		return err
	case err != nil:
		return usageError{err.Error()}
	case fs.NArg() > 0:
		return usageError{fmt.Sprintf("unexpected word %q", fs.Arg(0))}
	}
	return nil
}
