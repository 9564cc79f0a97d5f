// Command scale computes what many calls need, from measured figures: nodes,
// cores, memory, ports, disk and network. It writes the tables of docs/scale.md.
//
//	go run ./tests/lab/scale                      compute with the figures in docs/scale.json
//	go run ./tests/lab/scale --measure            measure them first, which takes some minutes
//	go run ./tests/lab/scale --calls 50000 --regions 2 --cores 8 --dry
//
// What needs root and a quiet machine is taken from the tables in docs/measurements.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"rtpjet/tests/lab/plot"
	"rtpjet/tests/lab/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

// assumption is a flag of what is assumed, and its row in the table.
type assumption struct {
	name  string
	value *float64
	def   float64
	what  string
}

// assumptions are all fields of a mix.
func assumptions(m *Mix) []assumption {
	return []assumption{
		{"calls", &m.Calls, 1_000_000, "calls at once, in all regions together"},
		{"regions", &m.Regions, 10, "regions, each with as many calls as any other"},
		{"seconds", &m.Seconds, 180, "seconds a call"},
		{"reoffers", &m.Reoffers, 0.3, "re-offers a call, each with its answer: holds, transfers, session timers"},
		{"learned", &m.Learned, 1, "addresses a call that were learned from packets and are not those of the SDP"},
		{"rate", &m.Rate, 50, "packets/s a leg, each way; a call has two legs"},
		{"packet", &m.Packet, 172, "bytes of an RTP packet: G.711, 20 ms"},
		{"secure", &m.Secure, 0.2, "share of the packets that are encrypted or decrypted"},
		{"mux", &m.Mux, 0, "share of the calls with rtcp-mux"},
		{"holders", &m.Holders, 2, "nodes that have the sockets of a call open: 2 with floating addresses, 1 without"},
		{"replicas", &m.Replicas, 3, "copies of each stream in a region"},
		{"days", &m.Days, 7, "days that the archive is kept"},
		{"ended", &m.Ended, 60, "seconds that the entries of an ended call stay in the live stream; in a mirror twice as long"},
		{"cores", &m.Cores, 16, "cores of a node, each like one of the machine that was measured"},
		{"busy", &m.Busy, 0.6, "share of a node's cores, memory and network that may be in use"},
		{"memory", &m.Memory, 64, "GB of memory of a node"},
		{"ports", &m.Ports, 40_000, "ports of a media address: `--port-min` and `--port-max`, whose defaults are 10,000 apart"},
		{"addresses", &m.Addresses, 1, "media addresses of a node"},
		{"gbit", &m.Gbit, 10, "Gbit/s of a node's network, each way"},
		{"restart", &m.Restart, 10, "seconds that a killed node may take until all its calls are relayed again"},
		{"spare", &m.Spare, 1, "nodes of a region that may be gone while the others do"},
	}
}

func run(ctx context.Context, args []string) (err error) {
	fs := flag.NewFlagSet("scale", flag.ContinueOnError)
	again := fs.Bool("measure", false, "measure the figures and write them to --inputs")
	only := fs.String("only", "", "with --measure, the `KEYS` of the figures to measure; the others stay as they are")
	inputs := fs.String("inputs", "docs/scale.json", "`FILE` of the measured figures; measured if it is missing")
	measurements := fs.String("measurements", "docs/measurements.md", "`FILE` with the tables that are not measured here")
	out := fs.String("out", "docs/scale.md", "`FILE` that gets the tables")
	dry := fs.Bool("dry", false, "print the tables and write none")
	var m Mix
	all := assumptions(&m)
	for _, a := range all {
		fs.Float64Var(a.value, a.name, a.def, strings.ReplaceAll(a.what, "`", ""))
	}
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected word %q; --help lists the flags", fs.Arg(0))
	}
	if err := m.check(); err != nil {
		return err
	}
	if _, err := os.Stat(*inputs); errors.Is(err, os.ErrNotExist) {
		*again = true
	}
	if *again {
		var f file
		var keys []string
		if *only != "" {
			keys = strings.Split(*only, ",")
			if f, err = readFile(*inputs); err != nil {
				return err
			}
		}
		f, err := measure(ctx, f, *measurements, keys)
		if err != nil {
			return err
		}
		if err := f.write(*inputs); err != nil {
			return fmt.Errorf("write the inputs: %w", err)
		}
	}
	f, err := readFile(*inputs)
	if err == nil {
		err = f.Inputs.check()
	}
	if err != nil {
		return err
	}
	changed := strings.Join(args, " ")
	for _, block := range blocks(f, m, all) {
		fmt.Println(block.text)
		if *dry {
			continue
		}
		if err := report.WriteBlock(*out, "lab:scale", block.name, block.text); err != nil {
			return err
		}
	}
	if *dry {
		return nil
	}
	if changed != "" && !*again {
		fmt.Fprintln(os.Stderr, "scale: the tables are written for", changed)
	}
	return plot.WriteFiles(figure(need(f.Inputs, m), m), filepath.Dir(*out), strings.TrimSuffix(filepath.Base(*out), filepath.Ext(*out)))
}

// figure draws the cores by what they do.
func figure(n Needs, m Mix) *plot.Figure {
	f := &plot.Figure{
		Title:   fmt.Sprintf("Busy cores of all %s nodes, %s calls over %s regions", number("%.0f", n.AllNodes), number("%.0f", m.Calls), number("%.0f", m.Regions)),
		Caption: "Computed by tests/lab/scale from the figures in docs/scale.json; docs/scale.md says what is assumed. The scale is logarithmic.",
		Axis:    "cores, logarithmic", Kinds: []string{"computed"},
	}
	for i, p := range n.CoresBy {
		f.Rows = append(f.Rows, plot.Row{Name: []string{"relay packets", "commands, appends", "follow and fold the region", "store the mirrors", "follow the mirrors", "note in the index"}[i],
			Values: [][]float64{{p.Value * m.Regions}}})
	}
	return f
}
