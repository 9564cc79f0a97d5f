// Package oldlogs holds what earlier builds wrote, and what they made of it: testdata has a directory for each, named by the level
// of events that the build wrote (events.Level; 1 for builds before levels), with
//
//	BUILD           which build that was
//	NAME.jsonl      the entries of a stream, one a line: sequence, time, subject, and the bytes of the message
//	bundles/*       histories of single calls as rtpjet call export wrote them, sealed or without their keys
//	NAME.key        the key that NAME, or what begins with NAME, is sealed with; made for the tests, and of no use elsewhere
//	*.state         what that build folded the events of the file to, event by event; see [State]
//	fields.txt      the fields of a call that the build had
//
// The test folds all of it with this build and compares: what a call is, by the fields that the earlier build had, must not change.
//
// A corpus is made anew, or for a later build, from its commit, with its program and its own fold:
//
//	git worktree add /tmp/then COMMIT && (cd /tmp/then && go build -o /tmp/then/rtpjet ./cmd/rtpjet)
//	go run ./tests/oldlogs/play -rtpjet /tmp/then/rtpjet -out tests/oldlogs/testdata/NAME
//	cp -r tests/oldlogs /tmp/then/tests/ && (cd /tmp/then && go run ./tests/oldlogs/fold $OLDPWD/tests/oldlogs/testdata/NAME)
//
// So this package and program fold compile against earlier builds: they use nothing of projection and events that those lack.
package oldlogs
