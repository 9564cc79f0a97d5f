package ng

import "strconv"

// Parse reads a request. Unknown keys, flags and values go to Request.Unknown and never fail it (docs/ng.md, "Spellings").
//
// The errors are *ReasonError: ErrNoCommand, ErrUnknownCommand, or one of the texts for an sdp-attr or
// sdp-media-remove of a wrong structure. With an error of the last kind the request is returned as well, for its command and
// call-id. The request keeps d, and its SDP aliases the payload that d came from. Parse is safe for concurrent use, also on
// one d.
func Parse(d *Dict) (*Request, error) { return Templates(nil).Parse(d) }

// Parse is [Parse] with templates: the one named "default", the one named like the command, and those that the request names are
// read before what the request says itself, so that this wins.
func (t Templates) Parse(d *Dict) (*Request, error) {
	v, _ := d.Get("command")
	name, ok := str(v)
	if !ok {
		return nil, ErrNoCommand
	}
	index := CommandIndex(name)
	if index < 0 {
		return nil, ErrUnknownCommand
	}
	r := &Request{
		Command:     Commands[index].Name,
		TOS:         TOSUnset,
		DeleteDelay: -1,
		Limit:       LimitUnset,
		Dict:        d,
	}
	p := parser{r: r, templates: t}
	if len(t) > 0 {
		p.readTemplates(d)
	}
	for i, k := range d.Keys {
		p.key(k, d.Values[i])
	}
	if p.fatal != nil {
		return r, p.fatal
	}
	return r, nil
}

// parser carries what one request needs while its keys are read in their order.
type parser struct {
	r         *Request
	slots     int             // direction slots that single names have filled
	transport transportTokens // partial transport words of rtpp-flags so far
	depth     int             // of rtpp-flags inside of rtpp-flags
	lenient   bool            // nothing of what is read fails the request
	templates Templates
	expanded  []string // names of templates that were read
	fatal     *ReasonError
}

// key reads one key with its value.
func (p *parser) key(k string, v any) {
	var buf [maxWord]byte
	if f, ok := keyTable[string(fold(buf[:], k))]; ok {
		f(p, v)
		return
	}
	p.unknown(k, "")
}

// What is kept of the words that nobody knows: enough to find the mistake, whatever a client sends.
const (
	maxUnknown     = 16
	maxUnknownText = 64
)

// unknown notes a key or flag, or the value of a known key, that was not understood.
func (p *parser) unknown(key, value string) {
	if len(p.r.Unknown) >= maxUnknown {
		return
	}
	if value != "" {
		key += "=" + clip(value)
	}
	p.r.Unknown = append(p.r.Unknown, clip(key))
}

func clip(s string) string {
	if len(s) > maxUnknownText {
		return s[:maxUnknownText]
	}
	return s
}

// badValue notes that the value of a known key was not understood.
func (p *parser) badValue(key string, v any) {
	s, ok := Text(v)
	if !ok {
		s = "?"
	}
	p.unknown(key, strconv.Quote(clip(s)))
}

// fail keeps the first structure error.
func (p *parser) fail(reason string) {
	switch {
	case p.lenient:
		p.unknown(reason, "")
	case p.fatal == nil:
		p.fatal = &ReasonError{reason}
	}
}

// Key returns the value of a key that has no field of its own, given by its canonical name ("repeat-times"), whether it
// came in the dictionary, as key=value in a flag, or in rtpp-flags. Of several the last one counts.
func (r *Request) Key(name string) (any, bool) { return r.Extra.Get(name) }

// KeyText is Key and Text in one; it returns "" if the key is missing or no text.
func (r *Request) KeyText(name string) string {
	v, ok := r.Extra.Get(name)
	if !ok {
		return ""
	}
	s, _ := Text(v)
	return s
}

// KeyInt is Key and Int in one; it returns def if the key is missing or no integer.
func (r *Request) KeyInt(name string, def int64) int64 {
	if v, ok := r.Extra.Get(name); ok {
		if n, ok := Int(v); ok {
			return n
		}
	}
	return def
}

// Flag tells whether a flag that has no field of its own was given, by its canonical name ("inject-dtmf").
func (r *Request) Flag(name string) bool {
	for _, f := range r.OtherFlags {
		if f == name {
			return true
		}
	}
	return false
}

// SupportsLoadLimit tells whether the client knows the result "load limit" (docs/ng.md, "Replies").
func (r *Request) SupportsLoadLimit() bool {
	for _, s := range r.Supports {
		if word(s) == "load-limit" {
			return true
		}
	}
	return false
}
