package embed

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// HomeKeys is [Log.Keys] of the stream at home, asked from a mirror: one round trip for each page of keys. A mirror that was cut
// off for long may have missed the end of a call, whose entries have left the stream at home since.
func (l *Log) HomeKeys(ctx context.Context) (map[string]uint64, error) {
	ctx, cancel := withDeadline(ctx, openTimeout)
	defer cancel()
	op := "ask region " + l.cfg.Region + " for the keys of"
	keys := make(map[string]uint64)
	for offset := 0; ; {
		m, err := l.req.do(ctx, &nats.Msg{
			Subject: apiPrefix(l.cfg.Region) + "STREAM.INFO." + l.callsStream(),
			Data:    fmt.Appendf(nil, `{"subjects_filter":%q,"offset":%d}`, l.prefix+">", offset),
		})
		if err != nil {
			return nil, requestError(op, l.callsStream(), err)
		}
		var page streamReply
		if err := json.Unmarshal(m.Data, &page); err != nil {
			return nil, fmt.Errorf("%s %s: decode the answer: %w", op, l.callsStream(), err)
		}
		if f := page.Error; f != nil {
			return nil, apiError(op, l.callsStream(), f.Code, f.ErrCode, f.Description)
		}
		for subject, n := range page.State.Subjects {
			keys[strings.TrimPrefix(subject, l.prefix)] = n
		}
		offset += len(page.State.Subjects)
		if len(page.State.Subjects) == 0 || offset >= page.Total {
			return keys, nil
		}
	}
}
