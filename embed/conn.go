package embed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// maxPayload is the largest message that the embedded server takes, in bytes. It is what a NATS server elsewhere takes
// unless it is told otherwise, so that a call that fits here fits there.
const maxPayload = 1 << 20

// Credentials are how a node proves to a NATS cluster elsewhere who it is. The zero value proves nothing. A URL may carry
// a user and a password as well.
type Credentials struct {
	// File is a NATS credentials file (JWT and seed).
	File string
	// User and Password, or Token.
	User, Password, Token string
	// CAFile, CertFile and KeyFile are for TLS; each may be empty.
	CAFile, CertFile, KeyFile string
}

// connOptions are what every connection has: it tries for ever to come back, and keeps nothing back meanwhile, so that
// a write without a server fails at once instead of being sent when nobody waits for it any more.
func connOptions(name string) []nats.Option {
	return []nats.Option{
		nats.Name("rtpjet " + name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(2 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.Timeout(2 * time.Second),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}
}

// Connect connects to a NATS cluster elsewhere, given by one or more URLs. The first connection must succeed within ctx;
// from then on the connection comes back by itself, for as long as it takes. The caller closes it.
func Connect(ctx context.Context, name string, urls []string, cred Credentials) (*nats.Conn, error) {
	list := strings.Join(urls, ",")
	opts := connOptions(name)
	if cred.File != "" {
		opts = append(opts, nats.UserCredentials(cred.File))
	}
	if cred.User != "" {
		opts = append(opts, nats.UserInfo(cred.User, cred.Password))
	}
	if cred.Token != "" {
		opts = append(opts, nats.Token(cred.Token))
	}
	if cred.CAFile != "" {
		opts = append(opts, nats.RootCAs(cred.CAFile))
	}
	if cred.CertFile != "" || cred.KeyFile != "" {
		opts = append(opts, nats.ClientCert(cred.CertFile, cred.KeyFile))
	}
	type result struct {
		nc  *nats.Conn
		err error
	}
	done := make(chan result, 1)
	go func() {
		nc, err := nats.Connect(list, opts...)
		done <- result{nc, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, explainConnect(list, r.err)
		}
		return r.nc, nil
	case <-ctx.Done():
		go func() { // a connection that comes too late is nobody's
			if r := <-done; r.nc != nil {
				r.nc.Close()
			}
		}()
		return nil, explainConnect(list, ctx.Err())
	}
}

func explainConnect(urls string, err error) error {
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return fmt.Errorf("cannot use NATS at %s: it refuses our credentials (%w); check the user, password or file for it", urls, err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("connect to NATS at %s: %w", urls, err)
	}
	return fmt.Errorf("cannot reach NATS at %s: %w (%w); check --nats and that the server runs, "+
		"or leave --nats out to use the embedded one", urls, ErrUnavailable, err)
}
