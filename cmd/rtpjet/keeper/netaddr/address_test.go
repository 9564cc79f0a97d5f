package netaddr

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for _, good := range []string{"10.0.0.100/24@eth0", "fd00::64/64@bond0.12", "192.0.2.1/32@lo"} {
		a, err := Parse(good)
		if err != nil || a.String() != good {
			t.Errorf("%s: %v, %v", good, a, err)
		}
	}
	for _, bad := range []string{
		"", "10.0.0.100", "10.0.0.100@eth0", "10.0.0.100/24", "10.0.0.100/24@", "10.0.0.100/33@eth0", "0.0.0.0/0@eth0", "224.0.0.1/24@eth0",
		"255.255.255.255/32@eth0", "fe80::1/64@eth0", "169.254.1.1/16@eth0", "ff02::1/64@eth0", "::/0@eth0", "::ffff:10.0.0.1/120@eth0",
		"10.0.0.100/24@a-device-with-a-long-name", "10.0.0.100/24@../eth0", "10.0.0.100/24@eth 0", "x@eth0",
	} {
		a, err := Parse(bad)
		t.Log(err)
		if err == nil {
			t.Errorf("%q was read as %v", bad, a)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range []Config{
		{Lifetime: -time.Second}, {Lifetime: time.Minute}, {Lifetime: 1500 * time.Millisecond}, {Lifetime: time.Millisecond}, {ScriptTimeout: -1},
	} {
		if _, err := bad.withDefaults(); err == nil {
			t.Errorf("%+v is good", bad)
		}
	}
	file := filepath.Join(t.TempDir(), "float")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "keepalived", "exec", "exec:", "exec:script", "exec:/", "exec:" + file} {
		p, err := Open(bad, Config{})
		t.Log(err)
		if err == nil || p != nil {
			t.Errorf("%q is a provider", bad)
		}
	}
}

func TestMayAct(t *testing.T) {
	now := time.Now()
	ctx, cancel := context.WithDeadline(t.Context(), now.Add(time.Hour))
	if mayAct(t.Context(), now) != nil || mayAct(ctx, now) != nil {
		t.Error("there is time")
	}
	// The timer of the context has not fired, but the clock says that it is over.
	if err := mayAct(ctx, now.Add(time.Hour)); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	cancel()
	if err := mayAct(ctx, now); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestRepeats(t *testing.T) {
	first := time.Now()
	before := first
	n := 0
	for ; ; n++ {
		at, ok := repeatAt(first, n)
		if !ok {
			break
		}
		if !at.After(before) {
			t.Errorf("repeat %d is not after the one before", n)
		}
		before = at
	}
	if n != len(repeats) {
		t.Error(n)
	}
}
