package embed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// sentinels are what callers branch on.
var sentinels = []error{ErrConflict, ErrUnavailable, ErrFull, ErrNewer, ErrReset, ErrNoRegion, ErrNobody}

// matches are those of the sentinels that an error matches.
func matches(err error) (list []error) {
	for _, s := range sentinels {
		if errors.Is(err, s) {
			list = append(list, s)
		}
	}
	return list
}

// TestAPIError: what the server answers, by code and status, and what a caller may do about it.
func TestAPIError(t *testing.T) {
	for _, c := range []struct {
		status, code int
		text         string
		want         error // nil: none of the sentinels
	}{
		{400, codeWrongLastSeq, "wrong last sequence: 7", ErrConflict},
		{400, codeWrongLastSeqConst, "wrong last sequence", ErrConflict},
		{500, codeResources, "insufficient resources", ErrFull},
		{500, codeStorageResources, "insufficient storage resources available", ErrFull},
		{400, codeAccountResources, "resource limits exceeded for account", ErrFull},
		{503, codeStoreFailed, "no space left on device", ErrFull},
		{400, codeMaxStreamBytes, "maximum bytes exceeded", ErrFull},
		{400, codeMessageTooBig, "message size exceeds maximum allowed", ErrFull},
		{503, 10008, "JetStream system temporarily unavailable", ErrUnavailable},
		{408, 0, "Request Timeout", ErrUnavailable},
		{429, 10167, "too many requests", ErrUnavailable},
		{404, codeStreamNotFound, "stream not found", nil},
		{400, 10003, "bad request", nil},
	} {
		err := apiError("append to", "k", c.status, c.code, c.text)
		got := matches(err)
		if c.want == nil && len(got) != 0 || c.want != nil && (len(got) != 1 || got[0] != c.want) {
			t.Errorf("%d %d %s: %v matches %v, want %v", c.status, c.code, c.text, err, got, c.want)
		}
		if !strings.HasPrefix(err.Error(), "append to k: ") {
			t.Errorf("%v does not say what was done", err)
		}
		if hasCode(err, c.code) != (c.want == nil) {
			t.Errorf("%v: code %d", err, c.code)
		}
		// The client library's own error of the same answer is sorted in the same way.
		api := &jetstream.APIError{Code: c.status, ErrorCode: jetstream.ErrorCode(c.code), Description: c.text}
		if other := requestError("append to", "k", fmt.Errorf("nats: %w", api)); other.Error() != err.Error() {
			t.Errorf("by the client library: %v, want %v", other, err)
		}
	}
}

// TestConflict: who lost knows where the subject ends, if the server said so, and whether what is in the way can be read yet.
func TestConflict(t *testing.T) {
	for _, c := range []struct {
		code     int
		text     string
		last     uint64
		inFlight bool
	}{
		{codeWrongLastSeq, "wrong last sequence: 712", 712, false},
		{codeWrongLastSeq, "wrong last sequence", 0, false},
		{codeWrongLastSeqConst, "wrong last sequence", 0, true},
	} {
		var e *ConflictError
		err := apiError("append to", "k", 400, c.code, c.text)
		if !errors.As(err, &e) || e.Key != "k" || errors.Is(err, errInFlight) != c.inFlight {
			t.Fatalf("%s: %v", c.text, err)
		}
		if e.Last != c.last {
			t.Errorf("%s: ends at %d, want %d", c.text, e.Last, c.last)
		}
		if want := fmt.Sprintf("append to k: the call was changed by another writer (ends at %d)", e.Last); e.Error() != want {
			t.Errorf("%s, want %s", e.Error(), want)
		}
	}
}

// TestRequestError: what goes wrong on the way to the server leaves open what became of a write.
func TestRequestError(t *testing.T) {
	for _, err := range []error{
		errLate, nats.ErrNoResponders, nats.ErrTimeout, context.DeadlineExceeded, nats.ErrConnectionClosed, nats.ErrConnectionReconnecting,
		nats.ErrDisconnected, nats.ErrReconnectBufExceeded, nats.ErrInvalidConnection, jetstream.ErrNoStreamResponse,
		jetstream.ErrJetStreamNotEnabled, jetstream.ErrJetStreamNotEnabledForAccount,
	} {
		got := requestError("read", "k", fmt.Errorf("wrapped: %w", err))
		var api *jetstream.APIError
		if errors.As(err, &api) { // which is sorted by its code
			continue
		}
		if m := matches(got); len(m) != 1 || m[0] != ErrUnavailable || !errors.Is(got, err) {
			t.Errorf("%v: %v matches %v", err, got, m)
		}
	}
	if got := requestError("append to", "k", nats.ErrMaxPayload); !errors.Is(got, ErrFull) || errors.Is(got, ErrUnavailable) {
		t.Errorf("too large: %v", got)
	}
	for _, err := range []error{context.Canceled, io.ErrUnexpectedEOF} {
		if got := requestError("read", "k", err); len(matches(got)) != 0 || !errors.Is(got, err) {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// TestExplainOpen: the sentences for who starts a node.
func TestExplainOpen(t *testing.T) {
	api := func(status, code int, text string) error {
		return &jetstream.APIError{Code: status, ErrorCode: jetstream.ErrorCode(code), Description: text}
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("it is of format 2, %w", ErrNewer), "run that version, or choose another --region or --data-dir"},
		{api(500, codeOfflineReason, "unsupported"), "written by a newer version: unsupported; run that version"},
		{api(400, codeRequiredAPILevel, "requires level 9"), "written by a newer version"},
		{api(400, codeReplicasAlone, "replicas > 1 not supported in non-clustered mode"), "on 3 servers: replicas > 1 not supported in non-clustered mode; start the other servers, or ask for fewer with --nats-replicas"},
		{api(400, codeNoPeers, "no suitable peers for placement"), "start the other servers"},
		{api(500, codeStorageResources, "insufficient storage"), "free some space, or choose another --data-dir"},
		{nats.ErrTimeout, "check that NATS runs with JetStream switched on"},
		{io.ErrUnexpectedEOF, "unexpected EOF"},
	} {
		got := explainOpen(c.err, "stream CALLS_r", Config{Replicas: 3}).Error()
		if !strings.Contains(got, c.want) || !strings.Contains(got, "the NATS stream CALLS_r") || strings.Contains(got, "\n") {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
	}
	for err, want := range map[error]string{
		nats.ErrAuthorization: "it refuses our credentials",
		context.Canceled:      "connect to NATS at nats://a: context canceled",
		nats.ErrNoServers:     "check --nats and that the server runs",
	} {
		if got := explainConnect("nats://a", err); !strings.Contains(got.Error(), want) || !strings.Contains(got.Error(), "nats://a") {
			t.Errorf("%v: %v, want %s", err, got, want)
		}
	}
}
