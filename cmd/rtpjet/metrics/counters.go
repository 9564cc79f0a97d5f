package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rtpjet/ngserver/ng"
	"rtpjet/projection/transact"
)

// LargeReply is the size, in bytes of UDP payload, beyond which a reply is counted as large: it will not fit into one packet
// on every network.
const LargeReply = 1400

// Counters are what is counted when it happens. They outlive nothing: a new process begins at 0. Safe for concurrent use.
type Counters struct {
	appends   *prometheus.HistogramVec
	appendsBy [numAppends]prometheus.Observer
	commands  *prometheus.HistogramVec
	// commandsBy has the children of commands that were used, by command (the last one: none) and result, so that counting a
	// command costs no look-up.
	commandsBy [][numResults]atomic.Pointer[prometheus.Observer]
	large      *prometheus.CounterVec
	undone     *prometheus.CounterVec
	takeovers  *prometheus.CounterVec
	silence    prometheus.Histogram
	moves      *prometheus.CounterVec
	moveGap    prometheus.Histogram
}

// Results of an append to the log.
const (
	AppendOK       = iota
	AppendConflict // another writer was faster
	AppendFailed   // the log did not take it, or not in time

	numAppends
)

var appendResults = [numAppends]string{"ok", "conflict", "failed"}

// Results of a command.
const (
	resultOK = iota // pong and the others that are no error, too
	resultError

	numResults
)

// NewCounters returns counters at 0.
func NewCounters() *Counters {
	c := &Counters{
		appends: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rtpjet_append_seconds", Help: "How long an append to the event log took until it was confirmed or failed.",
			Buckets: []float64{0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5},
		}, []string{"result"}),
		commands: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rtpjet_ng_command_seconds", Help: "How long an NG command took from its arrival to its reply.",
			Buckets: []float64{0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.8, 1, 2.5},
		}, []string{"command", "result"}),
		large: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rtpjet_ng_large_replies_total",
			Help: "NG replies of more than 1,400 bytes, which need more than one packet on many networks.",
		}, []string{"command"}),
		undone: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rtpjet_ng_unsupported_total",
			Help: "NG commands that asked for a feature that rtpjet does not have. The rest of the command was done, or it was refused.",
		}, []string{"feature"}),
		takeovers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rtpjet_takeovers_total",
			Help: "Calls that got another owner: this node (in), another one in its place (out), or one of two others (elsewhere).",
		}, []string{"direction", "why"}),
		silence: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "rtpjet_takeover_silence_seconds",
			Help:    "How long the owner before had not been heard when this node took a call over: at most so long, until then, nobody relayed it.",
			Buckets: []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300},
		}),
		moves: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rtpjet_float_moves_total", Help: "How often this node became the holder of a floating address, and why.",
		}, []string{"float", "why"}),
		moveGap: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "rtpjet_float_silence_seconds",
			Help:    "How long the holder before had not been heard when this node became the holder: at most so long its calls were silent. Planned moves are not in it.",
			Buckets: []float64{0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10},
		}),
		commandsBy: make([][numResults]atomic.Pointer[prometheus.Observer], len(ng.Commands)+1),
	}
	for i, result := range appendResults {
		c.appendsBy[i] = c.appends.WithLabelValues(result)
	}
	// A series that begins with its first event at 1 has no increase that anybody could see.
	for _, direction := range []string{TakenIn, TakenOut, TakenElsewhere} {
		for _, why := range []string{transact.WhyGone, transact.WhyAsked} {
			c.takeovers.WithLabelValues(direction, why)
		}
	}
	for _, command := range []string{ng.CommandOffer, ng.CommandAnswer, ng.CommandDelete, ng.CommandQuery, ng.CommandList, ng.CommandStatistics} {
		c.large.WithLabelValues(command)
	}
	for _, feature := range ng.AllUndone.Labels() {
		c.undone.WithLabelValues(feature)
	}
	return c
}

func (c *Counters) collectors() []prometheus.Collector {
	return []prometheus.Collector{c.appends, c.commands, c.large, c.undone, c.takeovers, c.silence, c.moves, c.moveGap}
}

// Append counts an append to the log.
func (c *Counters) Append(result int, took time.Duration) {
	c.appendsBy[result].Observe(took.Seconds())
}

// Command counts an NG command by its place in ng.Commands, -1 for none.
func (c *Counters) Command(index int, result string, took time.Duration, replyBytes int) {
	if index < 0 {
		index = len(c.commandsBy) - 1
	}
	r := resultOK
	if result == ng.ResultError {
		r = resultError
	}
	by := &c.commandsBy[index][r]
	o := by.Load()
	if o == nil {
		child := c.commands.WithLabelValues(commandName(index), [numResults]string{"ok", "error"}[r])
		o = &child
		by.Store(o)
	}
	(*o).Observe(took.Seconds())
	if replyBytes > LargeReply {
		c.large.WithLabelValues(commandName(index)).Inc()
	}
}

// Unsupported counts what a command asked for and did not get.
func (c *Counters) Unsupported(u ng.Undone) {
	for _, feature := range u.Labels() {
		c.undone.WithLabelValues(feature).Inc()
	}
}

func commandName(index int) string {
	if index >= len(ng.Commands) {
		return "none"
	}
	return ng.Commands[index].Name
}

// Directions of a takeover.
const (
	TakenIn        = "in"
	TakenOut       = "out"
	TakenElsewhere = "elsewhere"
)

// TakenOver counts a call that got another owner.
func (c *Counters) TakenOver(direction, why string) {
	c.takeovers.WithLabelValues(direction, why).Inc()
}

// TakeoverSilence notes for how long the owner before had not been heard.
func (c *Counters) TakeoverSilence(d time.Duration) { c.silence.Observe(d.Seconds()) }

// FloatMoved counts that this node became the holder of a float. silence is for how long the holder before had not been heard;
// 0: it gave the float up, or that is not known.
func (c *Counters) FloatMoved(float, why string, silence time.Duration) {
	c.moves.WithLabelValues(float, why).Inc()
	if silence > 0 {
		c.moveGap.Observe(silence.Seconds())
	}
}
