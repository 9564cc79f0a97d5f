package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"rtpjet/ngserver/bencode"
)

// What Kamailio's rtpengine module does when a reply is missing.
const (
	resendAfter = time.Second
	resends     = 5
)

// client sends NG commands. It may be used by many goroutines.
type client struct {
	run    string // in front of the cookies
	seq    atomic.Uint64
	asked  atomic.Int64 // commands, without pings
	resent atomic.Int64 // datagrams sent once more
}

var errNoReply = fmt.Errorf("no reply, though asked %d times", 1+resends)

// ask sends a command and returns the reply, if it says that the command was carried out, and how long it took.
func (c *client) ask(ctx context.Context, addr string, d *bencode.Dict) (reply *bencode.Dict, took time.Duration, err error) {
	c.asked.Add(1)
	began := time.Now()
	reply, err = c.exchange(ctx, addr, d)
	took = time.Since(began)
	if err != nil {
		return nil, took, err
	}
	if result := text(reply, "result"); result != "ok" {
		return nil, took, fmt.Errorf("the reply is %s %q", result, text(reply, "error-reason"))
	}
	return reply, took, nil
}

func (c *client) ping(ctx context.Context, addr string) error {
	reply, err := c.exchange(ctx, addr, new(bencode.Dict).Add("command", "ping"))
	if err == nil && text(reply, "result") != "pong" {
		err = errors.New("the reply is no pong")
	}
	return err
}

func (c *client) exchange(ctx context.Context, addr string, d *bencode.Dict) (*bencode.Dict, error) {
	cookie := c.run + "_" + strconv.FormatUint(c.seq.Add(1), 10) + " "
	out, err := bencode.Append([]byte(cookie), d)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("udp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	buf := make([]byte, 65535)
	for i := range 1 + resends {
		if i > 0 {
			c.resent.Add(1)
		}
		_, _ = conn.Write(out) // a refused datagram is as good as a lost one
		in, err := receive(ctx, conn, buf, cookie, time.Now().Add(resendAfter))
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err == nil {
			reply, _, err := bencode.DecodeDict(in)
			return reply, err
		}
	}
	return nil, errNoReply
}

// receive waits for the reply with this cookie.
func receive(ctx context.Context, conn net.Conn, buf []byte, cookie string, deadline time.Time) ([]byte, error) {
	if err := conn.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	for {
		n, err := conn.Read(buf)
		var timeout net.Error
		switch {
		case err == nil:
			if dict, ok := bytes.CutPrefix(buf[:n], []byte(cookie)); ok {
				return dict, nil
			}
		case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, net.ErrClosed):
			return nil, err
		default:
			// Nobody has the port. A proxy would not look at that, and wait on.
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}

// text is a string of a dictionary.
func text(d *bencode.Dict, key string) string {
	v, _ := d.Get(key)
	s, _ := v.([]byte)
	return string(s)
}

// dig goes down to the dictionary under keys; a list stands for its first element.
func dig(d *bencode.Dict, keys ...string) *bencode.Dict {
	for _, key := range keys {
		v, _ := d.Get(key)
		if l, ok := v.(bencode.List); ok && len(l) > 0 {
			v = l[0]
		}
		d, _ = v.(*bencode.Dict)
	}
	return d
}

// strs are the strings of a list.
func strs(d *bencode.Dict, key string) []string {
	v, _ := d.Get(key)
	l, _ := v.(bencode.List)
	var out []string
	for _, e := range l {
		if s, ok := e.([]byte); ok {
			out = append(out, string(s))
		}
	}
	return out
}

func listCommand() *bencode.Dict {
	return new(bencode.Dict).Add("command", "list").Add("limit", maxCalls)
}
