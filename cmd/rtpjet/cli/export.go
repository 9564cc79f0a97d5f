package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"rtpjet/cmd/rtpjet/config"
	"rtpjet/cmd/rtpjet/version"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/replay"
)

// callExport writes the history of a call-id into a file.
func callExport(ctx context.Context, l *embed.Log, cmd config.Command, w io.Writer) error {
	sealer, err := events.NewSealer(cmd.Log.ClusterKeys...)
	if err != nil {
		return err
	}
	list, err := callRecords(ctx, l, cmd.Call)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return unknownCall(ctx, l, cmd.Call)
	}
	b, err := replay.Export(cmd.Call, list, replay.Options{
		Sealed: cmd.History.Sealed, Sealer: sealer, By: "rtpjet " + version.Text(), Exported: time.Now().UTC().Format(time.RFC3339),
	})
	if errors.Is(err, replay.ErrExposed) {
		return errors.New("the keys in this log are not sealed, and there is no key to seal them with: give --cluster-key-file, or leave --sealed out and have them replaced")
	}
	if err != nil {
		return err
	}
	data := b.Append(nil)
	name := cmd.History.File
	if name == "-" {
		_, err := w.Write(data)
		return err
	}
	if name == "" {
		name = "call-" + events.Key(cmd.Call)[:12] + ".rtpjet"
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, config.PathReason(err))
	}
	what := "its keys are replaced"
	if cmd.History.Sealed {
		what = "its keys are sealed with the cluster key"
	}
	fmt.Fprintf(w, "%s: %d events; %s\n", name, len(b.Records), what)
	return nil
}
