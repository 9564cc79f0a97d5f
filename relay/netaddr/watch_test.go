package netaddr

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestWatch(t *testing.T) {
	const ms = time.Millisecond
	a := Address{Prefix: netip.MustParsePrefix("10.0.0.100/24"), Device: "eth0"}
	b := Address{Prefix: netip.MustParsePrefix("10.0.0.101/24"), Device: "eth0"}
	w := &watch{limit: 45 * ms}
	if _, ok := w.wait(1000 * ms); ok || w.heard(0) || w.heard(1000*ms) || w.overdue(9000*ms) {
		t.Error("a parent that holds nothing may be silent")
	}
	w.hold([]Address{a, b, a})
	if d, ok := w.wait(1010 * ms); !ok || d <= 35*ms || d > 36*ms {
		t.Error(d, ok)
	}
	if d, ok := w.wait(1100 * ms); !ok || d != 0 {
		t.Error(d, ok)
	}
	// The guard comes late to the parent's messages, which are close together.
	for at := 1010 * ms; at <= 1200*ms; at += 10 * ms {
		if w.heard(at) {
			t.Fatal("overdue at", at)
		}
	}
	if w.overdue(1245*ms) || !w.overdue(1246*ms) {
		t.Error("the limit is not at the limit")
	}
	if w.heard(1245*ms) || w.heard(1290*ms) || !w.heard(1336*ms) {
		t.Error("messages: the limit is not at the limit")
	}
	if w.heard(1300 * ms); w.last != 1336*ms {
		t.Error("an old message has turned the clock back")
	}
	w.let([]Address{b})
	if all := w.take(); !slices.Equal(all, []Address{a}) {
		t.Error(all)
	}
	// Removing fails, and is tried again, less and less often.
	w.fail(2000*ms, []Address{a}, false)
	if d, ok := w.wait(2000 * ms); !ok || d != firstBackoff || w.takeFailed(2050*ms) != nil {
		t.Error(d, ok)
	}
	for at := 2100 * ms; w.backoff < maxBackoff; at += w.backoff {
		if failed := w.takeFailed(at); !slices.Equal(failed, []Address{a}) {
			t.Fatal(failed)
		}
		w.fail(at, []Address{a}, true)
	}
	w.hold([]Address{a}) // the parent takes it again
	if len(w.failed) != 0 || len(w.held) != 1 {
		t.Error(w.failed, w.held)
	}
}
