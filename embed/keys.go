package embed

import (
	"context"
	"fmt"
	"strings"
)

// Keys returns every key that has entries in the live stream now, with their number. The stream's leader answers, in pages;
// what changes meanwhile may be in it or not. It takes about 50 bytes a key.
func (l *Log) Keys(ctx context.Context) (map[string]uint64, error) {
	ctx, cancel := withDeadline(ctx, appendTimeout)
	defer cancel()
	keys := make(map[string]uint64)
	for offset := 0; ; {
		req := fmt.Sprintf(`{"subjects_filter":%q,"offset":%d}`, l.prefix+">", offset)
		var page streamReply
		if err := l.ask(ctx, "list the keys of", l.callsStream(), "STREAM.INFO."+l.callsStream(), []byte(req), &page); err != nil {
			return nil, err
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
