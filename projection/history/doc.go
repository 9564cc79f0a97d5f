// Package history tells what has happened to a call, from its entries in the log: the fold at any moment ([Lives], [Before],
// [At]), what differs between two of them ([Diff]), and the ladder of who asked what where and what came of it ([NewLadder]), as
// JSON for programs and drawn for a terminal ([Ladder.Draw]).
//
// It is pure, and holds no secret back that it was not given: keys are left out of all that it returns for people, the calls of
// a [Moment] aside, which are the calls as they were folded.
package history
