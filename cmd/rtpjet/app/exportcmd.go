package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/replay"
)

// CallExport writes the history of a call-id into a file.
func CallExport(ctx context.Context, l *embed.Log, cmd Command, w io.Writer, sealer *events.Sealer) error {
	list, err := callRecords(ctx, l, cmd.Call.ID)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return unknownCall(ctx, l, cmd.Call.ID)
	}
	b, err := replay.Export(cmd.Call.ID, list, replay.Options{
		Sealed: cmd.History.Sealed, Sealer: sealer, By: "rtpjet " + Version(), Exported: time.Now().UTC().Format(time.RFC3339),
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
		name = "call-" + events.Key(cmd.Call.ID)[:12] + ".rtpjet"
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, pathReason(err))
	}
	what := "its keys are replaced"
	if cmd.History.Sealed {
		what = "its keys are sealed with the cluster key"
	}
	fmt.Fprintf(w, "%s: %d events; %s\n", name, len(b.Records), what)
	return nil
}
