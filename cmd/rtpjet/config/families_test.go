package config

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// TestOptionsOfRTPEngine: options that rtpengine has and rtpjet has no use for are taken, with a warning; typing errors of ours are not.
func TestOptionsOfRTPEngine(t *testing.T) {
	base := []string{"serve", "--config-file", "none", "--interface", "192.0.2.1", "--listen-ng", "192.0.2.1:2223"}
	for _, words := range [][]string{
		{"--codec-chain-priority=5"}, {"--codec-chain-runners", "4"}, {"--codec-chain-async"}, {"--db-media-cache", "/x"}, {"--db-media-reload=60"},
		{"--nftables-start"}, {"--nftables-stop"}, {"--nftables-status"}, {"--nftables-family=ip"}, {"--ng-client-timeout", "500"}, {"--ng-client-retries=3"},
		{"--media-files-reload", "10"}, {"--preload-media-files=/a", "--preload-media-files=/b"}, {"--preload-db-media", "1"},
		{"--vsc-start-rec", "*1"}, {"--kernel-player"}, {"--kernel-player-media", "128"}, {"--codec-chain-async", "--kernel-player", "--timeout", "60"},
	} {
		cmd, err := ParseArgs(context.Background(), append(slices.Clone(base), words...), Env{})
		if err != nil {
			t.Errorf("%q: %v", words, err)
			continue
		}
		name, _, _ := strings.Cut(words[0], "=")
		if !slices.Contains(cmd.Config.Warnings, name+" has no effect in rtpjet") {
			t.Errorf("%q: warnings %q", words, cmd.Config.Warnings)
		}
	}
	for word, want := range map[string]string{
		"--timeuot=5": "did you mean --timeout", "--interfaces=x": "did you mean --interface", "--log-levle=7": "did you mean --log-level",
		"--codeccs": "did you mean --codecs", "--no-such-option=1": "rtpjet help", "--codecs": "transcodes nothing", "word": "takes no argument",
	} {
		if _, err := ParseArgs(context.Background(), append(slices.Clone(base), word), Env{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", word, err, want)
		}
	}
	for _, level := range []string{"7", "8", "9"} {
		if cmd, err := ParseArgs(context.Background(), append(slices.Clone(base), "-L", level), Env{}); err != nil || cmd.Config.LogLevel != slogLevel(7) {
			t.Errorf("-L %s: %v", level, err)
		}
	}
}

// TestHelpOfCommands: help has each command that it lists, and says so of others.
func TestHelpOfCommands(t *testing.T) {
	for _, c := range commands {
		if _, err := ParseArgs(context.Background(), append([]string{"help"}, strings.Fields(c.name)...), Env{}); err != nil {
			t.Errorf("help %s: %v", c.name, err)
		}
	}
	for topic, want := range map[string]string{"srve": "did you mean rtpjet serve?", "nothing": "rtpjet help lists the commands"} {
		if _, err := ParseArgs(context.Background(), []string{"help", topic}, Env{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("help %s: %v", topic, err)
		}
	}
	var list, of strings.Builder
	WriteHelp(&list, "")
	WriteHelp(&of, "serve")
	if !strings.Contains(list.String(), "serve") || !strings.Contains(of.String(), "--interface") {
		t.Errorf("help says\n%s\n%s", &list, &of)
	}
}
