package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rtpjet/tests/lab"
)

const (
	adoptWait = 2 * time.Minute
	adoptAsk  = 100 // calls that the adopter is asked about at once
)

// adopt kills the second region with its calls, has the first one adopt them, and brings the second one back.
func (s *setup) adopt(ctx context.Context, _ int) (*outcome, error) {
	o := &adoptOutcome{Calls: s.Calls}
	err := s.inCluster(ctx, "adopt", true, func(c *cluster) error { return s.adoptOne(ctx, c, o) })
	return &outcome{Adopt: o}, err
}

func (s *setup) adoptOne(ctx context.Context, c *cluster, o *adoptOutcome) error {
	const adopter, lost = 0, 1
	calls, err := c.regions[lost].place(ctx, "adopt", s.Calls)
	if err != nil {
		return err
	}
	if err := c.awaitAll(ctx, adopter, lost); err != nil {
		return err
	}
	if o.OpenFirst, err = c.mediaPorts(lost); err != nil {
		return err
	}
	began := time.Now()
	c.kill(lost)
	err = eventually(ctx, adoptWait, 200*time.Millisecond, func() (bool, error) {
		rows, err := c.peers(ctx, adopter)
		w, ok := rowOf(rows, names[lost])
		return ok && w.State == stateCut, err
	})
	if err != nil {
		return fmt.Errorf("wait until %s says that %s is cut: %w", names[adopter], names[lost], err)
	}
	o.Noticed = round(time.Since(began).Seconds())

	began = time.Now()
	said, err := c.tool(ctx, adopter, names[adopter], "region", "adopt", names[lost])
	if err != nil {
		return err
	}
	o.Took, o.Said = round(time.Since(began).Seconds()), firstNumber(string(said))
	s.say("adopt: %s", strings.TrimSpace(string(said)))
	t := newTally()
	r := c.regions[adopter]
	_ = inParallel(calls[:min(adoptAsk, len(calls))], func(i int, k call) error {
		t.ask(ctx, r.lines[i%len(r.lines)], "query", k.query())
		return nil // what failed is in the tally
	})
	asked, failed := t.commands()
	o.Asked, o.Answered, o.First = asked, asked-failed, t.why()
	if o.Owned, o.Foreign, err = c.owners(ctx, adopter, calls); err != nil {
		return err
	}
	return s.comeBack(ctx, c, o, calls, adopter, lost)
}

// comeBack starts the lost region again and looks at what it does with calls that are no longer its own.
func (s *setup) comeBack(ctx context.Context, c *cluster, o *adoptOutcome, calls []call, adopter, lost int) error {
	began := time.Now()
	if err := c.startRegion(lost); err != nil {
		return err
	}
	if err := c.ready(ctx, lost); err != nil {
		return err
	}
	o.Back = round(time.Since(began).Seconds())
	began = time.Now()
	o.EndedIn = -1
	_ = eventually(ctx, adoptWait, 500*time.Millisecond, func() (bool, error) { // who waits in vain, has -1
		own, err := c.live(ctx, lost, lost)
		ended := err == nil && len(own) == 0 // an error is an election, perhaps
		if ended {
			o.EndedIn = round(time.Since(began).Seconds())
		}
		return ended, nil
	})
	// The sockets of ended calls are closed a moment later.
	err := eventually(ctx, 20*time.Second, 500*time.Millisecond, func() (ok bool, err error) {
		o.LeftOpen, err = c.mediaPorts(lost)
		return o.LeftOpen == 0, err
	})
	if err != nil && o.LeftOpen == 0 {
		return err
	}
	returned, err := c.live(ctx, lost, lost)
	if err != nil {
		return err
	}
	adopted, err := c.live(ctx, adopter, adopter)
	if err != nil {
		return err
	}
	for _, k := range calls {
		_, there := returned[k.id]
		_, here := adopted[k.id]
		if here {
			o.KnownBack++
		}
		if here && there {
			o.Both++
		}
	}
	rows, err := c.peers(ctx, adopter)
	if err != nil {
		return err
	}
	w, _ := rowOf(rows, names[lost])
	o.StateBack = strings.TrimSpace(w.State + " " + w.Reason)
	return nil
}

// owners counts the calls whose owner is a node of a region, and those whose owner is not.
func (c *cluster) owners(ctx context.Context, r int, calls []call) (own, foreign int, err error) {
	live, err := c.live(ctx, r, r)
	if err != nil {
		return 0, 0, err
	}
	for _, k := range calls {
		raw, ok := live[k.id]
		if !ok {
			continue
		}
		var is struct{ Owner string }
		if err := json.Unmarshal(raw, &is); err != nil {
			return 0, 0, fmt.Errorf("read the owner of %s: %w", k.id, err)
		}
		if strings.HasPrefix(is.Owner, names[r]) {
			own++
		} else {
			foreign++
		}
	}
	return own, foreign, nil
}

// mediaPorts counts the UDP sockets of a region's nodes that are in the range of media.
func (c *cluster) mediaPorts(r int) (count int, err error) {
	for _, n := range c.regions[r].nodes {
		open, err := openPorts(&n.Side, mediaFirst, mediaLast)
		if err != nil {
			return 0, err
		}
		count += open
	}
	return count, nil
}

// openPorts counts the UDP sockets of a namespace with a port in a range.
func openPorts(side *lab.Side, from, to uint64) (count int, err error) {
	err = side.Do(func() error {
		f, err := os.Open("/proc/thread-self/net/udp")
		if err != nil {
			return fmt.Errorf("list the sockets of %s: %w", side.Name, err)
		}
		defer func() { _ = f.Close() }()
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			words := strings.Fields(lines.Text())
			if len(words) < 2 {
				continue
			}
			_, port, _ := strings.Cut(words[1], ":")
			if p, err := strconv.ParseUint(port, 16, 16); err == nil && p >= from && p <= to {
				count++
			}
		}
		return lines.Err()
	})
	return count, err
}

var digits = regexp.MustCompile(`\d+`)

// firstNumber is the first number in a text, -1 without any.
func firstNumber(text string) int {
	n, err := strconv.Atoi(digits.FindString(text))
	if err != nil {
		return -1
	}
	return n
}
