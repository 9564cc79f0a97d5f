// Package names has the names that a client of a region's log and the servers that carry it must both know: streams, subjects,
// accounts and users, and the passwords of those, which are made from the cluster key.
package names

import (
	"fmt"
	"strings"
)

// The streams of a region, and the bucket of its leases, which is a stream, too.

// Calls is the stream of live calls.
func Calls(region string) string { return "CALLS_" + region }

// Archive is the stream of ended calls.
func Archive(region string) string { return "ARCHIVE_" + region }

// Index is the stream that says where in the archive the events of a call are.
func Index(region string) string { return "ARCHIVEX_" + region }

// Leases is the bucket of leases.
func Leases(region string) string { return "LEASES_" + region }

// LeasesStream is the stream that NATS has for the bucket of leases.
func LeasesStream(region string) string { return "KV_" + Leases(region) }

// Mirrored are the streams of a region that have mirrors in other regions, under the same names.
func Mirrored(region string) []string { return []string{Calls(region), Archive(region), Index(region)} }

// CallSubject is where the live entries of a key are.
func CallSubject(region, key string) string { return "calls." + region + "." + key }

// ArchiveSubject is where the entries of ended calls are, sorted into parts by their keys.
func ArchiveSubject(region, part string) string { return "archive." + region + "." + part }

// IndexSubject is where the index of the archive is.
func IndexSubject(region string) string { return "archivex." + region }

// LeaseSubject is where the lease of a key is.
func LeaseSubject(region, key string) string { return "$KV." + Leases(region) + "." + key }

// Bus is what the subjects of the messages that nobody keeps begin with.
func Bus(region string) string { return "rtpjet." + region + "." }

// Feed is what all subjects about the feeds of region home in region here begin with. They do not leave the region of the mirror
// but as interest, which is why its name is in them.
func Feed(home, here string) string { return "rtpjet.feed." + home + "." + here }

// Valid tells whether a text can be the name of a node or of a region: one token of a NATS subject, and a part of a stream's
// name.
func Valid(s string) bool { return s != "" && strings.IndexFunc(s, invalid) < 0 }

func invalid(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// Check refuses what is not [Valid], in a sentence; what is the thing that has the name.
func Check(what, s string) error {
	if s == "" {
		return fmt.Errorf("the %s is empty: set it to letters, digits, - and _", what)
	}
	if !Valid(s) {
		return fmt.Errorf("the %s %q has a character that cannot be in it: use letters, digits, - and _", what, s)
	}
	return nil
}
