package main

import (
	"fmt"
	"strings"
	"time"
)

// names are the regions, and nodesEach is how many nodes each of them has.
var names = []string{"eu", "us", "ap"}

const nodesEach = 2

// What the scene of the cuts does.
const (
	cutsRate  = 15.0                   // calls/s in each region
	cutsEvery = 400 * time.Millisecond // a region is asked about the others
)

// outcome is one run of a scene: a line of the file of runs, from which tables and figure are made.
type outcome struct {
	Scene string `json:"scene"`
	setting
	// Starts are how long it took from the start of all regions until the mirrors had a call of each, in seconds.
	Starts []float64 `json:"starts_s,omitempty"`

	Home    *homeOutcome    `json:"home,omitempty"`
	Foreign *foreignOutcome `json:"foreign,omitempty"`
	Cuts    *cutsOutcome    `json:"cuts,omitempty"`
	Adopt   *adoptOutcome   `json:"adopt,omitempty"`
	History *historyOutcome `json:"history,omitempty"`
}

// setting is what the network between the regions is like, and what the clients do.
type setting struct {
	DelayMS float64 `json:"delay_ms"` // one way
	Loss    float64 `json:"loss"`
	Rate    float64 `json:"rate"`  // calls/s of a load
	Calls   int     `json:"calls"` // that are placed beforehand
}

// roundTrip is that between two regions, in milliseconds.
func (s setting) roundTrip() float64 { return 2 * s.DelayMS }

// key tells runs of different kinds apart.
type key struct {
	scene string
	setting
}

func (o *outcome) key() key { return key{o.Scene, o.setting} }

// homeOutcome is a load at home in the first region: with the other regions, while it is cut off from them, and without any.
type homeOutcome struct {
	Joined *homeRound `json:"joined,omitempty"`
	CutOff *homeRound `json:"cut_off,omitempty"`
	Alone  *homeRound `json:"alone,omitempty"`
}

// homeRound is one of the three.
type homeRound struct {
	Commands map[string]spread `json:"commands"`
	First    string            `json:"first_failure,omitempty"`
	CPUms    float64           `json:"cpu_ms_a_call"`  // of the nodes of the first region
	OthersMS float64           `json:"others_cpu_ms"`  // of the nodes of the other regions, a second
	LateMS   float64           `json:"generator_late"` // at worst
	CanaryMS float64           `json:"canary_ms"`      // how long the machine let a thread wait that did nothing
	Repeats  int               `json:"repeats"`        // how often it was repeated because others had the machine
}

// foreignOutcome is what commands took for calls of another region.
type foreignOutcome struct {
	Commands map[string]spread `json:"commands"`
	First    string            `json:"first_failure,omitempty"`
	Twins    []string          `json:"twins,omitempty"` // calls that began once more in the region that only signalled them
}

// cutsOutcome is a load at home in all regions while ways between them are cut and heal.
type cutsOutcome struct {
	Cuts     []cutOutcome      `json:"cuts"`
	Commands map[string]spread `json:"commands"`
	First    string            `json:"first_failure,omitempty"`
	Mirrors  []mirrorOutcome   `json:"mirrors"`
	Course   []moment          `json:"course"`
}

// cutOutcome is one cut. Times are in seconds; a negative one says that it was not so before the lab gave up.
type cutOutcome struct {
	Name      string  `json:"name"`
	At        float64 `json:"at_s"`
	Noticed   float64 `json:"noticed_s"`   // until the first side said so
	AllKnow   float64 `json:"all_know_s"`  // until all of them did
	HealedAt  float64 `json:"healed_at_s"` // since the scene's beginning
	CaughtUp  float64 `json:"caught_up_s"` // from the healing
	FailedNow int     `json:"failed"`      // commands at home, from the cut until all had caught up
}

// mirrorOutcome compares what a region has of another one with what that has itself.
type mirrorOutcome struct {
	At         string   `json:"at"`
	Of         string   `json:"of"`
	Calls      int      `json:"calls"`
	Equal      bool     `json:"equal"`
	Difference []string `json:"difference,omitempty"`
}

// moment is what a region says of another one.
type moment struct {
	T     float64 `json:"t"` // seconds
	At    string  `json:"at"`
	Of    string  `json:"of"`
	State string  `json:"state"`
	Lag   int     `json:"lag"`
	AgeMS float64 `json:"age_ms"`
}

