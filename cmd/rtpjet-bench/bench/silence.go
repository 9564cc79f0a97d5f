package bench

import (
	"encoding/gob"
	"fmt"
	"io"
	"slices"
	"time"
)

// Recording is everything that arrived at the phones of a run. Times are
// nanoseconds since 1970 of the one clock that the whole laboratory shares.
type Recording struct {
	Start, Stop int64 // when the first packet was due, and when no more were sent
	Streams     []Stream
}

// Stream is one direction of one call, as its receiver saw it.
type Stream struct {
	Call int
	Back bool   // from the callee to the caller
	Port uint16 // of the receiver
	Rate float64
	Fast bool // one of those whose silence is measured
	Sent uint64
	// Arrivals are in the order in which they came, repeated numbers included.
	Arrivals []Arrival
}

// Arrival is one packet that came.
type Arrival struct {
	Number   uint64
	Sent, At int64 // At is the kernel's receive time stamp
}

// Write writes the recording so that ReadRecording can read it.
func (r *Recording) Write(w io.Writer) error {
	if err := gob.NewEncoder(w).Encode(r); err != nil {
		return fmt.Errorf("write the recording: %w", err)
	}
	return nil
}

// ReadRecording reads what Write has written.
func ReadRecording(from io.Reader) (*Recording, error) {
	var r Recording
	if err := gob.NewDecoder(from).Decode(&r); err != nil {
		return nil, fmt.Errorf("read the recording: %w", err)
	}
	return &r, nil
}

// interval is the ordinary gap between two packets.
func (s *Stream) interval() int64 { return int64(float64(time.Second) / s.Rate) }

// Silence is what one stream's receiver suffered in a stretch of time.
type Silence struct {
	Longest    time.Duration // the longest gap between two packets, or from the last one to the end of the stretch
	From, To   int64         // its ends; To is 0 if nothing came after it
	Duplicates int           // packets that had come before
	Late       int           // packets that came after one with a higher number
}

// Silence looks for the longest gap that does not end before the time from, up to the time to.
func (s *Stream) Silence(from, to int64) Silence {
	var out Silence
	last := from // where nothing had come before, the silence is counted from here
	if len(s.Arrivals) > 0 {
		last = min(from, s.Arrivals[0].At)
	}
	note := func(began, ended, shown int64) {
		if gap := time.Duration(ended - began); gap > out.Longest {
			out.Longest, out.From, out.To = gap, began, shown
		}
	}
	var window seqWindow
	for _, a := range s.Arrivals {
		kind := window.add(a.Number)
		if a.At > to {
			break
		}
		if a.At >= from {
			switch kind {
			case arrivalDuplicate:
				out.Duplicates++
			case arrivalLate:
				out.Late++
			case arrivalNew:
			}
			note(last, a.At, a.At)
		}
		last = max(last, a.At)
	}
	if last < to {
		note(last, to, 0)
	}
	return out
}

// lost returns how many of the stream's packets never came.
func (s *Stream) lost() uint64 {
	var window seqWindow
	var came uint64
	for _, a := range s.Arrivals {
		if window.add(a.Number) != arrivalDuplicate {
			came++
		}
	}
	return s.Sent - min(came, s.Sent)
}

// deadAfter is how long a stream must be silent to count as dead: a second, and
// three packets of a slow one.
func (s *Stream) deadAfter() int64 { return max(int64(time.Second), 3*s.interval()) }

// SilenceSummary is what all streams of a recording suffered.
type SilenceSummary struct {
	Streams int `json:"streams"`
	Fast    int `json:"fast_streams"` // those of which silence and loss are given

	LongestMS       float64 `json:"longest_ms"`        // of all fast streams
	LongestAtMS     float64 `json:"longest_at_ms"`     // when it began, after the start of the stretch
	MedianLongestMS float64 `json:"median_longest_ms"` // the median of each fast stream's longest
	LostMedian      float64 `json:"lost_median"`       // packets a fast stream
	LostWorst       uint64  `json:"lost_worst"`
	Lost            uint64  `json:"lost"` // of all streams
	Duplicates      int     `json:"duplicates"`
	Late            int     `json:"late"`

	DeadSeconds float64 `json:"dead_s"` // in which any stream had been silent for a second or was about to be
	Dead        int     `json:"dead"`   // streams silent at the end
	OneWay      int     `json:"one_way"`
	DeadCalls   int     `json:"dead_calls"` // silent at the end both ways
}

// Summary sums up the stretch from the time from to the end of the recording.
func (r *Recording) Summary(from int64) SilenceSummary {
	out := SilenceSummary{Streams: len(r.Streams)}
	var longest []time.Duration
	var lost []uint64
	var dead stretches
	silent := map[int]int{}
	for i := range r.Streams {
		s := &r.Streams[i]
		n := s.lost()
		out.Lost += n
		silence := s.Silence(from, r.Stop)
		out.Duplicates += silence.Duplicates
		out.Late += silence.Late
		if s.Fast {
			out.Fast++
			if ms := milliseconds(silence.Longest); ms > out.LongestMS {
				out.LongestMS, out.LongestAtMS = ms, milliseconds(time.Duration(silence.From-from))
			}
			longest, lost = append(longest, silence.Longest), append(lost, n)
		}
		if s.gaps(from, r.Stop, &dead) {
			out.Dead++
			silent[s.Call]++
		}
	}
	for _, n := range silent {
		if n == 1 {
			out.OneWay++
		} else {
			out.DeadCalls++
		}
	}
	out.DeadSeconds = dead.length().Seconds()
	if out.Fast > 0 {
		slices.Sort(longest)
		slices.Sort(lost)
		out.MedianLongestMS = (milliseconds(longest[(len(longest)-1)/2]) + milliseconds(longest[len(longest)/2])) / 2
		out.LostMedian = float64(lost[(len(lost)-1)/2]+lost[len(lost)/2]) / 2
		out.LostWorst = lost[len(lost)-1]
	}
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// gaps adds the stretches in which the stream was dead, and says whether it still
// was at the end.
func (s *Stream) gaps(from, to int64, dead *stretches) (atEnd bool) {
	last := from
	if len(s.Arrivals) > 0 {
		last = min(from, s.Arrivals[0].At)
	}
	for _, a := range s.Arrivals {
		if a.At > to {
			break
		}
		if a.At >= from && a.At-last > s.deadAfter() {
			dead.add(last, a.At)
		}
		last = max(last, a.At)
	}
	if to-last > s.deadAfter() {
		dead.add(last, to)
		return true
	}
	return false
}

// stretches is a set of stretches of time.
type stretches [][2]int64

func (s *stretches) add(from, to int64) { *s = append(*s, [2]int64{from, to}) }

// length returns how much time lies in any of them.
func (s stretches) length() time.Duration {
	slices.SortFunc(s, func(a, b [2]int64) int { return int(min(max(a[0]-b[0], -1), 1)) })
	var sum, end int64
	for _, p := range s {
		if from := max(p[0], end); p[1] > from {
			sum += p[1] - from
		}
		end = max(end, p[1])
	}
	return time.Duration(sum)
}

// Longest returns the longest silence of all fast streams, in ms, in a stretch of
// the recording.
func (r *Recording) Longest(from, to int64) float64 {
	var longest time.Duration
	for i := range r.Streams {
		if s := &r.Streams[i]; s.Fast {
			longest = max(longest, s.Silence(from, to).Longest)
		}
	}
	return milliseconds(longest)
}
