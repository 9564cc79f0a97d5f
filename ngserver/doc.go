// Package ngserver receives NG commands and sends the replies: sockets, the reply cache that makes retransmissions
// harmless, the deadline of each command, and statistics about them.
//
//	srv, err := ngserver.Listen(ngserver.Config{Listen: []string{"127.0.0.1:2223"}, Handler: h})
//	if err != nil { … }
//	err = srv.Serve(ctx) // until ctx ends; then commands in progress are finished and answered
//
// A Dispatcher holds what is not specific to UDP; all transports of a node share one, so that a command that was repeated
// over another transport is still recognised. What a command means is the Handler's.
package ngserver
