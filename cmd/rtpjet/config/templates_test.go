package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtpjet/ngserver/ng"
)

func TestTemplateSection(t *testing.T) {
	const file = `[rtpengine]
interface = 10.0.0.1
listen-ng = 2223
templates = signalling
[signalling]
default = trust-address
start recording = label=tape
WebRTC = transport-protocol=UDP/TLS/RTP/SAVPF ICE=force
WebRTC = ICE=remove
two\swords = a
[other]
offer = fast
`
	c := mustParse(t, testEnv(map[string]string{defaultConfigFile: file}), "serve")
	want := ng.Templates{"default": "trust-address", "start recording": "label=tape", "WebRTC": "ICE=remove", `two\swords`: "a"}
	if diff := cmp.Diff(want, c.Templates); diff != "" {
		t.Error(diff)
	}
	c = mustParse(t, testEnv(map[string]string{defaultConfigFile: file}), "serve --templates other")
	if diff := cmp.Diff(ng.Templates{"offer": "fast"}, c.Templates); diff != "" {
		t.Error(diff)
	}
	for _, args := range []string{"serve --templates nowhere", "serve --config-file=none -i 10.0.0.1 -n 2223 --templates other"} {
		if _, err := parse(t, testEnv(map[string]string{defaultConfigFile: file}), args); err == nil || !strings.Contains(err.Error(), "no section [") {
			t.Errorf("%s: %v", args, err)
		}
	}
}
