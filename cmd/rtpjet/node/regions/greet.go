package regions

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"rtpjet/embed"
	"rtpjet/projection/regions"
)

// greet greets a region until ctx ends, and notes what it answers.
func (d *Driver) greet(ctx context.Context, p *peer, l Log) error {
	tick := time.NewTicker(greetEvery)
	defer tick.Stop()
	for {
		d.greetOnce(ctx, p, l)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (d *Driver) greetOnce(ctx context.Context, p *peer, l Log) {
	data, err := json.Marshal(d.hello())
	if err != nil {
		return // nothing in a Hello can fail
	}
	sent := d.now()
	gctx, cancel := context.WithTimeout(ctx, greetTime)
	reply, err := l.Hello(gctx, data)
	cancel()
	var h regions.Hello
	if err == nil {
		err = json.Unmarshal(reply, &h)
	}
	p.mu.Lock()
	if err == nil {
		p.link.Heard(h, sent, d.now(), d.wall())
	}
	s := p.link.Status(d.now())
	// NATS mirrors whatever is at the addresses of a region.
	p.mixed = p.mixed || s.State == regions.Refused && h.Refused == ""
	mixed := p.mixed
	p.mu.Unlock()
	d.logState(p, s)
	if err != nil || s.State != regions.Up {
		return
	}
	if mixed {
		d.renewMirror(ctx, p, l)
	}
	d.noteLevel(p.Name, h.Level)
	d.noteIdentity(ctx, p, h)
	d.withdrawPromise(ctx, p)
	d.applyFence(ctx, p.Name, h)
}

// renewMirror has the mirror of a region made anew that has answered again after another one had taken its place: what that one
// had may be in it. Of the nodes of this region, the one that archives does; the others see it.
func (d *Driver) renewMirror(ctx context.Context, p *peer, l Log) {
	if !d.host.State().Archives {
		return
	}
	if err := l.ResetMirror(ctx); err != nil {
		d.log.Warn("cannot make the mirror of a region anew; trying again", "region", p.Name, "err", err)
		return
	}
	d.log.Info("the mirror of a region is made anew, since it may have entries of another one", "region", p.Name)
	p.mu.Lock()
	p.mixed = false
	p.mu.Unlock()
}

// logState says in the log what has become of a region.
func (d *Driver) logState(p *peer, s regions.Status) {
	now := s.State + s.Reason
	p.mu.Lock()
	changed := p.state != now
	p.state = now
	p.doubt = p.doubt || s.State == regions.CutOff
	p.mu.Unlock()
	switch {
	case !changed || s.State == regions.Connecting:
	case s.State == regions.Up && s.Reason == "":
		d.log.Info("region is there", "region", p.Name, "round trip ms", s.RTTMS)
	default:
		d.log.Warn("region: "+s.Reason, "region", p.Name, "state", s.State)
	}
}

// noteIdentity notes the identity of a region when it is heard for the first time, and what level of events it reads.
func (d *Driver) noteIdentity(ctx context.Context, p *peer, h regions.Hello) {
	known := d.noted(p.Name)
	if known.Instance != "" && known.Level == h.Level {
		return
	}
	_, err := d.update(ctx, p.Name, func(rec regions.Record) (regions.Record, error) {
		if rec.Instance == "" {
			rec.Instance = h.Instance
		}
		if rec.Instance == h.Instance {
			rec.Level = h.Level
		}
		return rec, nil
	})
	if err != nil {
		d.log.Debug("cannot note the identity of a region; trying again", "region", p.Name, "err", err)
	}
}

// withdrawPromise takes back the promise of a region that is there again.
func (d *Driver) withdrawPromise(ctx context.Context, p *peer) {
	if d.noted(p.Name).State != regions.Promised {
		return
	}
	_, err := d.update(ctx, p.Name, func(rec regions.Record) (regions.Record, error) {
		if rec.State == regions.Promised {
			rec.State, rec.By, rec.At = "", "", d.wall()
		}
		return rec, nil
	})
	if err != nil {
		d.log.Debug("cannot take back a promise; trying again", "region", p.Name, "err", err)
	}
}

// hello is what this node says of its region.
func (d *Driver) hello() regions.Hello {
	s := d.host.State()
	h := regions.Hello{
		Region: d.self.Region, Instance: d.self.Instance, Node: d.cfg.Node, Format: d.self.Format, Level: s.Level, At: d.wall(),
		Head: s.Followed, Ready: s.Serving,
	}
	d.mu.Lock()
	for _, rec := range d.records {
		if rec.State != "" {
			h.Records = append(h.Records, rec.Record)
		}
	}
	d.mu.Unlock()
	return h
}

// serveHello answers the greeting of a node of another region.
func (d *Driver) serveHello(m embed.Msg) {
	var theirs regions.Hello
	ours := d.hello()
	if json.Unmarshal(m.Data, &theirs) == nil {
		if ours.Refused = d.refuse(theirs); ours.Refused == "" && theirs.Region != d.self.Region {
			d.noteLevel(theirs.Region, theirs.Level)
		}
	}
	_ = m.RespondJSON(ours)
}

// refuse says why a region is not welcome; empty if it is.
func (d *Driver) refuse(h regions.Hello) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.records[h.Region].Instance
	switch {
	case h.Region == d.self.Region && h.Instance == d.self.Instance:
		return "" // it finds out by itself
	case h.Region == d.self.Region:
		return fmt.Sprintf("it has the name of region %s, to which it connects: give each region a --region of its own", h.Region)
	case known != "" && h.Instance != known:
		return fmt.Sprintf("region %s knows another region %s (%s, this one is %s): give each a name of its own, or say rtpjet region forget %s there, "+
			"if that one is no more", d.self.Region, h.Region, known, h.Instance, h.Region)
	}
	return ""
}

// Subjects between regions, rtpjet.<region>.<this>.
const (
	tokensCommand = "command" // a command for a call of yours
	tokensPromise = "promise" // may this region adopt that one
	tokensReturn  = "returned"
)

// serve answers other regions, and operators, until ctx ends.
func (d *Driver) serve(ctx context.Context) (undo func(), err error) {
	var stops []func()
	undo = func() {
		for _, stop := range stops {
			stop()
		}
	}
	s := d.cfg.Server
	stop, err := s.SubscribeHello(d.serveHello)
	if err != nil {
		return undo, err
	}
	stops = append(stops, stop)
	for tokens, f := range map[string]func(embed.Msg){
		tokensPromise: func(m embed.Msg) { d.tasks.Go(func() { d.servePromise(ctx, m) }) },
		tokensReturn:  func(m embed.Msg) { d.tasks.Go(func() { d.serveReturned(ctx, m) }) },
	} {
		stop, err := s.SubscribeQueue(tokens, f)
		if err != nil {
			return undo, err
		}
		stops = append(stops, stop)
	}
	return undo, nil
}

// TakeCommands has this node carry out commands that came to other regions, until stop is called. A node that begins or ends leaves
// them to the others of its region. The Driver may be nil.
func (d *Driver) TakeCommands(ctx context.Context) (stop func(), err error) {
	if d == nil {
		return func() {}, nil
	}
	return d.cfg.Server.SubscribeQueue(tokensCommand, func(m embed.Msg) { d.tasks.Go(func() { d.serveCommand(ctx, m) }) })
}
