package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"rtpjet/cmd/rtpjet/config"
	"rtpjet/cmd/rtpjet/httpd"
	"rtpjet/cmd/rtpjet/keeper"
	"rtpjet/cmd/rtpjet/metrics"
	"rtpjet/cmd/rtpjet/node"
	"rtpjet/cmd/rtpjet/node/regions"
	"rtpjet/cmd/rtpjet/node/view"
	"rtpjet/embed"
	"rtpjet/embed/server"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/relay"
)

// keepEnded is how long the events of an ended call stay in the stream of live calls: long enough for a proxy that asks
// again, and for every node to have seen the end.
const keepEnded = time.Minute

// mediaNice is the priority of the threads that move media: on a busy machine signalling can wait for them, and not the other
// way round. Without the right to set it, they run like all others.
const mediaNice = -10

// memoryPercent is the heap growth between two garbage collections, unless GOGC says otherwise. Most of the heap is the
// calls, which stay; collecting less often costs a little memory and saves a tenth of the CPU of call set-up.
const memoryPercent = 200

// Serve runs a node until ctx ends. Errors at the start are sentences for the operator: what, where, what to do. If dev is
// true, it prints to stdout what a newcomer wants to know.
func Serve(ctx context.Context, c *config.Config, dev bool, stdout io.Writer, log *slog.Logger) (err error) {
	ready := func() {}
	if os.Getenv("GOGC") == "" {
		// Until the log is folded nearly all that is allocated stays, and collecting would only be in the way.
		debug.SetGCPercent(1000)
		ready = func() {
			debug.SetGCPercent(memoryPercent)
			go debug.FreeOSMemory() // what the backlog was decoded from
		}
	}
	for _, w := range c.Warnings {
		log.Warn(w)
	}
	if err := checkAddresses(c); err != nil {
		return err
	}
	var closers []func()
	var n *node.Node
	began := time.Now()
	closers = append(closers, func() { // the last of them
		if n != nil {
			log.Info("rtpjet has ended", "node", c.NodeID, "uptime", time.Since(began).Round(time.Second), "calls", n.OwnCalls())
		}
	})
	defer func() {
		for i := len(closers) - 1; i >= 0; i-- {
			closers[i]()
		}
	}()

	var front *Front
	var pageAddr netip.AddrPort // invalid: there is none
	var counters *metrics.Counters
	var takenOver func(call, from, to, why string)
	served := make(chan struct{})
	if len(c.ListenHTTP) > 0 { // before NATS, which may take its time
		front = NewFront(log)
		front.Page(c.HTTPToken, log)
		counters, takenOver = front.Counters(), front.News().TakenOver
		web, err := httpd.Listen(c.ListenHTTP, front, log)
		if err != nil {
			return explainListen(err, "--listen-http")
		}
		closers = append(closers, web.Close)
		pageAddr = web.Addrs()[0]
		log.Info("answering HTTP", "listen", joinAddrs(web.Addrs()))
	}
	// Before the log is waited for, which may be until other nodes are there: a device that does not exist is said at once.
	keepers, err := newKeepers(c)
	if err != nil {
		return err
	}
	var first *keeper.Keeper
	if len(c.Floats) > 0 {
		if first, err = keepers.start(ctx); err != nil {
			return fmt.Errorf("cannot hold floating addresses: %w", err)
		}
		closers = append(closers, func() { _ = first.Close() })
	}

	nc, ns, err := connect(ctx, c, log)
	if err != nil {
		return err
	}
	if ns != nil {
		closers = append(closers, ns.Shutdown)
	}
	closers = append(closers, nc.Close)
	logConfig := embed.Config{Region: c.Region, Replicas: c.NATSReplicas, ArchiveAge: c.ArchiveAge, Logger: log}
	if ns != nil {
		if c.NATSClusterListen == "" {
			logConfig.Health = ns.Healthy // in a cluster, a full disk here does not keep the log from being written elsewhere
		}
		logConfig.Servers = ns.Servers
	}
	journal, err := embed.Open(ctx, nc, logConfig)
	if err != nil {
		return err
	}
	closers = append(closers, journal.Close)
	instance, err := journal.InstanceID(ctx)
	if err != nil {
		return err
	}

	keys, err := sealKeys(c, log)
	if err != nil {
		return err
	}
	engine, err := relay.New(relay.Config{Pools: relayPools(c, keepers.shared), Loops: c.Threads, Nice: mediaNice, Logger: log})
	if err != nil {
		return fmt.Errorf("cannot start the relay: %w", err)
	}
	closers = append(closers, func() { _ = engine.Close() })

	n, err = node.New(node.Config{
		ID: c.NodeID, Interfaces: c.Interfaces, Zone: c.Zone, Listen: c.Listen, ControlTOS: int(c.ControlTOS),
		Defaults: projection.RouteDefaults{Learning: c.Learning, Lenient: c.LenientLearning, TOS: c.TOS},
		Timeouts: projection.Timeouts{
			Media: c.Timeout.Microseconds(), Silent: c.SilentTimeout.Microseconds(),
			Offer: c.OfferTimeout.Microseconds(), Final: c.FinalTimeout.Microseconds(),
		},
		DeleteDelay: int(c.DeleteDelay / time.Second), MaxSessions: c.MaxSessions, SIPSource: c.SIPSource, Templates: c.Templates,
		InstanceID: instance, LegSilence: c.LegSilence, KeepEnded: keepEnded, Journal: journal, Link: journal, ClusterKey: c.ClusterKey, SealKeys: keys,
		Floats:      node.FloatConfig{Floats: c.Floats, Start: keepers.start, Keeper: first},
		ListenFloat: c.ListenFloat,
		Engine:      engine, Counters: counters, Logger: log, OrphanTimeout: c.Timeout,
		Region: c.Region, Regions: otherRegions(c, ns, log), RegionServer: regionServer(c, journal),
		ServeUnlogged: c.ServeUnlogged, UnloggedDir: c.UnloggedEvents(), TakenOver: takenOver,
		Ready: func(n *node.Node) {
			ready()
			close(served)
			log.Info("answering NG commands", "node", c.NodeID, "listen", strings.Join(n.Addrs(), " "))
			if dev {
				welcome(stdout, c, n, ns, pageAddr)
			}
		},
	})
	if err != nil {
		return explainListen(err, "--listen-ng")
	}
	if front != nil {
		front.Show(n)
		page := view.New(view.Config{Node: c.NodeID, Host: node.Inspect(n), Journal: journal, Link: journal, News: front.News(), Clock: time.Now})
		front.ShowPage(page)
		closers = append(closers, watch(ctx, page, served))
	}
	if c.PIDFile != "" {
		if err := os.WriteFile(c.PIDFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
			return fmt.Errorf("cannot write the pid file %s: %w; name another with --pidfile", c.PIDFile, config.PathReason(err))
		}
		closers = append(closers, func() { _ = os.Remove(c.PIDFile) })
	}
	return n.Run(ctx)
}

