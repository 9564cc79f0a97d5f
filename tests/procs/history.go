package procs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// errNoHistory says that the sources of an earlier build are not to be had here: the tree is no checkout, or a shallow one.
var errNoHistory = errors.New("the history of this checkout does not have the build before")

// historyExpected tells whether an earlier build has to be in the history: under CI, which has programs and commits, unless its
// checkout is a shallow one.
func historyExpected() bool {
	out, err := exec.Command("git", "rev-parse", "--is-shallow-repository").Output()
	return os.Getenv("CI") == "true" && err == nil && strings.TrimSpace(string(out)) == "false"
}

// checkOut writes the tree of a commit into a new directory.
func checkOut(ctx context.Context, commit, dir string) error {
	top, err := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return fmt.Errorf("%w: %w", errNoHistory, err)
	}
	git := exec.CommandContext(ctx, "git", "archive", "--format=tar", commit)
	git.Dir = strings.TrimSpace(string(top))
	data, err := git.Output()
	if err != nil {
		return fmt.Errorf("%w, %s: %w", errNoHistory, commit, err)
	}
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", commit, err)
		}
		name := filepath.Join(dir, filepath.FromSlash(h.Name))
		if !filepath.IsLocal(filepath.FromSlash(h.Name)) || h.Typeflag != tar.TypeReg {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		file, err := io.ReadAll(r)
		if err == nil {
			err = os.WriteFile(name, file, 0o644)
		}
		if err != nil {
			return fmt.Errorf("write %s of %s: %w", h.Name, commit, err)
		}
	}
}
