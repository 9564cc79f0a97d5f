package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"rtpjet/cmd/rtpjet-bench/bench"
)

// kinds are the flags of the generator for the kinds of media that it speaks.
var kinds = map[string][]string{
	"RTP":  nil,
	"SRTP": {"--srtp", "AES_CM_128_HMAC_SHA1_80"}, // the caller of each call; the callee speaks RTP
}

// generator is `rtpjet-bench silence` in the namespace of the phones.
type generator struct {
	cmd     *exec.Cmd
	words   io.WriteCloser
	events  chan bench.SilenceEvent
	file    string // of the recording
	stderr  string // the file with what it complains about
	command []string
}

// generatorLimit ends a generator that nobody stops.
const generatorLimit = 5 * time.Minute

// startGenerator places the calls and returns once their media flows.
func startGenerator(ctx context.Context, w *world, self string, s scene) (*generator, error) {
	g := &generator{events: make(chan bench.SilenceEvent, 1), file: filepath.Join(w.dir, "arrivals"), stderr: filepath.Join(w.dir, "generator.log")}
	args := append([]string{
		"bench", "silence", "--ng", netip.AddrPortFrom(w.float, ngPort).String(), "--local", w.client.Addr.String(),
		"--calls", strconv.Itoa(s.Calls), "--fast", strconv.Itoa(s.Fast), "--slow-rate", fmt.Sprint(s.SlowRate),
		"--place-every", "100ms", "--realtime",
	}, kinds[s.Media]...)
	g.command = args
	args = append(args, "--control", "--record", g.file, "--limit", generatorLimit.String())
	full := append([]string{"--net=/run/netns/" + w.client.Name, "--", self}, args...)
	g.cmd = exec.CommandContext(ctx, "nsenter", full...)
	g.cmd.Cancel = func() error { return g.cmd.Process.Signal(syscall.SIGTERM) }
	g.cmd.WaitDelay = 5 * time.Second
	out, err := g.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the generator: %w", err)
	}
	if g.words, err = g.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start the generator: %w", err)
	}
	log, err := os.Create(g.stderr)
	if err != nil {
		return nil, fmt.Errorf("start the generator: %w", err)
	}
	defer func() { _ = log.Close() }()
	g.cmd.Stderr = log
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the generator: %w", err)
	}
	go func() {
		defer close(g.events)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e bench.SilenceEvent
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				g.events <- e
			}
		}
	}()
	if _, err := g.expect(ctx, "flowing", time.Minute); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// expect waits for an event.
func (g *generator) expect(ctx context.Context, event string, within time.Duration) (bench.SilenceEvent, error) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case e, ok := <-g.events:
		if !ok {
			said, _ := os.ReadFile(g.stderr)
			return e, fmt.Errorf("wait for the generator's %q: it ended, and said: %s", event, said)
		}
		if e.Event != event {
			return e, fmt.Errorf("wait for the generator's %q: it says %q", event, e.Event)
		}
		return e, nil
	case <-timer.C:
		return bench.SilenceEvent{}, fmt.Errorf("wait for the generator's %q: nothing in %s", event, within)
	case <-ctx.Done():
		return bench.SilenceEvent{}, ctx.Err()
	}
}

// do sends a word and waits for what it leads to.
func (g *generator) do(ctx context.Context, word, event string) (bench.SilenceEvent, error) {
	if _, err := io.WriteString(g.words, word+"\n"); err != nil {
		return bench.SilenceEvent{}, fmt.Errorf("tell the generator to %s: %w", word, err)
	}
	return g.expect(ctx, event, 2*time.Minute)
}

// recording reads what arrived, after the event done.
func (g *generator) recording() (*bench.Recording, error) {
	f, err := os.Open(g.file)
	if err != nil {
		return nil, fmt.Errorf("read the recording: %w", err)
	}
	defer func() { _ = f.Close() }()
	return bench.ReadRecording(bufio.NewReader(f))
}

// close ends the generator, whatever it is doing.
func (g *generator) close() {
	_ = g.words.Close()
	_ = g.cmd.Process.Kill() // fails only if it has ended
	_ = g.cmd.Wait()
}

// dialTCP says whether something listens.
func dialTCP(at string) error {
	c, err := net.DialTimeout("tcp", at, time.Second)
	if err != nil {
		return err
	}
	return errors.Join(c.Close())
}
