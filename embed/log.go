package embed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"rtpjet/embed/internal/names"
)

// Config describes the streams of a region.
type Config struct {
	// Region is the token in the names of all resources.
	Region string
	// Here is the region in which this log is a mirror; only [OpenMirror] wants it.
	Here string
	// Replicas is on how many servers each stream is. 0: as many as [Log.KeepReplicas] finds right for the servers there are.
	Replicas int
	// Servers tells how many servers the cluster has at the moment. nil: what the NATS that nc is
	// connected to says.
	Servers func() int
	// ArchiveAge is how long the entries of an ended call are kept. 0: seven days.
	ArchiveAge time.Duration
	// ArchiveMaxBytes and MaxBytes bound the archive, which then loses its oldest calls, and the stream of live calls,
	// which then takes no more. 0: no bound but the server's.
	ArchiveMaxBytes, MaxBytes int64
	// Health, if set, is asked before each append; an error that it returns is the append's. A server in this process knows:
	// without it, an append to a store that is known to be full waits for its context to end.
	Health func() error
	// Logger is told what goes wrong in the background. nil: slog.Default().
	Logger *slog.Logger
}

// Log is the shared log of one region. All its methods may be called by many goroutines at once.
type Log struct {
	cfg Config
	log *slog.Logger
	nc  *nats.Conn
	js  jetstream.JetStream
	req *requester

	prefix string // "calls.<region>."
	pos    position

	opened    bool        // by Open, which has made all that there is to be
	mirror    bool        // of another region: see mirror.go
	id        string      // of this Log, among those that would archive
	archives  atomic.Bool // it is this one that does
	starved   atomic.Bool // something could not be written for want of room
	thinnedAt time.Time   // when the archive was made smaller last, and by which part; Archive's
	thinnedBy uint64
	tap       atomic.Pointer[archiver] // gets what followers get; nil if this process does not archive
	followers atomic.Int64             // calls of Follow that are under way
	instance  atomic.Pointer[string]   // what InstanceID returned
	status    chan nats.Status
	done      chan struct{}
}

// appendTimeout bounds an operation whose context has no deadline.
const appendTimeout = 5 * time.Second

// openTimeout bounds Open, if its context has no deadline, and openPause is the time between two attempts.
const (
	openTimeout = 30 * time.Second
	openPause   = 100 * time.Millisecond
	// openPatience is how long the first attempt may take; each further one takes up to a quarter longer.
	openPatience = 500 * time.Millisecond
)

// Open creates the streams and the bucket of the region, or brings them up to date, and returns the log. It refuses
// streams of a newer format with an error that matches [ErrNewer]. The caller keeps nc and closes it after the log.
func Open(ctx context.Context, nc *nats.Conn, cfg Config) (*Log, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	ctx, cancel := withDeadline(ctx, openTimeout)
	defer cancel()
	if err := insist(ctx, nc, cfg, func(ctx context.Context) (string, error) { return ensureAll(ctx, nc, js, cfg) }); err != nil {
		return nil, err
	}
	l, err := attachTo(nc, js, cfg)
	if err == nil {
		l.opened = true
	}
	return l, err
}

// checked refuses a region that cannot be one, and fills in what was left out.
func (c Config) checked() (Config, error) {
	if err := names.Check("region", c.Region); err != nil {
		return c, err
	}
	if c.ArchiveAge == 0 {
		c.ArchiveAge = defaultArchiveAge
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, nil
}

// insist makes attempts at streams and buckets for as long as ctx allows; what is the one that an attempt's error is about.
// Requests that come while a leader is elected are never answered, so an attempt is short; the longer ones are for large
// stores and slow disks.
func insist(ctx context.Context, nc *nats.Conn, cfg Config, attempt func(context.Context) (what string, err error)) error {
	for patience := openPatience; ; patience = min(patience*5/4, appendTimeout) {
		actx, cancel := context.WithTimeout(ctx, patience)
		what, err := attempt(actx)
		cancel()
		if err == nil {
			return nil
		}
		explained := explainOpen(err, what, cfg)
		// A cluster that has just come together elects a leader for each of its lists, and its servers do not know all of
		// each other yet, nor all streams that another one has just created.
		if !errors.Is(explained, ErrUnavailable) && !hasCode(err, codeNoPeers) && !hasCode(err, codeStreamNotFound) ||
			ctx.Err() != nil || nc.IsClosed() {
			return explained
		}
		select {
		case <-ctx.Done():
			return explained
		case <-time.After(openPause):
		}
	}
}

// ensureAll makes one attempt at the streams and the bucket of the region; what is the one that err is about.
func ensureAll(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, cfg Config) (what string, err error) {
	for _, sc := range []jetstream.StreamConfig{callsConfig(cfg), archiveConfig(cfg), indexConfig(cfg)} {
		err := withReplicas(nc, cfg, func(n int) error {
			sc.Replicas = n
			return ensureStream(ctx, js, sc, cfg.Replicas > 0)
		})
		if err != nil {
			return "stream " + sc.Name, err
		}
	}
	err = withReplicas(nc, cfg, func(n int) error { return ensureBucket(ctx, js, leasesConfig(cfg), n, cfg.Replicas > 0) })
	return "bucket " + names.Leases(cfg.Region), err
}

// Attach returns the log of a region whose resources are there already, for tools that look and change nothing. The
// caller keeps nc and closes it after the log.
func Attach(ctx context.Context, nc *nats.Conn, cfg Config) (*Log, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	s, err := js.Stream(ctx, names.Calls(cfg.Region))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("%w %q on this NATS; check --region", ErrNoRegion, cfg.Region)
	}
	if err == nil {
		err = checkMetadata(s.CachedInfo().Config.Metadata)
	}
	if err != nil {
		return nil, explainOpen(err, "stream "+names.Calls(cfg.Region), cfg)
	}
	return attachTo(nc, js, cfg)
}

