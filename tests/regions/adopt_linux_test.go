package regions

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"rtpjet/events"
	"rtpjet/projection/regions"
	"rtpjet/tests/lab"
	"rtpjet/tests/procs"
)

// adoptedCalls is how many calls a region has that is lost.
const adoptedCalls = 200

// cryptoA and cryptoB are what two phones with SRTP offer.
const (
	cryptoA = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIz\r\n"
	cryptoB = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:enl4d3Z1dHNycXBvbm1sa2ppaGdmZWRjYmEzMjEw\r\n"
)

// lot is the calls of a region in all their states.
type lot struct {
	plain                         []*call
	early, leaving, held, secured *call
}

func (l *lot) all() []*call {
	return append(slices.Clone(l.plain), l.early, l.leaving, l.held, l.secured)
}

// fill sets calls up in a region.
func (w *world) fill(n *node, count int) *lot {
	w.t.Helper()
	l := &lot{plain: make([]*call, count)}
	procs.Each(w.t, count, 4, func(i int) error {
		k, err := w.tryCall("plain")
		if err != nil {
			return err
		}
		l.plain[i] = k
		return k.setUp(n, n)
	})
	l.early = w.newCall("early")
	w.must(l.early.offer(n))
	l.leaving = w.place(n, n)
	n.ok(remove(l.leaving.id, dict{"delete delay": 3000}))
	l.held = w.place(n, n)
	n.ok(offer(l.held.id, l.held.a.sdp(2, "a=sendonly\r\n"), dict{"to-tag": "B"}))
	n.ok(answer(l.held.id, l.held.b.sdp(2, "a=recvonly\r\n")))
	l.held.version = 2
	l.secured = w.newCall("secured")
	w.must(w.secure(l.secured, n, n, 1))
	return l
}

// secure offers and answers SRTP and checks that the phones get each other's keys.
func (w *world) secure(k *call, offerAt, answerAt *node, version int) error {
	savp := func(p *phone, crypto string) string {
		return strings.Replace(p.sdp(version, crypto), "RTP/AVP", "RTP/SAVP", 1)
	}
	more := dict{}
	if version > 1 {
		more["to-tag"] = "B"
	}
	key := func(crypto string) string { return crypto[strings.Index(crypto, "inline:") : len(crypto)-2] }
	r, err := offerAt.good(offer(k.id, savp(k.a, cryptoA), more))
	if err == nil {
		k.atB, err = sentTo(r)
	}
	if err != nil {
		return err
	}
	if sdp := fmt.Sprint(r.dict["sdp"]); !strings.Contains(sdp, key(cryptoA)) {
		return fmt.Errorf("the key of an offer is lost:\n%s", sdp)
	}
	r, err = answerAt.good(answer(k.id, savp(k.b, cryptoB)))
	if err == nil {
		k.atA, err = sentTo(r)
	}
	if err == nil && !strings.Contains(fmt.Sprint(r.dict["sdp"]), key(cryptoB)) {
		err = fmt.Errorf("the key of an answer is lost: %v", r.dict["sdp"])
	}
	return err
}

// owners are those of the live calls of a region, by call-id.
func (n *node) owners() (map[string]string, error) {
	out, err := n.listed(n.r.name)
	if err != nil {
		return nil, err
	}
	var calls []struct{ ID, Owner string }
	if err := json.Unmarshal([]byte(out), &calls); err != nil {
		return nil, err
	}
	byID := make(map[string]string)
	for _, c := range calls {
		byID[c.ID] = c.Owner
	}
	return byID, nil
}

