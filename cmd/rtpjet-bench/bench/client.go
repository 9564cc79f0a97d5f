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
	reader replyReader
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

// write makes out the datagram of a request and returns its cookie.
func (c *client) write(r request) (cookie string) {
	c.seq++
	cookie = c.prefix + "_" + strconv.FormatUint(c.seq, 10)
	c.out = r.append(c.out[:0], cookie)
	return cookie
}

// request sends a request until it is answered, and returns the reply.
func (c *client) request(ctx context.Context, r request) (ngReply, error) {
	cookie := c.write(r)
	for range 1 + resends {
		if err := ctx.Err(); err != nil {
			return ngReply{}, err
		}
		deadline := time.Now().Add(resendAfter)
		// A refused earlier datagram shows up as an error here; the answer to that
		// is the same as to silence.
		_, _ = c.conn.Write(c.out)
		dict, err := c.receive(cookie, deadline)
		switch {
		case err == nil:
			return c.reader.read(dict)
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return ngReply{}, err
		}
	}
	return ngReply{}, errNoReply
}

// try sends one copy of a request and waits until the deadline for its reply.
func (c *client) try(r request, deadline time.Time) (ngReply, error) {
	cookie := c.write(r)
	if _, err := c.conn.Write(c.out); err != nil {
		return ngReply{}, err
	}
	dict, err := c.receive(cookie, deadline)
	if err != nil {
		return ngReply{}, err
	}
	return c.reader.read(dict)
}

// receive waits for the reply with this cookie and skips all others. It returns its dictionary, which is valid until the next
// call.
func (c *client) receive(cookie string, deadline time.Time) (dict []byte, err error) {
	if err := c.conn.SetReadDeadline(deadline); err != nil {
		return nil, fmt.Errorf("set the deadline of the NG socket: %w", err)
	}
	for {
		n, err := c.conn.Read(c.in)
		if err != nil {
			return nil, fmt.Errorf("read the NG reply: %w", err)
		}
		got, dict, ok := splitReply(c.in[:n])
		if !ok || string(got) != cookie {
			continue
		}
		return dict, nil
	}
}

func (c *client) close() { _ = c.conn.Close() }
