package version

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	v, commit := Parts()
	if v == "" || commit != "" && len(commit) != 12 {
		t.Errorf("version %q, commit %q", v, commit)
	}
	if got := Short(); got != commit && got != v {
		t.Errorf("%q is neither %q nor %q", got, v, commit)
	}
	if got := Text(); !strings.HasSuffix(got, " "+runtime.Version()) || !strings.Contains(got, commit) {
		t.Error(got)
	}
}

func TestRevision(t *testing.T) {
	for commit, want := range map[string]string{
		"": "", "short": "", "0123456789abcdef": "0123456789ab",
	} {
		info := &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux-and-more"}, {Key: "vcs.revision", Value: commit}}}
		if got := revision(info); got != want {
			t.Errorf("%q: %q, want %q", commit, got, want)
		}
	}
	if got := revision(&debug.BuildInfo{}); got != "" {
		t.Error(got)
	}
}
