package app

import "strings"

// kind is the type of an option's value.
type kind uint8

const (
	flag   kind = iota // present or not; true or false in a file
	number             // a whole number
	text               // anything
	list               // text that may be given more than once; separated by ; in a file
	// reserved is text that we have no use for, and whose form we do not check.
	reserved
	// reservedFlag and reservedList likewise.
	reservedFlag
	reservedList
)

// option is one option of serve and dev.
type option struct {
	long  string
	short byte // 0 if there is none
	kind  kind
	arg   string // what the value is called in the help
	help  string // empty: not in the help
}

func (o *option) used() bool   { return o.kind < reserved }
func (o *option) isFlag() bool { return o.kind == flag || o.kind == reservedFlag }
func (o *option) isList() bool { return o.kind == list || o.kind == reservedList }

// options are all names that rtpengine knows, and ours. The first part is in the order of the help.
var options = []option{
	{"interface", 'i', list, "[NAME/]ADDR[!ADVERTISED]", "media address: an IP address, a network card, a host name, or any; repeatable; ALIAS=NAME for another name"},
	{"interfaces-config", 0, text, "PREFIX", "media addresses from the sections [PREFIX-NAME] of the configuration file"},
	{"port-min", 'm', number, "PORT", "first port for media (30000)"},
	{"port-max", 'M', number, "PORT", "last port for media (39999)"},
	{"float", 0, list, "NAME/ADDR/PREFIX@DEVICE", "media address that the cluster owns and that moves to another node with its calls; NAME is the interface; repeatable"},
	{"float-provider", 0, text, "PROVIDER", "who puts floating addresses on this machine: netlink, none, or exec:SCRIPT (netlink)"},
	{"float-timeout", 0, number, "MS", "silence after which the holder of a floating address is replaced (60)"},
	{"float-settle", 0, number, "SECONDS", "how long a node must have been back before floating addresses move to it again; 0: they do not by themselves (30)"},
	{"listen-ng", 'n', list, "[ADDR:]PORT", "where NG commands are answered, over UDP; float:NAME:PORT for floating addresses; repeatable"},
	{"listen-http", 0, list, "[ADDR:]PORT", "where the web page (/), metrics (/metrics) and probes (/healthz, /readyz) are answered, over HTTP; repeatable (nowhere)"},
	{"http-token-file", 0, text, "FILE", "file with a secret that lets its owner drain nodes and move floating addresses on the web page; without it the page is for looking only"},
	{"timeout", 'o', number, "SECONDS", "end a call that has received no media for so long (60)"},
	{"silent-timeout", 's', number, "SECONDS", "the same for a call that is muted or on hold (3600)"},
	{"final-timeout", 'a', number, "SECONDS", "end every call after so long (0: never)"},
	{"offer-timeout", 0, number, "SECONDS", "end a call that was never answered (3600)"},
	{"delete-delay", 'd', number, "SECONDS", "keep a call for so long after its delete (30)"},
	{"leg-silence", 0, number, "SECONDS", "write an event about a party that should be sending and has not for so long (20; 0: never)"},
	{"tos", 'T', number, "0-255", "TOS byte of media packets (0)"},
	{"control-tos", 0, number, "0-255", "TOS byte of NG replies (0)"},
	{"endpoint-learning", 0, text, "MODE", "how the addresses of senders are learned: heuristic, immediate, delayed or off (heuristic)"},
	{"templates", 0, text, "SECTION", "section of the configuration file with flags for NG commands: NAME = FLAGS; default and those named like a command apply by themselves"},
	{"lenient-learning", 0, flag, "", "believe any sender by its first packet and pass on what others send, as rtpengine does; whoever finds a media port then hears a party that is silent, and can talk into every call (docs/learning.md)"},
	{"sip-source", 0, flag, "", "trust the address that SIP came from before that in the SDP"},
	{"max-sessions", 0, number, "CALLS", "refuse new calls beyond so many (-1: no limit)"},
	{"num-threads", 0, number, "THREADS", "threads that move media (the number of processors)"},
	{"reject-invalid-sdp", 0, flag, "", "refuse an SDP that is not quite right"},
	{"software-id", 0, text, "TEXT", "how this software calls itself"},
	{"log-level", 'L', number, "0-7", "how much to log: 3 errors, 4 warnings, 6 events, 7 and above everything, each command too (6)"},
	{"log-format", 0, text, "FORMAT", "lines of the log: text or json (text)"},
	{"log-stderr", 'E', flag, "", "log to the standard error output, as it always does"},
	{"foreground", 'f', flag, "", "stay in the foreground, as it always does"},
	{"pidfile", 'p', text, "FILE", "write the process id there"},
	{"config-file", 0, text, "FILE", "configuration file; none: none (" + defaultConfigFile + " if it exists)"},
	{"config-section", 0, text, "NAME", "section of the file (rtpengine)"},
	{"node-id", 0, text, "NAME", "name of this node in its cluster (the host's name)"},
	{"zone", 0, text, "NAME/NAME/...", "where this node is, from the widest to the narrowest, such as eu/fra/a; new calls stay in the zone of the node that is asked, or go to the nearest one"},
	{"interface-zone", 0, list, "NAME=ZONE", "where a media address is, if elsewhere than the node; repeatable"},
	{"region", 0, text, "NAME", "region whose log this node writes (default)"},
	{"region-listen", 0, text, "ADDR:PORT", "where the embedded NATS takes the servers of other regions"},
	{"region-peer", 0, list, "NAME=ADDR:PORT,...", "another region, and where its servers take this one's; repeatable"},
	{"data-dir", 0, text, "DIR", "where the embedded NATS keeps the log (" + defaultDataDir + ")"},
	{"log-loss", 0, text, "MODE", "commands for the calls of this node while the log does not answer: refuse, or serve them from memory and write the log later (refuse)"},
	{"nats", 0, list, "URL", "NATS cluster to use instead of the embedded one; repeatable"},
	{"nats-creds", 0, text, "FILE", "credentials for it"},
	{"nats-user", 0, text, "NAME", "user for it"},
	{"nats-password-file", 0, text, "FILE", "file with the password of that user"},
	{"nats-listen", 0, text, "ADDR:PORT", "where the embedded NATS takes clients; none: nowhere (" + defaultNATSListen + ")"},
	{"nats-cluster-listen", 0, text, "ADDR:PORT", "where the embedded NATS takes the other nodes of its cluster; without it, it stands alone"},
	{"nats-routes", 0, list, "ADDR:PORT,...", "where the embedded NATS finds the nodes of its cluster, this one included or not; repeatable"},
	{"nats-tls-ca", 0, text, "FILE", "authorities that the certificates of NATS come from, as PEM"},
	{"nats-tls-cert", 0, text, "FILE", "certificate for NATS: of the embedded one and of its routes, or to show the one elsewhere"},
	{"nats-tls-key", 0, text, "FILE", "private key of that certificate"},
	{"nats-replicas", 0, number, "SERVERS", "on how many servers of NATS the log is (0: 1, 3 or 5, by how many there are)"},
	{"cluster-key-file", 0, text, "FILE", "file with a secret of at least 16 bytes that all nodes share and without which NATS lets nobody in"},
	{"archive-age", 0, text, "DURATION", "keep the events of ended calls for so long: 36h, 7d (7d)"},
	{"help", 'h', flag, "", "print this"},

	{long: "version", short: 'v', kind: flag},

	// What follows is rtpengine's and without effect here.
	{long: "table", short: 't', kind: reserved},
	{long: "no-fallback", short: 'F', kind: reservedFlag},
	{long: "save-interface-ports", short: 'S', kind: reservedFlag},
	{long: "subscribe-keyspace", short: 'k', kind: reservedList},
	{long: "listen-tcp", short: 'l', kind: reservedList},
	{long: "listen-udp", short: 'u', kind: reservedList},
	{long: "listen-tcp-ng", short: 'N', kind: reservedList},
	{long: "listen-cli", short: 'c', kind: reservedList},
	{long: "listen-https", kind: reservedList},
	{long: "https-cert", kind: reserved},
	{long: "https-key", kind: reserved},
	{long: "http-threads", kind: reserved},
	{long: "http-buf-size", kind: reserved},
	{long: "http-idle-timeout", kind: reserved},
	{long: "graphite", short: 'g', kind: reserved},
	{long: "graphite-interval", short: 'G', kind: reserved},
	{long: "graphite-prefix", kind: reserved},
	{long: "graphite-timeout", kind: reserved},
	{long: "redis", short: 'r', kind: reserved},
	{long: "redis-write", short: 'w', kind: reserved},
	{long: "redis-subscribe", kind: reserved},
	{long: "redis-num-threads", kind: reserved},
	{long: "redis-expires", kind: reserved},
	{long: "no-redis-required", short: 'q', kind: reservedFlag},
	{long: "redis-allowed-errors", kind: reserved},
	{long: "redis-disable-time", kind: reserved},
	{long: "redis-cmd-timeout", kind: reserved},
	{long: "redis-connect-timeout", kind: reserved},
	{long: "redis-delete-async", short: 'y', kind: reservedFlag},
	{long: "redis-delete-async-interval", kind: reserved},
	{long: "redis-format", kind: reserved},
	{long: "redis-resolve-on-reconnect", kind: reservedFlag},
	{long: "redis-tcp-keepalive-time", kind: reserved},
	{long: "redis-tcp-keepalive-intvl", kind: reserved},
	{long: "redis-tcp-keepalive-probes", kind: reserved},
	{long: "active-switchover", kind: reservedFlag},
	{long: "b2b-url", short: 'b', kind: reserved},
	{long: "xmlrpc-format", short: 'x', kind: reserved},
	{long: "janus-secret", kind: reserved},
	{long: "log-facility", kind: reserved},
	{long: "log-facility-cdr", kind: reserved},
	{long: "log-facility-rtcp", kind: reserved},
	{long: "log-facility-dtmf", kind: reserved},
	{long: "log-name", kind: reserved},
	{long: "log-level-core", kind: reserved},
	{long: "log-level-spandsp", kind: reserved},
	{long: "log-level-ffmpeg", kind: reserved},
	{long: "log-level-transcoding", kind: reserved},
	{long: "log-level-codec", kind: reserved},
	{long: "log-level-rtcp", kind: reserved},
	{long: "log-level-ice", kind: reserved},
	{long: "log-level-crypto", kind: reserved},
	{long: "log-level-srtp", kind: reserved},
	{long: "log-level-internals", kind: reserved},
	{long: "log-level-http", kind: reserved},
	{long: "log-level-control", kind: reserved},
	{long: "log-level-dtx", kind: reserved},
	{long: "split-logs", kind: reservedFlag},
	{long: "max-log-line-length", kind: reserved},
	{long: "no-log-timestamps", kind: reservedFlag},
	{long: "log-mark-prefix", kind: reserved},
	{long: "log-mark-suffix", kind: reserved},
	{long: "log-srtp-keys", kind: reservedFlag},
	{long: "debug-srtp", kind: reservedFlag},
	{long: "thread-stack", kind: reserved},
	{long: "media-num-threads", kind: reserved},
	{long: "max-load", kind: reserved},
	{long: "max-cpu", kind: reserved},
	{long: "max-bandwidth", kind: reserved},
	{long: "control-pmtu", kind: reserved},
	{long: "scheduling", kind: reserved},
	{long: "priority", kind: reserved},
	{long: "idle-scheduling", kind: reserved},
	{long: "idle-priority", kind: reserved},
	{long: "timer-accuracy", kind: reserved},
	{long: "max-recv-iters", kind: reserved},
	{long: "poller-per-thread", kind: reservedFlag},
	{long: "socket-cpu-affinity", kind: reserved},
	{long: "io-uring", kind: reservedFlag},
	{long: "io-uring-buffers", kind: reserved},
	{long: "dtls-passive", kind: reservedFlag},
	{long: "dtls-cert-cipher", kind: reserved},
	{long: "dtls-rsa-key-size", kind: reserved},
	{long: "dtls-mtu", kind: reserved},
	{long: "dtls-signature", kind: reserved},
	{long: "dtls-ciphers", kind: reserved},
	{long: "homer", kind: reserved},
	{long: "homer-protocol", kind: reserved},
	{long: "homer-id", kind: reserved},
	{long: "homer-disable-rtcp-stats", kind: reservedFlag},
	{long: "homer-enable-ng", kind: reservedFlag},
	{long: "homer-ng-capture-proto", kind: reserved},
	{long: "recording-dir", kind: reserved},
	{long: "recording-method", kind: reserved},
	{long: "recording-format", kind: reserved},
	{long: "record-egress", kind: reservedFlag},
	{long: "record-both", kind: reservedFlag},
	{long: "iptables-chain", kind: reserved},
	{long: "nftables-chain", kind: reserved},
	{long: "nftables-base-chain", kind: reserved},
	{long: "nftables-append", kind: reservedFlag},
	{long: "nftables-family", kind: reserved},
	{long: "xtables", kind: reservedFlag},
	{long: "measure-rtp", kind: reservedFlag},
	{long: "mos", kind: reservedList},
	{long: "ssrc-reporting", kind: reserved},
	{long: "rtcp-interval", kind: reserved},
	{long: "transcode-config", kind: reserved},
	{long: "codec-config", kind: reserved},
	{long: "jitter-buffer", kind: reserved},
	{long: "jb-adaptive", kind: reservedFlag},
	{long: "jb-adaptive-min", kind: reserved},
	{long: "jb-adaptive-max", kind: reserved},
	{long: "jb-clock-drift", kind: reservedFlag},
	{long: "moh-max-duration", kind: reserved},
	{long: "moh-max-repeats", kind: reserved},
	{long: "moh-attr-name", kind: reserved},
	{long: "moh-prevent-double-hold", kind: reservedFlag},
	{long: "dtmf-log-dest", kind: reservedList},
	{long: "dtmf-log-ng-tcp", kind: reservedFlag},
	{long: "dtmf-no-suppress", kind: reservedFlag},
	{long: "dtmf-no-log-injects", kind: reservedFlag},
	{long: "dtmf-digit-delay", kind: reserved},
	{long: "mysql-host", kind: reserved},
	{long: "mysql-port", kind: reserved},
	{long: "mysql-user", kind: reserved},
	{long: "mysql-pass", kind: reserved},
	{long: "mysql-query", kind: reserved},
	{long: "mqtt-host", kind: reserved},
	{long: "mqtt-port", kind: reserved},
	{long: "mqtt-tls-alpn", kind: reserved},
	{long: "mqtt-id", kind: reserved},
	{long: "mqtt-keepalive", kind: reserved},
	{long: "mqtt-user", kind: reserved},
	{long: "mqtt-pass", kind: reserved},
	{long: "mqtt-cafile", kind: reserved},
	{long: "mqtt-capath", kind: reserved},
	{long: "mqtt-certfile", kind: reserved},
	{long: "mqtt-keyfile", kind: reserved},
	{long: "mqtt-publish-qos", kind: reserved},
	{long: "mqtt-publish-topic", kind: reserved},
	{long: "mqtt-publish-interval", kind: reserved},
	{long: "mqtt-publish-scope", kind: reserved},
	{long: "player-cache", kind: reservedFlag},
	{long: "audio-player", kind: reserved},
	{long: "audio-buffer-length", kind: reserved},
	{long: "audio-buffer-delay", kind: reserved},
	{long: "dtx-delay", kind: reserved},
	{long: "max-dtx", kind: reserved},
	{long: "dtx-buffer", kind: reserved},
	{long: "dtx-lag", kind: reserved},
	{long: "dtx-shift", kind: reserved},
	{long: "dtx-cn-params", kind: reservedList},
	{long: "amr-dtx", kind: reserved},
	{long: "evs-lib-path", kind: reserved},
	{long: "silence-detect", kind: reserved},
	{long: "cn-payload", kind: reservedList},
	{long: "codecs", kind: reservedFlag},
}

