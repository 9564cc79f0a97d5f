package main

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"rtpjet/tests/lab"
)

// TestMain lets the test program be what the laboratory runs in its namespaces.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "bench" || os.Args[1] == "nats" || os.Args[1] == "streams") {
		if err := dispatch(context.Background(), os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// short carries out a short run with 20 calls.
func short(t *testing.T, system, fault string) *outcome {
	t.Helper()
	if err := lab.Namespaces(); err != nil {
		t.Skip(err)
	}
	if err := lab.Installed(programs([]string{system})...); err != nil {
		t.Skip(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &setup{self: self, dir: t.TempDir(), options: options{keep: true, repeats: 3, patience: time.Minute, scene: scene{Calls: 20, Fast: 10, SlowRate: 5, Media: "RTP"}}}
	if system == "rtpjet" {
		// The package's folder is where a test runs.
		t.Chdir("../../..")
		if s.built, err = lab.BuiltRtpjet(t.Context(), "", s.dir); err != nil {
			t.Fatal(err)
		}
	}
	f, err := faultNamed(fault)
	if err != nil {
		t.Fatal(err)
	}
	f.settle = 2 * time.Second
	before := settleBefore
	settleBefore = 1500 * time.Millisecond
	defer func() { settleBefore = before }()
	o, err := s.undisturbed(t.Context(), system, f) // others may have the machine
	if err != nil {
		t.Fatal(err)
	}
	t.Log(o)
	return o
}

func TestCallsOutliveTheirNode(t *testing.T) {
	lab.Only(t, "counts packets and frames that a fault costs")
	o := short(t, "rtpjet", "kill")
	if o.Streams != 40 || o.SilenceSummary.Fast != 20 {
		t.Fatalf("%d streams, %d fast", o.Streams, o.SilenceSummary.Fast)
	}
	if o.Dead+o.OneWay+o.DeadCalls > 0 || o.Unknown > 0 || o.NewCall != "" {
		t.Errorf("%d streams dead, %d calls one way, %d dead; %d unknown; a new call: %q", o.Dead, o.OneWay, o.DeadCalls, o.Unknown, o.NewCall)
	}
	if o.Failed > 0 {
		t.Errorf("%d commands failed, the first: %s", o.Failed, o.FailedWhy)
	}
	if o.Handovers != 1 || o.OverlapFrames+o.DoubleStreams+o.Duplicates > 0 || o.Holders != 1 {
		t.Errorf("%d handovers, %d frames in the other's time, %d duplicates, %d nodes with the address", o.Handovers, o.OverlapFrames, o.Duplicates, o.Holders)
	}
	if o.Foreign+o.Damaged > 0 {
		t.Errorf("%d packets on the wrong leg, %d damaged", o.Foreign, o.Damaged)
	}
}

// The other system of the laboratory has to work as well as it can, too.
func TestCallsOutliveRtpengine(t *testing.T) {
	lab.Only(t, "counts packets and frames that a fault costs")
	o := short(t, bestEngine, "kill")
	if o.Streams != 40 || o.Dead > 0 || o.Unknown > 0 || o.Handovers != 1 || o.NewCall != "" {
		t.Errorf("%+v", o)
	}
}
