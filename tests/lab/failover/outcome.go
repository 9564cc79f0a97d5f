package main

import (
	"fmt"

	"rtpjet/cmd/rtpjet-bench/bench"
)

// outcome is one run: a line of the file of runs, from which table and plot are made.
type outcome struct {
	System string `json:"system"`
	Fault  string `json:"fault"`
	scene

	bench.SilenceSummary         // after the fault
	BeforeMS             float64 `json:"before_ms"` // the longest silence in the last two seconds before it
	speech

	Unknown    uint64  `json:"unknown"`   // calls that the server did not know afterwards
	Failed     uint64  `json:"ng_failed"` // commands refused or unanswered
	FailedWhy  string  `json:"ng_first_failure,omitempty"`
	LongestNG  float64 `json:"ng_longest_ms"` // the longest command, calls placed during the fault included
	NewCall    string  `json:"new_call,omitempty"`
	Holders    int     `json:"holders"` // nodes with the floating address at the end
	Repeats    int     `json:"repeats"` // how often the run was repeated because others had the machine
	Foreign    uint64  `json:"foreign"` // packets on the wrong leg
	Damaged    uint64  `json:"damaged"`
	WorstLagMS float64 `json:"generator_lag_ms"`
	Skipped    uint64  `json:"generator_skipped"`
	CanaryMS   float64 `json:"canary_ms"` // how long the machine let a thread wait that did nothing
}

// scene is what the phones do in a run. Each has a table and a picture of its own.
type scene struct {
	Calls    int     `json:"calls"`
	Fast     int     `json:"fast"`      // calls with 50 packets/s a leg
	SlowRate float64 `json:"slow_rate"` // packets/s of each leg of the others
	Media    string  `json:"media"`     // RTP, or what else they speak
}

// key tells runs of different kinds apart.
type key struct {
	system, fault string
	scene         scene
}

func (o *outcome) key() key { return key{o.System, o.Fault, o.scene} }

// commands adds up what all commands of a run showed.
func (o *outcome) commands(tallies ...bench.CommandTally) {
	for _, t := range tallies {
		o.Failed += t.Failures
		if o.FailedWhy == "" {
			o.FailedWhy = t.First
		}
		o.LongestNG = max(o.LongestNG, t.LongestUS/1000)
	}
}

// disturbed says that the machine was busy with other things: before the fault, a
// stream was silent for longer than two packets take, or after it a thread of which
// nothing but to wake up was wanted, or the generator, was late. Such a run is
// repeated, whatever it showed.
func (o *outcome) disturbed() bool {
	const (
		before = 45.0 // ms
		late   = 15.0
	)
	return o.BeforeMS > before || o.WorstLagMS > late || o.CanaryMS > late
}

// String is the outcome in a line, for whoever watches.
func (o *outcome) String() string {
	text := fmt.Sprintf("%s: longest %.1f ms, %.0f ms after the fault (before it %.1f), median %.1f; lost %g a stream, at most %d; dead %.1f s, %d calls one way, %d dead",
		o.System, o.LongestMS, o.LongestAtMS, o.BeforeMS, o.MedianLongestMS, o.LostMedian, o.LostWorst, o.DeadSeconds, o.OneWay, o.DeadCalls)
	text += fmt.Sprintf("; %d handovers, the first %.1f ms, overlap %.2f ms, %d streams with two senders, %d duplicates",
		o.Handovers, o.GapMS, o.OverlapMS, o.DoubleStreams, o.Duplicates)
	if o.Claims > 0 {
		text += fmt.Sprintf(", %d claims by ARP of what another node has", o.Claims)
	}
	text += fmt.Sprintf("; %d calls unknown, %d commands failed, the longest %.0f ms", o.Unknown, o.Failed, o.LongestNG)
	if o.FailedWhy != "" {
		text += " (" + o.FailedWhy + ")"
	}
	if o.NewCall != "" {
		text += "; a new call: " + o.NewCall
	}
	if o.Holders != 1 {
		text += fmt.Sprintf("; %d nodes have the address", o.Holders)
	}
	if o.Repeats > 0 || o.disturbed() {
		text += fmt.Sprintf("; repeated %d times, generator at most %.1f ms late, a thread that did nothing %.1f", o.Repeats, o.WorstLagMS, o.CanaryMS)
	}
	return text
}
