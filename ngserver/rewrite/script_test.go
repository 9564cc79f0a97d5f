package rewrite_test

import (
	"path/filepath"
	"testing"

	"rtpjet/projection/projectiontest"
)

// TestScripts compares the SDPs that go out, line by line.
func TestScripts(t *testing.T) {
	projectiontest.RunScripts(t, filepath.Join("testdata", "*.txt"), func(_ *projectiontest.Driver, _, sdp string) string { return sdp })
}
