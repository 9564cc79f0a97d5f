package embed

import (
	"errors"
	"fmt"
	"os"
)

// TLSFiles names the PEM files of one side of a TLS connection. The zero value means no TLS.
type TLSFiles struct {
	// CA are the authorities that the other side's certificate must come from. Empty: those of the system.
	CA string
	// Cert and Key are our own certificate and its private key. Both or none.
	Cert, Key string
}

// Readable tells, in a sentence for an operator, which of the files cannot be read; nil if all can.
func (f TLSFiles) Readable() error {
	for _, name := range []string{f.CA, f.Cert, f.Key} {
		if err := checkReadable(name); err != nil {
			return err
		}
	}
	return nil
}

func checkReadable(name string) error {
	if name == "" {
		return nil
	}
	f, err := os.Open(name)
	if err == nil {
		return f.Close()
	}
	return fmt.Errorf("cannot read the TLS file %s: %w; correct --nats-tls-ca, --nats-tls-cert or --nats-tls-key", name, pathReason(err))
}

// pathReason is the system's part of an error about a file.
func pathReason(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
