// Package cli carries out the commands of operators: those that look at the log of a region, those that ask its nodes, and
// replay, which folds the history of a call or makes its decisions again.
//
// It reads the log as it is: what it prints about a call is folded from its events, by the same code that a node runs. A command
// about nodes, floating addresses or regions goes through package admin. Output is text for people, or JSON with --json; times
// are in UTC.
package cli
