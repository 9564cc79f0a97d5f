package embed

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// Headers of an atomic batch (NATS ADR-50).
const (
	headerBatchID     = "Nats-Batch-Id"
	headerBatchSeq    = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
	maxBatch          = 1000 // messages, the server's limit
)

// AppendAll appends entries to a key that ends with last, all of them or none, and returns the sequence of the last one. If the key
// ends with another one the error matches [ErrConflict]. An error that matches [ErrUnavailable] leaves open whether they were stored.
//
// While the log has no leader, or has as many batches begun as it takes at once, AppendAll tries again for as long as ctx allows;
// without a deadline for at most 5 s.
func (l *Log) AppendAll(ctx context.Context, key string, last uint64, list [][]byte) (uint64, error) {
	switch n := len(list); {
	case n == 0:
		return 0, errors.New("append nothing")
	case n == 1:
		return l.Append(ctx, key, last, list[0])
	case n > maxBatch:
		return 0, fmt.Errorf("append to %s: %d entries are more than the %d that can be written at once", key, n, maxBatch)
	}
	ctx, cancel := withDeadline(ctx, appendTimeout)
	defer cancel()
	for {
		seq, err := l.appendBatch(ctx, key, last, list)
		if err == nil || !l.tryAgain(ctx, err) { // what went without an answer has waited until ctx ended
			return seq, err
		}
	}
}

// appendBatch makes one attempt to append several entries.
func (l *Log) appendBatch(ctx context.Context, key string, last uint64, list [][]byte) (uint64, error) {
	id := nuid.Next()
	for i, data := range list[:len(list)-1] {
		m := nats.Msg{Subject: l.prefix + key, Data: data, Header: nats.Header{
			headerBatchID: []string{id}, headerBatchSeq: []string{strconv.Itoa(i + 1)},
		}}
		if i > 0 {
			if err := l.nc.PublishMsg(&m); err != nil {
				return 0, requestError("append to", key, err)
			}
			continue
		}
		m.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(last, 10)}
		reply, err := l.req.do(ctx, &m) // the server says so if it takes no batch
		if err != nil {
			return 0, requestError("append to", key, err)
		}
		if len(reply.Data) > 0 {
			if ack, err := parseAck(reply.Data); err == nil && ack.Error != nil {
				return 0, apiError("append to", key, ack.Error.Code, ack.Error.ErrCode, ack.Error.Description)
			}
		}
	}
	reply, err := l.req.do(ctx, &nats.Msg{Subject: l.prefix + key, Data: list[len(list)-1], Header: nats.Header{
		headerBatchID: []string{id}, headerBatchSeq: []string{strconv.Itoa(len(list))}, headerBatchCommit: []string{"1"},
	}})
	if err != nil {
		return 0, requestError("append to", key, err)
	}
	ack, err := parseAck(reply.Data)
	switch {
	case err != nil:
		return 0, fmt.Errorf("append to %s: %w", key, err)
	case ack.Error != nil:
		return 0, apiError("append to", key, ack.Error.Code, ack.Error.ErrCode, ack.Error.Description)
	}
	return ack.Seq, nil
}
