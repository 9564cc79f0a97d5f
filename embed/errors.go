package embed

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What a caller branches on. Errors of this package wrap at most one of them.
var (
	// ErrConflict means that the subject has an entry that the writer did not know of. See [ConflictError].
	ErrConflict = errors.New("the call was changed by another writer")
	// ErrUnavailable means that the log did not confirm the write in time: there is no server, no leader, or no quorum. The
	// entry may have been stored all the same; repeating the append is safe.
	ErrUnavailable = errors.New("the event log does not answer")
	// ErrFull means that the log has no room: the disk is full or a limit of the stream is reached. Nothing was stored.
	ErrFull = errors.New("the event log has no room")
	// ErrNewer means that the data was written by a later version of this program.
	ErrNewer = errors.New("written by a newer version")
	// ErrReset means that the stream is shorter than the position to follow from: it was deleted or restored from a copy.
	ErrReset = errors.New("the event log was replaced")
	// ErrNoRegion means that the NATS has no streams of that region.
	ErrNoRegion = errors.New("there is no rtpjet region")
)

// errShare is ErrFull because the server has used up its share of the disk: history can yield.
var errShare = fmt.Errorf("%w", ErrFull)

// ConflictError reports an append that lost against another writer. It matches [ErrConflict].
type ConflictError struct {
	// Key is the key that was appended to.
	Key string
	// Last is the sequence at which the subject ends now; 0 if the server did not say.
	Last uint64

	inFlight bool // the server has taken another entry for the subject and does not know yet whether it will be stored
}

// errInFlight matches conflicts with an entry that cannot be read yet.
var errInFlight = errors.New("another entry for the call is being stored")

func (e *ConflictError) Error() string {
	return fmt.Sprintf("append to %s: %v (ends at %d)", e.Key, ErrConflict, e.Last)
}

// Is makes the error match [ErrConflict].
func (e *ConflictError) Is(target error) bool {
	return target == ErrConflict || target == errInFlight && e.inFlight
}

// Error codes of the JetStream API that this package tells apart. The text of an error is never compared.
const (
	codeNoMessage         = 10037
	codeResources         = 10023
	codeStorageResources  = 10047
	codeAccountResources  = 10002
	codeStoreFailed       = 10077
	codeMessageTooBig     = 10054
	codeWrongLastSeq      = 10071
	codeWrongLastSeqConst = 10164
	codeMaxStreamBytes    = 10122
	codeOfflineReason     = 10194
	codeOffline           = 10118
	codeRequiredAPILevel  = 10185
	codeReplicasAlone     = 10074
	codeNoPeers           = 10005
	codeNotEnabled        = 10039
	codeStreamNotFound    = 10059
)

// wrongLast finds the sequence that a server adds to the description of error 10071. It is a hint only.
var wrongLast = regexp.MustCompile(`(\d+)$`)

func conflict(key, description string) error {
	e := &ConflictError{Key: key}
	if m := wrongLast.FindString(description); m != "" {
		e.Last, _ = strconv.ParseUint(m, 10, 64)
	}
	return e
}

// apiError sorts a failed JetStream reply into the sentinels above.
func apiError(op, key string, status, code int, description string) error {
	switch code {
	case codeWrongLastSeq:
		return conflict(key, description)
	case codeWrongLastSeqConst:
		return &ConflictError{Key: key, inFlight: true}
	case codeResources, codeStorageResources, codeAccountResources:
		return fmt.Errorf("%s %s: %w: %s", op, key, errShare, description)
	case codeStoreFailed, codeMaxStreamBytes, codeMessageTooBig:
		return fmt.Errorf("%s %s: %w: %s", op, key, ErrFull, description)
	}
	if status == 503 || status == 408 || status == 429 {
		return fmt.Errorf("%s %s: %w: %s", op, key, ErrUnavailable, description)
	}
	return &apiFaultError{op: op, key: key, code: code, description: description}
}

// apiFaultError is an error of the JetStream API that has no sentinel.
type apiFaultError struct {
	op, key, description string
	code                 int
}

func (e *apiFaultError) Error() string {
	return fmt.Sprintf("%s %s: %s (error %d)", e.op, e.key, e.description, e.code)
}

// hasCode tells whether err has an error code of the JetStream API.
func hasCode(err error, code int) bool {
	var f *apiFaultError
	var api *jetstream.APIError
	return errors.As(err, &f) && f.code == code || errors.As(err, &api) && int(api.ErrorCode) == code
}

// requestError sorts an error of the client library.
func requestError(op, key string, err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return apiError(op, key, api.Code, int(api.ErrorCode), api.Description)
	}
	switch {
	case errors.Is(err, errLate), errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse),
		errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining),
		errors.Is(err, nats.ErrConnectionReconnecting), errors.Is(err, nats.ErrDisconnected),
		errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrInvalidConnection),
		errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("%s %s: %w: %w", op, key, ErrUnavailable, err)
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%s %s: %w: %w", op, key, ErrFull, err)
	}
	return fmt.Errorf("%s %s: %w", op, key, err)
}
