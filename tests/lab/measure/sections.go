//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"rtpjet/cmd/rtpjet-bench/bench"
	"rtpjet/tests/lab"
)

// variant is a server in one of its configurations.
type variant struct {
	name  string // in the tables
	peer  string // rtpjet or rtpengine
	redis bool
}

// section is one thing that is measured.
type section struct {
	name, title, about string
	where              string // its commands are run by hand; empty: in the client's namespace
	variants           []variant
	metrics            []metric
	run                func(ctx context.Context, r *oneRun) error
}

var (
	jet       = variant{name: "rtpjet", peer: "rtpjet"}
	engine    = variant{name: "rtpengine", peer: "rtpengine"}
	withRedis = variant{name: "rtpengine + Redis", peer: "rtpengine", redis: true}
)

// sections are in the order in which they are measured.
var sections = []section{
	{
		name:     "relay",
		title:    "500 calls at 50 packets/s a leg",
		about:    "1,000 legs, 172-byte RTP packets, 20 ms apart on each leg, the legs' phases spread evenly.",
		variants: []variant{jet, engine},
		metrics: []metric{
			{"CPU of the server a packet, µs", "cpu", "%.2f", "at most 1.0 × rtpengine", true},
			{"packets lost", "lost", "%.0f", "none", false},
			{"packets lost by the worst stream", "worst", "%.3f %%", "", false},
			{"packets/s received", "pps", "%.0f", "", true},
			{"latency p50, µs", "p50", "%.0f", "", true},
			{"latency p99, µs", "p99", "%.0f", "", true},
			{"latency p99.9, µs", "p999", "%.0f", "", true},
			{"CPU of the whole machine a packet, µs", "machine", "%.2f", "", true},
			{"of it the generator, µs", "generator", "%.2f", "", false},
		},
		run: func(ctx context.Context, r *oneRun) error {
			return r.relay(ctx, "", "--calls", "500", "--rate", "50", "--duration", r.either("15s", "3s"), "--warmup", r.either("3s", "1s"))
		},
	},
	{
		name:  "srtp",
		title: "SRTP to RTP: 200 calls at 50 packets/s a leg",
		about: "200 legs with SRTP by SDES, each in a call with one of 200 with plain RTP: half of the packets arrive encrypted, " +
			"the other half leave encrypted. 172-byte RTP packets, 20 ms apart on each leg. The generator encrypts and decrypts " +
			"with pion/srtp, and that is not in the server's figures; a packet that does not authenticate stops the measurement.",
		variants: []variant{jet, engine},
		metrics: []metric{
			{"AES_CM_128_HMAC_SHA1_80: CPU of the server a packet, µs", "cpu cm", "%.2f", "at most 1.0 × rtpengine", true},
			{"packets lost", "lost cm", "%.0f", "none", false},
			{"latency p50, µs", "p50 cm", "%.0f", "", true},
			{"latency p99, µs", "p99 cm", "%.0f", "", true},
			{"AEAD_AES_128_GCM: CPU of the server a packet, µs", "cpu gcm", "%.2f", "at most 1.0 × rtpengine", true},
			{"packets lost", "lost gcm", "%.0f", "none", false},
			{"latency p50, µs", "p50 gcm", "%.0f", "", true},
			{"latency p99, µs", "p99 gcm", "%.0f", "", true},
			{"the same calls unencrypted: CPU of the server a packet, µs", "cpu", "%.2f", "", true},
			{"packets lost", "lost", "%.0f", "", false},
		},
		run: func(ctx context.Context, r *oneRun) error {
			for _, secure := range []struct{ suffix, suite string }{
				{" cm", "AES_CM_128_HMAC_SHA1_80"}, {" gcm", "AEAD_AES_128_GCM"}, {"", ""},
			} {
				args := []string{"--calls", "200", "--rate", "50", "--duration", r.either("15s", "3s"), "--warmup", r.either("3s", "1s")}
				if secure.suite != "" {
					args = append(args, "--srtp", secure.suite)
				}
				if err := r.relay(ctx, secure.suffix, args...); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name:  "overload",
		title: "240,000 packets/s offered over 40 legs",
		about: "The best is the most that the same server delivered at any of the offered rates of a rising search, " +
			"each with calls of its own.",
		variants: []variant{jet, engine},
		metrics: []metric{
			{"offered packets/s that the generator could send", "sent", "%.0f", "", false},
			{"delivered packets/s", "pps", "%.0f", "", true},
			{"best delivered packets/s of the search", "best", "%.0f", "", true},
			{"delivered, of the best", "share", "%.1f %%", "at least 90 %", false},
			{"packets/s of the worst leg", "minleg", "%.0f", "", true},
			{"packets/s of the best leg", "maxleg", "%.0f", "", true},
			{"evenness over the legs (Jain's index, 1 is even)", "jain", "%.3f", "", false},
		},
		run: func(ctx context.Context, r *oneRun) error {
			return r.relay(ctx, "", "--calls", "20", "--offered", "240000", "--search", "--search-step", r.either("2s", "500ms"),
				"--duration", r.either("5s", "1s"))
		},
	},
	{
		name:  "control",
		title: "offer + answer + delete, 8 callers",
		about: "Each caller has a socket of its own and waits for each reply. rtpjet keeps its stream on disk; " +
			"Redis runs with its built-in settings.",
		variants: []variant{jet, withRedis, engine},
		metrics: []metric{
			{"calls/s", "cps", "%.0f", "at least 2.5 × rtpengine + Redis", true},
			{"CPU of the server a call, µs (with Redis)", "cpu", "%.0f", "", true},
			{"offer p50, µs", "offer50", "%.0f", "", true},
			{"offer p99, µs", "offer99", "%.0f", "", true},
			{"answer p50, µs", "answer50", "%.0f", "", true},
			{"answer p99, µs", "answer99", "%.0f", "", true},
			{"delete p50, µs", "delete50", "%.0f", "", true},
			{"delete p99, µs", "delete99", "%.0f", "", true},
			{"refused or unanswered commands", "failures", "%.0f", "none", false},
		},
		run: func(ctx context.Context, r *oneRun) error {
			return r.control(ctx, "--callers", "8", "--delete-delay", "0", "--duration", r.either("10s", "2s"))
		},
	},
	{
		name:  "memory",
		title: "4,000 calls held",
		about: "Resident memory beyond that of the idle server, and open descriptors, divided by the calls; each has one " +
			"media section, and media has flowed on all of them.",
		variants: []variant{jet, engine, withRedis},
		metrics: []metric{
			{"bytes a call", "bytes", "%.0f", "fewer than rtpengine", true},
			{"bytes a call, with rtcp-mux", "bytes mux", "%.0f", "", true},
			{"descriptors a media section", "fds", "%.2f", "at most 4", true},
			{"descriptors a media section, with rtcp-mux", "fds mux", "%.2f", "at most 2", true},
			{"seconds to place them", "place", "%.2f", "", true},
			{"packets lost at 4 packets/s a leg", "lost", "%.0f", "", false},
		},
		run: func(ctx context.Context, r *oneRun) error {
			calls := r.either("4000", "400")
			if err := r.relay(ctx, "", "--calls", calls, "--rate", "4", "--duration", r.either("4s", "1s")); err != nil {
				return err
			}
			return r.relay(ctx, " mux", "--calls", calls, "--rate", "4", "--duration", r.either("4s", "1s"), "--rtcp-mux")
		},
	},
	{
		name:  "restart",
		title: "kill -9 and restart with 4,000 calls",
		about: "Seconds from the start of the new process, which follows the kill at once. Forwarding: a packet sent into " +
			"a leg comes out of its peer again.",
		variants: []variant{jet, withRedis},
		metrics: []metric{
			{"NG answers, s", "pong", "%.3f", "", true},
			{"the call placed last is known, s", "known", "%.3f", "at most 0.5", true},
			{"400 calls spread over all have answered a query, s", "all known", "%.3f", "", true},
			{"first leg forwards, s", "first", "%.3f", "", true},
			{"half of the legs forward, s", "half", "%.3f", "", true},
			{"all legs forward, s", "last", "%.3f", "at most 0.5", true},
			{"calls unknown, of the 400", "unknown", "%.0f", "none", false},
			{"legs silent", "silent", "%.0f", "none", false},
			{"bytes a call before the kill", "bytes", "%.0f", "", true},
		},
		run: func(ctx context.Context, r *oneRun) error {
			return r.restart(ctx, "--calls", r.either("4000", "400"))
		},
	},
	clusterSection,
}

func sectionNames() []string {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	return names
}

// chooseSections returns the sections of a comma-separated list, all for none.
func chooseSections(list string) ([]section, error) {
	if list == "" {
		return sections, nil
	}
	var chosen []section
next:
	for name := range strings.SplitSeq(list, ",") {
		for _, s := range sections {
			if s.name == strings.TrimSpace(name) {
				chosen = append(chosen, s)
				continue next
			}
		}
		return nil, fmt.Errorf("--only: there is no section %q, only %s", name, strings.Join(sectionNames(), ", "))
	}
	return chosen, nil
}

// oneRun is one run of one variant.
type oneRun struct {
	*setup
	variant
	results  results
	commands []string   // what was measured with, for people
	fresh    [2]float64 // bytes of the nodes that have joined an empty cluster
}

// either returns a setting of the full or of the quick mode.
func (r *oneRun) either(full, quick string) string {
	if r.quick {
		return quick
	}
	return full
}

// with starts the variant's server, calls f, and stops the server.
func (r *oneRun) with(ctx context.Context, f func(server *lab.Server, pids string) error) error {
	r.runs++
	dir := filepath.Join(r.dir, fmt.Sprintf("%03d-%s", r.runs, r.peer))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	o := lab.Options{Side: &r.net.Server, Addr: r.net.Server.Addr, Dir: dir}
	pids := ""
	if r.redis {
		redis, err := lab.StartRedis(ctx, o.Side, dir)
		if err != nil {
			return err
		}
		defer redis.Stop()
		o.Redis = redis
		pids = "," + strconv.Itoa(redis.PID)
	}
	start := lab.StartRtpengine
	if r.peer == "rtpjet" {
		start = func(ctx context.Context, o lab.Options) (*lab.Server, error) {
			return lab.StartRtpjet(ctx, r.rtpjet, o)
		}
	}
	server, err := start(ctx, o)
	if err != nil {
		return err
	}
	defer server.Stop()
	return f(server, strconv.Itoa(server.PID)+pids)
}

// bench runs `rtpjet-bench` in the client's namespace and decodes its result.
func (r *oneRun) bench(server *lab.Server, pids string, result any, mode string, args ...string) error {
	full := []string{"bench"}
	if mode != "" {
		full = append(full, mode)
	}
	full = append(full, "--ng", server.NG.String(), "--local", r.net.Client.Addr.String(), "--pid", pids)
	full = append(full, args...)
	shown := strings.Join(full[1:], " ")
	shown = strings.Replace(shown, "--pid "+pids, "--pid PID", 1)
	shown = strings.Replace(shown, "--log "+server.Log+" ", "", 1)
	shown = strings.Replace(shown, server.CommandLine(), "'COMMAND THAT STARTS THE SERVER'", 1)
	r.commands = append(r.commands, "rtpjet-bench "+shown)
	out, err := lab.Output(&r.net.Client, append([]string{r.self}, append(full, "--json")...)...)
	if err != nil {
		select {
		case <-server.Ended():
			return fmt.Errorf("%w; the server ended, and last said:\n%s", err, server.LastLines())
		default:
			return err
		}
	}
	return json.Unmarshal(out, result)
}

// relay measures relaying; suffix tells the keys of several runs of one variant apart.
func (r *oneRun) relay(ctx context.Context, suffix string, args ...string) error {
	return r.with(ctx, func(server *lab.Server, pids string) error {
		var b bench.RelayResult
		if err := r.bench(server, pids, &b, "", args...); err != nil {
			return err
		}
		measured := results{
			"cpu": b.CPUPerPacket, "lost": float64(b.Lost), "worst": 100 * b.WorstLoss, "pps": b.ReceivedPS, "sent": b.SentPPS,
			"p50": b.Latency.P50, "p99": b.Latency.P99, "p999": b.Latency.P999,
			"machine": b.MachineCPUPerPacket, "generator": b.Generator.CPUPerPacket,
			"best": b.Best, "share": 100 * b.ShareOfTop, "jain": b.Evenness.Jain, "minleg": b.Evenness.Min, "maxleg": b.Evenness.Max,
			"bytes": b.BytesPerCall, "fds": b.FDsPerSection, "place": b.PlaceSeconds,
		}
		for key, v := range measured {
			r.results[key+suffix] = v
		}
		if bad := b.Damaged + b.Foreign; bad > 0 {
			return fmt.Errorf("%d packets came damaged, %d to the wrong leg", b.Damaged, b.Foreign)
		}
		if b.Generator.Overflows > b.Sent/1000 && r.peer == "rtpjet" {
			fmt.Fprintf(os.Stderr, "note: %d packets reached the generator and found its buffers full\n", b.Generator.Overflows)
		}
		return nil
	})
}

func (r *oneRun) control(ctx context.Context, args ...string) error {
	return r.with(ctx, func(server *lab.Server, pids string) error {
		var b bench.ControlResult
		if err := r.bench(server, pids, &b, "control", args...); err != nil {
			return err
		}
		r.results = results{
			"cps": b.CallsPS, "cpu": b.CPUPerCall, "failures": float64(b.Failures + b.NoReply),
			"offer50": b.Offer.P50, "offer99": b.Offer.P99, "answer50": b.Answer.P50, "answer99": b.Answer.P99,
			"delete50": b.Delete.P50, "delete99": b.Delete.P99,
		}
		if b.Failures > 0 {
			fmt.Fprintf(os.Stderr, "note: %d failures, the first: %s\n", b.Failures, b.FirstFailureSeen)
		}
		return nil
	})
}

func (r *oneRun) restart(ctx context.Context, args ...string) error {
	return r.with(ctx, func(server *lab.Server, pids string) error {
		var b bench.RestartResult
		args = append(args, "--log", server.Log, "--cmd", server.CommandLine())
		if err := r.bench(server, pids, &b, "restart", args...); err != nil {
			return err
		}
		r.results = results{
			"pong": b.Pong, "known": b.LastKnown, "all known": b.AllKnown,
			"first": b.FirstForwarded, "half": b.MedianForwarded, "last": b.LastForwarded,
			"unknown": float64(b.Unknown), "silent": float64(b.Silent), "bytes": b.BytesPerCall,
		}
		return nil
	})
}
