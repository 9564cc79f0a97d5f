package config

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"rtpjet/embed"
	"rtpjet/ngserver/ng"
	"rtpjet/relay/plan"
)

// Defaults that the help names.
const (
	defaultConfigFile    = "/etc/rtpengine/rtpengine.conf"
	defaultConfigSection = "rtpengine"
	defaultDataDir       = "/var/lib/rtpjet"
	defaultRegion        = "default"
	DefaultNATSListen    = "127.0.0.1:4222"
	defaultNG            = "127.0.0.1:2223"
	defaultHTTP          = "127.0.0.1:8080"
)

// Config is everything that serve and dev take, decoded and resolved.
type Config struct {
	// Interfaces are the media addresses.
	Interfaces *plan.Interfaces
	// Floats are the floating addresses, FloatProvider who puts them on this machine, and FloatTimeout after how much silence
	// of their holder the successor takes them. FloatSettle is how long a node must have been back before it gets one again for
	// the sake of balance; 0: it does not.
	Floats        []Float
	FloatProvider string
	FloatTimeout  time.Duration
	FloatSettle   time.Duration
	// Listen is where NG commands are answered over UDP: ADDRESS:PORT, or a PORT alone for all addresses. ListenFloat are
	// addresses that this machine need not have.
	Listen, ListenFloat []string
	// Templates are the flags that commands name, or have by themselves.
	Templates ng.Templates
	// ListenHTTP is where metrics and probes are answered, in the same form. Empty: nowhere.
	ListenHTTP []string
	// HTTPToken is what operators say on the web page to change something. Empty: it is for looking only.
	HTTPToken string
	// TOS and ControlTOS are the TOS bytes of media and of NG replies.
	TOS, ControlTOS uint8

	// Timeout ends a call without media, SilentTimeout one that is muted, OfferTimeout one that was never answered, and
	// FinalTimeout any, if it is not 0. DeleteDelay is how long a call stays after its delete. LegSilence is after how much
	// silence of one party an event tells of it; 0: none does.
	Timeout, SilentTimeout, FinalTimeout, OfferTimeout, DeleteDelay, LegSilence time.Duration

	Learning         plan.Learning
	LenientLearning  bool
	SIPSource        bool
	RejectInvalidSDP bool
	// MaxSessions is the number of calls beyond which new ones are refused; negative: no limit.
	MaxSessions int
	// Threads is the number of threads that move media.
	Threads    int
	SoftwareID string

	LogLevel slog.Level
	// LogJSON has each line of the log be JSON.
	LogJSON bool
	// PIDFile is a file to write the process id to; may be empty.
	PIDFile string

	NodeID, Region string
	// RegionListen is where the embedded NATS takes the servers of other regions, RegionPeers are these.
	RegionListen string
	RegionPeers  []embed.RegionPeer
	// Zone is where the node is; may be empty.
	Zone string
	// DataDir is where the embedded NATS keeps its files, and where events wait for the log.
	DataDir string
	// NATS are the URLs of a NATS cluster elsewhere. Empty: the embedded one.
	NATS []string
	NATSAuth
	// NATSListen is where the embedded NATS takes clients. Empty: nowhere.
	NATSListen string
	// NATSClusterListen is where the embedded NATS takes the other servers of its cluster; empty: it stands alone. NATSRoutes
	// are where these are; this one may be among them.
	NATSClusterListen string
	NATSRoutes        []string
	// NATSReplicas is on how many servers the log is; 0: as many as there are servers for.
	NATSReplicas int
	ArchiveAge   time.Duration
	// ServeUnlogged has the calls of this node served while the log does not answer. UnloggedDir is where their events wait
	// for it if NATS is set, empty: in memory; otherwise it is DataDir.
	ServeUnlogged bool
	UnloggedDir   string

	// Warnings are what an operator should know of his options: those without effect, and the like.
	Warnings []string
}

// UnloggedEvents is the directory where events wait for the log while it does not answer; empty: they wait in memory.
func (c *Config) UnloggedEvents() string {
	if len(c.NATS) == 0 {
		return c.DataDir
	}
	return c.UnloggedDir
}

// Env is what a configuration depends on besides the options: the machine. The zero value of a function is the real one.
type Env struct {
	ReadFile func(name string) ([]byte, error)
	// LookupHost resolves a host name.
	LookupHost func(ctx context.Context, name string) ([]netip.Addr, error)
	// CardAddrs returns the addresses of a network card, or of all if name is empty, loopback and link-local excluded then.
	CardAddrs func(name string) ([]netip.Addr, error)
	// MainAddr returns the address from which this machine reaches others; invalid if there is no network.
	MainAddr func() netip.Addr
	Hostname func() (string, error)
	CacheDir func() (string, error)
	// CanListen reports whether a TCP port can be had.
	CanListen func(addr string) bool
}

func (e *Env) fill() {
	if e.ReadFile == nil {
		e.ReadFile = os.ReadFile
	}
	if e.LookupHost == nil {
		e.LookupHost = func(ctx context.Context, name string) ([]netip.Addr, error) {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		}
	}
	if e.CardAddrs == nil {
		e.CardAddrs = cardAddrs
	}
	if e.MainAddr == nil {
		e.MainAddr = mainAddr
	}
	if e.Hostname == nil {
		e.Hostname = os.Hostname
	}
	if e.CacheDir == nil {
		e.CacheDir = os.UserCacheDir
	}
	if e.CanListen == nil {
		e.CanListen = func(addr string) bool {
			l, err := net.Listen("tcp", addr)
			return err == nil && l.Close() == nil
		}
	}
}
