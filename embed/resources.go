package embed

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/embed/internal/names"
)

// FormatVersion is the version of everything in this file, and of the entries that callers store. A process reads stores
// up to its own version and refuses newer ones.
const FormatVersion = 1

// metaFormat is the key in the metadata of a stream under which its format version stands.
const metaFormat = "rtpjet_format"

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
		Name:        names.Calls(c.Region),
		Description: "rtpjet: events of live calls",
		Subjects:    []string{names.CallSubject(c.Region, ">")},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew, // never lose a live call for a new one
		MaxBytes:    orUnlimited(c.MaxBytes),
		MaxMsgs:     -1,
		MaxMsgSize:  MaxEntry,
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
		Name:        names.Archive(c.Region),
		Description: "rtpjet: events of ended calls",
		Subjects:    []string{names.ArchiveSubject(c.Region, ">")},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld, // history yields before anything else does
		MaxAge:      c.ArchiveAge,
		MaxBytes:    orUnlimited(c.ArchiveMaxBytes),
		MaxMsgs:     -1,
		MaxMsgSize:  MaxEntry,
		AllowDirect: true,
		Duplicates:  noDuplicates,
		Metadata:    formatMetadata(),
	}
}

// indexConfig is the index of the long stream: see archiveindex.go.
func indexConfig(c Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        names.Index(c.Region),
		Description: "rtpjet: where the events of ended calls are",
		Subjects:    []string{names.IndexSubject(c.Region)},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		MaxAge:      c.ArchiveAge,
		MaxBytes:    orUnlimited(c.ArchiveMaxBytes / indexShare),
		MaxMsgs:     -1,
		MaxMsgSize:  MaxEntry,
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
		Bucket:         names.Leases(c.Region),
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
func ValidName(s string) bool { return names.Valid(s) }
