package embed

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// FormatVersion is the version of everything in this file, and of the entries that callers store. A process reads stores
// up to its own version and refuses newer ones.
const FormatVersion = 1

// metaFormat is the key in the metadata of a stream under which its format version stands.
const metaFormat = "rtpjet_format"

// Names of the resources of a region.
func callsStream(region string) string   { return "CALLS_" + region }
func archiveStream(region string) string { return "ARCHIVE_" + region }
func indexStream(region string) string   { return "ARCHIVEX_" + region }
func leasesBucket(region string) string  { return "LEASES_" + region }
func leasesStream(region string) string  { return "KV_" + leasesBucket(region) }

// leaseSubject is where the lease of a key is.
func leaseSubject(region, key string) string { return "$KV." + leasesBucket(region) + "." + key }

// callSubject is where the live entries of a key are.
func callSubject(region, key string) string { return "calls." + region + "." + key }

// archiveSubject is where the entries of an ended call are, as one message.
func archiveSubject(region, key string) string { return "archive." + region + "." + key }

// indexSubject is where the index of the archive is.
func indexSubject(region string) string { return "archivex." + region }

// Defaults of Config.
const (
	defaultArchiveAge = 7 * 24 * time.Hour
	// noDuplicates is the shortest window that there is for the server's own search for repetitions, which we do not use.
	noDuplicates = 100 * time.Millisecond
	// leaseMarkerTTL is how long the trace of an expired lease stays for watchers that were away.
	leaseMarkerTTL = time.Minute
)

// callsConfig is the small stream: all entries of live calls, and of ended ones until they are retired.
func callsConfig(c Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        callsStream(c.Region),
		Description: "rtpjet: events of live calls",
		Subjects:    []string{callSubject(c.Region, ">")},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew, // never lose a live call for a new one
		MaxBytes:    orUnlimited(c.MaxBytes),
		MaxMsgs:     -1,
		MaxMsgSize:  maxPayload,
		AllowDirect: true,
		// Repetitions are found by Append and not by the server's Nats-Msg-Id.
		Duplicates:         noDuplicates,
		AllowAtomicPublish: true,
		Metadata:           formatMetadata(),
	}
}

// archiveConfig is the long stream: one message a call, for replay.
func archiveConfig(c Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        archiveStream(c.Region),
		Description: "rtpjet: events of ended calls",
		Subjects:    []string{archiveSubject(c.Region, ">")},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld, // history yields before anything else does
		MaxAge:      c.ArchiveAge,
		MaxBytes:    orUnlimited(c.ArchiveMaxBytes),
		MaxMsgs:     -1,
		MaxMsgSize:  maxPayload,
		AllowDirect: true,
		Duplicates:  noDuplicates,
		Metadata:    formatMetadata(),
	}
}

// indexConfig is the index of the long stream: see archiveindex.go.
func indexConfig(c Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        indexStream(c.Region),
		Description: "rtpjet: where the events of ended calls are",
		Subjects:    []string{indexSubject(c.Region)},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		MaxAge:      c.ArchiveAge,
		MaxBytes:    orUnlimited(c.ArchiveMaxBytes / indexShare),
		MaxMsgs:     -1,
		MaxMsgSize:  maxPayload,
		AllowDirect: true,
		Duplicates:  noDuplicates,
		Metadata:    formatMetadata(),
	}
}

// indexShare is how many bytes the archive has for one of its index, at the least: an entry has some hundred, and 4 in the index.
const indexShare = 16

// leasesConfig is the bucket in which nodes and floating addresses are claimed.
func leasesConfig(c Config) jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{
		Bucket:         leasesBucket(c.Region),
		Description:    "rtpjet: leases of nodes and floating addresses",
		History:        1,
		Storage:        jetstream.FileStorage,
		LimitMarkerTTL: leaseMarkerTTL,
		Metadata:       formatMetadata(),
	}
}

func formatMetadata() map[string]string {
	return map[string]string{metaFormat: strconv.Itoa(FormatVersion)}
}

func orUnlimited(n int64) int64 {
	if n <= 0 {
		return -1
	}
	return n
}

// ValidName tells whether a text can be the name of a node or of a region: one token of a NATS subject, and a part of a stream's
// name.
func ValidName(s string) bool { return s != "" && strings.IndexFunc(s, notInName) < 0 }

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// checkToken refuses what is no [ValidName], in a sentence.
func checkToken(what, s string) error {
	if s == "" {
		return fmt.Errorf("the %s is empty: set it to letters, digits, - and _", what)
	}
	if !ValidName(s) {
		return fmt.Errorf("the %s %q has a character that cannot be in it: use letters, digits, - and _", what, s)
	}
	return nil
}
