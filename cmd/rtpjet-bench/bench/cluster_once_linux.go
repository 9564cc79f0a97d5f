package bench

import (
	"context"
	"sync"
	"time"
)

// ClusterOnce is what offers sent to all nodes at the same time showed.
type ClusterOnce struct {
	CommandTally
	Cookies   string  `json:"cookies"` // same or own
	Calls     int     `json:"calls"`
	SDPs      int     `json:"sdps"`            // distinct ones, of all calls; as many as calls
	Divided   int     `json:"divided_calls"`   // calls with more than one
	Owned     int     `json:"calls_owned"`     // by all nodes together, before the deletes
	PortsHeld int     `json:"ports_held"`      // before the deletes
	PortsLeft int     `json:"ports_left"`      // after them, when the time to rest is over
	RestS     float64 `json:"until_no_port_s"` // from the last delete
}

// restLimit is longer than any port is kept for.
const restLimit = 15 * time.Second

// atOnce sends each offer to all nodes at the same time, then deletes the calls.
func (r *clusterRun) atOnce(ctx context.Context, calls, callers int, same bool) (*ClusterOnce, error) {
	t := newTally()
	out := &ClusterOnce{Cookies: "own", Calls: calls}
	if same {
		out.Cookies = "same"
	}
	watch, err := newAsker(r.nodes, t)
	if err != nil {
		return nil, err
	}
	defer watch.close()
	idle, err := watch.use(ctx)
	if err != nil {
		return nil, err
	}

	var mu sync.Mutex
	name := r.name + out.Cookies
	err = r.each(ctx, calls, callers, t, func(ctx context.Context, a *asker, i int) error {
		n := r.offerEverywhere(ctx, a, namesOf(name, i), same, i)
		mu.Lock()
		defer mu.Unlock()
		out.SDPs += n
		if n > 1 {
			out.Divided++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	full, err := watch.use(ctx)
	if err != nil {
		return nil, err
	}
	out.Owned, out.PortsHeld = full.own-idle.own, full.ports-idle.ports
	err = r.each(ctx, calls, callers, t, func(ctx context.Context, a *asker, i int) error {
		names := namesOf(name, i)
		a.ask(ctx, r.anyNode(), -1, "delete", names.callID, deleteRequest(names, r.opts))
		return nil
	})
	if err != nil {
		return nil, err
	}
	began := time.Now()
	for {
		left, err := watch.use(ctx)
		if err != nil {
			return nil, err
		}
		out.PortsLeft, out.RestS = left.ports-idle.ports, time.Since(began).Seconds()
		if out.PortsLeft <= 0 || time.Since(began) > restLimit {
			break
		}
		if err := waitUntil(ctx, time.Now().Add(50*time.Millisecond)); err != nil {
			return nil, err
		}
	}
	out.CommandTally = t.result()
	return out, nil
}

// offerEverywhere sends an offer to all nodes at the same time and returns how many different SDPs came back.
func (r *clusterRun) offerEverywhere(ctx context.Context, a *asker, names callNames, same bool, i int) int {
	sdp := phoneSDP(r.nobody(2*i), r.sdp)
	s := signalling{command: "offer", names: names, from: r.local, sdp: sdp}
	got := make([]string, len(a.clients))
	start := make(chan struct{})
	var group sync.WaitGroup
	for k, c := range a.clients {
		if same {
			c.prefix, c.seq = a.clients[0].prefix, a.clients[0].seq
		}
		group.Go(func() {
			<-start
			if reply, ok := a.ask(ctx, k, -1, "offer", names.callID, s.request()); ok {
				got[k] = reply.SDP
			}
		})
	}
	close(start)
	group.Wait()
	distinct := map[string]bool{}
	for _, sdp := range got {
		if sdp != "" {
			distinct[sdp] = true
		}
	}
	return len(distinct)
}
