package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

const (
	resendAfter = time.Second // Kamailio's rtpengine_tout_ms
	resends     = 5           // Kamailio's rtpengine_retr
	maxDatagram = 65535
)

// errNoReply says that the server did not answer any copy of a request.
var errNoReply = errors.New("no reply to any of the copies of the request")

// client sends NG requests over one UDP socket, one at a time. It belongs to one
// goroutine.
type client struct {
	conn   net.Conn
	prefix string // of the cookies, different for each client
	seq    uint64
	out    []byte
	in     []byte
}

// dialNG opens a socket to an NG server. A UDP socket says nothing about whether
// anyone is there.
func dialNG(addr string) (*client, error) {
	conn, err := net.Dial("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("open a UDP socket to the NG server: %w", err)
	}
	return &client{conn: conn, prefix: runName(), in: make([]byte, maxDatagram)}, nil
}

// runName returns a random word for the cookies and call-ids of a run.
func runName() string {
	return rand.Text()[:10]
}

// request sends what build appends to a buffer and returns the reply, which is
// valid until the next request.
func (c *client) request(ctx context.Context, build func(b []byte) []byte) (ngReply, error) {
	c.seq++
	c.out = append(c.out[:0], c.prefix...)
	c.out = append(c.out, '_')
	c.out = strconv.AppendUint(c.out, c.seq, 10)
	cookie := string(c.out)
	c.out = build(append(c.out, ' '))

	for range 1 + resends {
		if err := ctx.Err(); err != nil {
			return ngReply{}, err
		}
		deadline := time.Now().Add(resendAfter)
		// A refused earlier datagram shows up as an error here; the answer to that
		// is the same as to silence.
		_, _ = c.conn.Write(c.out)
		reply, err := c.receive(cookie, deadline)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return reply, err
		}
	}
	return ngReply{}, errNoReply
}

// try sends one copy of a request and waits until the deadline for its reply.
func (c *client) try(build func(b []byte) []byte, deadline time.Time) (ngReply, error) {
	c.seq++
	c.out = append(c.out[:0], c.prefix...)
	c.out = append(c.out, '_')
	c.out = strconv.AppendUint(c.out, c.seq, 10)
	cookie := string(c.out)
	c.out = build(append(c.out, ' '))
	if _, err := c.conn.Write(c.out); err != nil {
		return ngReply{}, err
	}
	return c.receive(cookie, deadline)
}

// receive waits for the reply with this cookie and skips all others.
func (c *client) receive(cookie string, deadline time.Time) (ngReply, error) {
	if err := c.conn.SetReadDeadline(deadline); err != nil {
		return ngReply{}, fmt.Errorf("set the deadline of the NG socket: %w", err)
	}
	for {
		n, err := c.conn.Read(c.in)
		if err != nil {
			return ngReply{}, fmt.Errorf("read the NG reply: %w", err)
		}
		got, dict, ok := splitReply(c.in[:n])
		if !ok || string(got) != cookie {
			continue
		}
		return scanReply(dict)
	}
}

func (c *client) close() { _ = c.conn.Close() }
