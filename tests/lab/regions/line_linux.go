package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"rtpjet/ngserver/bencode"
	"rtpjet/tests/lab"
)

// Kamailio sends a command again after rtpengine_tout_ms, rtpengine_retr times in all, as the same bytes.
const (
	resendAfter = time.Second
	sends       = 5
)

var errNoReply = errors.New("no reply")

// line is the socket from a client to a node; any number of commands may be under way on it.
type line struct {
	conn *net.UDPConn
	done sync.WaitGroup

	mu      sync.Mutex
	waiting map[string]chan []byte // by cookie
}

func dialLine(from *lab.Side, to netip.AddrPort) (*line, error) {
	l := &line{waiting: map[string]chan []byte{}}
	err := from.Do(func() (err error) {
		l.conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open a socket towards %s: %w", to, err)
	}
	l.done.Go(l.read)
	return l, nil
}

func (l *line) close() {
	_ = l.conn.Close()
	l.done.Wait()
}

func (l *line) read() {
	buf := make([]byte, 1<<16)
	for {
		n, err := l.conn.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		cookie, reply, ok := bytes.Cut(buf[:n], []byte(" "))
		if err != nil || !ok {
			continue // nobody listens there, perhaps
		}
		l.mu.Lock()
		if c := l.waiting[string(cookie)]; c != nil {
			delete(l.waiting, string(cookie))
			c <- bytes.Clone(reply)
		}
		l.mu.Unlock()
	}
}

var cookies atomic.Uint64

// ask sends a command until it is answered, and returns how long that took.
func (l *line) ask(ctx context.Context, d *bencode.Dict) (time.Duration, error) {
	cookie := "regions" + strconv.FormatUint(cookies.Add(1), 10)
	message, err := bencode.Append([]byte(cookie+" "), d)
	if err != nil {
		return 0, err
	}
	replies := make(chan []byte, 1)
	l.mu.Lock()
	l.waiting[cookie] = replies
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.waiting, cookie)
		l.mu.Unlock()
	}()
	began := time.Now()
	again := time.NewTicker(resendAfter)
	defer again.Stop()
	for range sends {
		_, _ = l.conn.Write(message) // refused while the node is down
		select {
		case reply := <-replies:
			took := time.Since(began)
			if err := outcomeOf(reply); err != nil {
				return took, fmt.Errorf("%s of %s at %s: %w", text(asRead(d), "command"), text(asRead(d), "call-id"), l.conn.RemoteAddr(), err)
			}
			return took, nil
		case <-again.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return time.Since(began), fmt.Errorf("%s of %s at %s: %w", text(asRead(d), "command"), text(asRead(d), "call-id"), l.conn.RemoteAddr(), errNoReply)
}

// asRead is a command as a reader of it sees it: strings are bytes.
func asRead(d *bencode.Dict) *bencode.Dict {
	read := new(bencode.Dict)
	for i, v := range d.Values {
		if s, ok := v.(string); ok {
			v = []byte(s)
		}
		read.Add(d.Keys[i], v)
	}
	return read
}
