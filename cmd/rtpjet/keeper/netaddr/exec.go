package netaddr

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Exec is the provider that asks a script of the operator's, for addresses that a cloud moves:
//
//	SCRIPT add|remove|announce|check ADDRESS/PREFIX DEVICE
//
// add has the address on this machine and its traffic sent here when it returns, however often it is called; it also takes
// the address from whoever has it. remove is the contrary; an address that is not here is no error. announce tells the network
// again that the address is here, and has nothing to do in most clouds. check says whether it is here.
//
// The exit code 0 is success, and "here" for check. For check 1 is "not here". Everything else is failure: the node does not
// take the address then, and remove is called to be sure.
//
// The environment is that of rtpjet with RTPJET_FLOAT_ACTION, RTPJET_FLOAT_ADDRESS, RTPJET_FLOAT_PREFIX (the number of bits),
// RTPJET_FLOAT_FAMILY (4 or 6), RTPJET_FLOAT_DEVICE and RTPJET_FLOAT_TIMEOUT (in seconds). Standard input is empty. What the
// script writes goes into the log. A script that takes longer than the time limit is killed, together with all processes that
// it has started in its process group. For one address one script runs at a time; remove ends an announce that is under way.
//
// The keeper calls it, also when the node is dead or frozen: the script must not ask rtpjet for anything.
type Exec struct {
	log     *slog.Logger
	script  string
	timeout time.Duration

	stop     context.CancelFunc // ends all announce
	stopping context.Context
	running  sync.WaitGroup // announce

	mu    sync.Mutex
	slots map[Address]*slot
}

// slot is what is known of one address.
type slot struct {
	turn     chan struct{} // has room for the one who may run a script
	announce context.CancelFunc
	held     bool
}

// verbs of a script.
const (
	verbAdd      = "add"
	verbRemove   = "remove"
	verbAnnounce = "announce"
	verbCheck    = "check"
)

// OpenExec checks that there is a script.
func OpenExec(script string, cfg Config) (*Exec, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Exec{log: cfg.Log, script: script, timeout: cfg.ScriptTimeout, slots: make(map[Address]*slot)}
	if err := p.usable(); err != nil {
		return nil, err
	}
	p.stopping, p.stop = context.WithCancel(context.Background())
	return p, nil
}

func (p *Exec) usable() error {
	if !filepath.IsAbs(p.script) {
		return fmt.Errorf("find the script %q: name it with its whole path, as in exec:/etc/rtpjet/float", p.script)
	}
	info, err := os.Stat(p.script)
	switch {
	case err != nil:
		return fmt.Errorf("find the script: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("find the script: %s is no file", p.script)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("find the script: %s may not be executed: chmod +x %s", p.script, p.script)
	}
	return nil
}

// Prepare checks again that there is a script.
func (p *Exec) Prepare(_ context.Context, addrs ...Address) error {
	return errors.Join(p.usable(), each(addrs, Address.Validate))
}

// Add calls add for all addresses at once.
func (p *Exec) Add(ctx context.Context, addrs ...Address) error {
	if err := mayAct(ctx, time.Now()); err != nil {
		return fmt.Errorf("add %s: too late: %w", list(addrs), err)
	}
	var before []Address
	p.mu.Lock()
	for _, a := range addrs {
		if p.slot(a).held {
			before = append(before, a)
		}
	}
	p.mu.Unlock()
	err := atOnce(addrs, func(a Address) error {
		if err := a.Validate(); err != nil {
			return err
		}
		_, err := p.call(ctx, verbAdd, a, true)
		return err
	})
	if late := mayAct(ctx, time.Now()); err == nil && late != nil {
		err, before = fmt.Errorf("add %s: it took too long: %w", list(addrs), late), nil
	}
	if err == nil {
		return nil
	}
	return errors.Join(err, p.Remove(context.WithoutCancel(ctx), slices.DeleteFunc(slices.Clone(addrs), func(a Address) bool { return slices.Contains(before, a) })...))
}

// Remove calls remove for all addresses at once.
func (p *Exec) Remove(ctx context.Context, addrs ...Address) error {
	return atOnce(addrs, func(a Address) error {
		p.mu.Lock()
		if s := p.slot(a); s.announce != nil {
			s.announce()
		}
		p.mu.Unlock()
		_, err := p.call(ctx, verbRemove, a, false)
		return err
	})
}

// Renew does nothing: there is no lifetime.
func (p *Exec) Renew(context.Context, ...Address) error { return nil }

// Announce calls announce, and does not wait for it.
func (p *Exec) Announce(addrs ...Address) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range addrs {
		s := p.slot(a)
		if !s.held || s.announce != nil || p.stopping.Err() != nil {
			continue
		}
		ctx, cancel := context.WithCancel(p.stopping)
		s.announce = cancel
		p.running.Go(func() {
			_, err := p.call(ctx, verbAnnounce, a, true)
			if err != nil && ctx.Err() == nil {
				p.log.Warn("an announcement failed", "err", err)
			}
			cancel()
			p.mu.Lock()
			s.announce = nil
			p.mu.Unlock()
		})
	}
}

