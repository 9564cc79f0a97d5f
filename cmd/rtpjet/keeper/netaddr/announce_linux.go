package netaddr

import "time"

// Announce sends the announcements of held addresses again.
func (p *Netlink) Announce(addrs ...Address) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range addrs {
		if h := p.held[a]; h != nil && p.send(a) {
			p.begin(a, h)
		}
	}
}

// begin plans the repeats after a first announcement. It is called under mu.
func (p *Netlink) begin(a Address, h *holding) {
	if h.timer != nil {
		h.timer.Stop()
	}
	h.first, h.sent = time.Now(), 0
	p.plan(a, h)
}

// plan sets the timer for the next repeat. It is called under mu.
func (p *Netlink) plan(a Address, h *holding) {
	at, ok := repeatAt(h.first, h.sent)
	if !ok || p.closed {
		h.timer = nil
		return
	}
	h.turn++ // a timer that was stopped too late is of another turn
	turn := h.turn
	h.timer = time.AfterFunc(time.Until(at), func() { p.repeat(a, h, turn) })
}

// repeat sends an announcement again, unless there is doubt that it is still true.
func (p *Netlink) repeat(a Address, h *holding, turn int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.held[a] != h || h.turn != turn || h.timer == nil {
		return
	}
	if at, _ := repeatAt(h.first, h.sent); time.Since(at) > tooLate {
		p.log.Warn("a repeated announcement is late, this process was frozen or starved; the rest is left out",
			"address", a.Prefix.String(), "device", a.Device, "late", time.Since(at))
		h.timer = nil
		return
	}
	if p.may != nil && !p.may(a) || !p.send(a) {
		h.timer = nil
		return
	}
	h.sent++
	p.plan(a, h)
}

// send announces an address that is on its device. It is called under mu.
func (p *Netlink) send(a Address) bool {
	here, err := p.check(a)
	if err == nil && !here {
		return false
	}
	if err == nil {
		err = p.packets.announce(p.links[a.Device], a)
	}
	if err != nil {
		p.log.Warn("an announcement failed", "err", err)
	}
	return true
}
