package ng

import (
	"slices"
	"strings"
)

// readRTPPFlags reads rtpp-flags (docs/ng.md, "Flags strings and templates"): words, key=value, key=[a b] and key=[k=[a
// b] k2=[c]] between blanks. Kamailio sends its flags in this form, unparsed, when its script gives a via-branch. Parts
// that make no sense are skipped.
func readRTPPFlags(p *parser, v any) {
	s, ok := Text(v)
	if !ok {
		p.badValue("rtpp-flags", v)
		return
	}
	if p.depth > 0 {
		return // rtpp-flags=… inside of rtpp-flags
	}
	p.readWords(s)
}

// readWords reads a flags string, of a request or of a template. One of broken syntax never fails the request, whatever its
// parts turn out to be: what can be told apart counts.
func (p *parser) readWords(s string) {
	lenient := p.lenient
	p.depth++
	defer func() { p.depth--; p.lenient = lenient }()
	p.slots = 0
	sc := newRTPPScanner(s)
	p.lenient = sc.broken
	for {
		key, value, ok := sc.next(false)
		if !ok {
			return
		}
		if value == nil {
			p.rtppWord(key.(string))
		} else {
			p.rtppKey(key.(string), value)
		}
	}
}

// rtppWord reads a word without a value.
func (p *parser) rtppWord(s string) {
	if p.transport.add(s) {
		p.r.TransportProtocol = p.transport.name()
		return
	}
	if strings.Contains(s, "/") {
		if t := transportName(s); t != "" {
			p.transport.set(t)
			p.r.TransportProtocol = t
			return
		}
	}
	switch s {
	case "internal", "external":
		p.directionWord(s)
	default:
		p.flag(s)
	}
}

// rtppKey reads key=value.
func (p *parser) rtppKey(key string, value any) {
	if value == "" {
		p.unknown(key+"=", "")
		return
	}
	var buf [maxWord]byte
	folded := string(fold(buf[:], key))
	f, ok := keyTable[folded]
	if !ok {
		// Not a key, but a flag may contain "=": codec-set-opus/48000/2///useinbandfec=1.
		if s, isText := value.(string); isText {
			p.flag(key + "=" + s)
		} else {
			p.unknown(key, "")
		}
		return
	}
	switch folded {
	case "via-branch":
		// In a flags string it tells Kamailio's module which branch parameter to send in the key via-branch;
		// it is no branch itself.
		switch value {
		case "1", "2", "auto", "extra", "next", "auto-extra", "auto-next":
			return
		}
	case "to-tag":
		p.r.ToTagFlag = true
	case "from-tag":
		p.r.Directional = true
	}
	f(p, value)
}

// transportTokens collects the partial transport words RTP, SRTP, AVP, AVPF and DTLS, which may come in any order.
type transportTokens struct{ secure, feedback, dtls bool }

// add takes a partial word and tells whether s is one.
func (t *transportTokens) add(s string) bool {
	switch s {
	case "RTP":
		t.secure, t.dtls = false, false
	case "SRTP":
		t.secure = true
	case "AVP":
		t.feedback = false
	case "AVPF":
		t.feedback = true
	case "DTLS":
		t.dtls = true
	default:
		return false
	}
	return true
}

// set takes over a full name, so that partial words after it change a part of it.
func (t *transportTokens) set(name string) {
	t.dtls = strings.HasPrefix(name, "UDP/TLS/")
	t.secure = strings.Contains(name, "/SAVP")
	t.feedback = strings.HasSuffix(name, "AVPF")
}

func (t *transportTokens) name() string {
	switch {
	case t.dtls && t.feedback:
		return "UDP/TLS/RTP/SAVPF"
	case t.dtls:
		return "UDP/TLS/RTP/SAVP"
	case t.secure && t.feedback:
		return "RTP/SAVPF"
	case t.secure:
		return "RTP/SAVP"
	case t.feedback:
		return "RTP/AVPF"
	}
	return "RTP/AVP"
}

// rtppScanner splits a flags string.
type rtppScanner struct {
	s     string // what is left
	n     int    // length of the whole
	depth int
	// open has the positions of opening brackets that nothing closes, in ascending order; broken is true if there are any, or
	// closing ones that close nothing.
	open   []int
	broken bool
}

func newRTPPScanner(s string) *rtppScanner {
	sc := &rtppScanner{s: s, n: len(s)}
	for i := range len(s) {
		switch s[i] {
		case '[':
			sc.open = append(sc.open, i)
		case ']':
			if len(sc.open) == 0 {
				sc.broken = true
				continue
			}
			sc.open = sc.open[:len(sc.open)-1]
		}
	}
	sc.broken = sc.broken || len(sc.open) > 0
	return sc
}

// closes tells whether the group whose bracket was read just now has an end.
func (sc *rtppScanner) closes() bool {
	_, open := slices.BinarySearch(sc.open, sc.n-len(sc.s)-1)
	return !open
}

