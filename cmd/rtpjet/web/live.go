package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"time"

	"rtpjet/projection/pages"
)

const (
	// drainTime is how long a browser may take to read before it is let go.
	drainTime = 5 * time.Second
	// quietTime is how often something is sent at least, so that a browser that is gone is found out.
	quietTime = 10 * time.Second
	// reopenTime is what a browser waits before it asks again, in ms.
	reopenTime = 2000
)

// live keeps a browser up to date. Nothing queues up: each second it is sent how things are, as far as that is new to it. One
// that does not read holds up its own goroutine only, and not for long.
func (h *handler) live(s Source, w http.ResponseWriter, r *http.Request) {
	l, err := readList(r)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	select {
	case h.streams <- struct{}{}:
		defer func() { <-h.streams }()
	default:
		w.Header().Set("Retry-After", "5")
		fail(w, http.StatusServiceUnavailable, "too many pages are kept up to date by this node; look at another one")
		return
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{}) // the listener's is for requests
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // for a proxy between us
	b := &browser{h: h, s: s, list: l, calls: r.URL.Query().Has("calls"), call: r.URL.Query().Get("call"), sent: map[string]uint64{}}
	fmt.Fprintf(&b.out, "retry: %d\n\n", reopenTime)
	tick := time.NewTicker(h.cfg.Every)
	defer tick.Stop()
	for last := time.Now(); ; {
		b.look(r.Context())
		if b.out.Len() == 0 && time.Since(last) >= quietTime {
			b.out.WriteString(": still here\n\n")
		}
		if b.out.Len() > 0 {
			last = time.Now()
			if rc.SetWriteDeadline(last.Add(drainTime)) != nil {
				return
			}
			if _, err := w.Write(b.out.Bytes()); err != nil || rc.Flush() != nil {
				return
			}
			b.out.Reset()
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// browser is one that is kept up to date.
type browser struct {
	h     *handler
	s     Source
	list  list
	calls bool   // it shows the list of calls
	call  string // it shows this one

	sent    map[string]uint64 // digests of what it was sent last, by name
	news    uint64
	streams []pages.Stream
	at      time.Time
	out     bytes.Buffer
}

func (b *browser) look(ctx context.Context) {
	c := b.h.look(ctx, b.s)
	c.At = 0 // else it would be new each time
	b.send("cluster", c)
	if items, last := b.s.News(b.news); len(items) > 0 {
		b.send("news", items)
		b.news = last
	}
	if b.calls {
		b.send("calls", b.s.Calls(b.list.search, b.list.from, b.list.limit))
	}
	if b.call != "" {
		b.send("call", map[string]uint64{"seq": b.s.Last(b.call)})
		b.rates(ctx)
	}
}

func (b *browser) rates(ctx context.Context) {
	now, at := b.s.Streams(ctx, b.call), time.Now()
	if b.streams != nil {
		pages.Rate(b.streams, now, at.Sub(b.at).Microseconds())
	}
	b.streams, b.at = now, at
	b.send("streams", now)
}

// send writes a message if it says something new.
func (b *browser) send(name string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		return
	}
	d := fnv.New64a()
	_, _ = d.Write(data)
	if b.sent[name] == d.Sum64() {
		return
	}
	b.sent[name] = d.Sum64()
	fmt.Fprintf(&b.out, "event: %s\ndata: %s\n\n", name, data)
}
