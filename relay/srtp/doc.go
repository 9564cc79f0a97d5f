// Package srtp protects and unprotects RTP and RTCP (RFC 3711) under the keys of one direction.
//
// A Sender protects what leaves, a Receiver unprotects what arrives. Both follow each source (SSRC) with its rollover
// counter and SRTCP index, begin from what plan.SRTP knows of them, and tell when a source has news worth an event. They
// are for one goroutine at a time, but for Rollovers, which anybody may call. No call allocates, except for the first
// packet of a source.
//
// # Why not a library
//
// pion/srtp, which the tests hold this package against, keeps a packet's index to itself. Whoever resumes a stream has
// to try several indices without a trace of those that fail, and SetROC forgets the sequence number and makes a
// state for each SSRC that asks, forged ones too. It also lacks AES-192 and unauthenticated RTP. The transforms below the
// index are a page each on crypto/aes, crypto/hmac and crypto/cipher, and somewhat faster.
//
// # Parts
//
// suite.go has the suites and the derivation of session keys, cm.go counter mode and NULL with HMAC-SHA1 (RFC 3711,
// RFC 6188), f8.go f8 mode in place of counter mode, gcm.go AES-GCM (RFC 7714), source.go the indices and the replay window, srtp.go strings them together.
package srtp
