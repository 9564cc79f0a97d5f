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

// TestBuilds is about what the ways to build a binary leave in it.
func TestBuilds(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	built := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{GoVersion: "go1.99", Main: debug.Module{Version: version}, Settings: settings}
	}
	vcs := debug.BuildSetting{Key: "vcs.revision", Value: commit}
	other := debug.BuildSetting{Key: "GOOS", Value: "a-system-with-a-long-name"}
	for _, test := range []struct {
		name                string
		info                *debug.BuildInfo
		text, version, hash string
	}{
		{"not a binary of the go command", nil, "(unknown)", "unknown", ""},
		{"go run of a file", built(""), "(devel) go1.99", "unknown", ""},
		{"go build without git", built("(devel)", other), "(devel) go1.99", "(devel)", ""},
		{"go install of a release", built("v1.2.3", other), "v1.2.3 go1.99", "v1.2.3", ""},
		{"go build in the repository", built("v1.2.4-0.2026", other, vcs), "v1.2.4-0.2026 0123456789ab go1.99", "v1.2.4-0.2026", "0123456789ab"},
		{"a commit without a version", built("", vcs, other), "(devel) 0123456789ab go1.99", "unknown", "0123456789ab"},
		{"an empty commit", built("v1.2.3", debug.BuildSetting{Key: "vcs.revision"}), "v1.2.3 go1.99", "v1.2.3", ""},
		{"a commit that tells nothing apart", built("v1", debug.BuildSetting{Key: "vcs.revision", Value: commit[:11]}), "v1 go1.99", "v1", ""},
		{"the shortest commit", built("v1", debug.BuildSetting{Key: "vcs.revision", Value: commit[:12]}), "v1 0123456789ab go1.99", "v1", "0123456789ab"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := text(test.info, test.info != nil); got != test.text {
				t.Errorf("text %q, want %q", got, test.text)
			}
			if v, hash := parts(test.info, test.info != nil); v != test.version || hash != test.hash {
				t.Errorf("parts %q and %q, want %q and %q", v, hash, test.version, test.hash)
			}
		})
	}
}
