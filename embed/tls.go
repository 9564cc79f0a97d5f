package embed

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"

	"github.com/nats-io/nats-server/v2/server"
)

// TLSFiles names the PEM files of one side of a TLS connection. The zero value means no TLS.
type TLSFiles struct {
	// CA are the authorities that the other side's certificate must come from. Empty: those of the system.
	CA string
	// Cert and Key are our own certificate and its private key. Both or none.
	Cert, Key string
}

// tlsTimeout bounds a handshake, in seconds. The server's own 2 s are short for a machine that is starting.
const tlsTimeout = 5

// serverTLS reads the files for the side that is connected to; nil if there are none. If mutual, the other side must show a
// certificate as well, and Cert must do for both directions.
func (f TLSFiles) serverTLS(what string, mutual bool) (*tls.Config, error) {
	if f == (TLSFiles{}) {
		return nil, nil
	}
	if f.Cert == "" || f.Key == "" {
		return nil, fmt.Errorf("TLS for %s has no certificate or no key: set --nats-tls-cert and --nats-tls-key, or no --nats-tls option", what)
	}
	if mutual && f.CA == "" {
		return nil, fmt.Errorf("TLS for %s has no authority to check the other servers by: set --nats-tls-ca", what)
	}
	for _, name := range []string{f.CA, f.Cert, f.Key} {
		if err := checkReadable(name); err != nil {
			return nil, err
		}
	}
	cfg, err := server.GenTLSConfig(&server.TLSConfigOpts{CertFile: f.Cert, KeyFile: f.Key, CaFile: f.CA, Verify: mutual, Timeout: tlsTimeout})
	if err != nil {
		return nil, fmt.Errorf("cannot use the TLS files for %s: %w; check --nats-tls-ca, --nats-tls-cert and --nats-tls-key", what, err)
	}
	if mutual {
		cfg.RootCAs = cfg.ClientCAs // a route is dialled with the same configuration
	}
	return cfg, nil
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
