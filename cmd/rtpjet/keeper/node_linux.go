package keeper

import (
	"bytes"
	"errors"

	"golang.org/x/sys/unix"

	"rtpjet/projection/floats"
)

// maxUnsent bounds the reports that a node does not read; what is beyond is lost, but for the states, which come again.
const maxUnsent = 256

// sendReport sends a report to the node, now or when it reads.
func (l *loop) sendReport(r report) {
	if l.node < 0 {
		return
	}
	data, err := encode(r)
	if err != nil {
		l.log.Error("a report is not sent", "err", err)
		return
	}
	if len(l.out) >= maxUnsent {
		l.reported = nil
		return
	}
	l.out = append(l.out, data)
	l.flush()
}

func (l *loop) flush() {
	for len(l.out) > 0 && l.node >= 0 {
		_, err := unix.Write(l.node, l.out[0])
		switch {
		case err == nil:
			l.out = l.out[1:]
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return
		default:
			l.nodeGone()
		}
	}
}

// fromNode takes in what the node says.
func (l *loop) fromNode() {
	l.flush()
	for l.node >= 0 {
		n, err := unix.Read(l.node, l.buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil || n <= 0:
			l.nodeGone()
			return
		}
		l.heardAt = now()
		var o order
		if err := decode(l.buf[:n], &o); err != nil {
			l.log.Error("a message of the node cannot be read", "err", err)
			continue
		}
		l.obey(&o)
	}
}

// nodeGone notes that the node has ended: others serve its floats now.
func (l *loop) nodeGone() {
	_ = unix.Close(l.node)
	l.node, l.goneAt, l.out = -1, now(), nil
	if l.machine != nil {
		l.machine.Suspend(now())
		l.settle()
	}
}

// watchNode gives the floats up if the node is stopped or does not say that it lives, and returns when to look again.
func (l *loop) watchNode(t int64) (next int64) {
	if l.machine == nil || l.goneAt != 0 || len(l.units) == 0 {
		return t + idle
	}
	if t >= l.statDue {
		l.stopped, l.statDue = l.isStopped(), t+statEvery
	}
	if silent := l.stopped || t >= l.heardAt+l.cfg.NodeSilence.Microseconds(); silent != l.silent {
		l.silent = silent
		if silent {
			l.log.Warn("the node is silent; its floats are given to others", "stopped", l.stopped, "silence ms", (t-l.heardAt)/1000)
			l.machine.Suspend(t)
		} else if l.wanted {
			l.log.Info("the node is heard again")
			l.machine.Ready()
		}
		l.settle()
	}
	return l.statDue
}

// isStopped tells whether the node's process is stopped by a signal, or traced (proc_pid_stat(5)).
func (l *loop) isStopped() bool {
	if l.stat < 0 {
		return false
	}
	var b [512]byte
	n, err := unix.Pread(l.stat, b[:], 0)
	if err != nil {
		return false
	}
	i := bytes.LastIndexByte(b[:n], ')') // behind the name, which may have anything in it
	return i >= 0 && i+2 < n && (b[i+2] == 'T' || b[i+2] == 't')
}

func (l *loop) obey(o *order) {
	t := now()
	if o.Run != 0 && l.machine == nil {
		l.begin(o.Run)
	}
	if o.Release {
		l.nodeGone()
		return
	}
	if l.machine == nil {
		return
	}
	switch m := l.machine; {
	case o.Nodes != nil:
		m.SetVoters(o.Nodes.Voters)
		l.link.setPeers(o.Nodes.Peers)
	case o.Ready:
		l.wanted = true
		if !l.silent {
			m.Ready()
		}
		l.probe()
	case o.Warm != nil:
		m.SetWarm(o.Warm.Float, o.Warm.On)
	case o.Drain != nil:
		m.SetDraining(*o.Drain)
	case o.Move != nil:
		target, err := m.Move(o.Move.Float, o.Move.To, t)
		r := moved{ID: o.Move.ID, Target: target}
		if err != nil {
			r.Error = err.Error()
		}
		l.sendReport(report{Moved: &r})
	case o.Record != nil:
		m.Recorded(o.Record.Float, o.Record.Epoch, o.Record.Holder, o.Record.Successor)
	case len(o.Pulse) > 0:
		l.heard(floats.NATS, o.Pulse)
		return
	default:
		return // it lives
	}
	m := l.machine
	m.Tick(t)
	l.settle()
}

func (l *loop) begin(run uint64) {
	var carry []string
	for _, f := range l.cfg.Floats {
		carry = append(carry, f.ID)
	}
	l.machine = floats.New(floats.Config{
		Self: l.cfg.Node, Run: run, Carry: carry, Silence: l.cfg.Timeout.Microseconds(),
		Balance: l.cfg.Balance.Microseconds(), Settle: l.cfg.Settle.Microseconds(),
	}, now())
}
