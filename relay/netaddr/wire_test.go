package netaddr

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWire(t *testing.T) {
	var addrs []Address
	for i := range 300 {
		addrs = append(addrs, Address{Prefix: netip.MustParsePrefix(fmt.Sprintf("fd00:1111:2222:3333:4444:5555:6666:%x/64", i)), Device: "bond0.1234"})
	}
	sent := append(addressFrames(kindHold, 7*time.Second, addrs), frame{kind: kindAlive, at: 8 * time.Second})
	var b []byte
	for _, f := range sent {
		whole := f.append(nil)
		if len(whole) > maxFrame {
			t.Errorf("a frame of %d bytes", len(whole))
		}
		b = append(b, whole...)
	}
	var d decoder
	var got []Address
	frames := 0
	for _, c := range b { // byte by byte
		d.write([]byte{c})
		f, ok, err := d.next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			continue
		}
		frames++
		some, err := f.addresses()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, some...)
	}
	if !slices.Equal(got, addrs) || frames != len(sent) || len(sent) < 4 {
		t.Errorf("%d addresses in %d frames of %d", len(got), frames, len(sent))
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add(frame{kind: kindAlive, at: time.Second}.append(nil))
	f.Add(addressFrames(kindHold, 1, []Address{{netip.MustParsePrefix("10.0.0.1/8"), "eth0"}})[0].append(nil))
	f.Add([]byte("h\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var d decoder
		d.write(b)
		for size := len(b); ; {
			frame, ok, err := d.next()
			if err != nil || !ok {
				return
			}
			if again := frame.append(nil); !bytes.Equal(again, b[len(b)-size:][:len(again)]) {
				t.Fatal("a frame is not what it was read from")
			}
			size -= frameHeader + len(frame.payload)
			if addrs, err := frame.addresses(); err == nil {
				for _, a := range addrs {
					if again, err := Parse(a.String()); err != nil || again != a {
						t.Fatalf("%v: %v, %v", a, again, err)
					}
				}
			}
			replay(slog.New(slog.DiscardHandler), frame.payload)
		}
	})
}

func TestGuardLog(t *testing.T) {
	var out strings.Builder
	parent := slog.New(slog.NewTextHandler(&out, nil))
	guard := slog.New(guardLog{send: func(payload []byte) { replay(parent, payload) }}).With("a", 1)
	guard.Debug("not this")
	guard.Warn("something happened", "device", "eth\x000", "took", time.Second)
	want := `level=WARN msg="something happened" by=guard a=1 device="eth 0" took=1s` + "\n"
	if _, got, _ := strings.Cut(out.String(), " "); got != want {
		t.Errorf("%s", got)
	}
}
