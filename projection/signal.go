package projection

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
)

// DecideSignal decides an offer or an answer: who talks to whom, and what each section of both parties becomes. It reserves
// the sockets of both sides, so that an ordinary answer needs none. The call may be nil or ended. On
// error (a *Refusal) the caller releases what was reserved.
func DecideSignal(c *Call, s Signal, res Resources) (*Signalled, error) {
	base := c
	if !c.Live() {
		base = &Call{TOS: -1}
	}
	sender, receiver, err := dialogue(base, s)
	if err != nil {
		return nil, err
	}
	names(s.Req, sender, receiver)
	if s.Desc.AliasKey != "" {
		sender.Key = strings.Clone(s.Desc.AliasKey)
	}
	if sender.In.SessionName == "" {
		sender.In.SessionName = strings.Clone(s.Desc.SessionName)
	}
	sender.In.NoAllowMixed = s.Desc.NoAllowMixed

	d := mediaDecision{Signal: s, res: res, reset: s.Req.Reset && !s.Answer}
	d.elsewhere = s.Desc.Seen.IsValid() && sender.Seen.IsValid() && s.Desc.Seen != sender.Seen
	sender.Seen = s.Desc.Seen
	var secs []Section
	answers := 0
	if s.Answer {
		secs, answers = d.answerable(base, sender, receiver)
	} else {
		secs = joinTwins(&d.Signal, sender.Medias)
		d.base(sender, receiver, len(secs))
	}
	d.interfaces = [2]string{interfaceOf(sender), interfaceOf(receiver)}
	var at []int
	shown := receiver
	if d.repeated {
		at, shown = d.repetition(secs, sender, receiver)
	} else if at, err = d.sections(secs, sender, receiver); err != nil {
		return nil, err
	}

	out := &Signalled{New: !c.Live(), Sender: sender, Receiver: shown, Sections: at, Misplaced: d.misplaced}
	to := *receiver
	if s.Answer {
		to.Medias = base.keepForForks(receiver, sender.ID)
	}
	out.Event = events.Signalling{
		Pending: !s.Answer && s.Level >= events.LevelProposals, Answers: answers,
		Parties: []events.Party{*sender, to},
		From:    sender.ID, To: receiver.ID,
		Final:    s.Answer && s.Req.SIPMessageType == "reply" && s.Req.SIPCode >= 200,
		Metadata: strings.Clone(s.Req.Metadata),
	}
	if out.New {
		out.Event.Owner = s.Node
	}
	if !s.Answer {
		out.Event.Branch = strings.Clone(s.Req.ViaBranch)
		out.Event.TOS = callTOS(s.Req.TOS)
	}
	switch s.Req.DropTraffic {
	case "start":
		out.Event.DropTraffic = ptr(true)
	case "stop":
		out.Event.DropTraffic = ptr(false)
	}
	return out, nil
}

// callTOS maps the TOS key of an offer: 0 to 255 set it, negative keeps what was, absent or above 255
// goes back to the configured default, which is -1 in the event.
func callTOS(tos int) *int {
	switch {
	case tos == ng.TOSUnset || tos > 255:
		return ptr(-1)
	case tos < 0:
		return nil
	}
	return ptr(tos)
}

func ptr[T any](v T) *T { return &v }

func grow(p *events.Party, pos int) {
	for len(p.Medias) <= pos {
		p.Medias = append(p.Medias, events.Media{})
	}
}

type mediaDecision struct {
	Signal
	res        Resources
	reset      bool
	interfaces [2]string // of the sender and the receiver, where they have any
	misplaced  int       // sections of an answer that were not asked for
	repeated   bool      // an answer that says nothing new
	elsewhere  bool      // the sender's SIP comes from another address than before
}

// interfaceOf is the logical interface that a party's sections have; the first one's if they differ.
func interfaceOf(p *events.Party) string {
	for i := range p.Medias {
		if p.Medias[i].Interface != "" {
			return p.Medias[i].Interface
		}
	}
	return ""
}

