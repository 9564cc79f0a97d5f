// Package embedtest is what the tests of embed and of embed/server have in common: how tests with NATS servers run, and what such
// servers leave behind.
package embedtest

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// Run runs the tests of a package and looks for goroutines that they leave. It does not return.
func Run(m *testing.M) {
	if raceEnabled { // one test after the other: the servers of one need all of the processors then
		_ = flag.Set("test.parallel", "1")
	}
	const server = "github.com/nats-io/nats-server/v2/server"
	goleak.VerifyTestMain(m,
		// The server keeps these for the life of the process.
		goleak.IgnoreTopFunction(server+"/gsl.init.0.func1"),
		// And this one for the time that a mirror waits for an answer, if it has just asked when its server ends.
		goleak.IgnoreTopFunction(server+".(*stream).setupMirrorConsumer.func3"),
		// A mirror that ends waits some seconds for what its source says of its consumer, also when the server has ended.
		goleak.IgnoreTopFunction(server+".(*stream).tryDeleteSourcingConsumer.func1"),
	)
}
