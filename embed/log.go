package embed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config describes the streams of a region.
type Config struct {
	// Region is the token in the names of all resources.
	Region string
	// Replicas is on how many servers each stream is; 1 for a server that stands alone. 0: 1.
	Replicas int
	// ArchiveAge is how long the entries of an ended call are kept. 0: seven days.
	ArchiveAge time.Duration
	// ArchiveMaxBytes and MaxBytes bound the archive, which then loses its oldest calls, and the stream of live calls,
	// which then takes no more. 0: no bound but the server's.
	ArchiveMaxBytes, MaxBytes int64
	// Health, if set, is asked before each append; an error that it returns is the append's. [Server.Healthy] fits: without
	// it, an append to a store that is known to be full waits for its context to end.
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

	tap       atomic.Pointer[archiver] // gets what followers get; nil if this process does not archive
	followers atomic.Int64             // calls of Follow that are under way
	status    chan nats.Status
	done      chan struct{}
}

// appendTimeout bounds an operation whose context has no deadline.
const appendTimeout = 5 * time.Second

// Open creates the streams and the bucket of the region, or brings them up to date, and returns the log. It refuses
// streams of a newer format with an error that matches [ErrNewer]. The caller keeps nc and closes it after the log.
func Open(ctx context.Context, nc *nats.Conn, cfg Config) (*Log, error) {
	if err := checkToken("region", cfg.Region); err != nil {
		return nil, err
	}
	if cfg.Replicas == 0 {
		cfg.Replicas = 1
	}
	if cfg.ArchiveAge == 0 {
		cfg.ArchiveAge = defaultArchiveAge
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	ctx, cancel := withDeadline(ctx, 30*time.Second)
	defer cancel()
	for _, sc := range []jetstream.StreamConfig{callsConfig(cfg), archiveConfig(cfg)} {
		if err := ensureStream(ctx, js, sc); err != nil {
			return nil, explainOpen(err, "stream "+sc.Name, cfg)
		}
	}
	if err := ensureBucket(ctx, js, leasesConfig(cfg)); err != nil {
		return nil, explainOpen(err, "bucket "+leasesBucket(cfg.Region), cfg)
	}
	return attachTo(nc, js, cfg)
}

// Attach returns the log of a region whose resources are there already, for tools that look and change nothing. The
// caller keeps nc and closes it after the log.
func Attach(ctx context.Context, nc *nats.Conn, cfg Config) (*Log, error) {
	if err := checkToken("region", cfg.Region); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	s, err := js.Stream(ctx, callsStream(cfg.Region))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("there is no rtpjet region %q on this NATS; check --region", cfg.Region)
	}
	if err == nil {
		err = checkMetadata(s.CachedInfo().Config.Metadata)
	}
	if err != nil {
		return nil, explainOpen(err, "stream "+callsStream(cfg.Region), cfg)
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
		prefix: callSubject(cfg.Region, ""),
		status: nc.StatusChanged(nats.RECONNECTING, nats.CLOSED),
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
	l.req.close()
	l.nc.RemoveStatusListener(l.status)
	<-l.done
	l.req.failAll()
}

// ensureStream creates a stream or updates it in place, unless it is of a newer format. Metadata of others stay.
func ensureStream(ctx context.Context, js jetstream.JetStream, sc jetstream.StreamConfig) error {
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
	have := s.CachedInfo().Config.Metadata
	if err := checkMetadata(have); err != nil {
		return err
	}
	sc.Metadata = maps.Clone(sc.Metadata)
	for k, v := range have {
		if _, ours := sc.Metadata[k]; !ours && !strings.HasPrefix(k, "_nats.") {
			sc.Metadata[k] = v
		}
	}
	_, err = js.UpdateStream(ctx, sc)
	return err
}

func ensureBucket(ctx context.Context, js jetstream.JetStream, kc jetstream.KeyValueConfig) error {
	s, err := js.Stream(ctx, "KV_"+kc.Bucket)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
	case err != nil:
		return err
	default:
		if err := checkMetadata(s.CachedInfo().Config.Metadata); err != nil {
			return err
		}
	}
	_, err = js.CreateOrUpdateKeyValue(ctx, kc)
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
		return fmt.Errorf("cannot have the NATS %s on %d servers: %s; start the other servers, or ask for fewer replicas",
			what, cfg.Replicas, api.Description)
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

// headerID carries the writer's id of an entry. It is not the server's Nats-Msg-Id: the server compares the expected
// sequence first, so that a repetition is a conflict for it, and keeps every id in memory meanwhile.
const headerID = "Rtpjet-Id"

// Append adds data to the entries of key and returns its sequence, once the log has confirmed it. last is the sequence
// of the key's newest entry that the writer knows, 0 for a new key; if it is not the newest, nothing is stored and the
// error matches [ErrConflict]. An error that matches [ErrUnavailable] leaves open whether data was stored: append it
// again with the same id, which makes a repetition return the sequence of the first. id may be empty if nothing is ever
// repeated. Without a deadline in ctx, Append waits for at most 5 s.
func (l *Log) Append(ctx context.Context, key string, last uint64, data []byte, id string) (uint64, error) {
	ctx, cancel := withDeadline(ctx, appendTimeout)
	defer cancel()
	seq, err := l.publish(ctx, key, last, data, id)
	if id == "" || !errors.Is(err, ErrConflict) {
		return seq, err
	}
	// The entry that came first may be our own.
	e, gerr := l.get(ctx, key, fmt.Sprintf(`{"seq":%d,"next_by_subj":%q}`, last+1, l.prefix+key))
	if gerr != nil {
		return 0, gerr // a conflict is not certain before we know whose it is
	}
	if e.found && e.id == id {
		return e.Seq, nil
	}
	return 0, err
}

func (l *Log) publish(ctx context.Context, key string, last uint64, data []byte, id string) (uint64, error) {
	if l.cfg.Health != nil {
		if err := l.cfg.Health(); err != nil {
			return 0, fmt.Errorf("append to %s: %w", key, err)
		}
	}
	m := nats.Msg{Subject: l.prefix + key, Data: data, Header: make(nats.Header, 2)}
	m.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(last, 10)}
	if id != "" {
		m.Header[headerID] = []string{id}
	}
	reply, err := l.req.do(ctx, &m)
	if err != nil {
		if l.cfg.Health != nil && errors.Is(err, context.DeadlineExceeded) {
			if bad := l.cfg.Health(); bad != nil { // the server does not answer a write that failed
				return 0, fmt.Errorf("append to %s: %w", key, bad)
			}
		}
		return 0, requestError("append to", key, err)
	}
	ack, err := parseAck(reply.Data)
	if err != nil {
		return 0, fmt.Errorf("append to %s: %w", key, err)
	}
	if ack.Error != nil {
		return 0, apiError("append to", key, ack.Error.Code, ack.Error.ErrCode, ack.Error.Description)
	}
	return ack.Seq, nil
}
