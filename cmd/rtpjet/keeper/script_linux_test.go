package keeper

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeScript makes a script of an operator's, and a function that says what it was asked for.
func writeScript(t testing.TB) (script string, asked func() []string) {
	t.Helper()
	dir := t.TempDir()
	script, log := filepath.Join(dir, "float"), filepath.Join(dir, "log")
	text := "#!/bin/sh\necho \"$1\" >>" + log + "\n[ \"$1\" != check ]\n"
	must(t, os.WriteFile(script, []byte(text), 0o755))
	return script, func() []string {
		b, err := os.ReadFile(log)
		if err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
		return strings.Fields(string(b))
	}
}
