package events_test

import (
	"testing"

	"rtpjet/tools/gencodec/gen"
)

// The codec is what the types say: go generate ./events.
func TestCodecNotStale(t *testing.T) {
	if err := gen.Stale("."); err != nil {
		t.Error(err)
	}
}
