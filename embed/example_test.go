package embed_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"rtpjet/embed"
	"rtpjet/embed/server"
)

// A log on a server in this process: two writers, one of which does not know of the other's entry, and a follower.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dir, err := os.MkdirTemp("", "log")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	s, err := server.Start(ctx, server.Config{NodeID: "n1", Region: "eu", StoreDir: dir, Logger: quiet})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Shutdown()
	nc, err := s.Connect()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer nc.Close()
	l, err := embed.Open(ctx, nc, embed.Config{Region: "eu", Servers: s.Servers, Health: s.Healthy, Logger: quiet})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()

	first, err := l.Append(ctx, "call-1", 0, []byte("offer by a"))
	fmt.Println(first, err)
	_, err = l.Append(ctx, "call-1", 0, []byte("offer by b"))
	fmt.Println(errors.Is(err, embed.ErrConflict))
	second, err := l.Append(ctx, "call-1", first, []byte("answer by b"))
	fmt.Println(second, err)

	err = l.Follow(ctx, 1, embed.Follower{
		Entry:    func(e embed.Entry) { fmt.Printf("%d %s: %s\n", e.Seq, e.Key, e.Data) },
		CaughtUp: func(uint64) { cancel() },
	})
	fmt.Println(err)
	// Output:
	// 1 <nil>
	// true
	// 2 <nil>
	// 1 call-1: offer by a
	// 2 call-1: answer by b
	// context canceled
}

// A handler of requests, tested without a server.
func ExampleNewMsg() {
	echo := func(m embed.Msg) error { return m.RespondJSON(map[string]string{m.Tokens: string(m.Data)}) }
	m := embed.NewMsg("node.n1.hello", []byte("eu"), func(answer []byte) error {
		fmt.Printf("%s\n", answer)
		return nil
	})
	fmt.Println(echo(m))
	// Output:
	// {"node.n1.hello":"eu"}
	// <nil>
}

// Names of nodes and regions are tokens of NATS subjects.
func ExampleValidName() {
	for _, name := range []string{"eu-1", "eu.1", "", "köln"} {
		fmt.Println(embed.ValidName(name))
	}
	// Output:
	// true
	// false
	// false
	// false
}

// A writer that was too late learns where the key ends.
func ExampleConflictError() {
	err := fmt.Errorf("answer the offer: %w", &embed.ConflictError{Key: "call-1", Last: 712})
	var conflict *embed.ConflictError
	fmt.Println(errors.Is(err, embed.ErrConflict), errors.As(err, &conflict), conflict.Last)
	// Output: true true 712
}