// Check calls check.
func (p *Exec) Check(ctx context.Context, a Address) (bool, error) {
	code, err := p.call(ctx, verbCheck, a, false)
	if code == 1 {
		return false, nil
	}
	return err == nil, err
}

// Sweep calls check, and remove where that finds something.
func (p *Exec) Sweep(ctx context.Context, addrs ...Address) error {
	return atOnce(addrs, func(a Address) error {
		here, err := p.Check(ctx, a)
		if err != nil || !here {
			return err
		}
		p.log.Info("an earlier process has left a floating address behind; it is removed", "address", a.Prefix.String(), "device", a.Device)
		return p.Remove(ctx, a)
	})
}

// Close ends announce.
func (p *Exec) Close() error {
	p.stop()
	p.running.Wait()
	return nil
}

// slot is called under mu.
func (p *Exec) slot(a Address) *slot {
	s := p.slots[a]
	if s == nil {
		s = &slot{turn: make(chan struct{}, 1)}
		p.slots[a] = s
	}
	return s
}

// call runs the script when it is its turn, and notes whether the address is held afterwards.
func (p *Exec) call(ctx context.Context, verb string, a Address, held bool) (code int, err error) {
	p.mu.Lock()
	s := p.slot(a)
	p.mu.Unlock()
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return -1, fmt.Errorf("%s %s: wait for a script before it: %w", verb, a, ctx.Err())
	}
	defer func() { <-s.turn }()
	code, err = p.run(ctx, verb, a)
	if err == nil && verb != verbCheck {
		p.mu.Lock()
		s.held = held
		p.mu.Unlock()
	}
	return code, err
}

// How much of what a script writes last is kept, and logged.
const (
	maxOutput = 8 << 10
	maxLines  = 100
)

func (p *Exec) run(ctx context.Context, verb string, a Address) (code int, err error) {
	limit, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	family := 4
	if a.Addr().Is6() {
		family = 6
	}
	output := new(lastBytes)
	cmd := exec.CommandContext(limit, p.script, verb, a.Prefix.String(), a.Device)
	cmd.Env = append(os.Environ(),
		"RTPJET_FLOAT_ACTION="+verb,
		"RTPJET_FLOAT_ADDRESS="+a.Addr().String(),
		"RTPJET_FLOAT_PREFIX="+strconv.Itoa(a.Prefix.Bits()),
		"RTPJET_FLOAT_FAMILY="+strconv.Itoa(family),
		"RTPJET_FLOAT_DEVICE="+a.Device,
		"RTPJET_FLOAT_TIMEOUT="+strconv.FormatFloat(p.timeout.Seconds(), 'f', -1, 64),
	)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.WaitDelay = time.Second // for a process that has left the group and keeps the output open
	inOwnGroup(cmd)
	began := time.Now()
	err = cmd.Run()
	last := p.logOutput(verb, a, output.bytes, err != nil && verb != verbCheck)
	p.log.Debug("a script has run", "action", verb, "address", a.String(), "took", time.Since(began))
	if err == nil || errors.Is(err, exec.ErrWaitDelay) { // it has succeeded, and left a process behind
		return 0, nil
	}
	if ctx.Err() == nil && limit.Err() != nil {
		err = fmt.Errorf("it took longer than %s and was killed", p.timeout)
	} else if ctx.Err() != nil {
		err = fmt.Errorf("it was killed: %w", ctx.Err())
	}
	if last != "" {
		err = fmt.Errorf("%w: it said %q", err, last)
	}
	return cmd.ProcessState.ExitCode(), fmt.Errorf("%s %s: run %s: %w", verb, a, p.script, err)
}

// logOutput logs what a script wrote, and returns its last line.
func (p *Exec) logOutput(verb string, a Address, output []byte, failed bool) (last string) {
	level := slog.LevelInfo
	if failed {
		level = slog.LevelWarn
	}
	lines := strings.FieldsFunc(strings.ToValidUTF8(string(output), "?"), func(r rune) bool { return r == '\n' || r == '\r' })
	for _, line := range lines[max(0, len(lines)-maxLines):] {
		if line = strings.TrimSpace(line); line != "" {
			last = line
			p.log.Log(context.Background(), level, "a script says", "action", verb, "address", a.String(), "line", line)
		}
	}
	return last
}

// lastBytes keeps the end of what is written.
type lastBytes struct{ bytes []byte }

func (b *lastBytes) Write(p []byte) (int, error) {
	b.bytes = append(b.bytes, p...)
	if extra := len(b.bytes) - maxOutput; extra > 0 {
		b.bytes = append(b.bytes[:0], b.bytes[extra:]...)
	}
	return len(p), nil
}

// atOnce calls f for all addresses at the same time, and joins what fails.
func atOnce(addrs []Address, f func(Address) error) error {
	errs := make([]error, len(addrs))
	var all sync.WaitGroup
	for i, a := range addrs {
		all.Go(func() { errs[i] = f(a) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func list(addrs []Address) string {
	names := make([]string, len(addrs))
	for i, a := range addrs {
		names[i] = a.String()
	}
	return strings.Join(names, ", ")
}