// families are how options begin that rtpengine has for what rtpjet does not have: its releases add to them. None of ours begins so.
var families = []string{
	"amr-", "audio-buffer-", "codec-chain-", "codec-", "db-media-", "dtls-", "dtmf-", "dtx-", "evs-", "homer-", "iptables-", "janus-", "jb-", "kernel-player",
	"log-level-", "log-facility-", "media-files-", "moh-", "mqtt-", "mysql-", "nftables-", "ng-client-", "player-", "preload-", "recording-", "redis-",
	"transcode-", "vsc-",
}

// ofFamily is an option of rtpengine that is not in the table; nil if the name is none. A name that looks like one of the table is a typing
// error.
func ofFamily(name string) *option {
	for known := range optionByName {
		if editDistance(name, known) <= 1 {
			return nil
		}
	}
	for _, f := range families {
		if strings.HasPrefix(name, f) {
			return &option{long: name, kind: reserved}
		}
	}
	return nil
}

var optionByName, optionByShort = indexOptions(options)

func indexOptions(list []option) (byName map[string]*option, byShort map[byte]*option) {
	byName, byShort = make(map[string]*option, len(list)), make(map[byte]*option)
	for i := range list {
		o := &list[i]
		byName[o.long] = o
		if o.short != 0 {
			byShort[o.short] = o
		}
	}
	return byName, byShort
}
