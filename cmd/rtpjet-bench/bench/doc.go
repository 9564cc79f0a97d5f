// Package bench measures an NG media server from the outside: it places calls
// over NG like Kamailio does, sends RTP through the ports that the replies name,
// and reports what arrived, how late, and what it cost the server's processes.
//
// Nothing in it knows the server: all that it uses are the NG protocol, UDP, and
// the files under /proc of the process ids that it is given, so rtpjet and
// rtpengine are measured by the same ruler. It imports nothing of rtpjet's, so that
// it cannot share its mistakes: NG is written and read by zeebo/bencode, SDP by
// pion/sdp, RTP by pion/rtp, SRTP by pion/srtp, and times are kept in an
// HdrHistogram. It sends no RTCP.
//
// # How the generator stays cheap
//
// It runs on the machine that it measures, so each of its microseconds is taken
// from the server. A leg is one connected UDP socket, as a real phone has a port
// of its own. One thread serves many legs: it wakes once a tick (250 µs), sends
// the packets that are due by then, and picks up what has arrived, so no packet
// wakes it. The latency of a packet is the kernel's receive time stamp minus the
// time written into the packet just before it was sent, so the tick does not
// show in it.
//
// What the libraries cost it, as CPU time: pion/rtp writes and reads the header of a
// packet in 40 ns and the HdrHistogram takes 8 ns for a value, without an
// allocation; by hand it was 9 and 3, and a packet costs the generator 11 µs in all,
// nearly all of them in the kernel. To write an offer with its SDP takes
// zeebo/bencode and pion/sdp 15 µs and sixty allocations, by hand it was 0.6, and a
// call has three requests. So where calls are set up as fast as the server answers,
// the libraries write each request once, and the generator changes the call's number
// and port in it (template.go; a test holds that to what the libraries write). To read
// what rtpengine answers to a delete takes zeebo/bencode 34 µs, which makes maps of all
// that is in it; so a look by hand, of 1 µs, tells whether a reply says plainly that all
// went well, and the library reads the others (plainok.go; a fuzz test holds the one to
// the other). A call then costs the generator what it did by hand, some 120 µs.
//
// The pure parts (hist.go, pace.go, packet.go, sdp.go, ng.go, template.go,
// plainok.go, parse.go) build everywhere; the sockets and /proc need Linux.
package bench
