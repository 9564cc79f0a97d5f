package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
)

// runs are all runs that are known, in the order in which they were made.
type runs []outcome

// readRuns reads a file of runs, one JSON object a line; no file is no runs.
func readRuns(file string) (runs, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the runs: %w", err)
	}
	var all runs
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, len(b)+1) // the course of the cuts is long
	for n := 1; lines.Scan(); n++ {
		var o outcome
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return nil, fmt.Errorf("read the runs: %s, line %d: %w", file, n, err)
		}
		all = append(all, o)
	}
	return all, lines.Err()
}

// write writes the file of runs.
func (r runs) write(file string) error {
	var b bytes.Buffer
	for _, o := range r {
		line, err := json.Marshal(o)
		if err != nil {
			return fmt.Errorf("write the runs: %w", err)
		}
		b.Write(append(line, '\n'))
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the runs: %w", err)
	}
	return nil
}

// without leaves the runs of one kind out.
func (r runs) without(k key) runs {
	return slices.DeleteFunc(slices.Clone(r), func(o outcome) bool { return o.key() == k })
}

// of returns the runs of a scene.
func (r runs) of(scene string) runs {
	return slices.DeleteFunc(slices.Clone(r), func(o outcome) bool { return o.Scene != scene })
}