// adopts has a node adopt a region with so many calls and checks that each has an owner there.
func (n *node) adopts(region string, calls []*call, more ...string) {
	t := n.r.w.t
	t.Helper()
	out, err := n.tool(append([]string{"region", "adopt", region}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d calls of region %s", len(calls), region); !strings.Contains(out, want) {
		t.Fatalf("adoption says %q, want %q in it", out, want)
	}
	owners, err := n.owners()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range calls {
		if owners[k.id] != n.id {
			t.Errorf("call %s has the owner %q, want %s", k.id, owners[k.id], n.id)
		}
	}
}

// ports are how many ports a node uses.
func (n *node) ports() (int64, error) {
	r, err := n.good(dict{"command": "statistics"})
	if err != nil {
		return 0, err
	}
	s, _ := r.dict["statistics"].(map[string]any)
	list, _ := s["interfaces"].([]any)
	if len(list) == 0 {
		return 0, fmt.Errorf("no interface in %v", r.dict)
	}
	i, _ := list[0].(map[string]any)
	p, _ := i["ports"].(map[string]any)
	used, ok := p["used"].(int64)
	if !ok {
		return 0, fmt.Errorf("no ports in %v", i)
	}
	return used, nil
}

// letGo waits until a region that is back has ended calls that were adopted, and nothing of them is left.
func (n *node) letGo(calls []*call, ports int64) {
	t := n.r.w.t
	t.Helper()
	eventually(t, n.name()+" keeps what was adopted", func() error {
		owners, err := n.owners()
		if err != nil {
			return err
		}
		for _, k := range calls {
			if owner, ok := owners[k.id]; ok {
				return fmt.Errorf("%s lives, owned by %s", k.id, owner)
			}
		}
		if used, err := n.ports(); err != nil || used != ports {
			return fmt.Errorf("%d ports are open, %w", used, err)
		}
		return nil
	})
	for _, k := range []*call{calls[0], calls[len(calls)-1]} {
		s, err := n.show(n.r.name, k.id)
		if err != nil {
			t.Fatal(err)
		}
		last := s.Events[len(s.Events)-1]
		if last.Kind != events.KindOf(events.Ended{}) || !strings.Contains(string(last.Event), string(events.ReasonAdopted)) {
			t.Errorf("the last event of %s is %s %s", k.id, last.Kind, last.Event)
		}
	}
}

// returned waits until nobody says any more that a region's calls are another one's.
func (w *world) returned(region string, seenBy ...*node) {
	w.t.Helper()
	for _, n := range seenBy {
		n.until(region, "back", func(s regions.Status) bool { return s.State == regions.Up && s.AdoptedBy == "" })
	}
}

// A region is lost for good, or so it seems: another one adopts its calls; then it comes back.
func TestAdopt(t *testing.T) {
	lab.Only(t, "two hundred calls are adopted, twice")
	t.Parallel()
	w := joined(t, "eu", "us", "ap")
	eu, us, ap := w.at("eu"), w.at("us"), w.at("ap")
	l := w.fill(us, adoptedCalls)
	ofEU := w.place(eu, eu)
	over := w.place(us, us)
	us.ok(remove(over.id))
	w.agree(w.regions...)
	eu.fails([]string{"region us answers"}, "region", "adopt", "us")
	eu.fails([]string{"there is no region xx"}, "region", "adopt", "xx")

	us.proc.Kill()
	eu.untilCut("us")
	ap.untilCut("us")
	eu.adopts("us", l.all())
	s, err := eu.show("eu", l.early.id)
	w.must(err)
	if s.Events[0].Node != us.name() || s.kinds() != "offered taken_over" {
		t.Errorf("events of an adopted call: %s, the first by %s", s.kinds(), s.Events[0].Node)
	}
	if out, err := eu.tool("call", "history", l.held.id); err != nil || !strings.Contains(out, us.name()) {
		t.Errorf("the history of an adopted call (%v):\n%s", err, out)
	}
	if owners, err := eu.owners(); err != nil || owners[over.id] != "" || owners[ofEU.id] != eu.id {
		t.Errorf("%v: a call that was over belongs to %q, one of eu to %q", err, owners[over.id], owners[ofEU.id])
	}
	eu.adopts("us", l.all()) // once more does no harm

	// What was adopted is eu's, wherever a command comes to.
	ap.until("us", "adopted", func(s regions.Status) bool { return s.AdoptedBy == "eu" })
	ap.fails([]string{"region us was adopted by eu already"}, "region", "adopt", "us")
	mine := func(k *call, err error) {
		t.Helper()
		w.must(err)
		w.must(k.carried(eu))
		w.must(k.talk())
	}
	for i, k := range l.plain[:6] {
		mine(k, k.reinvite(w.regions[i%2*2].nodes[0], w.regions[i/2%2*2].nodes[0]))
	}
	mine(l.early, errors.Join(l.early.offer(eu), l.early.answer(ap)))
	mine(l.held, l.held.reinvite(ap, eu))
	w.must(w.secure(l.secured, eu, ap, 2))
	w.must(l.secured.carried(eu))
	ap.ok(remove(l.plain[0].id))
	eu.ok(remove(l.plain[1].id))
	for _, n := range []*node{eu, ap} {
		n.refused(query(l.plain[0].id), reasonUnknown)
	}
	if s, err = eu.show("eu", l.leaving.id); err != nil || !strings.Contains(s.kinds(), "deletion_scheduled") || !strings.HasSuffix(s.kinds(), "taken_over") {
		t.Errorf("a call that is being deleted: %s, %v", s.kinds(), err)
	}

	// It comes back with all that it had.
	us.spawn()
	us.ready()
	if got := us.calls(); len(got) > 0 {
		t.Logf("%d calls live when the region answers first", len(got))
	}
	us.letGo(l.all(), 0)
	w.returned("us", eu, ap)
	mine(l.plain[2], l.plain[2].reinvite(us, us))
	us.ok(remove(l.plain[3].id))
	fresh := w.place(us, us)
	w.must(fresh.carried(us))
	w.agree(w.regions...)
	w.must(fresh.reinvite(eu, ap))
	w.must(fresh.carried(us))
	mine(l.plain[4], l.plain[4].reinvite(ap, us))

	// It is lost once more, and another region cannot be asked.
	us.proc.Kill()
	w.cut("eu", "ap")
	eu.untilCut("us")
	eu.untilCut("ap")
	eu.fails([]string{"region ap cannot be asked", "--without ap"}, "region", "adopt", "us")
	eu.adopts("us", []*call{fresh}, "--without", "ap")
	w.must(fresh.reinvite(eu, eu))
	mine(fresh, nil)
	w.heal("eu", "ap")
	w.agree(eu.r, ap.r)
	w.must(fresh.reinvite(ap, ap))
	mine(fresh, nil)
	mine(l.plain[5], l.plain[5].reinvite(ap, eu))
	us.spawn()
	us.ready()
	us.letGo([]*call{fresh}, 0)
	w.returned("us", eu, ap)
}

// A region is cut off and goes on while another one adopts its calls. Once they hear each other, each call has one region.
func TestAdoptWhileCut(t *testing.T) {
	lab.Only(t, "waits for what a cut leads to")
	t.Parallel()
	w := joined(t, "eu", "us", "ap")
	eu, us, ap := w.at("eu"), w.at("us"), w.at("ap")
	l := w.fill(us, 10)
	gone := w.place(us, us)
	w.agree(w.regions...)

	// One region still hears it.
	w.cut("eu", "us")
	eu.untilCut("us")
	eu.fails([]string{"region ap does not agree", "it hears the region"}, "region", "adopt", "us")
	eu.refused(remove(l.plain[0].id), reasonRegion)

	w.cut("ap", "us")
	ap.untilCut("us")
	us.untilCut("eu")
	us.untilCut("ap")
	fresh := w.place(us, us)
	us.ok(remove(gone.id)) // which nobody else hears of before it is adopted
	w.must(l.plain[1].reinvite(us, us))
	eu.adopts("us", append(l.all(), gone))
	w.must(l.plain[0].reinvite(eu, ap))
	w.must(l.plain[0].carried(eu))
	us.ok(query(l.plain[0].id)) // both have it until they can reach each other

	w.rejoin("us")
	us.letGo(l.all(), 4)
	w.returned("us", eu, ap)
	eventually(t, "a call lives on that had ended at home", func() error {
		owners, err := eu.owners()
		if _, ok := owners[gone.id]; ok {
			err = fmt.Errorf("owned by %s", owners[gone.id])
		}
		return err
	})
	w.agree(w.regions...)
	w.must(fresh.talk())
	for i, n := range w.nodes {
		k := l.plain[i]
		w.must(k.reinvite(n, n))
		w.must(k.carried(eu))
		w.must(k.talk())
		w.must(fresh.reinvite(n, n))
		w.must(fresh.carried(us))
	}
	w.must(l.early.offer(us))
	w.must(l.early.answer(us))
	w.must(l.early.carried(eu))
	ap.ok(remove(fresh.id))
	for _, k := range l.all() {
		us.ok(remove(k.id))
	}
	eventually(t, "ports of adopted calls stay open", func() error {
		if used, err := eu.ports(); err != nil || used != 0 {
			return fmt.Errorf("%d ports, %w", used, err)
		}
		return nil
	})
}
