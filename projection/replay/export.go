package replay

import (
	"errors"
	"fmt"

	"rtpjet/events"
	"rtpjet/projection/history"
)

// Options say how a history is exported.
type Options struct {
	// Sealed keeps secrets as they are in the log of a cluster with a key, instead of putting others in their places.
	Sealed bool
	// Sealer seals what is not, if Sealed. It may be nil.
	Sealer *events.Sealer
	// By and Exported go into the bundle.
	By, Exported string
}

// ErrExposed says that secrets were to be sealed, and that there is no key for it.
var ErrExposed = errors.New("the log has keys that are not sealed")

// Export makes a bundle of the entries of a call. What cannot be read is left out: nobody knows which secrets are in it.
func Export(callID string, list []Record, o Options) (*Bundle, error) {
	b := &Bundle{Call: callID, Secrets: SecretsRemoved, By: o.By, Exported: o.Exported}
	entries := Entries(list)
	if o.Sealed {
		b.Secrets = SecretsSealed
		for i := range entries {
			e := &entries[i]
			if e.Err != nil || !events.Exposed(e.Envelope) {
				continue
			}
			if e.Envelope = o.Sealer.Seal(e.Envelope); events.Exposed(e.Envelope) {
				return nil, ErrExposed
			}
		}
	} else {
		entries = Redact(entries)
	}
	for i := range entries {
		r, err := recordOf(&entries[i])
		if err != nil {
			return nil, err
		}
		b.Records = append(b.Records, r)
	}
	return b, nil
}

func recordOf(e *history.Entry) (Record, error) {
	r := Record{Seq: e.Seq, Stored: e.Stored}
	if why := e.Err; why != nil {
		r.Lost = "it could not be read when this was written: " + why.Error()
	} else {
		data, err := events.Encode(e.Envelope)
		if err != nil {
			return r, fmt.Errorf("event %d: %w", e.Seq, err)
		}
		r.Data = data
	}
	return r, nil
}