// sections decides all sections of an SDP and those that it leaves out. It returns for each position of the parties' medias the index
// of its section in the SDP, or -1.
func (d *mediaDecision) sections(secs []Section, sender, receiver *events.Party) ([]int, error) {
	at, gone := d.lineUp(secs, sender, receiver)
	receiverOrder := Order(receiver.Medias)
	for pos, i := range at {
		m, o := &sender.Medias[pos], &receiver.Medias[pos]
		switch {
		case i != unplaced:
			if err := d.section(&secs[i], m, o, slices.Index(receiverOrder, pos)+1); err != nil {
				return nil, err
			}
			at[pos] = secs[i].Index
		case slices.Contains(gone, pos) || d.Answer && !m.Hidden:
			d.reject(m)
			d.reject(o)
		}
	}
	return at, nil
}

// section decides one m= section: m is the sender's side of it and o the receiver's; index is its position from 1.
func (d *mediaDecision) section(sec *Section, m, o *events.Media, index int) error {
	req := d.Req
	switch {
	case m.Signal == 0 && o.Signal == 0:
		m.Controlling, o.Controlling = d.Answer, !d.Answer
	case o.Signal == 0:
		o.Controlling = !m.Controlling
	case m.Signal == 0:
		m.Controlling = !o.Controlling
	}
	m.Signal, o.Signal = m.Signal+1, o.Signal+1
	m.SignalAt, o.SignalAt = d.Now, d.Now
	d.protocols(sec, m, o)
	d.mids(sec, m, o, index)
	if !sec.Rejected || len(m.Formats) == 0 {
		m.Formats = cloneStrings(sec.Formats)
	}
	m.Direction = sec.Direction
	m.ICE = sec.ICE
	d.extmaps(sec, m, o)
	m.LoopCheck = !sec.Rejected && !sec.Copied && (d.res.Own(sec.Remote.RTP) || d.res.Own(sec.Remote.RTCP))
	if !d.Answer {
		m.Twin = sec.Twin
	}
	if o.Direction == "" {
		o.Direction = events.SendRecv
	}
	if !d.Answer {
		o.Hidden = slices.ContainsFunc(req.SDPMediaRemove, func(t string) bool { return t == sec.Class })
	}
	d.flags(m, o)
	d.codecs(sec, m, o)

	if sec.Rejected || o.Hidden {
		d.reject(m)
		d.reject(o)
		return nil
	}
	if d.Answer && o.Rejected && !m.Local.RTP.IsValid() {
		// The section was refused to the answerer, or by it before: an answer cannot bring it back.
		d.reject(m)
		return nil
	}
	m.Rejected, o.Rejected = false, false
	if sec.Copied {
		return nil
	}
	d.mux(sec, m, o)
	if d.Answer {
		d.answerKeys(sec, m, o)
	} else {
		d.offerKeys(sec, m, o)
	}
	return d.ports(sec, m, o)
}

// mids keeps the a=mid of each side: a party sees the one that it has used itself, else the other side's, and none in an
// answer if it offered none.
func (d *mediaDecision) mids(sec *Section, m, o *events.Media, index int) {
	if sec.Mid != "" {
		m.Mid = strings.Clone(sec.Mid)
	}
	if d.Answer || o.Mid != "" {
		return
	}
	o.Mid = m.Mid
	if o.Mid == "" && d.Req.GenerateMid {
		o.Mid = strconv.Itoa(index)
	}
}

// reject closes a section on one side; its sockets are freed.
func (d *mediaDecision) reject(m *events.Media) {
	m.Rejected = true
	m.Local, m.Remote, m.Learned, m.Confirmed = events.Ports{}, events.Ports{}, events.Ports{}, [2]bool{}
	m.Earlier, m.Serves = nil, netip.AddrPort{}
	m.Former = nil
	m.Mux, m.Told = false, false
	m.SRTP = nil
}

// protocols settles the profiles: the receiver keeps its profile, which an explicit transport-protocol changes.
func (d *mediaDecision) protocols(sec *Section, m, o *events.Media) {
	if sec.Rejected && (d.Answer && m.Protocol != "" || sec.Protocol == "") {
		// What a section that is not there says means nothing: a later offer goes on from what both sides had.
		sec.Protocol = cmp.Or(m.Protocol, o.Protocol, "RTP/AVP")
		sec.RTP = IsRTP(sec.Protocol)
	}
	if m.Protocol != "" && !strings.EqualFold(m.Protocol, sec.Protocol) && !d.Answer {
		o.Protocol = "" // a sender that changes its own profile resets the receiver's
	}
	if m.Type != "" && !strings.EqualFold(m.Type, sec.Type) {
		o.Protocol = ""
		m.Codecs, m.Offered, o.Codecs, o.Offered = nil, nil, nil, nil
	}
	m.Type, o.Type = strings.Clone(sec.Type), strings.Clone(sec.Type)
	m.Protocol = strings.Clone(sec.Protocol)
	if !d.Answer {
		e2e := endToEnd(sec)
		m.EndToEnd, o.EndToEnd = e2e, e2e
		if !speaks(o.Protocol, sec, e2e) {
			o.Protocol = ""
		}
	}
	want := d.Req.TransportProtocol
	if want == "accept" {
		want = ""
		if d.Answer {
			want = m.Protocol
		}
	}
	switch {
	case !sec.RTP:
		o.Protocol = m.Protocol
	case want != "" && speaks(want, sec, m.EndToEnd):
		o.Protocol = strings.Clone(want)
	}
	if o.Protocol == "" {
		o.Protocol = m.Protocol
	}
}

