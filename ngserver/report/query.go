package report

import (
	"net/netip"
	"strconv"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/projection"
	"rtpjet/relay/plan"
)

// SSRCReporting says where replies list synchronisation sources (option ssrc-reporting).
type SSRCReporting uint8

// The four ways.
const (
	SSRCBoth   SSRCReporting = iota // in the dictionary SSRC and with each media
	SSRCTop                         // in the dictionary SSRC only
	SSRCInline                      // with each media only
	SSRCNone
)

// Env holds the node's settings that matter for a query. The zero value is rtpengine's default.
type Env struct{ SSRC SSRCReporting }

func (e Env) top() bool    { return e.SSRC == SSRCBoth || e.SSRC == SSRCTop }
func (e Env) inline() bool { return e.SSRC == SSRCBoth || e.SSRC == SSRCInline }

// Query fills o with the dictionary of a call. The tags of the request limit it to one party, the to-tag's if there is one
// and else the from-tag's, and to those whose media that party receives; a tag that nobody has gives no parties at all.
// stats returns the counters of a local socket, false if they are not known; it may be nil. What is not known is not there.
func Query(o *ng.Object, c *projection.Call, req *ng.Request, stats func(netip.AddrPort) (plan.Stats, bool), env Env) {
	o.Grow(9).Int("created", c.Created/1e6)
	o.Int("created_us", c.Created%1e6)
	o.Int("created_ts", c.Created)
	o.Int("last signal", c.LastSignal/1e6)
	o.Int("last redis update", 0) // never: there is no Redis
	if c.Metadata != "" {
		o.Str("metadata", c.Metadata)
	}
	q := query{call: c, env: env, stats: stats}
	if env.top() {
		q.ssrcs, q.seen = o.Obj("SSRC"), make(map[uint32]bool)
	}
	tags := o.Obj("tags")
	for _, p := range selected(c, req) {
		q.party(tags.Obj(tagKey(p)).Grow(8), p)
	}
	if q.unknown { // a part of a sum is none
		return
	}
	totals := o.Obj("totals")
	counters(totals.Obj("RTP"), q.rtp)
	counters(totals.Obj("RTCP"), q.rtcp)
}

// selected returns the parties that the tags of the request ask for.
func selected(c *projection.Call, req *ng.Request) []*events.Party {
	tag := req.ToTag
	if tag == "" {
		tag = req.FromTag
	}
	var out []*events.Party
	if tag == "" {
		for _, p := range c.Parties {
			if p != nil {
				out = append(out, p)
			}
		}
		return out
	}
	if p := c.ByTag(tag); p != nil {
		out = append(out, p)
		for _, id := range p.Peers {
			if q := c.Party(id); q != nil && q.ID != p.ID {
				out = append(out, q)
			}
		}
	}
	return out
}

// tagKey is the key of a party; one without a tag is told by its number.
func tagKey(p *events.Party) string {
	if p.Tag == "" {
		return "<untagged " + strconv.Itoa(p.ID) + ">"
	}
	return p.Tag
}

type query struct {
	call      *projection.Call
	env       Env
	stats     func(netip.AddrPort) (plan.Stats, bool)
	rtp, rtcp plan.Counters
	unknown   bool       // of a socket it is not known what it has counted
	ssrcs     *ng.Object // nil if they are not wanted there
	seen      map[uint32]bool
}

func (q *query) party(o *ng.Object, p *events.Party) {
	o.Str("tag", p.Tag)
	if n := len(p.Branches); n > 0 {
		o.Str("via-branch", p.Branches[n-1])
	}
	if len(p.Aliases) > 0 {
		o.Strs("tag-aliases", p.Aliases...)
	}
	if p.Label != "" {
		o.Str("label", p.Label)
	}
	o.Int("created", p.Created/1e6)
	if p.Metadata != "" {
		o.Str("metadata", p.Metadata)
	}
	var from, to []*ng.Object
	for _, id := range p.Peers {
		if peer := q.call.Party(id); peer != nil {
			from = append(from, subscription(peer))
		}
	}
	for _, id := range q.call.Listeners(p.ID) {
		to = append(to, subscription(q.call.Party(id)))
	}
	o.Objs("subscriptions", from...)
	o.Objs("subscribers", to...)

	medias := make([]*ng.Object, len(p.Medias))
	for i := range p.Medias {
		medias[i] = ng.NewObject().Grow(9)
		q.media(medias[i], p, i)
	}
	o.Objs("medias", medias...)
	o.List("VSC") // key presses that control a recording: there is none
}

