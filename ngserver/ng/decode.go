package ng

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"unicode/utf8"

	"rtpjet/ngserver/bencode"
)

// Encoding is the notation of a message. A reply has the one of its request.
type Encoding uint8

// The two notations. Bencode is the zero value because an error about an unrecognisable message is told in bencode.
const (
	Bencode Encoding = iota
	JSON
)

// String returns "bencode" or "json".
func (e Encoding) String() string {
	if e == JSON {
		return "json"
	}
	return "bencode"
}

// DetectEncoding tells the notation of a payload by its first byte. Of what is neither it says Bencode.
func DetectEncoding(payload []byte) Encoding {
	if len(payload) > 0 && payload[0] == '{' {
		return JSON
	}
	return Bencode
}

// DecodeDict reads a message without its cookie. Byte strings of the dictionary alias payload, which must not change while
// it is in use. What follows a bencode dictionary is ignored, what follows a JSON object is an error, as in rtpengine.
//
// Every error is a *ReasonError with one of the texts of reasons.go; the encoding is valid beside an error, too. Time and
// memory are linear in the length of payload, and nesting is limited to bencode.MaxDepth.
func DecodeDict(payload []byte) (*Dict, Encoding, error) {
	if len(payload) == 0 {
		return nil, Bencode, errNoPayload
	}
	switch payload[0] {
	case 'd':
		d, _, err := bencode.DecodeDict(payload)
		if err != nil {
			return nil, Bencode, errBadBencode
		}
		return d, Bencode, nil
	case '{':
		d, err := decodeJSON(payload)
		if err != nil {
			return nil, JSON, errBadJSON
		}
		return d, JSON, nil
	}
	return nil, Bencode, errBadFormat
}

// decodeJSON reads one JSON object token by token: order and repeated keys stay, and the depth is bounded.
func decodeJSON(payload []byte) (*Dict, error) {
	// encoding/json replaces broken UTF-8; rtpengine refuses it, and so a call-id never turns into another one.
	if !utf8.Valid(payload) {
		return nil, errBadJSON
	}
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.UseNumber()
	v, err := jsonValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errBadJSON
	}
	d, ok := v.(*Dict)
	if !ok {
		return nil, errBadJSON
	}
	return d, nil
}

func jsonValue(dec *json.Decoder, depth int) (any, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := tok.(type) {
	case json.Number:
		return jsonNumber(t), nil
	case json.Delim:
		if depth >= bencode.MaxDepth {
			return nil, bencode.ErrDepth
		}
		if t == '[' {
			l := List{}
			for dec.More() {
				v, err := jsonValue(dec, depth+1)
				if err != nil {
					return nil, err
				}
				if v != nil {
					l = append(l, v)
				}
			}
			_, err := dec.Token()
			return l, err
		}
		d := &Dict{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v, err := jsonValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			name, _ := key.(string)
			if v != nil { // null is as good as not there, here as in lists
				d.Add(name, v)
			}
		}
		_, err := dec.Token()
		return d, err
	}
	return tok, nil // string, bool or nil
}

// jsonNumber returns an int64 where the number is written as one, saturated as in bencode, else a float64, which may be
// infinite.
func jsonNumber(n json.Number) any {
	if i, err := n.Int64(); err == nil || errors.Is(err, strconv.ErrRange) {
		return i
	}
	f, _ := n.Float64()
	return f
}
