package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// source is a figure that the page computes with, and where it comes from: a benchmark, or a table of
// docs/measurements.md, which needs a quiet machine and root.
type source struct {
	key, what, unit string

	pkg, bench, metric string // go test PKG -bench BENCH prints the metric
	benchtime          string
	block, row         string // of the tables in docs/measurements.md: its first figure
}

// sources are all figures. Those of one benchmark stand together.
var sources = []source{
	{key: "offer", what: "bytes of an offer's event, with request and reply", unit: "B", pkg: "./tests/lab/scale", bench: "BenchmarkEntries", metric: "B/offer", benchtime: "1x"},
	{key: "answer", what: "bytes of an answer's event", unit: "B", pkg: "./tests/lab/scale", bench: "BenchmarkEntries", metric: "B/answer", benchtime: "1x"},
	{key: "learned", what: "bytes of the event of a learned address", unit: "B", pkg: "./tests/lab/scale", bench: "BenchmarkEntries", metric: "B/learned", benchtime: "1x"},
	{key: "end", what: "bytes of the event that ends a call", unit: "B", pkg: "./tests/lab/scale", bench: "BenchmarkEntries", metric: "B/end", benchtime: "1x"},
	{key: "live", what: "bytes in the live stream for a byte of events", unit: "B", pkg: "./tests/lab/scale", bench: "BenchmarkArchive", metric: "live-B/B", benchtime: "5000x"},
	{key: "archive", what: "bytes in the archive and its index for a byte of events", unit: "B", pkg: "./tests/lab/scale", bench: "BenchmarkArchive", metric: "B/B", benchtime: "5000x"},
	{key: "subject", what: "memory of a NATS server for a live call, which is a subject", unit: "B", pkg: "./tests/lab/scale", bench: "BenchmarkSubjects", metric: "B/call", benchtime: "1x"},
	{key: "mirror", what: "CPU of both regions for a mirrored event, compressed on its way", unit: "µs", pkg: "./tests/lab/scale", bench: "BenchmarkMirror/far", metric: "cpu-µs/op", benchtime: "20000x"},
	{key: "wireFar", what: "bytes from one region to another for an event, at a round trip of 30 ms, compressed", unit: "B", pkg: "./tests/lab/scale", bench: "BenchmarkMirror/far", metric: "wire-B/op", benchtime: "20000x"},

	{key: "socket", what: "kernel memory of an open socket", unit: "B", pkg: "./tests/lab/scale", bench: "BenchmarkSockets", metric: "B/socket", benchtime: "1x"},

	{key: "index", what: "memory of a live call of another region in a node's index", unit: "B", pkg: "./cmd/rtpjet/node/regions", bench: "BenchmarkRegionIndex/memory", metric: "B/call", benchtime: "1x"},
	{key: "indexEnded", what: "the same of one that has ended and is not cleaned away yet", unit: "B", pkg: "./cmd/rtpjet/node/regions", bench: "BenchmarkRegionIndex/memory", metric: "B/ended", benchtime: "1x"},
	{key: "note", what: "CPU of the index for an event of another region", unit: "µs", pkg: "./cmd/rtpjet/node/regions", bench: "BenchmarkRegionIndex/note", metric: "cpu-µs/op", benchtime: "2000000x"},

	{key: "fold", what: "CPU of folding an event, decoding included", unit: "µs", pkg: "./projection", bench: "BenchmarkFold/audio,_ended", metric: "cpu-µs/event", benchtime: "100000x"},
	{key: "heap", what: "memory of a folded call without its entries", unit: "B", pkg: "./projection", bench: "BenchmarkCallMemory/audio", metric: "B/call", benchtime: "1x"},

	{key: "append", what: "CPU of an append, one copy", unit: "µs", pkg: "./embed", bench: "BenchmarkAppend/log", metric: "cpu-µs/op", benchtime: "20000x"},
	{key: "append50", what: "an append, one copy, p50", unit: "ns", pkg: "./embed", bench: "BenchmarkAppendAlone", metric: "p50-ns", benchtime: "20000x"},
	{key: "append99", what: "an append, one copy, p99", unit: "ns", pkg: "./embed", bench: "BenchmarkAppendAlone", metric: "p99-ns", benchtime: "20000x"},
	{key: "append3p50", what: "an append, three copies, at a node that does not lead, p50", unit: "ns", pkg: "./embed", bench: "BenchmarkAppendReplicated/follower", metric: "p50-ns", benchtime: "20000x"},
	{key: "append3p99", what: "the same, p99", unit: "ns", pkg: "./embed", bench: "BenchmarkAppendReplicated/follower", metric: "p99-ns", benchtime: "20000x"},
	{key: "append3", what: "CPU of an append, three copies, many at once, all servers together", unit: "µs", pkg: "./embed", bench: "BenchmarkAppendReplicated/together", metric: "cpu-µs/op", benchtime: "20000x"},
	{key: "follow", what: "CPU of handing an event of 2 kB to a follower, server and node", unit: "µs", pkg: "./embed", bench: "BenchmarkFollow/2048", metric: "cpu-µs/op", benchtime: "20000x"},

	{key: "packet", what: "CPU of relaying a packet", unit: "µs", block: "relay", row: "CPU of the server a packet, µs"},
	{key: "plain", what: "the same at 20,000 packets/s, beside the next one", unit: "µs", block: "srtp", row: "the same calls unencrypted: CPU of the server a packet, µs"},
	{key: "secure", what: "CPU of relaying a packet between SRTP and RTP", unit: "µs", block: "srtp", row: "AES_CM_128_HMAC_SHA1_80: CPU of the server a packet, µs"},
	{key: "own", what: "memory of a call at the node that carries it", unit: "B", block: "memory", row: "bytes a call"},
	{key: "sockets", what: "sockets of a call's media section", unit: "", block: "memory", row: "descriptors a media section"},
	{key: "socketsMux", what: "the same with rtcp-mux", unit: "", block: "memory", row: "descriptors a media section, with rtcp-mux"},
	{key: "foreign", what: "memory of a call of another node of the region, resident", unit: "B", block: "cluster", row: "the same, resident 5 s after the start, bytes"},
	{key: "control3", what: "CPU of three nodes for a call (offer, answer, delete)", unit: "µs", block: "cluster", row: "CPU of the three nodes for such a call, µs"},
	{key: "restart", what: "a node with 4,000 calls is killed and starts: all legs forward", unit: "s", block: "restart", row: "all legs forward, s"},
}

