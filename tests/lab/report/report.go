// Package report renders what the laboratories measured, and puts it into the
// project's documents.
package report

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// Median returns the middle of the values, the mean of the two middle ones if
// their number is even, NaN without any.
func Median(xs []float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	xs = slices.Sorted(slices.Values(xs))
	mid := len(xs) / 2
	if len(xs)%2 == 1 {
		return xs[mid]
	}
	return (xs[mid-1] + xs[mid]) / 2
}

// Number renders a value, a dash if there is none.
func Number(format string, v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	s := fmt.Sprintf(format, v)
	digits, rest, _ := strings.Cut(s, ".")
	if len(digits) <= 3 || strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return s
	}
	var groups []string
	for len(digits) > 3 {
		groups = append([]string{digits[len(digits)-3:]}, groups...)
		digits = digits[:len(digits)-3]
	}
	s = strings.Join(append([]string{digits}, groups...), ",")
	if rest != "" {
		s += "." + rest
	}
	return s
}

// ReplaceBlock puts text between the markers of a block of a document, at the end
// of the document if it has no such block. The markers name the task that writes it.
func ReplaceBlock(doc, task, block, text string) (string, error) {
	begin := fmt.Sprintf("<!-- %s: begin; written by `go tool task %s` -->\n", block, task)
	end := fmt.Sprintf("<!-- %s: end -->\n", block)
	text = begin + strings.TrimRight(text, "\n") + "\n" + end
	from := strings.Index(doc, begin)
	if from < 0 {
		if strings.Contains(doc, end) {
			return "", fmt.Errorf("find the block %s: it has an end and no beginning", block)
		}
		if doc != "" && !strings.HasSuffix(doc, "\n\n") {
			doc = strings.TrimRight(doc, "\n") + "\n\n"
		}
		return doc + text, nil
	}
	length := strings.Index(doc[from:], end)
	if length < 0 {
		return "", fmt.Errorf("find the block %s: it has a beginning and no end", block)
	}
	return doc[:from] + text + doc[from+length+len(end):], nil
}

// WriteBlock puts the text of a section into the file of measurements.
func WriteBlock(file, task, name, text string) error {
	doc, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read the measurements: %w", err)
	}
	updated, err := ReplaceBlock(string(doc), task, name, text)
	if err != nil {
		return fmt.Errorf("update %s: %w", file, err)
	}
	if err := os.WriteFile(file, []byte(updated), 0o644); err != nil {
		return fmt.Errorf("write the measurements: %w", err)
	}
	return nil
}

// Machine describes what the figures hold for.
func Machine() string {
	text := fmt.Sprintf("%d cores", runtime.NumCPU())
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		text += ", Linux " + strings.TrimSpace(string(release))
	}
	if out, err := exec.Command("rtpengine", "--version").CombinedOutput(); err == nil {
		text += ", rtpengine " + strings.TrimPrefix(strings.TrimSpace(string(out)), "Version: ") + " in user space"
	}
	return text + ", " + runtime.Version()
}
