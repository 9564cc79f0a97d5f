package main

import "rtpjet/cmd/rtpjet/bench"

// outcome is one run: a line of the file of runs, from which table and plot are made.
type outcome struct {
	System string `json:"system"`
	Fault  string `json:"fault"`
	Load   string `json:"load"`
	Media  string `json:"media"` // RTP, or what else the phones spoke

	bench.SilenceSummary         // after the fault
	BeforeMS             float64 `json:"before_ms"` // the longest silence before it
	speech

	Unknown    uint64  `json:"unknown"`   // calls that the server did not know afterwards
	Failed     uint64  `json:"ng_failed"` // commands refused or unanswered
	FailedWhy  string  `json:"ng_first_failure,omitempty"`
	LongestNG  float64 `json:"ng_longest_ms"` // the longest command, calls placed during the fault included
	NewCall    string  `json:"new_call,omitempty"`
	Holders    int     `json:"holders"` // nodes with the floating address at the end
	Foreign    uint64  `json:"foreign"` // packets on the wrong leg
	Damaged    uint64  `json:"damaged"`
	WorstLagMS float64 `json:"generator_lag_ms"`
	Skipped    uint64  `json:"generator_skipped"`
}

// key tells runs of different kinds apart.
type key struct{ System, Fault, Load, Media string }

func (o *outcome) key() key { return key{o.System, o.Fault, o.Load, o.Media} }

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
