package embed

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"rtpjet/embed/internal/names"
)

// The index says which messages of the archive have entries of a key, so that a call's history is not looked for in all that
// lies around it: every block of the archive has messages of every partition, and a filter by subject reads all of them. What
// was measured on 2 cores is in docs/measurements.md.
//
// It is a stream of its own, one message a round, written when the round is confirmed: for each message of the round its
// sequence and 4 bytes for each key in it. Nobody depends on it. What no index message names is read as it was before there was an
// index: what an earlier release archived, the round of this moment, and a round whose index was lost.

// indexFormat is the first byte of each index message.
const indexFormat = 1

// indexHash is what the index has of a key. Another key may have the same: whoever reads compares keys.
func indexHash(key string) uint32 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))
	return uint32(h.Sum64() >> 16)
}

// appendIndex writes what an archive message has under its sequence.
func appendIndex(b []byte, seq uint64, message []byte) ([]byte, error) {
	var hashes []uint32
	err := eachArchived(message, func(e Entry) { hashes = append(hashes, indexHash(e.Key)) })
	slices.Sort(hashes)
	hashes = slices.Compact(hashes)
	b = binary.AppendUvarint(b, seq)
	b = binary.AppendUvarint(b, uint64(len(hashes)))
	for _, h := range hashes {
		b = binary.LittleEndian.AppendUint32(b, h)
	}
	return b, err
}

var errIndexMessage = errors.New("malformed index message")

// eachIndexed calls f with each archive message that an index message names, and with whether a hash is in it.
func eachIndexed(b []byte, hash uint32, f func(seq uint64, has bool)) error {
	if len(b) == 0 || b[0] != indexFormat {
		return fmt.Errorf("%w: unknown format", errIndexMessage)
	}
	for b = b[1:]; len(b) > 0; {
		seq, n := binary.Uvarint(b)
		if n <= 0 {
			return errIndexMessage
		}
		b = b[n:]
		count, n := binary.Uvarint(b)
		if n <= 0 || count > uint64(len(b)-n)/4 {
			return errIndexMessage
		}
		has := false
		for hashes := b[n : n+4*int(count)]; len(hashes) > 0; hashes = hashes[4:] {
			if binary.LittleEndian.Uint32(hashes) == hash {
				has = true
				break
			}
		}
		f(seq, has)
		b = b[n+4*int(count):]
	}
	return nil
}

// publishIndex writes the index of a round. Without it the round is only slower to read.
func (a *archiver) publishIndex(ctx context.Context, msgs []*nats.Msg, seqs []uint64) {
	ctx, cancel := context.WithTimeout(ctx, indexTime)
	defer cancel()
	subject := names.IndexSubject(a.l.cfg.Region)
	var list []*nats.Msg
	var b []byte
	for i, m := range msgs {
		if b == nil {
			b = []byte{indexFormat}
		}
		var err error
		if b, err = appendIndex(b, seqs[i], m.Data); err != nil {
			return
		}
		if len(b) > archiveMaxBatch || i == len(msgs)-1 {
			list, b = append(list, &nats.Msg{Subject: subject, Data: b}), nil
		}
	}
	if _, err := a.publish(ctx, list); err != nil && ctx.Err() == nil {
		a.l.log.Warn("a round of the archive has no index; histories take longer to read", "err", err)
	}
}

// indexTime bounds the writing of an index: the next round waits for it.
const indexTime = 5 * time.Second

// found is what the index says about a key.
type found struct {
	seqs []uint64    // archive messages that may have entries of it, in order
	gaps [][2]uint64 // first and last sequence of archive messages that the index does not know
}

// lookUp asks the index for a key. first and last are the ends of the archive.
func (l *Log) lookUp(ctx context.Context, key string, first, last uint64) (out found, err error) {
	known := make([]uint64, (last-first)/64+1) // a bit for each sequence
	hash := indexHash(key)
	err = l.readStream(ctx, names.Index(l.cfg.Region), names.IndexSubject(l.cfg.Region), 0, func(_ uint64, data []byte) error {
		return eachIndexed(data, hash, func(seq uint64, has bool) {
			if seq < first || seq > last {
				return
			}
			known[(seq-first)/64] |= 1 << ((seq - first) % 64)
			if has {
				out.seqs = append(out.seqs, seq)
			}
		})
	})
	if err != nil {
		return found{}, err
	}
	slices.Sort(out.seqs)
	out.seqs = slices.Compact(out.seqs)
	for seq := first; seq <= last; seq++ {
		bits := known[(seq-first)/64]
		switch {
		case bits == ^uint64(0) && (seq-first)%64 == 0:
			seq += 63
		case bits&(1<<((seq-first)%64)) == 0:
			if n := len(out.gaps); n > 0 && out.gaps[n-1][1] == seq-1 {
				out.gaps[n-1][1] = seq
			} else {
				out.gaps = append(out.gaps, [2]uint64{seq, seq})
			}
		}
	}
	return out, nil
}
