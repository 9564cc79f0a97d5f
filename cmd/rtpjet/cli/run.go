package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/config"
	"rtpjet/embed"
)

// job carries out one command with the log of a region, which also leads to its nodes.
type job func(ctx context.Context, l *embed.Log, cmd config.Command, w io.Writer) error

// jobs are by the names of their commands.
var jobs = map[string]job{
	"call list":      callList,
	"call show":      callShow,
	"call history":   callHistory,
	"call export":    callExport,
	"call why-alive": callWhyAlive,
	"node list":      ofNodes(printNodes, func(nodes []admin.Node) []admin.Node { return nodes }),
	"node drain":     nodeDrain,
	"node undrain":   nodeDrain,
	"node takeover": order(func(ctx context.Context, l admin.Link, cmd config.Command) (string, error) {
		return admin.Takeover(ctx, l, admin.TakeoverRequest{Node: cmd.Node.ID, Force: cmd.Node.Force})
	}),
	"float list": ofNodes(printFloats, admin.Floats),
	"float move": order(func(ctx context.Context, l admin.Link, cmd config.Command) (string, error) {
		return admin.Move(ctx, l, cmd.Float.Name, cmd.Float.To)
	}),
	"region list": ofNodes(printRegions, admin.Regions),
	"region adopt": order(func(ctx context.Context, l admin.Link, cmd config.Command) (string, error) {
		return admin.Adopt(ctx, l, admin.AdoptRequest{Region: cmd.Region.Name, Without: cmd.Region.Without})
	}),
	"region forget": order(func(ctx context.Context, l admin.Link, cmd config.Command) (string, error) {
		return admin.Forget(ctx, l, cmd.Region.Name)
	}),
}

// Run carries out a command of an operator and prints what comes of it. Errors are sentences for him.
func Run(ctx context.Context, cmd config.Command, w io.Writer) error {
	if cmd.Name == "replay" {
		return runReplay(ctx, cmd, w)
	}
	do := jobs[cmd.Name]
	if do == nil {
		return fmt.Errorf("%s is no command for a cluster", config.Quote(cmd.Name))
	}
	l, done, err := attach(ctx, &cmd.Log)
	if err != nil {
		return err
	}
	defer done()
	return do(ctx, l, cmd, w)
}

// ofNodes makes a job that prints what the nodes of a region say, as a table or as JSON.
func ofNodes[R any](print func(io.Writer, []R) error, rows func([]admin.Node) []R) job {
	return func(ctx context.Context, l *embed.Log, cmd config.Command, w io.Writer) error {
		nodes, err := admin.Nodes(ctx, l)
		if err != nil {
			return err
		}
		list := rows(nodes)
		if cmd.Log.JSON {
			if list == nil {
				list = []R{} // a list for scripts, though there is nothing in it
			}
			return json.NewEncoder(w).Encode(list)
		}
		return print(w, list)
	}
}

// order makes a job of what an operator has nodes do, which ends with a sentence.
func order(give func(context.Context, admin.Link, config.Command) (string, error)) job {
	return func(ctx context.Context, l *embed.Log, cmd config.Command, w io.Writer) error {
		text, err := give(ctx, l, cmd)
		if err == nil {
			fmt.Fprintln(w, text)
		}
		return err
	}
}

// attach opens the log of a region, or the mirror that the region at that NATS has of it. The caller says when he is done.
func attach(ctx context.Context, o *config.LogOptions) (l *embed.Log, done func(), err error) {
	cfg := embed.Config{Region: o.Region, Logger: slog.New(slog.DiscardHandler)}
	nc, err := embed.Connect(ctx, "call", o.NATS, o.Credentials())
	if err != nil {
		return nil, nil, err
	}
	if l, err = embed.Attach(ctx, nc, cfg); errors.Is(err, embed.ErrNoRegion) && len(o.ClusterKey) > 0 {
		if mirror, cerr := embed.Connect(ctx, "call", o.NATS, o.Credentials().ForRegion(o.Region)); cerr == nil {
			nc.Close()
			nc = mirror
			l, err = embed.Attach(ctx, nc, cfg)
		}
	}
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return l, func() { l.Close(); nc.Close() }, nil
}
