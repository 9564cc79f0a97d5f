package config

import (
	"cmp"
	"log/slog"
	"net/url"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"rtpjet/relay/plan"
)

// scalars decodes what is a number, a word or a flag.
func (d *decoder) scalars(c *Config) {
	d.ports = plan.PortRange{Min: uint16(d.number("port-min")), Max: uint16(d.number("port-max"))}
	c.TOS = uint8(d.number("tos"))
	c.ControlTOS = uint8(d.number("control-tos"))
	c.Timeout = d.seconds("timeout")
	c.SilentTimeout = d.seconds("silent-timeout")
	c.OfferTimeout = d.seconds("offer-timeout")
	c.FinalTimeout = d.seconds("final-timeout")
	c.DeleteDelay = d.seconds("delete-delay")
	c.LegSilence = d.seconds("leg-silence")
	c.LenientLearning = d.flag("lenient-learning")
	c.SIPSource = d.flag("sip-source")
	c.RejectInvalidSDP = d.flag("reject-invalid-sdp")
	c.MaxSessions = d.number("max-sessions")
	c.Threads = cmp.Or(d.number("num-threads"), runtime.GOMAXPROCS(0))
	c.SoftwareID = d.text("software-id")
	c.PIDFile = d.text("pidfile")
	d.logging(c)
	if len(d.s["foreground"]) > 0 && !d.flag("foreground") {
		c.Warnings = append(c.Warnings, "rtpjet does not go into the background; a service manager keeps it running")
	}
	c.Learning, _ = plan.LearningNamed(d.choice("endpoint-learning", d.lower("endpoint-learning")))
}

// logging decodes what is logged, and how.
func (d *decoder) logging(c *Config) {
	c.LogLevel = slogLevel(d.number("log-level"))
	d.flag("log-stderr")
	c.LogJSON = d.choice("log-format", d.text("log-format"), "default", "parsable") == "json" // the last two are rtpengine's for text
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
	c.NodeID = d.name("node-id", d.s.one("node-id", cmp.Or(sanitize(host), "node")))
	c.Region = d.name("region", d.text("region"))
	c.ArchiveAge = d.age()
	for _, v := range d.s["nats"] {
		for u := range strings.SplitSeq(v.value, ",") {
			if u = strings.TrimSpace(u); u != "" {
				c.NATS = append(c.NATS, d.natsURL(u, v.where))
			}
		}
	}
	if c.DataDir = d.text("data-dir"); dev {
		c.DataDir = d.s.one("data-dir", devDir(env))
	}
	if c.DataDir == "" {
		d.faults.add("--data-dir is empty; name a directory that can be written")
	}
	d.logLoss(c)
	d.regions(c)
	c.NATSListen = d.text("nats-listen")
	switch {
	case len(c.NATS) > 0 && len(d.s["nats-listen"]) > 0:
		d.faults.add("--nats and --nats-listen exclude each other: the one uses a NATS elsewhere, the other the embedded one; leave one out")
	case c.NATSListen == "none" || c.NATSListen == "":
		c.NATSListen = ""
	default:
		if err := checkHostPort(c.NATSListen); err != nil {
			d.faults.add("--nats-listen is %s; it must be ADDR:PORT, or none", Quote(c.NATSListen))
		} else if dev && len(d.s["nats-listen"]) == 0 && len(c.NATS) == 0 && !env.CanListen(c.NATSListen) {
			c.NATSListen = "127.0.0.1:0"
		}
	}
	c.NATSAuth = d.natsAuth(env, len(c.NATS) > 0)
	d.cluster(c)
}

// logLoss decodes what is done without the log. With a NATS elsewhere a data directory is only used if one is named.
func (d *decoder) logLoss(c *Config) {
	c.ServeUnlogged = d.choice("log-loss", d.lower("log-loss")) == "serve"
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
		d.faults.add("%s is %s; it must be a URL such as nats://192.0.2.1:4222", where, Quote(s))
		return s
	}
	switch u.Scheme {
	case "nats", "tls", "ws", "wss":
	default:
		d.faults.add("%s is %s; its scheme must be nats, tls, ws or wss", where, Quote(s))
	}
	return full
}

// age reads a duration as Go writes it, or whole days: 7d.
func (d *decoder) age() time.Duration {
	s := strings.TrimSpace(d.text("archive-age"))
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= 36500 {
			return time.Duration(n) * 24 * time.Hour
		}
	} else if v, err := time.ParseDuration(s); err == nil && v >= time.Minute {
		return v
	}
	d.faults.add("--archive-age is %s; it must be days such as 7d, or a time such as 36h, of at least a minute", Quote(s))
	return 0
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
