package keeper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"rtpjet/projection/floats"
)

// startPatience is how long a keeper may take to start, and to end.
const startPatience = 20 * time.Second

// ErrEnded says that the keeper is there no more: nobody holds this node's floats.
var ErrEnded = errors.New("the keeper of floating addresses has ended")

// Keeper is the node's side of a keeper. Its methods are safe for concurrent use, and do not wait for the keeper, which reads
// at once; one that does not is as good as dead.
type Keeper struct {
	conn   *net.UnixConn
	shared *Deadlines
	addr   netip.AddrPort
	runs   []string

	reports chan Report
	done    chan struct{}
	err     error // read it after done

	mu    sync.Mutex // orders one message after the other
	moves map[uint64]chan moved
	last  uint64
}

// Report is news of a keeper: how all floats stand, or a pulse to be sent to all nodes by NATS.
type Report struct {
	States []floats.State
	Pulse  []byte
	// Fatal is a sentence for the operator why the node has to end.
	Fatal string
}

// attach talks to a keeper at the other end of node.
func attach(ctx context.Context, cfg Config, node *os.File, shared *Deadlines, wait func() error) (*Keeper, error) {
	c, err := net.FileConn(node)
	_ = node.Close()
	if err != nil {
		_ = wait() // it ends, as nobody is at the other end of its socket
		return nil, fmt.Errorf("start a keeper: %w", err)
	}
	k := &Keeper{
		conn: c.(*net.UnixConn), shared: shared, reports: make(chan Report, 1024), done: make(chan struct{}), moves: make(map[uint64]chan moved),
	}
	up := make(chan started, 1)
	go k.read(wait, up)
	err = k.send(order{Config: &cfg})
	if err == nil {
		select {
		case s := <-up:
			k.addr, k.runs = s.Addr, s.Runs
			if s.Error != "" {
				err = errors.New(s.Error)
			}
		case <-k.done:
			err = k.err
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		_ = k.conn.Close()
		<-k.done
		return nil, err
	}
	return k, nil
}

// Addr is where the keeper hears others.
func (k *Keeper) Addr() netip.AddrPort { return k.addr }

// Runs says with what privileges the keeper runs, for the log.
func (k *Keeper) Runs() []string { return k.runs }

// Reports has the keeper's news. It is closed when the keeper has ended. Whoever does not read for long loses pulses, and the
// oldest of several states.
func (k *Keeper) Reports() <-chan Report { return k.reports }

// Done is closed when the keeper has ended.
func (k *Keeper) Done() <-chan struct{} { return k.done }

// Err says why it has ended.
func (k *Keeper) Err() error {
	<-k.done
	return k.err
}

// Begin takes part in deciding, as process run of this node.
func (k *Keeper) Begin(run uint64) error { return k.send(order{Run: run}) }

// Nodes says which nodes decide, and where the keepers of the others are.
func (k *Keeper) Nodes(voters []string, peers map[string]netip.AddrPort) error {
	return k.send(order{Nodes: &nodes{voters, peers}})
}

// Alive says that the node lives; it has to be called every AliveEvery.
func (k *Keeper) Alive() error { return k.send(order{}) }

// Ready says that the calls are known, so that floats can be held.
func (k *Keeper) Ready() error { return k.send(order{Ready: true}) }

// Warm says whether all calls of a float are ready.
func (k *Keeper) Warm(float string, on bool) error { return k.send(order{Warm: &warm{float, on}}) }

// Drain has the node want no floats, or want them again.
func (k *Keeper) Drain(on bool) error { return k.send(order{Drain: &on}) }

// Record tells what the bucket of leases has of a float.
func (k *Keeper) Record(r floats.Record) error {
	r.Interfaces, r.Aliases = nil, nil
	return k.send(order{Record: &r})
}

// Heard hands over a pulse that came by NATS.
func (k *Keeper) Heard(pulse []byte) error { return k.send(order{Pulse: pulse}) }

// Move begins to give a float to another node, and returns to which.
func (k *Keeper) Move(ctx context.Context, float, to string) (target string, err error) {
	answer := make(chan moved, 1)
	k.mu.Lock()
	k.last++
	id := k.last
	k.moves[id] = answer
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		delete(k.moves, id)
		k.mu.Unlock()
	}()
	if err := k.send(order{Move: &move{ID: id, Float: float, To: to}}); err != nil {
		return "", err
	}
	select {
	case m := <-answer:
		if m.Error != "" {
			return "", errors.New(m.Error)
		}
		return m.Target, nil
	case <-k.done:
		return "", ErrEnded
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Close has the keeper give up what it holds, and waits for its end.
func (k *Keeper) Close() error {
	_ = k.send(order{Release: true})
	select {
	case <-k.done:
	case <-time.After(startPatience):
		_ = k.conn.Close()
		<-k.done
	}
	if errors.Is(k.err, ErrEnded) {
		return nil
	}
	return k.err
}

func (k *Keeper) send(o order) error {
	data, err := encode(o)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = k.conn.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := k.conn.Write(data); err != nil {
		return fmt.Errorf("%w: %w", ErrEnded, err)
	}
	return nil
}

// read takes the keeper's messages until it has ended.
func (k *Keeper) read(wait func() error, up chan<- started) {
	buf := make([]byte, maxMessage)
	for {
		n, err := k.conn.Read(buf)
		if err != nil || n == 0 {
			break
		}
		var r report
		if decode(buf[:n], &r) != nil {
			continue
		}
		switch {
		case r.Started != nil:
			select {
			case up <- *r.Started:
			default:
			}
		case r.Moved != nil:
			k.mu.Lock()
			if c := k.moves[r.Moved.ID]; c != nil {
				delete(k.moves, r.Moved.ID) // c has room for one answer
				c <- *r.Moved
			}
			k.mu.Unlock()
		default:
			k.pass(Report{r.States, r.Pulse, r.Fatal})
		}
	}
	k.shared.forbid()
	_ = k.conn.Close()
	k.err = ErrEnded
	if err := wait(); err != nil {
		k.err = fmt.Errorf("%w: %w", ErrEnded, err)
	}
	close(k.reports)
	close(k.done)
}

// pass hands a report on. States are never lost: they take the place of something older.
func (k *Keeper) pass(r Report) {
	for {
		select {
		case k.reports <- r:
			return
		default:
		}
		if r.States == nil && r.Fatal == "" {
			return
		}
		select {
		case <-k.reports:
		default:
		}
	}
}
