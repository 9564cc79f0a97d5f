// Package config reads the command line and the configuration file: what the operator asks for, as a [Command], and for a node
// as a [Config], decoded, checked and resolved.
//
// The tables of commands and options are the one place that has them. They are what is parsed by, and what help, the manual
// page, shell completion and docs/options.md are made of.
//
// Options are written as rtpengine's are, after GLib's rules, and the configuration file is a key file of GLib as rtpengine's
// is: a node starts with the file of an rtpengine that it replaces. Options of rtpengine that have no use here are accepted
// with a warning. What the command line says replaces what the file says.
//
// An error has everything that is wrong, one sentence a line: what was written and where, what it has to be, and an example.
// All of them match [ErrUsage].
//
// The package is free of state. It reads files, and asks the machine for its addresses and name, by an [Env] only.
package config
