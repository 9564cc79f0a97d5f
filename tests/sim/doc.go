// Package sim runs the pure core of many nodes in one thread from one seed: projection, projection/members, projection/replica and
// projection/transact, with a simulated log, bucket of leases, network, port pools and clients around them. A seed is a run;
// what goes wrong can be played again.
//
//	go test ./tests/sim -run TestSeeds -sim.seeds=10000
//	go test ./tests/sim -run TestSeeds -sim.seed=4711 -v
//
// Floats and regions have worlds of their own, TestFloatSeeds and TestRegionSeeds, with the same flags: ten regions of ten nodes
// run projection/regions beside all that, with ways between them that are slow, lossy and cut. Their checks are in
// regions_check_test.go, and beside what they are about.
//
// In every second world half of the clients negotiate (talk_test.go): offers are refused without a word, abandoned and crossed, and
// answers come late, twice, from forks and with other sections. What is in force then, and which sockets are open, is held against rules
// of its own (session_test.go), and against a call that never had the offers which nobody has answered (twin_test.go).
//
// In every fourth world the nodes serve their calls while the log is away (unlogged_test.go), and it is: for all of them, or for one
// that hears no answers. Each event that took effect meanwhile has to get into the log once, in its order, and while the call is its
// node's. In other worlds the log has entries that nobody can read.
//
// Every effect of a command is a point at which the scheduler may do something else first: the command is a coroutine. What is
// checked stands in check_test.go; that the checks find something is shown by the bugs of plant_test.go.
package sim