func subscription(p *events.Party) *ng.Object {
	return ng.NewObject().Str("tag", p.Tag).Str("type", "offer/answer")
}

func (q *query) media(o *ng.Object, p *events.Party, i int) {
	m := &p.Medias[i]
	rtp, rtpKnown := q.counters(m.Local.RTP)
	rtcp, rtcpKnown := q.counters(m.Local.RTCP)
	o.Int("index", int64(i+1))
	o.Str("type", m.Type)
	o.Str("protocol", m.Protocol)
	// Which payload type arrives is not looked at; often the party may send one only.
	if codec := speech(m); codec != "" && rtp.IngressSSRC.Seen {
		o.Str("codec", codec)
	}
	streams := [2]*ng.Object{ng.NewObject().Grow(14), ng.NewObject().Grow(14)}
	stream(streams[0], m, false, rtp, rtpKnown)
	stream(streams[1], m, true, rtcp, rtcpKnown)
	o.Objs("streams", streams[:]...)
	o.Strs("flags", mediaFlags(q.call, p, i)...)
	if q.env.inline() && rtpKnown {
		inlineSSRC(o, "ingress SSRCs", rtp.IngressSSRC)
		inlineSSRC(o, "egress SSRCs", rtp.EgressSSRC)
	}
	add(&q.rtp, rtp.In)
	add(&q.rtcp, rtcp.In)
	if s := rtp.IngressSSRC; q.ssrcs != nil && s.Seen && !q.seen[s.SSRC] {
		q.seen[s.SSRC] = true
		ssrc(q.ssrcs.Obj(strconv.FormatUint(uint64(s.SSRC), 10)), s)
	}
}

// counters returns the counters of a socket; false if they are not known. Where there is no socket nothing can have come.
func (q *query) counters(local netip.AddrPort) (st plan.Stats, known bool) {
	if !local.IsValid() {
		return plan.Stats{}, true
	}
	if q.stats != nil {
		st, known = q.stats(local)
	}
	q.unknown = q.unknown || !known
	return st, known
}

// speech is the only encoding that the party may send and that is no companion of another, as NAME/RATE[/CHANNELS]; empty if
// there are several.
func speech(m *events.Media) (only string) {
	for _, c := range m.Codecs {
		if c.Name == "" || companion(c.Name) {
			continue
		}
		for _, o := range m.Offered {
			if o.PT == c.PT {
				s := c.Name + "/" + strconv.Itoa(c.Rate)
				if c.Channels > 1 {
					s += "/" + strconv.Itoa(c.Channels)
				}
				if only != "" && only != s {
					return ""
				}
				only = s
			}
		}
	}
	return only
}

// companion tells whether an encoding only rides along with a real one.
func companion(name string) bool {
	return strings.EqualFold(name, "telephone-event") || strings.EqualFold(name, "CN")
}

func inlineSSRC(o *ng.Object, key string, s plan.SSRC) {
	if !s.Seen {
		o.Objs(key)
		return
	}
	e := ng.NewObject().Int("SSRC", int64(s.SSRC))
	ssrc(e, s)
	o.Objs(key, e)
}

func ssrc(o *ng.Object, s plan.SSRC) {
	o.Int("bytes", int64(s.Bytes))
	o.Int("packets", int64(s.Packets))
	o.Int("last RTP timestamp", int64(s.LastTimestamp))
	o.Int("last RTP seq", int64(s.LastSeq))
	if s.Received.Counted {
		o.Int("cumulative loss", int64(s.Received.Lost))
	}
	if s.JitterKnown {
		o.Int("jitter us", s.Jitter) // no key of rtpengine
	}
}

func add(to *plan.Counters, c plan.Counters) {
	to.Packets += c.Packets
	to.Bytes += c.Bytes
	to.Errors += c.Errors
}

func counters(o *ng.Object, c plan.Counters) {
	o.Int("packets", int64(c.Packets))
	o.Int("bytes", int64(c.Bytes))
	o.Int("errors", int64(c.Errors))
}
