package rewrite

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/sdp"
)

// origin makes the o= line as replace wants it (docs/ng.md, "replace"), and what later ones depend on. body is the SDP
// after o=.
func (r *renderer) origin(body []byte) (sdp.Origin, events.Out) {
	rep := r.Req.Replace
	was := r.Receiver.Out
	o := sdp.Origin{Username: "-", SessionID: strconv.FormatInt(r.Now, 10), Version: "1", NetType: "IN"}
	ours := r.firstAddress()
	if r.Session.Origin != nil {
		o = *r.Session.Origin
	} else {
		setAddress(&o, ours)
	}
	address := was.Address
	if address == "" && ours.IsValid() {
		address = sdp.Family(ours) + " " + ours.String()
	}
	if rep.Origin || rep.OriginFull {
		if family, addr, ok := strings.Cut(address, " "); ok {
			o.AddrType, o.Address = family, addr
		}
	}
	if was.Sent && (rep.Username || rep.OriginFull) {
		o.Username = was.Username
	}
	if was.Sent && rep.OriginFull {
		o.SessionID = was.SessID
	}
	digest := r.digest(o, body)
	o.Version = version(o.Version, was, digest, rep.SDPVersion || rep.OriginFull, rep.ForceIncrementSDPVer)

	rec := events.Out{
		Sent: true, Username: strings.Clone(o.Username), SessID: strings.Clone(o.SessionID),
		Version: strings.Clone(o.Version), Address: was.Address, Digest: digest,
	}
	if was.Sent {
		rec.Username, rec.SessID = was.Username, was.SessID
	}
	if rep.Origin || rep.OriginFull {
		rec.Address = address
	}
	return o, rec
}

// version is the o= version: the received one, unless we keep our own count for this receiver.
func version(received string, was events.Out, digest uint64, own, force bool) string {
	if !own && !force || !was.Sent {
		return received
	}
	n, err := strconv.ParseUint(was.Version, 10, 64)
	if err != nil {
		return received // not a number: nothing to count with
	}
	if force || digest != was.Digest {
		n++
	}
	return strconv.FormatUint(n, 10)
}

// Digest is events.Out.Digest of an SDP that Render has made; 0 if it cannot be read.
func Digest(rendered []byte) uint64 {
	s, err := sdp.Parse(rendered)
	if err != nil || s.Origin == nil {
		return 0
	}
	o := *s.Origin
	o.Version = ""
	_, rest, _ := bytes.Cut(rendered, []byte("\r\n"))
	_, body, _ := bytes.Cut(rest, []byte("\r\n"))
	return events.Digest(append(sdp.AppendOrigin(nil, &o), body...))
}

// digest covers the whole SDP but for the o= version.
func (r *renderer) digest(o sdp.Origin, body []byte) uint64 {
	o.Version = ""
	return events.Digest(append(sdp.AppendOrigin(nil, &o), body...))
}

// firstAddress is our address in the first section that has one.
func (r *renderer) firstAddress() netip.Addr {
	for i := range r.Receiver.Medias {
		if o := &r.Receiver.Medias[i]; o.Advertised.IsValid() {
			return r.ours(o)
		}
	}
	return r.Req.MediaAddress
}

func setAddress(o *sdp.Origin, a netip.Addr) {
	o.AddrType, o.Address = "IP4", "0.0.0.0"
	if a.IsValid() {
		o.AddrType, o.Address = sdp.Family(a), a.String()
	}
}
