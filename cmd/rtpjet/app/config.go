package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
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
	defaultNATSListen    = "127.0.0.1:4222"
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

// loadConfig decodes the options of serve, or of dev with its own defaults. Its error joins all faults.
func loadConfig(ctx context.Context, line settings, dev bool, env Env) (*Config, error) {
	env.fill()
	file, err := readConfigFile(line, dev, env)
	if err != nil {
		return nil, err
	}
	c := &Config{}
	all := settings{}
	if file != nil {
		section := line.one("config-section", defaultConfigSection)
		g := file.group(section)
		if g == nil {
			return nil, usageError(fmt.Sprintf("%s has no section [%s]; write one, or name another with --config-section", file.name, section))
		}
		all, c.Warnings = fromGroup(file, g)
	}
	all.override(line)
	c.Warnings = append(c.Warnings, all.unused()...)

	d := &decoder{s: all}
	d.scalars(c)
	d.identity(c, dev, env)
	specs, alias := d.interfaces(file)
	if dev && len(specs) == 0 && len(all["interface"]) == 0 && len(all["interfaces-config"]) == 0 {
		specs = append(specs, devInterface(d.ports, env))
	}
	d.zones(c, specs)
	d.resolve(ctx, c, specs, alias, env)
	d.floats(c, specs, alias)
	d.listen(ctx, c, dev, env)
	c.Templates = d.templates(file)
	return c, d.faults.err()
}

// readConfigFile reads the file that the command line names, or the usual one if there is one; nil if there is none.
func readConfigFile(line settings, dev bool, env Env) (*iniFile, error) {
	name, given := line.one("config-file", ""), len(line["config-file"]) > 0
	if name == "none" || dev && !given {
		return nil, nil
	}
	if !given {
		name = defaultConfigFile
	}
	b, err := env.ReadFile(name)
	switch {
	case err == nil:
		return parseINI(name, b)
	case !given && errors.Is(err, fs.ErrNotExist):
		return nil, nil
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return nil, usageError(fmt.Sprintf("cannot read the configuration file %s: %v; name another with --config-file, or none", name, err))
}

// one returns the last value of an option.
func (s settings) one(name, def string) string {
	if v := s[name]; len(v) > 0 {
		return v[len(v)-1].value
	}
	return def
}

// decoder turns settings into a Config and gathers what is wrong with them.
type decoder struct {
	s      settings
	faults faultList
	ports  plan.PortRange // of --port-min and --port-max
}

func (d *decoder) number(name string, def, low, high int) int {
	v := d.s[name]
	if len(v) == 0 {
		return def
	}
	last := v[len(v)-1]
	n, err := strconv.Atoi(strings.TrimSpace(last.value))
	if err != nil || n < low || n > high {
		between := fmt.Sprintf("a whole number from %d to %d", low, high)
		if high == math.MaxInt32 {
			between = fmt.Sprintf("a whole number of at least %d", low)
		}
		d.faults.add("%s is %s; it must be %s", last.where, quote(last.value), between)
		return def
	}
	return n
}

func (d *decoder) seconds(name string, def, low int) time.Duration {
	return time.Duration(d.number(name, def, low, math.MaxInt32)) * time.Second
}

func (d *decoder) flag(name string) bool {
	v := d.s[name]
	if len(v) == 0 {
		return false
	}
	last := v[len(v)-1]
	switch strings.ToLower(strings.TrimSpace(last.value)) {
	case "true", "1", "yes":
		return true
	case "false", "0", "no":
		return false
	}
	d.faults.add("%s is %s; it must be true or false", last.where, quote(last.value))
	return false
}

// name reads an option that becomes a part of NATS names.
func (d *decoder) name(option, def string) string {
	s := d.s.one(option, def)
	if !embed.ValidName(s) {
		d.faults.add("--%s is %s; it must consist of letters, digits, - and _", option, quote(s))
	}
	return s
}

// fixedPort tells whether a text is ADDR:PORT with a port that others can be told.
func fixedPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != "0" && checkHostPort(s) == nil
}

// reachable tells whether a text is fixedPort with an address to connect to.
func reachable(s string) bool {
	host, _, err := net.SplitHostPort(s)
	return err == nil && host != "" && fixedPort(s)
}

var learningModes = map[string]plan.Learning{
	"heuristic": plan.LearnHeuristic, "off": plan.LearnOff, "immediate": plan.LearnImmediate, "delayed": plan.LearnDelayed,
}