// adoptOutcome is the death of a region whose calls another one adopts. Times are in seconds.
type adoptOutcome struct {
	Calls    int     `json:"calls"`
	Noticed  float64 `json:"noticed_s"` // from the kill until the region is cut to the other one
	Took     float64 `json:"took_s"`    // of rtpjet region adopt
	Said     int     `json:"said"`      // the number that it printed
	Owned    int     `json:"owned"`     // calls whose owner is a node of the adopter
	Foreign  int     `json:"foreign"`   // live calls whose owner is somewhere else
	Answered int     `json:"answered"`  // of the calls that the adopter was asked about at once
	Asked    int     `json:"asked"`
	First    string  `json:"first_failure,omitempty"`

	Back      float64 `json:"back_s"`       // from the start of the dead region until its nodes answer
	EndedIn   float64 `json:"ended_s"`      // from there until none of the adopted calls is live in it
	LeftOpen  int     `json:"left_open"`    // media ports that are open there in the end
	OpenFirst int     `json:"open_before"`  // those before the kill
	Both      int     `json:"live_in_both"` // in the end
	KnownBack int     `json:"live_in_adopter"`
	StateBack string  `json:"state_back"` // of the region that came back, as the adopter says
}

// historyOutcome is the life of a call that was signalled in three regions.
type historyOutcome struct {
	Ladder  string   `json:"ladder"`
	Missing []string `json:"missing,omitempty"` // words that ought to stand in it
}

// String is the outcome in a few words, for whoever watches.
func (o *outcome) String() string {
	var b strings.Builder
	switch {
	case o.Home != nil:
		for _, side := range []struct {
			name string
			r    *homeRound
		}{{"joined", o.Home.Joined}, {"cut off", o.Home.CutOff}, {"alone", o.Home.Alone}} {
			if side.r == nil {
				continue
			}
			fmt.Fprintf(&b, "\n  %s: %.2f ms of CPU a call, generator late %.1f ms, idle thread %.1f ms, repeated %d times",
				side.name, side.r.CPUms, side.r.LateMS, side.r.CanaryMS, side.r.Repeats)
			writeSpreads(&b, side.r.Commands, side.r.First)
		}
	case o.Foreign != nil:
		writeSpreads(&b, o.Foreign.Commands, o.Foreign.First)
		if n := len(o.Foreign.Twins); n > 0 {
			fmt.Fprintf(&b, "\n  %d calls live twice, such as %s", n, o.Foreign.Twins[0])
		}
	case o.Cuts != nil:
		for _, c := range o.Cuts.Cuts {
			fmt.Fprintf(&b, "\n  %s: noticed after %.1f s, by all after %.1f, caught up %.1f s after healing, %d failed", c.Name, c.Noticed, c.AllKnow, c.CaughtUp, c.FailedNow)
		}
		writeSpreads(&b, o.Cuts.Commands, o.Cuts.First)
		for _, m := range o.Cuts.Mirrors {
			if !m.Equal {
				fmt.Fprintf(&b, "\n  %s has other calls of %s: %s", m.At, m.Of, strings.Join(m.Difference, "; "))
			}
		}
	case o.Adopt != nil:
		fmt.Fprintf(&b, "\n  %+v", *o.Adopt)
	case o.History != nil:
		fmt.Fprintf(&b, "\n%s", o.History.Ladder)
		if len(o.History.Missing) > 0 {
			fmt.Fprintf(&b, "\n  MISSING: %v", o.History.Missing)
		}
	}
	return fmt.Sprintf("%s (after %.1f s of starting):%s", o.Scene, o.Starts, b.String())
}

func writeSpreads(b *strings.Builder, all map[string]spread, first string) {
	for _, command := range commandsOf(all) {
		fmt.Fprintf(b, "\n  %-9s %s", command, all[command])
	}
	if first != "" {
		fmt.Fprintf(b, "\n  the first failure: %s", first)
	}
}

// order is that of commands in tables.
var order = []string{"offer", "answer", "query", "re-offer", "delete", "answer at once", "re-offer at once"}

func commandsOf(all map[string]spread) (some []string) {
	for _, command := range order {
		if _, ok := all[command]; ok {
			some = append(some, command)
		}
	}
	return some
}
