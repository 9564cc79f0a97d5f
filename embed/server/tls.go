package server

import (
	"crypto/tls"
	"fmt"

	"github.com/nats-io/nats-server/v2/server"

	"rtpjet/embed"
)

// tlsTimeout bounds a handshake, in seconds. The server's own 2 s are short for a machine that is starting.
const tlsTimeout = 5

// tlsConfig reads the files for the side that is connected to; nil if there are none. If mutual, the other side must show a
// certificate as well, and Cert must do for both directions.
func tlsConfig(f embed.TLSFiles, what string, mutual bool) (*tls.Config, error) {
	if f == (embed.TLSFiles{}) {
		return nil, nil
	}
	if f.Cert == "" || f.Key == "" {
		return nil, fmt.Errorf("TLS for %s has no certificate or no key: set --nats-tls-cert and --nats-tls-key, or no --nats-tls option", what)
	}
	if mutual && f.CA == "" {
		return nil, fmt.Errorf("TLS for %s has no authority to check the other servers by: set --nats-tls-ca", what)
	}
	if err := f.Readable(); err != nil {
		return nil, err
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
