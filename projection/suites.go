package projection

import (
	"math/big"
	"strings"

	"rtpjet/events"
	"rtpjet/relay/plan"
)

// Suite is one way to protect SRTP packets (RFC 4568, 6188, 7714).
type Suite struct {
	Name      string
	Key, Salt int // bytes of the master key and salt
}

// suites are those that we offer, in the order of docs/ng.md, "Transport protocols and keys"; f8 comes last, because
// hardly anything else has it.
var suites = [...]Suite{
	{"AEAD_AES_256_GCM", 32, 12},
	{"AEAD_AES_128_GCM", 16, 12},
	{"AES_256_CM_HMAC_SHA1_80", 32, 14},
	{"AES_256_CM_HMAC_SHA1_32", 32, 14},
	{"AES_192_CM_HMAC_SHA1_80", 24, 14},
	{"AES_192_CM_HMAC_SHA1_32", 24, 14},
	{"AES_CM_128_HMAC_SHA1_80", 16, 14},
	{"AES_CM_128_HMAC_SHA1_32", 16, 14},
	{"NULL_HMAC_SHA1_80", 16, 14},
	{"NULL_HMAC_SHA1_32", 16, 14},
	{"F8_128_HMAC_SHA1_80", 16, 14},
	{"F8_128_HMAC_SHA1_32", 16, 14},
}

// knows tells whether all nodes that may relay the call have a suite: builds that read events of the first level only have no f8.
func (d *mediaDecision) knows(suite string) bool {
	return d.Level >= events.LevelProposals || !strings.HasPrefix(suite, "F8_")
}

// LookupSuite finds a suite by its name, in any case.
func LookupSuite(name string) (s Suite, ok bool) {
	for i := range suites {
		if strings.EqualFold(suites[i].Name, name) {
			return suites[i], true
		}
	}
	return Suite{}, false
}

// MKIBytes is a master key identifier as it stands in packets: the number, in so many bytes. ok is false if it does not fit.
func MKIBytes(number string, length int) (mki string, ok bool) {
	n, ok := new(big.Int).SetString(number, 10)
	if !ok || n.Sign() < 0 || n.BitLen() > 8*length {
		return "", false
	}
	return string(n.FillBytes(make([]byte, length))), true
}

// srtp is a crypto line in the words of the relay; nil if it is none, or of a suite that this build does not have.
func srtp(c events.Crypto) *plan.SRTP {
	s, ok := LookupSuite(c.Suite)
	if !ok || len(c.Key) != s.Key+s.Salt {
		return nil
	}
	out := &plan.SRTP{
		Suite: s.Name, Key: string(c.Key[:s.Key]), Salt: string(c.Key[s.Key:]),
		PlainRTP: c.UnencryptedSRTP, PlainRTCP: c.UnencryptedSRTCP, Unauthenticated: c.UnauthenticatedSRTP,
	}
	if c.MKI != "" {
		out.MKI, _ = MKIBytes(c.MKI, c.MKILen)
	}
	return out
}

// SuiteRank is the place of a suite in the order in which we offer them; one that we do not offer comes last.
func SuiteRank(name string) int {
	for i := range suites {
		if strings.EqualFold(suites[i].Name, name) {
			return i
		}
	}
	return len(suites)
}