// Inputs are measured figures by their keys.
type Inputs map[string]float64

// file is docs/scale.json.
type file struct {
	Machine string `json:"machine"`
	Load    string `json:"load,omitempty"` // of the machine before the benchmarks
	Inputs  Inputs `json:"inputs"`
}

func readFile(name string) (f file, err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return f, fmt.Errorf("read the inputs: %w", err)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, fmt.Errorf("read the inputs in %s: %w", name, err)
	}
	return f, nil
}

func (f file) write(name string) error {
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(data, '\n'), 0o644)
}

// check wants every figure, and no other.
func (in Inputs) check() error {
	var missing []string
	known := map[string]bool{}
	for _, s := range sources {
		known[s.key] = true
		if v, ok := in[s.key]; !ok || !(v > 0) {
			missing = append(missing, s.key)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(in)) {
		if !known[k] {
			missing = append(missing, "not "+k)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the inputs want %s: measure again", strings.Join(missing, ", "))
	}
	return nil
}

// benchmarkFigure finds a metric in the output of go test -bench.
func benchmarkFigure(out, bench, metric string) (float64, error) {
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		name := fields[0]
		if i := strings.LastIndexByte(name, '-'); i > 0 { // the number of processors
			name = name[:i]
		}
		if name != bench {
			continue
		}
		for i, f := range fields {
			if i > 0 && f == metric {
				return strconv.ParseFloat(fields[i-1], 64)
			}
		}
	}
	return 0, fmt.Errorf("%s prints no %s in\n%s", bench, metric, out)
}

// tableFigure finds the first figure of a row in a block of docs/measurements.md.
func tableFigure(doc, block, row string) (float64, error) {
	_, rest, ok := strings.Cut(doc, "<!-- "+block+": begin;")
	text, _, ended := strings.Cut(rest, "<!-- "+block+": end -->")
	if !ok || !ended {
		return 0, fmt.Errorf("docs/measurements.md has no block %s", block)
	}
	for line := range strings.Lines(text) {
		cells := strings.Split(line, "|")
		if len(cells) > 2 && strings.TrimSpace(cells[1]) == row {
			v, err := strconv.ParseFloat(strings.ReplaceAll(strings.TrimSpace(cells[2]), ",", ""), 64)
			if err != nil {
				return 0, fmt.Errorf("read %q in the block %s: %w", row, block, err)
			}
			return v, nil
		}
	}
	return 0, fmt.Errorf("the block %s of docs/measurements.md has no row %q", block, row)
}
