package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"
)

const msec = int64(time.Millisecond)

// every makes the arrivals of a stream with a packet each 20 ms from the time 0, but
// for those numbers that are left out.
func every(packets int, without ...uint64) (all []Arrival) {
next:
	for n := range uint64(packets) {
		for _, w := range without {
			if n == w {
				continue next
			}
		}
		at := int64(n) * 20 * msec
		all = append(all, Arrival{Number: n, Sent: at, At: at + msec})
	}
	return all
}

func stream(call int, back bool, sent uint64, arrivals []Arrival) Stream {
	return Stream{Call: call, Back: back, Rate: 50, Fast: true, Sent: sent, Arrivals: arrivals}
}

func TestSilenceFindsTheLongestGap(t *testing.T) {
	s := stream(0, false, 100, every(100, 50, 51))
	for _, c := range []struct {
		name     string
		from, to int64
		want     Silence
	}{
		{"all", 0, 2000 * msec, Silence{Longest: 60 * time.Millisecond, From: 981 * msec, To: 1041 * msec}},
		{"from within the gap", 1000 * msec, 2000 * msec, Silence{Longest: 60 * time.Millisecond, From: 981 * msec, To: 1041 * msec}},
		{"after it", 1050 * msec, 2000 * msec, Silence{Longest: 20 * time.Millisecond, From: 1041 * msec, To: 1061 * msec}},
		{"to within the gap", 0, 1030 * msec, Silence{Longest: 49 * time.Millisecond, From: 981 * msec}},
		{"silent at the end", 0, 3000 * msec, Silence{Longest: 1019 * time.Millisecond, From: 1981 * msec}},
	} {
		if got := s.Silence(c.from, c.to); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	if n := s.lost(); n != 2 {
		t.Errorf("%d packets lost", n)
	}
}

func TestSilenceOfAStreamThatNeverCame(t *testing.T) {
	s := stream(0, false, 100, nil)
	if got, want := s.Silence(10, 500), (Silence{Longest: 490, From: 10}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if n := s.lost(); n != 100 {
		t.Errorf("%d packets lost", n)
	}
}

func TestSilenceCountsWhatTwoSendersDo(t *testing.T) {
	arrivals := every(10)
	arrivals = append(arrivals, Arrival{Number: 9, At: 182 * msec}, Arrival{Number: 12, At: 240 * msec}, Arrival{Number: 11, At: 241 * msec})
	s := stream(0, false, 13, arrivals)
	got := s.Silence(0, 250*msec)
	if got.Duplicates != 1 || got.Late != 1 {
		t.Errorf("%d duplicates, %d late", got.Duplicates, got.Late)
	}
	if n := s.lost(); n != 1 {
		t.Errorf("%d packets lost, want number 10", n)
	}
}

func TestSummaryTellsDeadFromOneWayFromAlive(t *testing.T) {
	slow := Stream{Call: 3, Rate: 1, Sent: 4}
	for n := range uint64(4) {
		slow.Arrivals = append(slow.Arrivals, Arrival{Number: n, At: int64(n) * 1000 * msec})
	}
	r := Recording{Stop: 4000 * msec, Streams: []Stream{
		stream(0, false, 200, every(200)), stream(0, true, 200, every(200)),
		stream(1, false, 200, every(50)), stream(1, true, 200, every(200)), // dead from 1 s on, one way
		stream(2, false, 200, every(50)), stream(2, true, 200, every(25)), // dead both ways
		slow,
	}}
	got := r.Summary(500 * msec)
	if got.Streams != 7 || got.Fast != 6 || got.Dead != 3 || got.OneWay != 1 || got.DeadCalls != 1 {
		t.Errorf("%d streams, %d fast; %d dead, %d calls one way, %d dead", got.Streams, got.Fast, got.Dead, got.OneWay, got.DeadCalls)
	}
	// The first of them fell silent with its packet of 480 ms.
	if want := 4 - 0.481; got.DeadSeconds != want {
		t.Errorf("dead for %v s, want %v", got.DeadSeconds, want)
	}
	if got.LongestMS != 3519 || got.LostWorst != 175 || got.Lost != 475 {
		t.Errorf("longest %v ms, worst %d lost, %d in all", got.LongestMS, got.LostWorst, got.Lost)
	}
}

func TestDeadStretchesAreCountedOnce(t *testing.T) {
	s := stretches{{5, 9}, {1, 3}, {2, 4}, {8, 8}, {6, 7}}
	if got := s.length(); got != 7 {
		t.Errorf("%d, want 7", got)
	}
}

// TestSummaryOfARecordedCut reads what arrived on six streams around a cable that
// was cut 5 ms after the time of 0.2 s.
func TestSummaryOfARecordedCut(t *testing.T) {
	b, err := os.ReadFile("testdata/cut.json")
	if err != nil {
		t.Fatal(err)
	}
	var r Recording
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	got := r.Summary(200 * msec)
	want := SilenceSummary{
		Streams: 6, Fast: 6, LongestMS: 80.146253, LongestAtMS: 0.012521, MedianLongestMS: got.MedianLongestMS, LostMedian: 2, LostWorst: 3, Lost: 13,
	}
	if got != want || got.MedianLongestMS < 59.8 || got.MedianLongestMS > 59.9 {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if before := r.Longest(50*msec, 200*msec); before < 20 || before > 30 {
		t.Errorf("before the cut %v ms", before)
	}
}

func TestRecordingSurvivesItsFile(t *testing.T) {
	r := &Recording{Start: 1, Stop: 2, Streams: []Stream{stream(7, true, 3, every(3))}}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := ReadRecording(&b)
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%+v (%v), want %+v", got, err, r)
	}
	if _, err := ReadRecording(bytes.NewReader([]byte("no recording"))); err == nil {
		t.Error("anything is read as a recording")
	}
}