func (d *decoder) scalars(c *Config) {
	d.ports = plan.PortRange{Min: uint16(d.number("port-min", 30000, 1, 65534)), Max: uint16(d.number("port-max", 39999, 2, 65535))}
	c.TOS = uint8(d.number("tos", 0, 0, 255))
	c.ControlTOS = uint8(d.number("control-tos", 0, 0, 255))
	c.Timeout = d.seconds("timeout", 60, 1)
	c.SilentTimeout = d.seconds("silent-timeout", 3600, 1)
	c.OfferTimeout = d.seconds("offer-timeout", 3600, 1)
	c.FinalTimeout = d.seconds("final-timeout", 0, 0)
	c.DeleteDelay = d.seconds("delete-delay", 30, 0)
	c.LegSilence = d.seconds("leg-silence", 20, 0)
	c.LenientLearning = d.flag("lenient-learning")
	c.SIPSource = d.flag("sip-source")
	c.RejectInvalidSDP = d.flag("reject-invalid-sdp")
	c.MaxSessions = d.number("max-sessions", -1, -1, math.MaxInt32)
	c.Threads = d.number("num-threads", 0, 0, 1024)
	if c.Threads == 0 {
		c.Threads = runtime.GOMAXPROCS(0)
	}
	c.SoftwareID = d.s.one("software-id", "")
	c.PIDFile = d.s.one("pidfile", "")
	c.LogLevel = slogLevel(d.number("log-level", 6, 0, math.MaxInt32))
	d.flag("log-stderr")
	switch format := d.s.one("log-format", "text"); format {
	case "text", "default", "parsable": // the last two are rtpengine's
	case "json":
		c.LogJSON = true
	default:
		d.faults.add("--log-format is %s; it must be text or json", quote(format))
	}
	if len(d.s["foreground"]) > 0 && !d.flag("foreground") {
		c.Warnings = append(c.Warnings, "rtpjet does not go into the background; a service manager keeps it running")
	}
	mode := strings.ToLower(strings.TrimSpace(d.s.one("endpoint-learning", "heuristic")))
	var ok bool
	if c.Learning, ok = learningModes[mode]; !ok {
		d.faults.add("--endpoint-learning is %s; it must be heuristic, immediate, delayed or off", quote(mode))
	}
}

