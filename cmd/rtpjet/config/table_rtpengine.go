package config

import (
	"slices"
	"strings"
)

// rtpengineOptions are those of rtpengine that are without effect here: a configuration that is in use starts with rtpjet as it is.
var rtpengineOptions = slices.Concat(
	ignored(reserved,
		"table/t", "https-cert", "https-key", "http-threads", "http-buf-size", "http-idle-timeout", "graphite/g",
		"graphite-interval/G", "graphite-prefix", "graphite-timeout", "redis/r", "redis-write/w", "redis-subscribe",
		"redis-num-threads", "redis-expires", "redis-allowed-errors", "redis-disable-time", "redis-cmd-timeout",
		"redis-connect-timeout", "redis-delete-async-interval", "redis-format", "redis-tcp-keepalive-time",
		"redis-tcp-keepalive-intvl", "redis-tcp-keepalive-probes", "b2b-url/b", "xmlrpc-format/x", "janus-secret",
		"log-facility", "log-facility-cdr", "log-facility-rtcp", "log-facility-dtmf", "log-name", "log-level-core",
		"log-level-spandsp", "log-level-ffmpeg", "log-level-transcoding", "log-level-codec", "log-level-rtcp", "log-level-ice",
		"log-level-crypto", "log-level-srtp", "log-level-internals", "log-level-http", "log-level-control", "log-level-dtx",
		"max-log-line-length", "log-mark-prefix", "log-mark-suffix", "thread-stack", "media-num-threads", "max-load", "max-cpu",
		"max-bandwidth", "control-pmtu", "scheduling", "priority", "idle-scheduling", "idle-priority", "timer-accuracy",
		"max-recv-iters", "socket-cpu-affinity", "io-uring-buffers", "dtls-cert-cipher", "dtls-rsa-key-size", "dtls-mtu",
		"dtls-signature", "dtls-ciphers", "homer", "homer-protocol", "homer-id", "homer-ng-capture-proto", "recording-dir",
		"recording-method", "recording-format", "iptables-chain", "nftables-chain", "nftables-base-chain", "nftables-family",
		"ssrc-reporting", "rtcp-interval", "transcode-config", "codec-config", "jitter-buffer", "jb-adaptive-min",
		"jb-adaptive-max", "moh-max-duration", "moh-max-repeats", "moh-attr-name", "dtmf-digit-delay", "mysql-host",
		"mysql-port", "mysql-user", "mysql-pass", "mysql-query", "mqtt-host", "mqtt-port", "mqtt-tls-alpn", "mqtt-id",
		"mqtt-keepalive", "mqtt-user", "mqtt-pass", "mqtt-cafile", "mqtt-capath", "mqtt-certfile", "mqtt-keyfile",
		"mqtt-publish-qos", "mqtt-publish-topic", "mqtt-publish-interval", "mqtt-publish-scope", "audio-player",
		"audio-buffer-length", "audio-buffer-delay", "dtx-delay", "max-dtx", "dtx-buffer", "dtx-lag", "dtx-shift", "amr-dtx",
		"evs-lib-path", "silence-detect",
	),
	ignored(reservedFlag,
		"no-fallback/F", "save-interface-ports/S", "no-redis-required/q", "redis-delete-async/y", "redis-resolve-on-reconnect",
		"active-switchover", "split-logs", "no-log-timestamps", "log-srtp-keys", "debug-srtp", "poller-per-thread", "io-uring",
		"dtls-passive", "homer-disable-rtcp-stats", "homer-enable-ng", "record-egress", "record-both", "nftables-append",
		"xtables", "measure-rtp", "jb-adaptive", "jb-clock-drift", "moh-prevent-double-hold", "dtmf-log-ng-tcp",
		"dtmf-no-suppress", "dtmf-no-log-injects", "player-cache", "codecs",
	),
	ignored(reservedList,
		"subscribe-keyspace/k", "listen-tcp/l", "listen-udp/u", "listen-tcp-ng/N", "listen-cli/c", "listen-https", "mos",
		"dtmf-log-dest", "dtx-cn-params", "cn-payload",
	),
)

// ignored makes options of one kind from their names, each with its letter behind a slash if it has one.
func ignored(k kind, names ...string) []option {
	out := make([]option, len(names))
	for i, name := range names {
		long, short, lettered := strings.Cut(name, "/")
		out[i] = option{long: long, kind: k}
		if lettered {
			out[i].short = short[0]
		}
	}
	return out
}

// families are how options begin that rtpengine has for what rtpjet does not have: its releases add to them. None of ours begins so.
var families = []string{
	"amr-", "audio-buffer-", "codec-chain-", "codec-", "db-media-", "dtls-", "dtmf-", "dtx-", "evs-", "homer-", "iptables-", "janus-", "jb-", "kernel-player",
	"log-level-", "log-facility-", "media-files-", "moh-", "mqtt-", "mysql-", "nftables-", "ng-client-", "player-", "preload-", "recording-", "redis-",
	"transcode-", "vsc-",
}

// ofFamily is an option of rtpengine that is not in the table; nil if the name is none. A name that looks like one of the table is a typing
// error.
func (t *optionTable) ofFamily(name string) *option {
	for known := range t.long {
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