func attachTo(nc *nats.Conn, js jetstream.JetStream, cfg Config) (*Log, error) {
	req, err := newRequester(nc)
	if err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	l := &Log{
		cfg: cfg, log: cfg.Logger, nc: nc, js: js, req: req,
		prefix: names.CallSubject(cfg.Region, ""),
		status: nc.StatusChanged(nats.RECONNECTING, nats.CLOSED),
		id:     nuid.Next(),
		done:   make(chan struct{}),
	}
	go l.watchStatus()
	return l, nil
}

// watchStatus fails the appends that are under way when the connection goes.
func (l *Log) watchStatus() {
	defer close(l.done)
	for range l.status {
		l.req.failAll()
	}
}

// Close ends what the log does in the background. It does not close the connection.
func (l *Log) Close() {
	l.nc.RemoveStatusListener(l.status)
	<-l.done
	l.req.close()
}

// Connected tells whether there is a connection to a server of NATS. That server may be cut off from the others.
func (l *Log) Connected() bool { return l.nc.IsConnected() }

// ensureStream creates a stream or updates it in place, unless it is of a newer format. Metadata of others stay, and so does
// a number of replicas that nobody asked for.
func ensureStream(ctx context.Context, js jetstream.JetStream, sc jetstream.StreamConfig, fixed bool) error {
	s, err := js.Stream(ctx, sc.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		_, err = js.CreateStream(ctx, sc)
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return err
		}
		if s, err = js.Stream(ctx, sc.Name); err != nil { // another node was faster
			return err
		}
	case err != nil:
		return err
	}
	have := s.CachedInfo().Config
	if err := checkMetadata(have.Metadata); err != nil {
		return err
	}
	sc.Metadata = maps.Clone(sc.Metadata)
	for k, v := range have.Metadata {
		if _, ours := sc.Metadata[k]; !ours && !strings.HasPrefix(k, "_nats.") {
			sc.Metadata[k] = v
		}
	}
	if !fixed {
		sc.Replicas = have.Replicas
	}
	if sameConfig(have, sc) {
		return nil // an update writes the stream's files, which a restart need not wait for
	}
	_, err = js.UpdateStream(ctx, sc)
	return err
}

// sameConfig tells whether have, which a server says, is what it makes of want. A wrong no costs an update that changes
// nothing.
func sameConfig(have, want jetstream.StreamConfig) bool {
	have.Metadata = maps.Clone(have.Metadata)
	maps.DeleteFunc(have.Metadata, func(k, _ string) bool { return strings.HasPrefix(k, "_nats.") })
	if want.MaxConsumers == 0 {
		want.MaxConsumers = -1
	}
	if want.MaxMsgsPerSubject == 0 {
		want.MaxMsgsPerSubject = -1
	}
	return reflect.DeepEqual(have, want)
}

func ensureBucket(ctx context.Context, js jetstream.JetStream, kc jetstream.KeyValueConfig, replicas int, fixed bool) error {
	kc.Replicas = replicas
	s, err := js.Stream(ctx, "KV_"+kc.Bucket)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
	case err != nil:
		return err
	default:
		have := s.CachedInfo().Config
		if err := checkMetadata(have.Metadata); err != nil {
			return err
		}
		if !fixed {
			kc.Replicas = have.Replicas
		}
	}
	_, err = js.CreateOrUpdateKeyValue(ctx, kc)
	if errors.Is(err, jetstream.ErrBucketExists) || errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil // another node was faster
	}
	return err
}

func checkMetadata(meta map[string]string) error {
	text, ok := meta[metaFormat]
	if !ok {
		return nil // somebody's copy without metadata: the entries have versions of their own
	}
	v, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("its format version %q is no number", text)
	}
	if v > FormatVersion {
		return fmt.Errorf("it is of format %d, %w, and this one reads formats up to %d", v, ErrNewer, FormatVersion)
	}
	return nil
}

func explainOpen(err error, what string, cfg Config) error {
	var api *jetstream.APIError
	code := 0
	if errors.As(err, &api) {
		code = int(api.ErrorCode)
	}
	switch {
	case errors.Is(err, ErrNewer):
		return fmt.Errorf("cannot use the NATS %s: %w; run that version, or choose another --region or --data-dir", what, err)
	case code == codeOffline, code == codeOfflineReason, code == codeRequiredAPILevel:
		return fmt.Errorf("cannot use the NATS %s: %w: %s; run that version, or choose another --data-dir", what, ErrNewer, api.Description)
	case code == codeReplicasAlone, code == codeNoPeers:
		return fmt.Errorf("cannot have the NATS %s on %d servers: %s; start the other servers, or ask for fewer with --nats-replicas",
			what, max(cfg.Replicas, 1), api.Description)
	}
	err = requestError("open", what, err)
	switch {
	case errors.Is(err, ErrFull):
		return fmt.Errorf("cannot create the NATS %s: %w; free some space, or choose another --data-dir", what, err)
	case errors.Is(err, ErrUnavailable):
		return fmt.Errorf("cannot use the NATS %s: %w; check that NATS runs with JetStream switched on", what, err)
	}
	return fmt.Errorf("cannot use the NATS %s: %w", what, err)
}
