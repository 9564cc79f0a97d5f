package oldlogs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/history"
	"rtpjet/projection/replay"
)

// Calls are the histories in a file of a corpus, the keys that seal their secrets opened, in the order of their first events.
func Calls(file string) (list []Call, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	sealer, err := sealerOf(file)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	if strings.HasSuffix(file, ".rtpjet") {
		b, err := replay.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, r := range b.Records {
			if r.Lost != "" {
				return nil, fmt.Errorf("%s: event %d is lost: %s", file, r.Seq, r.Lost)
			}
			entries = append(entries, Entry{Seq: r.Seq, Stored: r.Stored, Data: r.Data})
		}
	} else if entries, err = Entries(data); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, in := range entries {
		env, err := events.Decode(in.Data)
		if err == nil {
			env, err = sealer.Open(env)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: event %d: %w", file, in.Seq, err)
		}
		i := slices.IndexFunc(list, func(c Call) bool { return c.ID == env.Call })
		if i < 0 {
			i, list = len(list), append(list, Call{ID: env.Call})
		}
		list[i].Entries = append(list[i].Entries, history.Entry{Seq: in.Seq, Stored: in.Stored, Envelope: env})
		list[i].Raw = append(list[i].Raw, in)
	}
	return list, nil
}

// Call is the history of one call-id.
type Call struct {
	ID      string
	Entries []history.Entry
	Raw     []Entry
}

// sealerOf opens what a file has sealed, with the key whose name the file's begins with.
func sealerOf(file string) (*events.Sealer, error) {
	names, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*.key"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasPrefix(file, strings.TrimSuffix(name, ".key")) {
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			return events.NewSealer(bytes.TrimSpace(text))
		}
	}
	return events.NewSealer()
}

// Fold is the state of a call after each of its events.
func (c *Call) Fold() []State {
	out := make([]State, len(c.Entries))
	call := &projection.Call{ID: c.ID}
	for i, e := range c.Entries {
		if o, ok := e.Event.(events.Offered); ok && o.Owner != "" && e.Seq <= call.Seq { // the stream of another region, or a new one
			call = &projection.Call{ID: c.ID}
		}
		call.Apply(e.Seq, e.Envelope)
		out[i] = StateOf(call)
	}
	return out
}

// AppendStates writes what calls were folded to: a line "call ID", and for each event a line with its sequence and its kind,
// behind which what it has changed stands, a path and its value a line.
func AppendStates(dst []byte, list []Call) []byte {
	for i := range list {
		c := &list[i]
		dst = fmt.Appendf(dst, "call %q\n", c.ID)
		was := State{}
		for j, s := range c.Fold() {
			dst = fmt.Appendf(dst, "event %d %s\n", c.Entries[j].Seq, events.KindOf(c.Entries[j].Event))
			for _, ch := range Changes(was, s) {
				dst = fmt.Appendf(dst, "\t%s %s\n", ch.Path, ch.Value)
			}
			was = s
		}
	}
	return dst
}

// Told is what a state file says of a call.
type Told struct {
	ID      string
	Seqs    []uint64
	Changes [][]Change
}

// States reads what AppendStates wrote.
func States(data []byte) (out []Told, err error) {
	for i, l := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		word, rest, _ := strings.Cut(l, " ")
		switch {
		case word == "call":
			id, err := strconv.Unquote(rest)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			out = append(out, Told{ID: id})
		case len(out) == 0:
			return nil, fmt.Errorf("line %d: no call", i+1)
		case word == "event":
			c := &out[len(out)-1]
			seq, _, _ := strings.Cut(rest, " ")
			n, err := strconv.ParseUint(seq, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			c.Seqs, c.Changes = append(c.Seqs, n), append(c.Changes, nil)
		case strings.HasPrefix(word, "\t") && len(out[len(out)-1].Changes) > 0:
			c := &out[len(out)-1]
			last := &c.Changes[len(c.Changes)-1]
			*last = append(*last, Change{word[1:], rest})
		default:
			return nil, fmt.Errorf("line %d: %q", i+1, l)
		}
	}
	return out, nil
}

// Files are those of a corpus that have histories.
func Files(dir string) ([]string, error) {
	var out []string
	for _, pattern := range []string{"*.jsonl", "bundles/*.rtpjet"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, err
		}
		out = append(out, names...)
	}
	return out, nil
}

// StateFile is where the states of a file of a corpus are.
func StateFile(file string) string {
	return strings.TrimSuffix(file, filepath.Ext(file)) + ".state"
}
