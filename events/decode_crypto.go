package events

func (r *reader) srtp() *SRTP {
	k := &SRTP{}
	var seen uint64
	for name, ok := r.key(false); ok; name, ok = r.key(true) {
		var bit uint64
		switch string(name) {
		case "received":
			bit, k.Received = 1<<0, r.cryptos()
		case "sent":
			bit, k.Sent = 1<<1, r.cryptos()
		case "in":
			bit = 1 << 2
			r.crypto(&k.In)
		case "out":
			bit = 1 << 3
			r.crypto(&k.Out)
		case "osrtp":
			bit, k.OSRTP = 1<<4, r.bool()
		case "offerer_pref":
			bit, k.OffererPref = 1<<5, r.bool()
		}
		r.once(&seen, bit)
	}
	return k
}

func (r *reader) cryptos() []Crypto {
	var few [12]Crypto
	read := few[:0]
	for begun := false; r.element(begun); begun = true {
		read = append(read, Crypto{})
		r.crypto(&read[len(read)-1])
	}
	if r.bad {
		return nil
	}
	return append(make([]Crypto, 0, len(read)), read...)
}

func (r *reader) crypto(c *Crypto) {
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		switch string(k) {
		case "tag":
			bit, c.Tag = 1<<0, r.int()
		case "suite":
			bit, c.Suite = 1<<1, suite(r.text())
		case "key":
			bit, c.Key = 1<<2, r.secret()
		case "mki":
			bit, c.MKI = 1<<3, string(r.text())
		case "mki_len":
			bit, c.MKILen = 1<<4, r.int()
		case "lifetime":
			bit, c.Lifetime = 1<<5, string(r.text())
		case "unencrypted_srtp":
			bit, c.UnencryptedSRTP = 1<<6, r.bool()
		case "unencrypted_srtcp":
			bit, c.UnencryptedSRTCP = 1<<7, r.bool()
		case "unauthenticated_srtp":
			bit, c.UnauthenticatedSRTP = 1<<8, r.bool()
		}
		r.once(&seen, bit)
	}
}

func (r *reader) secret() (s Secret) {
	if s.read(r.text()) != nil {
		r.bad = true
	}
	return s
}
