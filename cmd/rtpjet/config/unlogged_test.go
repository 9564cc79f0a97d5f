package config

import (
	"strings"
	"testing"
)

func TestLogLossOption(t *testing.T) {
	const fine = "serve -i 10.0.0.1 -n 2223 "
	for _, c := range []struct {
		args, dir string
		serve     bool
		warnings  int
	}{
		{args: "", dir: "/var/lib/rtpjet"},
		{args: "--log-loss=refuse", dir: "/var/lib/rtpjet"},
		{args: "--log-loss Serve", serve: true, dir: "/var/lib/rtpjet"},
		{args: "--log-loss=serve --data-dir=here", serve: true, dir: "here"},
		{args: "--log-loss=serve --nats nats://10.0.0.2:4222", serve: true, warnings: 1},
		{args: "--log-loss=serve --nats nats://10.0.0.2:4222 --data-dir=here", serve: true, dir: "here"},
	} {
		got := mustParse(t, testEnv(nil), fine+c.args)
		if got.ServeUnlogged != c.serve || got.UnloggedEvents() != c.dir || len(got.Warnings) != c.warnings {
			t.Errorf("%s: serves %v, in %q, warnings %q", c.args, got.ServeUnlogged, got.UnloggedEvents(), got.Warnings)
		}
	}
	if _, err := parse(t, testEnv(nil), fine+"--log-loss=ignore"); err == nil || !strings.Contains(err.Error(), "refuse or serve") {
		t.Errorf("--log-loss=ignore: %v", err)
	}
}
