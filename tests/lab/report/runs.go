package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// ReadRuns reads a file of runs, one JSON object a line; no file is no runs.
func ReadRuns[T any](file string) ([]T, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the runs: %w", err)
	}
	var all []T
	n := 0
	for line := range bytes.Lines(b) {
		n++
		var o T
		if err := json.Unmarshal(line, &o); err != nil {
			return nil, fmt.Errorf("read the runs: %s, line %d: %w", file, n, err)
		}
		all = append(all, o)
	}
	return all, nil
}

// WriteRuns writes the file of runs.
func WriteRuns[T any](file string, all []T) error {
	var b bytes.Buffer
	for _, o := range all {
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
