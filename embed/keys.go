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
	return l.pageKeys(func(req []byte, page *streamReply) error {
		return l.callAPI(ctx, "list the keys of", l.callsStream(), "STREAM.INFO."+l.callsStream(), req, page)
	})
}

// HomeKeys is [Log.Keys] of the stream at home, asked from a mirror: one round trip for each page. A mirror that was cut off for
// long may have missed the end of a call, whose entries have left the stream at home since.
func (l *Log) HomeKeys(ctx context.Context) (map[string]uint64, error) {
	ctx, cancel := withDeadline(ctx, openTimeout)
	defer cancel()
	return l.pageKeys(func(req []byte, page *streamReply) error { return l.askHome(ctx, l.callsStream(), req, page) })
}

// pageKeys asks for the keys of the live stream, page by page.
func (l *Log) pageKeys(ask func(req []byte, page *streamReply) error) (map[string]uint64, error) {
	keys := make(map[string]uint64)
	for offset := 0; ; {
		var page streamReply
		if err := ask(fmt.Appendf(nil, `{"subjects_filter":%q,"offset":%d}`, l.prefix+">", offset), &page); err != nil {
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