// slogLevel maps syslog's levels.
func slogLevel(syslog int) slog.Level {
	switch {
	case syslog <= 3:
		return slog.LevelError
	case syslog == 4:
		return slog.LevelWarn
	case syslog <= 6:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// identity decodes what makes the node a part of a cluster, and where its log is.
func (d *decoder) identity(c *Config, dev bool, env Env) {
	host, err := env.Hostname()
	if err != nil || host == "" {
		host = "node"
	}
	host, _, _ = strings.Cut(host, ".")
	c.NodeID = d.name("node-id", cmp.Or(sanitize(host), "node"))
	c.Region = d.name("region", "default")
	c.ArchiveAge = d.age()
	for _, v := range d.s["nats"] {
		for u := range strings.SplitSeq(v.value, ",") {
			if u = strings.TrimSpace(u); u != "" {
				c.NATS = append(c.NATS, d.natsURL(u, v.where))
			}
		}
	}
	def := defaultDataDir
	if dev {
		def = devDir(env)
	}
	c.DataDir = d.s.one("data-dir", def)
	if c.DataDir == "" {
		d.faults.add("--data-dir is empty; name a directory that can be written")
	}
	d.logLoss(c)
	d.regions(c)
	c.NATSListen = d.s.one("nats-listen", defaultNATSListen)
	switch {
	case len(c.NATS) > 0 && len(d.s["nats-listen"]) > 0:
		d.faults.add("--nats and --nats-listen exclude each other: the one uses a NATS elsewhere, the other the embedded one; leave one out")
	case c.NATSListen == "none" || c.NATSListen == "":
		c.NATSListen = ""
	default:
		if err := checkHostPort(c.NATSListen); err != nil {
			d.faults.add("--nats-listen is %s; it must be ADDR:PORT, or none", quote(c.NATSListen))
		} else if dev && len(d.s["nats-listen"]) == 0 && len(c.NATS) == 0 && !env.CanListen(c.NATSListen) {
			c.NATSListen = "127.0.0.1:0"
		}
	}
	c.NATSAuth = d.natsAuth(env, len(c.NATS) > 0)
	d.cluster(c)
}

// logLoss decodes what is done without the log. With a NATS elsewhere a data directory is only used if one is named.
func (d *decoder) logLoss(c *Config) {
	switch mode := strings.ToLower(strings.TrimSpace(d.s.one("log-loss", "refuse"))); mode {
	case "refuse", "serve":
		c.ServeUnlogged = mode == "serve"
	default:
		d.faults.add("--log-loss is %s; it must be refuse or serve", quote(mode))
	}
	switch {
	case len(c.NATS) == 0:
	case len(d.s["data-dir"]) > 0:
		c.UnloggedDir = c.DataDir
	case c.ServeUnlogged:
		c.Warnings = append(c.Warnings, "--log-loss=serve: events that wait for the log are in memory only; name a --data-dir to keep them across a restart")
	}
}

func (d *decoder) natsURL(s, where string) string {
	full := s
	if !strings.Contains(s, "://") {
		full = "nats://" + s
	}
	u, err := url.Parse(full)
	if err != nil || u.Hostname() == "" {
		d.faults.add("%s is %s; it must be a URL such as nats://192.0.2.1:4222", where, quote(s))
		return s
	}
	switch u.Scheme {
	case "nats", "tls", "ws", "wss":
	default:
		d.faults.add("%s is %s; its scheme must be nats, tls, ws or wss", where, quote(s))
	}
	return full
}

// age reads a duration as Go writes it, or whole days: 7d.
func (d *decoder) age() time.Duration {
	const def = "7d"
	s := strings.TrimSpace(d.s.one("archive-age", def))
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= 36500 {
			return time.Duration(n) * 24 * time.Hour
		}
	} else if v, err := time.ParseDuration(s); err == nil && v >= time.Minute {
		return v
	}
	d.faults.add("--archive-age is %s; it must be days such as 7d, or a time such as 36h, of at least a minute", quote(s))
	return 0
}

// listen decodes where NG commands and HTTP requests come in. Host names are resolved once.
func (d *decoder) listen(ctx context.Context, c *Config, dev bool, env Env) {
	list := d.s["listen-ng"]
	if len(list) == 0 && dev {
		list = []setting{{defaultNG, "--listen-ng"}}
	}
	if len(list) == 0 {
		d.faults.add("there is no --listen-ng: name the address and port on which the SIP proxy sends its commands, such as 127.0.0.1:2223")
	}
	for _, v := range list {
		if strings.HasPrefix(strings.TrimSpace(v.value), "float:") {
			d.listenFloat(c, v)
			continue
		}
		if addr, ok := d.listenAddr(ctx, v, "127.0.0.1:2223", env); ok {
			c.Listen = append(c.Listen, addr)
		}
	}
	http := d.s["listen-http"]
	if dev && len(http) == 0 {
		if http = []setting{{defaultHTTP, "--listen-http"}}; !env.CanListen(defaultHTTP) {
			http[0].value = "127.0.0.1:0"
		}
	}
	c.HTTPToken = d.httpToken(env)
	for _, v := range http {
		if addr, ok := d.listenAddr(ctx, v, "127.0.0.1:8080", env); ok {
			c.ListenHTTP = append(c.ListenHTTP, addr)
		}
	}
}

// minHTTPToken is how long a token must be at least: nobody is to guess it.
const minHTTPToken = 16

func (d *decoder) httpToken(env Env) string {
	name := d.s.one("http-token-file", "")
	if name == "" {
		return ""
	}
	token := d.secret("http-token-file", name, env)
	if token != "" && (len(token) < minHTTPToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })) {
		d.faults.add("--http-token-file: %s must have one line of at least %d letters and digits, for example from openssl rand -hex 32", name, minHTTPToken)
	}
	return token
}

// listenAddr decodes [ADDR:]PORT.
func (d *decoder) listenAddr(ctx context.Context, v setting, example string, env Env) (addr string, ok bool) {
	s := strings.TrimSpace(v.value)
	if port, err := strconv.ParseUint(s, 10, 16); err == nil && port > 0 {
		return s, true
	}
	if checkHostPort(s) != nil {
		d.faults.add("%s is %s; it must be [ADDR:]PORT, such as %s", v.where, quote(v.value), example)
		return "", false
	}
	host, port, _ := net.SplitHostPort(s)
	if host == "" {
		return port, true
	}
	a, err := oneAddr(ctx, host, env)
	if err != nil {
		d.faults.add("%s is %s, and the host name cannot be resolved: %v; write the address instead", v.where, quote(v.value), err)
		return "", false
	}
	return net.JoinHostPort(a.String(), port), true
}

// checkHostPort accepts HOST:PORT with a port from 0 to 65535.
func checkHostPort(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return err
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err
}

// oneAddr reads an address, or resolves a host name and prefers IPv4.
func oneAddr(ctx context.Context, host string, env Env) (netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return a, nil
	}
	addrs, err := env.LookupHost(ctx, host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs {
		if a.Unmap().Is4() {
			return a.Unmap(), nil
		}
	}
	if len(addrs) == 0 {
		return netip.Addr{}, errors.New("it has no address")
	}
	return addrs[0], nil
}

// sanitize makes a host name a possible node id.
func sanitize(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, s)
}

// devDir is where dev keeps its log: in the user's cache, or here if there is none.
func devDir(env Env) string {
	if dir, err := env.CacheDir(); err == nil {
		return filepath.Join(dir, "rtpjet", "dev")
	}
	return ".rtpjet"
}