// maxRTPPDepth bounds the nesting; sdp-attr=[audio=[substitute=[[a b]]]] needs 4.
const maxRTPPDepth = 8

// next returns the next word (value nil), key with value (string, List or *Dict), or, in a group, a nested group (key is
// then the List or *Dict). ok is false at the end of the string or of the group.
func (sc *rtppScanner) next(inGroup bool) (key, value any, ok bool) {
	for {
		sc.s = strings.TrimLeft(sc.s, " \t\r\n")
		if sc.s == "" {
			return nil, nil, false
		}
		switch sc.s[0] {
		case ']':
			sc.s = sc.s[1:]
			if inGroup {
				return nil, nil, false
			}
			continue // a bracket that was never opened
		case '[':
			sc.s = sc.s[1:]
			g := sc.group()
			if !inGroup {
				continue // a group without a key
			}
			if g == nil {
				g = List{}
			}
			return g, nil, true
		}
		end := strings.IndexAny(sc.s, wordEnd(inGroup))
		if end < 0 {
			end = len(sc.s)
		}
		k := sc.s[:end]
		sc.s = sc.s[end:]
		if !inGroup {
			k = trimClosing(k)
		}
		if sc.s == "" || sc.s[0] != '=' {
			if k == "" {
				continue
			}
			return k, nil, true
		}
		sc.s = sc.s[1:]
		var v any
		if strings.HasPrefix(sc.s, "[") {
			sc.s = sc.s[1:]
			if v = sc.group(); v == nil {
				continue
			}
		} else {
			v = sc.plainValue(inGroup)
			if !inGroup {
				v = trimClosing(v.(string))
			}
		}
		if k == "" {
			continue // a value without a key
		}
		return k, v, true
	}
}

// wordEnd are the bytes that end a word. A closing bracket does so in groups only.
func wordEnd(inGroup bool) string {
	if inGroup {
		return " \t\r\n=]"
	}
	return " \t\r\n="
}

// plainValue reads a value up to the next blank, or the end of the group. An equals sign belongs to it.
func (sc *rtppScanner) plainValue(inGroup bool) string {
	end := strings.IndexAny(sc.s, strings.Replace(wordEnd(inGroup), "=", "", 1))
	if end < 0 {
		end = len(sc.s)
	}
	v := sc.s[:end]
	sc.s = sc.s[end:]
	return v
}

// trimClosing cuts closing brackets off that close nothing.
func trimClosing(word string) string {
	if strings.Contains(word, "[") {
		return word
	}
	return strings.TrimRight(word, "]")
}

// group reads to the closing bracket: a *Dict if the first thing in it is a key=value, else a List; what does not fit is left
// out of a *Dict, and a word with its value in a List. Where nothing closes the group, it ends before the next word that means
// something by itself. It returns nil for one that is nested too deeply.
func (sc *rtppScanner) group() any {
	closes := sc.closes()
	if sc.depth >= maxRTPPDepth {
		sc.skip(closes)
		return nil
	}
	sc.depth++
	defer func() { sc.depth-- }()
	list := List{}
	var dict *Dict
	for closes || !sc.startsAnew() {
		k, v, ok := sc.next(true)
		if !ok {
			break
		}
		text, isText := v.(string)
		switch {
		case v == nil && dict == nil:
			list = append(list, k)
		case v == nil: // a word between keys
		case dict != nil || len(list) == 0:
			if dict == nil {
				dict = &Dict{}
			}
			dict.Add(k.(string), v)
		case isText:
			list = append(list, k.(string)+"="+text)
		}
	}
	if dict != nil {
		return dict
	}
	return list
}

// skip passes over a group, or over a word where nothing closes it.
func (sc *rtppScanner) skip(closes bool) {
	if !closes {
		sc.s = sc.s[min(len(sc.s), max(0, strings.IndexAny(sc.s+" ", " \t\r\n"))):]
		return
	}
	for depth := 1; depth > 0; sc.s = sc.s[1:] {
		switch sc.s[0] {
		case '[':
			depth++
		case ']':
			depth--
		}
	}
}

// startsAnew tells whether what comes next is a key or a flag by itself.
func (sc *rtppScanner) startsAnew() bool {
	sc.s = strings.TrimLeft(sc.s, " \t\r\n")
	end := strings.IndexAny(sc.s, " \t\r\n=[]")
	if end < 0 {
		end = len(sc.s)
	}
	word := sc.s[:end]
	var buf [maxWord]byte
	folded := fold(buf[:], word)
	if strings.HasPrefix(sc.s[end:], "=") {
		return keyTable[string(folded)] != nil
	}
	for _, f := range flagPrefixes {
		if strings.HasPrefix(string(folded), f.prefix) {
			return true
		}
	}
	return flagTable[string(folded)] != nil || transportName(word) != ""
}
