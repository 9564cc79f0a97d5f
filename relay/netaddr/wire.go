package netaddr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The language between a process and its guard: frames on two pipes.
//
//	kind (1) | length of the payload (2) | when it was written (8) | payload
//
// A frame is at most as long as the kernel writes to a pipe in one piece.

type kind byte

// Frames to the guard, and from it.
const (
	kindAlive kind = 'a' // no payload
	kindHold  kind = 'h' // addresses
	kindLet   kind = 'l' // addresses

	kindReady   kind = 'R' // how the guard runs, for the log
	kindFailed  kind = 'F' // why it cannot
	kindRemoved kind = 'r' // addresses
	kindLog     kind = 'w' // a record, see guardlog.go
)

const (
	frameHeader = 11
	maxFrame    = 4096 // PIPE_BUF of Linux
	maxPayload  = maxFrame - frameHeader
)

// frame is a message.
type frame struct {
	kind    kind
	at      time.Duration // on the clock of bootTime
	payload []byte
}

func (f frame) append(b []byte) []byte {
	b = append(b, byte(f.kind))
	b = binary.BigEndian.AppendUint16(b, uint16(len(f.payload)))
	b = binary.BigEndian.AppendUint64(b, uint64(f.at))
	return append(b, f.payload...)
}

// decoder cuts what is read from a pipe into frames.
type decoder struct{ rest []byte }

func (d *decoder) write(b []byte) { d.rest = append(d.rest, b...) }

// next returns the next whole frame. Its payload is good until the next write.
func (d *decoder) next() (f frame, ok bool, err error) {
	if len(d.rest) < frameHeader {
		return frame{}, false, nil
	}
	f.kind = kind(d.rest[0])
	size := int(binary.BigEndian.Uint16(d.rest[1:]))
	f.at = time.Duration(binary.BigEndian.Uint64(d.rest[3:]))
	if size > maxPayload || !strings.ContainsRune("ahlRFrw", rune(f.kind)) || f.at < 0 {
		return frame{}, false, errors.New("read a message of the guard's pipe: it is damaged")
	}
	if len(d.rest) < frameHeader+size {
		return frame{}, false, nil
	}
	f.payload = d.rest[frameHeader : frameHeader+size]
	d.rest = d.rest[frameHeader+size:]
	return f, true, nil
}

// addressFrames puts addresses into as many frames as they need.
func addressFrames(k kind, at time.Duration, addrs []Address) []frame {
	var frames []frame
	var payload []byte
	for _, a := range addrs {
		s := a.String()
		if len(payload)+len(s)+1 > maxPayload {
			frames = append(frames, frame{k, at, payload})
			payload = nil
		}
		payload = append(append(payload, s...), '\n')
	}
	if payload != nil {
		frames = append(frames, frame{k, at, payload})
	}
	return frames
}

// addresses reads what addressFrames writes.
func (f frame) addresses() ([]Address, error) {
	var addrs []Address
	for s := range strings.Lines(string(f.payload)) {
		a, err := Parse(strings.TrimSuffix(s, "\n"))
		if err != nil {
			return nil, fmt.Errorf("read a message of the guard's pipe: %w", err)
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}
