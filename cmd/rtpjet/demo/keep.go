package demo

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// stay leaves the cluster to the operator until Ctrl-C.
func (d *demo) stay(ctx context.Context) {
	var socks, pids []string
	for _, n := range d.nodes {
		socks = append(socks, "udp:"+n.at(n.ng))
		pids = append(pids, fmt.Sprintf("%s is process %d", n.id, n.cmd.Process.Pid))
	}
	w := d.out.w
	// One line, though it is longer than a terminal is wide: it is there to be copied.
	fmt.Fprintf(w, "The cluster is yours until Ctrl-C. In kamailio.cfg:\n\n  modparam(\"rtpengine\", \"rtpengine_sock\", \"%s\")\n\n",
		strings.Join(socks, " "))
	first := d.nodes[0]
	fmt.Fprintf(w, "To look at it:\n\n  rtpjet node list --nats nats://%s\n  rtpjet call list --nats nats://%s\n\n",
		first.at(first.nats), first.at(first.nats))
	fmt.Fprintf(w, "In a browser: http://%s/, where a call that has ended can be looked at by its call-id, %s for one.\n\n", first.at(first.http), d.calls[0].id)
	d.out.lines("", "", listed(pids)+".")
	fmt.Fprintf(w, "Their logs and data are in %s\n", d.dir)

	var wg sync.WaitGroup
	var mu sync.Mutex // one line at a time
	for _, n := range d.nodes {
		wg.Go(func() {
			select {
			case <-ctx.Done():
			case <-n.ended:
				mu.Lock()
				defer mu.Unlock()
				d.out.say("%s has ended: %v", n.id, n.err)
			}
		})
	}
	<-ctx.Done()
	wg.Wait()
	fmt.Fprintln(w)
}
