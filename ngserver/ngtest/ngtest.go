// Package ngtest is a small NG client for tests. It does not share code with the server that it tests: bencode is that of
// an independent library.
package ngtest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/zeebo/bencode"
)

// DefaultTimeout is how long Do and DoRaw wait for a reply.
const DefaultTimeout = 5 * time.Second

// Client talks to one NG server over UDP, one command at a time. It is not safe for concurrent use.
type Client struct {
	Timeout time.Duration
	conn    net.Conn
	buf     []byte
}

var cookies atomic.Uint64

// Dial returns a client for the server at addr (HOST:PORT). Its socket is connected, as Kamailio's is: a reply from another
// address is lost.
func Dial(addr string) (*Client, error) {
	conn, err := net.Dial("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("ngtest: %w", err)
	}
	return &Client{Timeout: DefaultTimeout, conn: conn, buf: make([]byte, 1<<16)}, nil
}

// Close closes the socket.
func (c *Client) Close() error { return c.conn.Close() }

// Conn is the socket, for tests that send something else than messages.
func (c *Client) Conn() net.Conn { return c.conn }

// NextCookie returns a cookie that this process has not used yet.
func NextCookie() string {
	return "t" + strconv.FormatInt(time.Now().UnixNano(), 36) + "_" + strconv.FormatUint(cookies.Add(1), 10)
}

// Do sends a command as bencode and returns the reply's dictionary: strings are string, integers int64, lists []any,
// dictionaries map[string]any. A reply with result=error is no Go error.
func (c *Client) Do(req map[string]any) (map[string]any, error) {
	payload, err := bencode.EncodeBytes(req)
	if err != nil {
		return nil, fmt.Errorf("ngtest: encode command: %w", err)
	}
	reply, err := c.DoRaw(NextCookie(), payload)
	if err != nil {
		return nil, err
	}
	return Decode(reply)
}

// DoRaw sends a message as it is and returns the payload of the reply with the same cookie. Replies with other cookies are
// skipped.
func (c *Client) DoRaw(cookie string, payload []byte) ([]byte, error) {
	if err := c.Send(cookie, payload); err != nil {
		return nil, err
	}
	return c.Receive(cookie)
}

// Send sends a message and does not wait.
func (c *Client) Send(cookie string, payload []byte) error {
	if _, err := c.conn.Write(append([]byte(cookie+" "), payload...)); err != nil {
		return fmt.Errorf("ngtest: %w", err)
	}
	return nil
}

// Receive waits for the reply with the cookie.
func (c *Client) Receive(cookie string) ([]byte, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(c.Timeout)); err != nil {
		return nil, fmt.Errorf("ngtest: %w", err)
	}
	for {
		n, err := c.conn.Read(c.buf)
		if err != nil {
			return nil, fmt.Errorf("ngtest: wait for reply: %w", err)
		}
		got, payload, found := bytes.Cut(c.buf[:n], []byte(" "))
		if found && string(got) == cookie {
			return bytes.Clone(payload), nil
		}
	}
}

// Decode reads a bencode dictionary.
func Decode(payload []byte) (map[string]any, error) {
	var v map[string]any
	if err := bencode.DecodeBytes(payload, &v); err != nil {
		return nil, fmt.Errorf("ngtest: decode reply: %w", err)
	}
	if v == nil {
		return nil, errors.New("ngtest: decode reply: no dictionary")
	}
	return v, nil
}