// speaks tells whether the receiver can have a profile. Between plain and secure ones the relay translates, with keys that
// the SDP carries; it has no DTLS. Where the parties have theirs, it can neither add nor take it away, and a profile that
// promises otherwise would be a lie.
func speaks(profile string, sec *Section, e2e bool) bool {
	if e2e {
		return secured(profile) == secured(sec.Protocol)
	}
	return !overTLS(profile)
}

func (d *mediaDecision) flags(m, o *events.Media) {
	req := d.Req
	m.Asymmetric = req.Asymmetric
	m.Unidirectional, o.Unidirectional = req.Unidirectional, req.Unidirectional
	m.StrictSource = req.StrictSource
	m.MediaHandover = req.MediaHandover
	m.PortLatching = req.PortLatching
	m.NATWait = req.NATWait
	m.PierceNAT = req.PierceNAT
	if req.EndpointLearning != "" { // for the call, whoever says it
		m.Learning, o.Learning = req.EndpointLearning, req.EndpointLearning
	}
	switch req.MediaEcho {
	case "blackhole":
		m.Echo, o.Echo = "blackhole", "blackhole"
	case "forward": // back to the receiver of the message
		m.Echo, o.Echo = "blackhole", "echo"
	case "backwards":
		m.Echo, o.Echo = "echo", "blackhole"
	case "both":
		m.Echo, o.Echo = "echo", "echo"
	}
	if req.BlockDTMF {
		m.BlockedDTMF = true
	}
}

// codecs fills in what each side may send; the list for the receiver is o.Offered.
func (d *mediaDecision) codecs(sec *Section, m, o *events.Media) {
	if !sec.RTP {
		if !sec.Rejected || !d.Answer {
			o.Formats = m.Formats
		}
		m.Codecs, o.Offered, o.Stripped = nil, nil, nil
		return
	}
	list := cloneCodecs(sec.Codecs)
	if !d.Answer {
		m.Codecs = list
		offered, stripped, ok := offerCodecs(list, d.Req)
		o.Offered, o.Stripped = offered, stripped
		if !ok {
			sec.Rejected = true
		}
		return
	}
	if sec.Rejected {
		o.Offered = list
		return
	}
	// m.Offered is what the answerer was offered; an answer to nothing is taken as it is.
	o.Offered = list
	if len(m.Offered) > 0 && len(o.Codecs) > 0 {
		o.Offered = answerCodecs(list, m.Offered, o.Codecs, d.Req)
	}
	m.Codecs = o.Offered
}

// mux settles rtcp-mux (docs/ng.md, "rtcp-mux"). Towards the sender nothing is settled before the answer.
func (d *mediaDecision) mux(sec *Section, m, o *events.Media) {
	if !sec.RTP {
		m.Mux, o.Mux, m.MuxOffered, m.MuxSent, o.MuxOffered, o.MuxSent = false, false, false, false, false, false
		return
	}
	f := d.Req.RTCPMux
	if d.Answer {
		m.Mux = sec.Mux && m.MuxSent
		o.Mux = o.MuxOffered && !o.MuxReject && (sec.Mux || o.MuxAccept)
		return
	}
	m.MuxOffered = sec.Mux
	m.MuxAccept, m.MuxReject = f.Accept || f.Demux, f.Reject
	switch {
	case f.Require:
		o.MuxSent, o.Mux = true, true
	case f.Offer:
		o.MuxSent = true
	case f.Demux:
		o.MuxSent = o.Mux // a peer that uses it already is not talked out of it
	default:
		o.MuxSent = sec.Mux || o.Mux
	}
}
