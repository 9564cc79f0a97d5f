package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"rtpjet/tests/lab/report"
)

// measure reads the tables and runs the benchmarks.
func measure(ctx context.Context, measurements string) (f file, err error) {
	doc, err := os.ReadFile(measurements)
	if err != nil {
		return f, fmt.Errorf("read the measurements: %w", err)
	}
	f = file{Machine: report.Machine(), Inputs: Inputs{}}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		f.Load, _, _ = strings.Cut(string(load), " ")
	}
	outputs := map[string]string{}
	for _, s := range sources {
		var v float64
		if s.pkg == "" {
			v, err = tableFigure(string(doc), s.block, s.row)
		} else {
			id := s.pkg + s.bench
			if _, done := outputs[id]; !done {
				if outputs[id], err = benchmark(ctx, s); err != nil {
					return f, err
				}
			}
			v, err = benchmarkFigure(outputs[id], s.bench, s.metric)
		}
		if err != nil {
			return f, fmt.Errorf("measure %s: %w", s.what, err)
		}
		f.Inputs[s.key] = v
	}
	return f, f.Inputs.check()
}

func (s source) args() []string {
	parts := strings.Split(s.bench, "/")
	for i, p := range parts {
		parts[i] = "^" + p + "$"
	}
	return []string{"test", "-run", "^$", "-bench", strings.Join(parts, "/"), "-benchtime", s.benchtime, s.pkg}
}

func benchmark(ctx context.Context, s source) (string, error) {
	fmt.Fprintln(os.Stderr, "go "+strings.Join(s.args(), " "))
	out, err := exec.CommandContext(ctx, "go", s.args()...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("run %s: %w\n%s", s.bench, err, out)
	}
	return string(out), nil
}
