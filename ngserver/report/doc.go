// Package report fills the replies of the commands that only look: query, list and statistics, and the part of delete's
// reply that is a query (ng-reference §7 to §10). Every key of the reference is there with its type, since scripts of
// operators read them; what this relay cannot know, because it has no codecs and no kernel module, is 0.
//
// The package is pure: counters come in as values and functions.
package report
