// Command events-go prints the calls of a rtpjet cluster that end, and the parties that fall silent, as lines of JSON:
//
//	go run ./examples/events-go --nats nats://127.0.0.1:4222
//	{"event":"silent","call":"a84b4c76e66710","tag":"from-1","media":0,"seconds":20.4,"packets_before":1042}
//	{"event":"ended","call":"a84b4c76e66710","reason":"deleted","seconds":31.872,"packets":2871,"bytes":493812,"one_way":0}
//
// It uses nothing of rtpjet but the contract in docs/events.md, so it can be copied into a program of your own.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	url := flag.String("nats", "nats://127.0.0.1:4222", "where NATS is; user and password may be in it")
	region := flag.String("region", "default", "the region whose calls to follow")
	stream := flag.String("stream", "", "the stream to read, if it is a copy of your own (CALLS_ and the region)")
	durable := flag.String("durable", "", "a name under which NATS remembers what was read, so that a restart misses nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := follow(ctx, *url, *region, cmp.Or(*stream, "CALLS_"+*region), *durable, os.Stdout); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "events-go:", err)
		os.Exit(1)
	}
}

// follow prints until ctx ends.
func follow(ctx context.Context, url, region, stream, durable string, out io.Writer) error {
	nc, err := nats.Connect(url, nats.Name("events-go"), nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	// From now on. A durable consumer that is there already goes on after what was acknowledged last.
	config := jetstream.ConsumerConfig{
		FilterSubject: "calls." + region + ".>", DeliverPolicy: jetstream.DeliverNewPolicy, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: 5 * time.Second, // what was not acknowledged then comes again
		Durable: durable,
	}
	if durable == "" {
		config.InactiveThreshold = 5 * time.Minute // NATS removes it then
	}
	consumer, err := js.CreateOrUpdateConsumer(ctx, stream, config)
	if err != nil {
		return fmt.Errorf("follow region %s: %w", region, err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	fmt.Fprintln(os.Stderr, "following the calls of region", region)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	for {
		m, err := messages.Next()
		if err != nil {
			return err
		}
		e, err := decode(m.Data())
		if err != nil {
			fmt.Fprintln(os.Stderr, "events-go: passing over an entry:", err)
		} else if line := tell(e); line != nil {
			if err := lines.Encode(line); err != nil {
				return err
			}
		}
		if err := m.Ack(); err != nil {
			return err
		}
	}
}

// entry is the first line of a message. What follows the line, the NG command and its reply, is not needed here.
type entry struct {
	Version int             `json:"v"`
	Kind    string          `json:"kind"`
	Call    string          `json:"call"`
	At      int64           `json:"at"` // µs of Unix time
	Event   json.RawMessage `json:"event"`
}

func decode(data []byte) (entry, error) {
	line, _, ok := bytes.Cut(data, []byte("\n"))
	if !ok {
		return entry{}, errors.New("it has no first line")
	}
	var e entry
	if err := json.Unmarshal(line, &e); err != nil {
		return entry{}, err
	}
	if e.Version != 1 { // the contract of another version may mean something else by the same words
		return entry{}, fmt.Errorf("it is of version %d", e.Version)
	}
	return e, nil
}

type ended struct {
	Event   string   `json:"event"`
	Call    string   `json:"call"`
	Reason  string   `json:"reason"`
	Seconds *float64 `json:"seconds"` // null if the entry is of an early release
	Packets uint64   `json:"packets"`
	Bytes   uint64   `json:"bytes"`
	OneWay  int      `json:"one_way"`
}

type silent struct {
	Event   string  `json:"event"`
	Call    string  `json:"call"`
	Tag     string  `json:"tag"`
	Media   int     `json:"media"`
	Seconds float64 `json:"seconds"`
	Before  uint64  `json:"packets_before"`
}

// tell returns what there is to print about an entry, nil for nothing. Kinds that it does not know are among those.
func tell(e entry) any {
	switch e.Kind {
	case "ended":
		var ev struct {
			Reason  string `json:"reason"`
			Created int64  `json:"created"`
			Until   int64  `json:"until"`
			RTP     struct {
				Packets uint64 `json:"packets"`
				Bytes   uint64 `json:"bytes"`
			} `json:"rtp"`
			OneWay int `json:"one_way"`
		}
		if json.Unmarshal(e.Event, &ev) != nil {
			return nil
		}
		out := ended{"ended", e.Call, ev.Reason, nil, ev.RTP.Packets, ev.RTP.Bytes, ev.OneWay}
		if ev.Created > 0 {
			s := seconds(cmp.Or(ev.Until, e.At) - ev.Created)
			out.Seconds = &s
		}
		return out
	case "leg_silent":
		var ev struct {
			Tag     string `json:"tag"`
			Media   int    `json:"media"`
			Since   int64  `json:"since"`
			Packets uint64 `json:"packets"`
		}
		if json.Unmarshal(e.Event, &ev) != nil {
			return nil
		}
		return silent{"silent", e.Call, ev.Tag, ev.Media, seconds(e.At - ev.Since), ev.Packets}
	}
	return nil
}

func seconds(us int64) float64 { return math.Round(float64(us)/1000) / 1000 }
