// Program play drives an rtpjet of any build through the scenes of the corpus and keeps the events that it wrote; see the comment of
// package oldlogs. It works on loopback addresses.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.program, "rtpjet", "", "the program of the build")
	flag.StringVar(&o.out, "out", "", "where the corpus goes, a new directory")
	flag.Parse()
	if o.program == "" || o.out == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := play(o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type options struct{ program, out string }

// fault is how a scene ends that did not go as it should: the rest of it would be of no use.
type fault struct{ err error }

func must(err error) {
	if err != nil {
		panic(fault{err})
	}
}

// play plays all scenes.
func play(o options) (err error) {
	if err := os.MkdirAll(filepath.Join(o.out, "bundles"), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "oldlogs")
	if err != nil {
		return err
	}
	p := &stage{options: o, work: work}
	defer func() {
		p.clear()
		switch f := recover().(type) {
		case nil:
			_ = os.RemoveAll(work)
		case fault:
			err = fmt.Errorf("%w; logs are in %s", f.err, work)
		default:
			panic(f)
		}
	}()
	for _, act := range []struct {
		name string
		play func(*stage)
	}{
		{"alone", alone}, {"timers", timers}, {"cluster", cluster}, {"floats", floats}, {"regions", regions},
	} {
		began := time.Now()
		p.act++
		act.play(p)
		p.clear()
		fmt.Printf("%s: %v\n", act.name, time.Since(began).Round(100*time.Millisecond))
	}
	return nil
}

// poll waits until ok returns nil.
func poll(what string, patience time.Duration, ok func() error) {
	deadline := time.Now().Add(patience)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			must(fmt.Errorf("%s: %w", what, err))
		}
		time.Sleep(50 * time.Millisecond)
	}
}
