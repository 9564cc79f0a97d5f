// Package natsinternal is all that reaches into the NATS server beyond what it exports: functions and variables of its package that
// are linked by name. Neither an option nor the API of the server does what they do.
//
// The linker finds out when one of them is gone, and nobody does when it has become another one: the declarations here would then
// read memory that is something else. So TestLinknames looks each of them up in the source of the server that is in go.mod and
// compares the two. Whoever upgrades the server and sees it fail looks for what has taken the place of the old one.
//
// Each file says what it is for, and what happens without it.
package natsinternal
