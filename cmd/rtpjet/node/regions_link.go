package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"rtpjet/embed"
	"rtpjet/projection/regions"
)

// greet greets a region until ctx ends, and notes what it answers.
func (r *regionState) greet(ctx context.Context, p *regionPeer, l RegionLog) error {
	tick := time.NewTicker(greetEvery)
	defer tick.Stop()
	for {
		r.greetOnce(ctx, p, l)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (r *regionState) greetOnce(ctx context.Context, p *regionPeer, l RegionLog) {
	data, err := json.Marshal(r.hello())
	if err != nil {
		return // nothing in a Hello can fail
	}
	sent := r.now()
	gctx, cancel := context.WithTimeout(ctx, greetTime)
	reply, err := l.Hello(gctx, data)
	cancel()
	var h regions.Hello
	if err == nil {
		err = json.Unmarshal(reply, &h)
	}
	p.mu.Lock()
	if err == nil {
		p.link.Heard(h, sent, r.now(), r.n.calls.now())
	}
	s := p.link.Status(r.now())
	// NATS mirrors whatever is at the addresses of a region.
	p.mixed = p.mixed || s.State == regions.Refused && h.Refused == ""
	mixed := p.mixed
	p.mu.Unlock()
	r.tell(p, s)
	if err != nil || s.State != regions.Up {
		return
	}
	if mixed {
		r.unmix(ctx, p, l)
	}
	r.said(p.Name, h.Level)
	r.pin(ctx, p, h)
	r.excuse(ctx, p)
	if f, ok := regions.FenceOf(r.cfg.Region, r.cfg.Instance, adopted(h, p.Name)); ok {
		r.obey(ctx, f)
	}
}

// unmix has the mirror of a region made anew that has answered again after another one had taken its place: what that one
// had may be in it. Of the nodes of this region, the one that archives does; the others see it.
func (r *regionState) unmix(ctx context.Context, p *regionPeer, l RegionLog) {
	if !r.n.journal.Archiving() {
		return
	}
	if err := l.ResetMirror(ctx); err != nil {
		r.log.Warn("cannot make the mirror of a region anew; trying again", "region", p.Name, "err", err)
		return
	}
	r.log.Info("the mirror of a region is made anew, since it may have entries of another one", "region", p.Name)
	p.mu.Lock()
	p.mixed = false
	p.mu.Unlock()
}

// adopted are the records of a greeting that its region has made itself.
func adopted(h regions.Hello, by string) (out []regions.Record) {
	for _, rec := range h.Records {
		if rec.By == by {
			out = append(out, rec)
		}
	}
	return out
}

// tell says in the log what has become of a region.
func (r *regionState) tell(p *regionPeer, s regions.Status) {
	now := s.State + s.Reason
	p.mu.Lock()
	changed := p.state != now
	p.state = now
	p.doubt = p.doubt || s.State == regions.CutOff
	p.mu.Unlock()
	switch {
	case !changed || s.State == regions.Connecting:
	case s.State == regions.Up && s.Reason == "":
		r.log.Info("region is there", "region", p.Name, "round trip ms", s.RTTMS)
	default:
		r.log.Warn("region: "+s.Reason, "region", p.Name, "state", s.State)
	}
}

// pin notes the identity of a region when it is heard for the first time, and what level of events it reads.
func (r *regionState) pin(ctx context.Context, p *regionPeer, h regions.Hello) {
	r.mu.Lock()
	known := r.records[p.Name]
	r.mu.Unlock()
	if known.Instance != "" && known.Level == h.Level {
		return
	}
	_, err := r.record(ctx, p.Name, func(rec regions.Record) (regions.Record, error) {
		if rec.Instance == "" {
			rec.Instance = h.Instance
		}
		if rec.Instance == h.Instance {
			rec.Level = h.Level
		}
		return rec, nil
	})
	if err != nil {
		r.log.Debug("cannot note the identity of a region; trying again", "region", p.Name, "err", err)
	}
}

// excuse takes back the promise of a region that is there again.
func (r *regionState) excuse(ctx context.Context, p *regionPeer) {
	r.mu.Lock()
	promised := r.records[p.Name].State == regions.Promised
	r.mu.Unlock()
	if !promised {
		return
	}
	_, err := r.record(ctx, p.Name, func(rec regions.Record) (regions.Record, error) {
		if rec.State == regions.Promised {
			rec.State, rec.By, rec.At = "", "", r.n.calls.now()
		}
		return rec, nil
	})
	if err != nil {
		r.log.Debug("cannot take back a promise; trying again", "region", p.Name, "err", err)
	}
}

// hello is what this node says of its region.
func (r *regionState) hello() regions.Hello {
	h := regions.Hello{
		Region: r.cfg.Region, Instance: r.cfg.Instance, Node: r.n.id, Format: r.cfg.Format, At: r.n.calls.now(), Head: r.n.journal.followed.Load(),
		Ready: r.n.stage.Load() == stageServing,
	}
	h.Level, _ = r.n.peers.Level()
	r.mu.Lock()
	for _, rec := range r.records {
		if rec.State != "" {
			h.Records = append(h.Records, rec.Record)
		}
	}
	r.mu.Unlock()
	return h
}

// serveHello answers the greeting of a node of another region.
func (r *regionState) serveHello(m embed.Msg) {
	var theirs regions.Hello
	ours := r.hello()
	if json.Unmarshal(m.Data, &theirs) == nil {
		if ours.Refused = r.refuse(theirs); ours.Refused == "" && theirs.Region != r.cfg.Region {
			r.said(theirs.Region, theirs.Level)
		}
	}
	_ = m.RespondJSON(ours)
}

// refuse says why a region is not welcome; empty if it is.
func (r *regionState) refuse(h regions.Hello) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.records[h.Region].Instance
	switch {
	case h.Region == r.cfg.Region && h.Instance == r.cfg.Instance:
		return "" // it finds out by itself
	case h.Region == r.cfg.Region:
		return fmt.Sprintf("it has the name of region %s, to which it connects: give each region a --region of its own", h.Region)
	case known != "" && h.Instance != known:
		return fmt.Sprintf("region %s knows another region %s (%s, this one is %s): give each a name of its own, or say rtpjet region forget %s there, "+
			"if that one is no more", r.cfg.Region, h.Region, known, h.Instance, h.Region)
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
func (r *regionState) serve(ctx context.Context) (undo func(), err error) {
	var stops []func()
	undo = func() {
		for _, stop := range stops {
			stop()
		}
	}
	s := r.n.cfg.RegionServer
	stop, err := s.SubscribeHello(r.serveHello)
	if err != nil {
		return undo, err
	}
	stops = append(stops, stop)
	for tokens, f := range map[string]func(embed.Msg){
		tokensPromise: func(m embed.Msg) { go r.servePromise(ctx, m) },
		tokensReturn:  func(m embed.Msg) { go r.serveReturned(ctx, m) },
	} {
		stop, err := s.SubscribeQueue(tokens, f)
		if err != nil {
			return undo, err
		}
		stops = append(stops, stop)
	}
	return undo, nil
}

// takeCommands has this node carry out commands that came to other regions, until stop is called. A node that begins or ends leaves
// them to the others of its region.
func (r *regionState) takeCommands(ctx context.Context) (stop func(), err error) {
	if r == nil {
		return func() {}, nil
	}
	return r.n.cfg.RegionServer.SubscribeQueue(tokensCommand, func(m embed.Msg) { go r.serveCommand(ctx, m) })
}

// cutRegion is the region whose record has that key in the bucket of leases.
func cutRegion(key string) (region string, ok bool) {
	return strings.CutPrefix(key, regions.RecordKey(""))
}

func isConflict(err error) bool { return errors.Is(err, embed.ErrConflict) }
