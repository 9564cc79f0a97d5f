package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rtpjet/embed"
)

func TestServerErrors(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	newer := t.TempDir()
	strange := t.TempDir()
	for name, text := range map[string]string{file: "", filepath.Join(newer, formatFile): "2\n", filepath.Join(strange, formatFile): "x"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	used := t.TempDir()
	startServer(t, used)
	base := Config{NodeID: "n1", Region: "r", StoreDir: t.TempDir(), Logger: testLogger(t)}
	tests := []struct {
		name   string
		change func(*Config)
		want   []string
		is     error
	}{
		{"port in use", func(c *Config) { c.Listen = taken.Addr().String() }, []string{taken.Addr().String(), "in use", "--nats-listen"}, nil},
		{"address elsewhere", func(c *Config) { c.Listen = "192.0.2.1:4222" }, []string{"192.0.2.1:4222", "--nats-listen"}, nil},
		{"no address", func(c *Config) { c.Listen = "4222" }, []string{`"4222"`, "ADDRESS:PORT"}, nil},
		{"a file for a directory", func(c *Config) { c.StoreDir = file }, []string{file, "--data-dir"}, nil},
		{"below a file", func(c *Config) { c.StoreDir = filepath.Join(file, "x") }, []string{file, "--data-dir"}, nil},
		{"no directory", func(c *Config) { c.StoreDir = "" }, []string{"--data-dir"}, nil},
		{"read-only", func(c *Config) { c.StoreDir = "/proc/rtpjet" }, []string{"/proc/rtpjet", "--data-dir"}, nil},
		{"in use", func(c *Config) { c.StoreDir = used }, []string{used, "uses it", fmt.Sprint(os.Getpid())}, nil},
		{"newer", func(c *Config) { c.StoreDir = newer }, []string{newer, "format 2", "--data-dir"}, embed.ErrNewer},
		{"strange", func(c *Config) { c.StoreDir = strange }, []string{strange, formatFile}, nil},
		{"node id", func(c *Config) { c.NodeID = "a.b" }, []string{"node id", `"a.b"`}, nil},
		{"region", func(c *Config) { c.Region = "" }, []string{"region"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := base
			tt.change(&cfg)
			s, err := Start(t.Context(), cfg)
			if err == nil {
				s.Shutdown()
				t.Fatal("no error")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one sentence: %q", err)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v, want %v", err, tt.is)
			}
		})
	}
}
