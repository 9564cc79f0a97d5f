package embed

import (
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Entry is one entry of the log.
type Entry struct {
	// Seq is the entry's place in the stream of the region. It grows from entry to entry, not always by one.
	Seq uint64
	// Key is what the entry was appended to.
	Key string
	// Data is what was appended. It belongs to the receiver.
	Data []byte
	// Time is when the log took the entry, by the clock of the stream's leader.
	Time time.Time
	// Pending is how many entries the stream has after this one, as far as was known when it was sent. Only Follow sets it.
	Pending uint64
}

// delivery is what the reply subject of a delivered message tells.
type delivery struct {
	streamSeq, consumerSeq, pending uint64
	time                            int64 // ns since 1970
}

// parseDelivery reads $JS.ACK.<stream>.<consumer>.<n>.<sseq>.<cseq>.<time>.<pending>, or the longer form that has a
// domain and an account before the stream and may have more at the end.
func parseDelivery(reply string) (d delivery, ok bool) {
	const prefix = "$JS.ACK."
	if !strings.HasPrefix(reply, prefix) {
		return d, false
	}
	var tokens [12]string
	n := 0
	for rest := reply[len(prefix):]; n < len(tokens); n++ {
		var more bool
		if tokens[n], rest, more = strings.Cut(rest, "."); !more {
			n++
			break
		}
	}
	t := tokens[:n]
	switch {
	case n == 7:
		t = t[3:]
	case n >= 9:
		t = t[5:]
	default:
		return d, false
	}
	var err [4]error
	d.streamSeq, err[0] = strconv.ParseUint(t[0], 10, 64)
	d.consumerSeq, err[1] = strconv.ParseUint(t[1], 10, 64)
	d.time, err[2] = strconv.ParseInt(t[2], 10, 64)
	d.pending, err[3] = strconv.ParseUint(t[3], 10, 64)
	return d, err == [4]error{}
}

// status is the code of a message that the server sends on its own account, or "".
func status(m *nats.Msg) string {
	if len(m.Data) > 0 || len(m.Header) == 0 {
		return ""
	}
	return m.Header.Get("Status")
}