// watch has the page note what happens in the cluster, from when served is closed until end is called.
func watch(ctx context.Context, page *view.View, served <-chan struct{}) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-ctx.Done():
		case <-served:
			page.Watch(ctx)
		}
	})
	return func() { cancel(); watching.Wait() }
}

// regionServer is where other regions ask this one; nil if there are none.
func regionServer(c *config.Config, journal *embed.Log) regions.Server {
	if c.RegionListen == "" && len(c.RegionPeers) == 0 {
		return nil
	}
	return journal
}

// otherRegions are those of the configuration.
func otherRegions(c *config.Config, ns *server.Server, log *slog.Logger) []regions.Region {
	var out []regions.Region
	for _, p := range c.RegionPeers {
		out = append(out, regions.Region{Name: p.Name, Open: func(ctx context.Context) (regions.Log, error) {
			return openRegion(ctx, c, ns, p.Name, log)
		}, Why: func() string {
			_, why := ns.RegionLink(p.Name)
			return why
		}})
	}
	return out
}

// regionMirror is the log of another region on a connection of its own.
type regionMirror struct {
	*embed.Log
	nc *nats.Conn
}

// Close ends the log and its connection.
func (m regionMirror) Close() {
	m.Log.Close()
	m.nc.Close()
}

func openRegion(ctx context.Context, c *config.Config, ns *server.Server, name string, log *slog.Logger) (regions.Log, error) {
	nc, err := ns.ConnectRegion(name)
	if err != nil {
		return nil, err
	}
	l, err := embed.OpenMirror(ctx, nc, embed.Config{
		Region: name, Here: c.Region, Replicas: c.NATSReplicas, ArchiveAge: c.ArchiveAge, Servers: ns.Servers, Logger: log,
	})
	if err != nil {
		nc.Close()
		return nil, err
	}
	return regionMirror{l, nc}, nil
}

