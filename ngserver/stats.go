package ngserver

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rtpjet/ngserver/ng"
)

// maxProxies bounds the addresses that are counted on their own. Sources beyond it, which only somebody who forges
// addresses produces, are counted together under the invalid address.
const maxProxies = 1024

// numCommands is the length of ng.Commands, as a constant for arrays. A test compares them.
const numCommands = 33

type commandCounter struct {
	count    atomic.Uint64
	duration atomic.Int64 // ns
}

type proxyCounters struct {
	commands [numCommands]commandCounter
	errors   atomic.Uint64
}

// commandStats counts commands by source address. Counting takes a read lock and no allocation once a source is known.
type commandStats struct {
	mu      sync.RWMutex
	proxies map[netip.Addr]*proxyCounters
}

// of returns the counters of a source.
func (s *commandStats) of(a netip.Addr) *proxyCounters {
	a = a.Unmap().WithZone("")
	s.mu.RLock()
	p := s.proxies[a]
	s.mu.RUnlock()
	if p != nil {
		return p
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proxies == nil {
		s.proxies = make(map[netip.Addr]*proxyCounters)
	}
	if len(s.proxies) >= maxProxies {
		a = netip.Addr{}
	}
	if p = s.proxies[a]; p == nil {
		p = new(proxyCounters)
		s.proxies[a] = p
	}
	return p
}

// command counts one executed command; index is that of ng.CommandIndex, negative for none.
func (p *proxyCounters) command(index int, took time.Duration, failed bool) {
	if index >= 0 {
		p.commands[index].count.Add(1)
		p.commands[index].duration.Add(int64(took))
	}
	if failed {
		p.errors.Add(1)
	}
}

// CommandCount is how often a command was executed, and how long that took in all.
type CommandCount struct {
	Count    uint64
	Duration time.Duration
}

// ProxyStats are the commands of one source address. Commands[i] belongs to ng.Commands[i]. Commands answered from the
// reply cache are not in it.
type ProxyStats struct {
	Proxy    netip.Addr // invalid for sources beyond the bound
	Commands []CommandCount
	Errors   uint64 // commands and messages answered with an error
}

func (s *commandStats) snapshot() []ProxyStats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]ProxyStats, 0, len(s.proxies))
	for a, p := range s.proxies {
		ps := ProxyStats{Proxy: a, Commands: make([]CommandCount, numCommands), Errors: p.errors.Load()}
		for i := range p.commands {
			ps.Commands[i] = CommandCount{p.commands[i].count.Load(), time.Duration(p.commands[i].duration.Load())}
		}
		out = append(out, ps)
	}
	slices.SortFunc(out, func(a, b ProxyStats) int { return a.Proxy.Compare(b.Proxy) })
	return out
}

// Stats are the counters of a Dispatcher since its start.
type Stats struct {
	Proxies []ProxyStats // by address
	Cache   CacheStats
	// Ignored are messages without a cookie. Overloaded are commands refused because the queue was full or they had waited
	// in it for all of their time. Panics are commands whose handler panicked. TooLarge are replies that did not fit. Stale are
	// messages that were too old when they were read.
	Ignored, Overloaded, Panics, TooLarge, Stale uint64
}

// ControlStatistics fills the dictionary controlstatistics of the command statistics.
func (s Stats) ControlStatistics(o *ng.Object) {
	proxies := make([]*ng.Object, 0, len(s.Proxies))
	var totals [numCommands]uint64
	for _, p := range s.Proxies {
		name := "other"
		if p.Proxy.IsValid() {
			name = p.Proxy.String()
		}
		po := ng.NewObject().Str("proxy", name)
		for i, c := range p.Commands {
			po.Int(ng.Commands[i].Short+"count", int64(c.Count))
			po.Float(ng.Commands[i].Short+"duration", c.Duration.Seconds())
			totals[i] += c.Count
		}
		po.Int("errorcount", int64(p.Errors))
		proxies = append(proxies, po)
	}
	o.Objs("proxies", proxies...)
	for i, n := range totals {
		o.Int("total"+ng.Commands[i].Short+"count", int64(n))
	}
}

// Commands sums the commands of all proxies, by the order of ng.Commands.
func (s Stats) Commands() []CommandCount {
	out := make([]CommandCount, numCommands)
	for _, p := range s.Proxies {
		for i, c := range p.Commands {
			out[i].Count += c.Count
			out[i].Duration += c.Duration
		}
	}
	return out
}
