package cli

import (
	"encoding/base64"

	"rtpjet/events"
	"rtpjet/projection"
)

// keyView is a key for whoever has asked for it by name.
type keyView struct {
	Party     int    `json:"party"`
	Media     int    `json:"media"` // from 1
	Direction string `json:"direction"`
	Suite     string `json:"suite"`
	Key       string `json:"key"` // base64 of key and salt
}

// keysOf lists the keys that a call uses, none unless they are asked for.
func keysOf(c *projection.Call, asked bool) []keyView {
	var out []keyView
	if !asked {
		return out
	}
	for _, p := range c.Parties {
		if p == nil {
			continue
		}
		for i := range p.Medias {
			k := p.Medias[i].Keys()
			for _, way := range []struct {
				name string
				line events.Crypto
			}{{"in", k.In}, {"out", k.Out}} {
				if way.line.Key != "" {
					out = append(out, keyView{p.ID, i + 1, way.name, way.line.Suite, base64.StdEncoding.EncodeToString([]byte(way.line.Key))})
				}
			}
		}
	}
	return out
}
