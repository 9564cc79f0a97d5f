package events

func (w *writer) srtp(k *SRTP) {
	w.open('{')
	w.cryptos("received", k.Received)
	w.cryptos("sent", k.Sent)
	w.optCrypto("in", &k.In)
	w.optCrypto("out", &k.Out)
	w.flag("osrtp", k.OSRTP)
	w.flag("offerer_pref", k.OffererPref)
	w.close('}')
}

func (w *writer) cryptos(k string, list []Crypto) {
	if len(list) == 0 {
		return
	}
	w.key(k)
	w.open('[')
	for i := range list {
		w.element()
		w.crypto(&list[i])
	}
	w.close(']')
}

func (w *writer) optCrypto(k string, c *Crypto) {
	if *c != (Crypto{}) {
		w.key(k)
		w.crypto(c)
	}
}

func (w *writer) secret(s Secret) {
	w.b = append(w.b, '"')
	w.b = s.appendText(w.b)
	w.b = append(w.b, '"')
}

func (w *writer) crypto(c *Crypto) {
	w.open('{')
	w.optInt("tag", int64(c.Tag))
	w.str("suite", c.Suite)
	if c.Key != "" {
		w.key("key")
		w.secret(c.Key)
	}
	w.optStr("mki", c.MKI)
	w.optInt("mki_len", int64(c.MKILen))
	w.optStr("lifetime", c.Lifetime)
	w.flag("unencrypted_srtp", c.UnencryptedSRTP)
	w.flag("unencrypted_srtcp", c.UnencryptedSRTCP)
	w.flag("unauthenticated_srtp", c.UnauthenticatedSRTP)
	w.close('}')
}
