package embed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"rtpjet/embed/internal/names"
)

// MaxEntry is how long an entry may be, in bytes, with its headers. It is what a NATS server takes unless it is told otherwise,
// and so a call that fits into the log of one region fits into that of another.
const MaxEntry = 1 << 20

// MinClusterKey is how many bytes a cluster key has at least.
const MinClusterKey = names.MinKey

// Credentials are how a node proves to a NATS cluster elsewhere who it is. The zero value proves nothing. A URL may carry
// a user and a password as well.
type Credentials struct {
	// File is a NATS credentials file (JWT and seed).
	File string
	// User and Password, or Token.
	User, Password, Token string
	// ClusterKey is for the embedded servers of other nodes. It counts if there is no File, User or Token.
	ClusterKey []byte
	// TLS: a CA alone checks the server, a Cert and Key show who we are.
	TLS TLSFiles
}

// ForRegion are the credentials for what a server has of another region: its mirrors. They need a ClusterKey.
func (c Credentials) ForRegion(region string) Credentials {
	return Credentials{User: names.RegionClient(region), Password: names.ClientPassword(c.ClusterKey), TLS: c.TLS}
}

// Options are what the credentials add to a connection of the client library. Files that cannot be read are an error, in a
// sentence for an operator.
func (c Credentials) Options() ([]nats.Option, error) {
	var opts []nats.Option
	switch {
	case c.File != "":
		if _, err := os.Stat(c.File); err != nil {
			return nil, fmt.Errorf("cannot read the NATS credentials file %s: %w; correct --nats-creds", c.File, pathReason(err))
		}
		opts = append(opts, nats.UserCredentials(c.File))
	case c.User != "":
		opts = append(opts, nats.UserInfo(c.User, c.Password))
	case c.Token != "":
		opts = append(opts, nats.Token(c.Token))
	case len(c.ClusterKey) > 0:
		if err := names.CheckKey(c.ClusterKey); err != nil {
			return nil, err
		}
		opts = append(opts, nats.UserInfo(names.ClientUser, names.ClientPassword(c.ClusterKey)))
	}
	if err := c.TLS.Readable(); err != nil {
		return nil, err
	}
	if c.TLS.CA != "" {
		opts = append(opts, nats.RootCAs(c.TLS.CA))
	}
	if c.TLS.Cert != "" || c.TLS.Key != "" {
		opts = append(opts, nats.ClientCert(c.TLS.Cert, c.TLS.Key))
	}
	return opts, nil
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
		nats.Timeout(dialTimeout),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}
}

// ConnectInProcess returns a connection to a server of this process, which it never leaves. If that server is replaced, the
// connection comes back by itself. The caller closes it.
func ConnectInProcess(name string, server nats.InProcessConnProvider, cred Credentials) (*nats.Conn, error) {
	more, err := cred.Options()
	if err != nil {
		return nil, err
	}
	return nats.Connect("", append(append(connOptions(name), nats.InProcessServer(server)), more...)...)
}

// Connect connects to a NATS cluster elsewhere, given by one or more URLs. The first connection must succeed within ctx;
// from then on the connection comes back by itself, for as long as it takes. The caller closes it.
func Connect(ctx context.Context, name string, urls []string, cred Credentials) (*nats.Conn, error) {
	list := strings.Join(urls, ",")
	more, err := cred.Options()
	if err != nil {
		return nil, err
	}
	d := &dialer{first: ctx}
	opts := append(append(connOptions(name), nats.SetCustomDialer(d), nats.SkipHostLookup()), more...)
	nc, err := nats.Connect(list, opts...)
	d.connected()
	switch {
	case ctx.Err() != nil:
		if err == nil {
			nc.Close()
		}
		return nil, explainConnect(list, ctx.Err())
	case err != nil:
		return nil, explainConnect(list, err)
	}
	return nc, nil
}

func explainConnect(urls string, err error) error {
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return fmt.Errorf("cannot use NATS at %s: it refuses our credentials (%w); check --nats-creds, --nats-user, --nats-password-file "+
			"and --cluster-key-file", urls, err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("connect to NATS at %s: %w", urls, err)
	}
	return fmt.Errorf("cannot reach NATS at %s: %w (%w); check --nats and that the server runs, "+
		"or leave --nats out to use the embedded one", urls, ErrUnavailable, err)
}