func relayPools(c *config.Config, shared *keeper.Deadlines) []relay.Pool {
	var pools []relay.Pool
	for _, p := range c.Interfaces.Pools() {
		pools = append(pools, relay.Pool{Addr: p.Addr, Min: p.Ports.Min, Max: p.Ports.Max, Exclude: p.Exclude})
	}
	for i, f := range c.Floats {
		for _, p := range f.Interfaces.Pools() {
			pools = append(pools, relay.Pool{
				Addr: p.Addr, Min: p.Ports.Min, Max: p.Ports.Max, Exclude: p.Exclude, Floating: true, Deadline: shared.At(i), Life: shared.Life(),
				First: uint16(events.Digest([]byte(c.NodeID))),
			})
		}
	}
	return pools
}

// checkAddresses makes sure that this machine has the media addresses: a call is a bad moment to find out.
func checkAddresses(c *config.Config) error {
	seen := make(map[netip.Addr]bool)
	var faults []error
	for _, i := range c.Interfaces.All() {
		if seen[i.Addr] {
			continue
		}
		seen[i.Addr] = true
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(i.Addr, 0)))
		if err != nil {
			faults = append(faults, fmt.Errorf("interface %s: this machine cannot use the address %s: %w; "+
				"add it to a device, or correct --interface", i.Name, i.Addr, reason(err)))
			continue
		}
		_ = conn.Close()
	}
	return errors.Join(faults...)
}

func joinAddrs(list []netip.AddrPort) string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.String()
	}
	return strings.Join(out, " ")
}

// explainListen says what to do about an address that cannot be had.
func explainListen(err error, option string) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; end the program that uses the port, or choose another with %s", err, option)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w; this machine does not have the address: correct %s", err, option)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w; choose a port above 1023 with %s, or run with the right to use it", err, option)
	}
	return err
}

// reason is the system's part of an error.
func reason(err error) error {
	var e syscall.Errno
	if errors.As(err, &e) {
		return e
	}
	return err
}

// welcome tells a newcomer where everything is.
func welcome(w io.Writer, c *config.Config, n *node.Node, ns *server.Server, page netip.AddrPort) {
	fmt.Fprintf(w, "rtpjet node %s is running.\n", c.NodeID)
	fmt.Fprintf(w, "  NG commands   udp %s\n", strings.Join(n.Addrs(), ", "))
	for _, i := range c.Interfaces.All() {
		fmt.Fprintf(w, "  media         %s, ports %d to %d", i.Addr, i.Ports.Min, i.Ports.Max)
		if i.Advertised != i.Addr {
			fmt.Fprintf(w, ", advertised as %s", i.Advertised)
		}
		fmt.Fprintln(w)
	}
	if page.IsValid() {
		fmt.Fprintf(w, "  web page      http://%s/\n", page)
	}
	natsURL := strings.Join(c.NATS, ",")
	if ns != nil {
		fmt.Fprintf(w, "  state         %s\n", c.DataDir)
		natsURL = ns.URL()
	}
	if natsURL != "" {
		fmt.Fprintf(w, "  NATS          %s\n", natsURL)
	}
	fmt.Fprintf(w, "\nIn kamailio.cfg:\n  modparam(\"rtpengine\", \"rtpengine_sock\", \"udp:%s\")\n", n.Addrs()[0])
	flag := ""
	if ns != nil && natsURL != "nats://"+config.DefaultNATSListen {
		flag = " --nats " + natsURL
	}
	fmt.Fprintf(w, "\nTo look at calls:\n  rtpjet call list%s\n  rtpjet call show%s CALL-ID\n\nCtrl-C ends it; the calls are there again at the next start.\n", flag, flag)
}
