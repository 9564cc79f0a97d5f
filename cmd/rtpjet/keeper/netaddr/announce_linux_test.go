package netaddr

import "testing"

// TestRepeatOfAHolder: who may not act as the holder any more does not repeat its announcements, however early it is.
func TestRepeatOfAHolder(t *testing.T) {
	w := newWorld(t)
	may := true
	p := w.nodes[0].netlinkProvider(t, Config{May: func(Address) bool { return may }})
	must(t, p.Add(t.Context(), both...))
	p.mu.Lock() // no timer goes on meanwhile
	h := p.held[both[0]]
	sent, turn := h.sent, h.turn
	may = false
	p.mu.Unlock()
	p.repeat(both[0], h, turn)
	p.mu.Lock()
	defer p.mu.Unlock()
	if h.sent != sent || h.timer != nil {
		t.Errorf("%d repeats, and a timer for another one: %v", h.sent-sent, h.timer != nil)
	}
}
