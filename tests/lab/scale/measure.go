package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"rtpjet/tests/lab/report"
)

// measure reads the tables and runs the benchmarks, those of the keys in only or all. What is not measured stays as in f.
func measure(ctx context.Context, f file, measurements string, only []string) (file, error) {
	doc, err := os.ReadFile(measurements)
	if err != nil {
		return f, fmt.Errorf("read the measurements: %w", err)
	}
	f.Machine = report.Machine()
	if f.Inputs == nil {
		f.Inputs = Inputs{}
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		f.Load, _, _ = strings.Cut(string(load), " ")
	}
	outputs := map[string]string{}
	for _, s := range sources {
		if len(only) > 0 && !slices.Contains(only, s.key) {
			continue
		}
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
