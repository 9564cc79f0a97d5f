// Package projection is the pure core: it folds events into calls (Apply) and decides which event a command leads to
// (Decide…). It also says which routes a call needs (Routes) and which calls have outlived their timers (Timeout).
//
// The rule of the package: Decide may refuse, Apply may not. Decide works on copies and returns an event or a Refusal;
// Apply takes every event of a call's subject in order, on every node, and ignores what does not fit.
//
// No function here does I/O, reads a clock, draws a random number, locks or logs; times come in as µs of Unix time. A Call
// is not safe for concurrent use.
package projection
