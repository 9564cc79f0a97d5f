package embed

import (
	"errors"
	"strings"
	"testing"
)

// TestArchiveHandOver: one node archives, another one stands by and goes on when the first one ends, or has lost the lease.
func TestArchiveHandOver(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t, t.TempDir(), ""))
	a, b := openLog(t, nc), openLog(t, nc)
	stop := startArchive(t, a)
	eventually(t, "the first one archives", a.Archiving)
	startArchive(t, b)
	end := mustAppend(t, a, "k", 0, "one")
	if err := b.Retire(t.Context(), "k", end); err != nil { // the other one's archive counts as well
		t.Fatal(err)
	}
	if b.Archiving() || !a.Archiving() {
		t.Errorf("archiving: %v and %v", a.Archiving(), b.Archiving())
	}
	lease, err := a.GetLease(t.Context(), archiveLease)
	if err != nil || !strings.HasPrefix(string(lease.Value), a.id+" ") {
		t.Errorf("the lease is %q, %v", lease.Value, err)
	}
	stop()
	if a.Archiving() {
		t.Error("it archives after its end")
	}
	eventually(t, "the second one archives", b.Archiving)
	end = mustAppend(t, b, "k", 0, "two")
	if err := b.Retire(t.Context(), "k", end); err != nil {
		t.Fatal(err)
	}
	if got := history(t, a, "k"); got != "[one two]" {
		t.Errorf("history: %s", got)
	}

	// Somebody who took it for dead has the lease now. It notices when it would write it again.
	for {
		lease, err := a.GetLease(t.Context(), archiveLease)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = a.PutLease(t.Context(), archiveLease, []byte("another one"), lease.Revision); err == nil {
			break
		} else if !errors.Is(err, ErrConflict) {
			t.Fatal(err)
		}
	}
	eventually(t, "the second one has noticed", func() bool { return !b.Archiving() })
	if _, known, _ := b.pos.get(); known {
		t.Error("it has a position of its own although another one archives")
	}
}
