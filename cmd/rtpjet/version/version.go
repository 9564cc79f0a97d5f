// Package version says which build of rtpjet this is.
package version

import (
	"cmp"
	"runtime/debug"
)

// unknown stands for what the build does not say.
const unknown = "unknown"

// Text is the module's version, the commit that the binary was built from, and that of Go, for people.
func Text() string { return text(debug.ReadBuildInfo()) }

// Short is the commit, or else the version: how a node names its build to its peers.
func Short() string {
	v, r := Parts()
	return cmp.Or(r, v)
}

// Parts are the module's version, and the commit that the binary was built from; that is empty if it is not known.
func Parts() (version, commit string) { return parts(debug.ReadBuildInfo()) }

func text(info *debug.BuildInfo, ok bool) string {
	if !ok {
		return "(unknown)"
	}
	v := cmp.Or(info.Main.Version, "(devel)")
	if r := revision(info); r != "" {
		v += " " + r
	}
	return v + " " + info.GoVersion
}

func parts(info *debug.BuildInfo, ok bool) (version, commit string) {
	if !ok {
		return unknown, ""
	}
	return cmp.Or(info.Main.Version, unknown), revision(info)
}

// revision is as much of the commit as tells it from others.
func revision(info *debug.BuildInfo) string {
	const enough = 12
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= enough {
			return s.Value[:enough]
		}
	}
	return ""
}
