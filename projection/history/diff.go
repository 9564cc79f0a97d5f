package history

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"rtpjet/events"
	"rtpjet/projection"
)

// Change is one thing that differs between two states of a call.
type Change struct {
	// Path says what: "party 0/media 1/remote/rtp".
	Path string `json:"path"`
	Was  string `json:"was,omitempty"` // empty: it was not there
	Is   string `json:"is,omitempty"`  // empty: it is gone
	// Minor things are kept for the next decision, and say nothing about media.
	Minor bool `json:"minor,omitempty"`
}

// Diff lists what differs between two states of a call, in the order of a call's fields. Keys are told by a few digits of
// their digest. Either may be nil.
func Diff(a, b *projection.Call) []Change {
	was, is := flatten(a), flatten(b)
	if b != nil && b.Ended && (a == nil || !a.Ended) { // all is gone, and that is one thing
		return []Change{{Path: "ended", Is: is.value["ended"]}}
	}
	var out []Change
	for _, p := range was.order {
		if is.value[p] != was.value[p] {
			out = append(out, Change{Path: p, Was: was.value[p], Is: is.value[p], Minor: minor(p)})
		}
	}
	for _, p := range is.order {
		if _, ok := was.value[p]; !ok {
			out = append(out, Change{Path: p, Is: is.value[p], Minor: minor(p)})
		}
	}
	slices.SortStableFunc(out, func(x, y Change) int { return comparePaths(x.Path, y.Path) })
	return out
}

// comparePaths keeps what belongs together side by side: by party and media, and else as the fields come.
func comparePaths(a, b string) int {
	group := func(p string) string {
		if !strings.HasPrefix(p, "party ") {
			return ""
		}
		first, rest, _ := strings.Cut(p, "/")
		second, _, _ := strings.Cut(rest, "/")
		if !strings.HasPrefix(second, "media ") {
			second = ""
		}
		return first + "/" + second
	}
	return cmp.Compare(group(a), group(b))
}

// minorWords are the last words of paths that count or remember, and minorPrefixes those that do as a whole.
var (
	minorWords    = []string{"signal", "signal_at", "signal at", "created", "key", "told", "serves", "last signal", "last final"}
	minorPrefixes = []string{"out/", "in/", "rolled", "offer "}
)

func minor(path string) bool {
	last := path[strings.LastIndexByte(path, '/')+1:]
	if slices.Contains(minorWords, last) && !strings.Contains(path, "srtp") {
		return true
	}
	rest := path
	if strings.HasPrefix(rest, "party ") {
		_, rest, _ = strings.Cut(rest, "/")
	}
	return slices.ContainsFunc(minorPrefixes, func(p string) bool { return strings.HasPrefix(rest, p) })
}

// flat is a call as a list of texts.
type flat struct {
	order []string
	value map[string]string
}

func (f *flat) put(path, value string) {
	if value == "" {
		return
	}
	if _, ok := f.value[path]; !ok {
		f.order = append(f.order, path)
	}
	f.value[path] = value
}

// flatten spells a call out. Where its entries stand in the log is no part of its state.
func flatten(c *projection.Call) *flat {
	f := &flat{value: map[string]string{}}
	if c == nil || c.Gen == 0 {
		return f
	}
	f.put("generation", strconv.FormatUint(c.Gen, 10))
	if c.Ended {
		f.put("ended", clock(cmp.Or(c.Until, c.EndedAt)))
		return f
	}
	f.put("owner", c.Owner)
	f.put("epoch", strconv.FormatUint(c.Epoch, 10))
	f.put("created", stamp(c.Created))
	f.put("last signal", stamp(c.LastSignal))
	f.put("last final", text(reflect.ValueOf(c.LastFinal)))
	f.put("metadata", Printable(c.Metadata))
	if c.TOS >= 0 {
		f.put("tos", strconv.Itoa(c.TOS))
	}
	for _, b := range []struct {
		name string
		on   bool
	}{{"all traffic dropped", c.Dropping}, {"media blocked", c.Blocked}, {"DTMF blocked", c.BlockedDTMF}} {
		f.put(b.name, text(reflect.ValueOf(b.on)))
	}
	if c.DeleteAt != 0 {
		f.put("to be deleted", clock(c.DeleteAt))
	}
	for _, p := range c.Parties {
		if p == nil {
			continue
		}
		f.party(c, p)
	}
	for _, p := range c.Parties {
		if p != nil {
			c.WouldBe(p.ID, func(i int, o *events.Proposal, m *events.Media) {
				f.put(fmt.Sprintf("offer %d/party %d/media %d", o.Number, p.ID, i+1), ReceivedSection(m))
			})
		}
	}
	for i := range c.Rolled {
		r := &c.Rolled[i]
		way := "in"
		if r.Out {
			way = "out"
		}
		kind := "rtp"
		if r.RTCP {
			kind = "rtcp"
		}
		f.put(fmt.Sprintf("rolled/party %d/media %d/%s %s/%08x", r.Party, r.Media+1, kind, way, r.SSRC),
			fmt.Sprintf("%d:%d, index %d", r.ROC, r.Seq, r.Idx))
	}
	return f
}

func (f *flat) party(c *projection.Call, p *events.Party) {
	at := fmt.Sprintf("party %d", p.ID)
	f.put(at, tagName(p))
	if when, ok := c.PartyDeleteAt[p.ID]; ok {
		f.put(at+"/to be deleted", clock(when))
	}
	q := *p
	q.ID, q.Tag, q.Medias = 0, "", nil
	f.fields(at, reflect.ValueOf(q))
	for i := range p.Medias {
		f.fields(fmt.Sprintf("%s/media %d", at, i+1), reflect.ValueOf(p.Medias[i]))
	}
}

// fields spells out the fields of a struct under their names in the log.
func (f *flat) fields(at string, v reflect.Value) {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if name == "-" || name == "" {
			continue
		}
		f.walk(at+"/"+name, v.Field(i))
	}
}

func (f *flat) walk(at string, v reflect.Value) {
	switch x := v.Interface().(type) {
	case netip.AddrPort, netip.Addr, events.Codec, []events.Codec, events.Secret, []string, []int:
		f.put(at, text(v))
		return
	case events.Crypto:
		f.put(at, cryptoText(x))
		return
	case []events.Crypto:
		for i := range x {
			f.put(fmt.Sprintf("%s/%d", at, i+1), cryptoText(x[i]))
		}
		return
	case [2]bool:
		for i, name := range []string{"rtp", "rtcp"} {
			f.put(at+"/"+name, text(reflect.ValueOf(x[i])))
		}
		return
	}
	if strings.HasSuffix(at, "created") || strings.HasSuffix(at, "signal_at") {
		f.put(at, stamp(v.Int()))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			f.walk(at, v.Elem())
		}
	case reflect.Struct:
		f.fields(at, v)
	case reflect.Slice:
		for i := range v.Len() {
			f.walk(fmt.Sprintf("%s/%d", at, i+1), v.Index(i))
		}
	default:
		f.put(at, text(v))
	}
}

// text is a value in a word; nothing for what stands for nothing.
func text(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case netip.AddrPort:
		if x.IsValid() {
			return x.String()
		}
		return ""
	case netip.Addr:
		if x.IsValid() {
			return x.String()
		}
		return ""
	case []events.Codec:
		return codecs(x)
	case []string:
		var out []string
		for _, s := range x {
			out = append(out, Printable(s))
		}
		return strings.Join(out, " ")
	case []int:
		if len(x) == 0 {
			return ""
		}
		return strings.Trim(fmt.Sprint(x), "[]")
	case events.Secret:
		return keyName(x)
	}
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			return "yes"
		}
		return ""
	case reflect.String:
		return Printable(v.String())
	default:
		if v.IsZero() {
			return ""
		}
		return fmt.Sprint(v.Interface())
	}
}

func cryptoText(c events.Crypto) string {
	if c == (events.Crypto{}) {
		return ""
	}
	line := c
	line.Key = ""
	return strings.TrimSpace(line.String() + keyName(c.Key))
}

// keyName tells a key from others, and nothing else of it.
func keyName(k events.Secret) string {
	if k == "" {
		return ""
	}
	return fmt.Sprintf("[hidden %04x]", events.Crypto{Key: k}.Digest()&0xffff)
}

func codecs(list []events.Codec) string {
	var out []string
	for _, c := range list {
		s := strings.TrimSpace(strconv.Itoa(c.PT) + " " + c.Name)
		if c.Rate > 0 {
			s += "/" + strconv.Itoa(c.Rate)
		}
		if c.Channels > 1 {
			s += "/" + strconv.Itoa(c.Channels)
		}
		if c.Fmtp != "" {
			s += " (" + c.Fmtp + ")"
		}
		out = append(out, Printable(s))
	}
	return strings.Join(out, ", ")
}

func tagName(p *events.Party) string {
	if p.Tag == "" {
		return "(no tag yet)"
	}
	return Printable(p.Tag)
}

func clock(us int64) string { return time.UnixMicro(us).UTC().Format("2006-01-02 15:04:05.000") }

func stamp(us int64) string {
	if us == 0 {
		return ""
	}
	return time.UnixMicro(us).UTC().Format("2006-01-02 15:04:05.000000")
}
