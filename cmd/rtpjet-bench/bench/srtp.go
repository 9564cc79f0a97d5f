package bench

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// The callers of a run with --srtp speak SRTP, with keys from SDES (RFC 4568), and the callees plain RTP. What a caller
// sends and hears goes through pion/srtp, not through the server's own code, so that a mistake of that shows.

// suite is an SDES suite that callers can use.
type suite struct {
	name      string
	profile   srtp.ProtectionProfile
	key, salt int
	tag       int // by how much a packet is longer
}

var suites = []suite{
	{"AES_CM_128_HMAC_SHA1_80", srtp.ProtectionProfileAes128CmHmacSha1_80, 16, 14, 10},
	{"AES_CM_128_HMAC_SHA1_32", srtp.ProtectionProfileAes128CmHmacSha1_32, 16, 14, 4},
	{"AES_256_CM_HMAC_SHA1_80", srtp.ProtectionProfileAes256CmHmacSha1_80, 32, 14, 10},
	{"AES_256_CM_HMAC_SHA1_32", srtp.ProtectionProfileAes256CmHmacSha1_32, 32, 14, 4},
	{"AEAD_AES_128_GCM", srtp.ProtectionProfileAeadAes128Gcm, 16, 12, 16},
	{"AEAD_AES_256_GCM", srtp.ProtectionProfileAeadAes256Gcm, 32, 12, 16},
}

// suiteOf finds a suite; the empty name is none.
func suiteOf(name string) (*suite, error) {
	if name == "" {
		return nil, nil
	}
	i := slices.IndexFunc(suites, func(s suite) bool { return s.name == name })
	if i < 0 {
		var names []string
		for _, s := range suites {
			names = append(names, s.name)
		}
		return nil, usageError{fmt.Sprintf("--srtp: there is no suite %q, only %s", name, strings.Join(names, ", "))}
	}
	return &suites[i], nil
}

func (s *suite) context(key []byte) (*srtp.Context, error) {
	return srtp.CreateContext(key[:s.key], key[s.key:], s.profile)
}

// cryptoValue is what stands in the a=crypto line of a key with its salt.
func (s *suite) cryptoValue(key []byte) string {
	return "1 " + s.name + " inline:" + base64.StdEncoding.EncodeToString(key)
}

// keyIn returns the key with its salt in the value of the one a=crypto line that an answer has, which must be of this suite.
func (s *suite) keyIn(crypto string) ([]byte, error) {
	if crypto == "" {
		return nil, fmt.Errorf("the server answers %s without an a=crypto line", s.name)
	}
	fields := strings.Fields(crypto)
	if len(fields) < 3 || fields[1] != s.name {
		return nil, fmt.Errorf("the server answers %s with %q", s.name, crypto)
	}
	text, inline := strings.CutPrefix(fields[2], "inline:")
	text, _, _ = strings.Cut(text, "|")
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil || !inline || len(key) != s.key+s.salt {
		return nil, fmt.Errorf("the server's crypto line %q has no key of %d bytes", crypto, s.key+s.salt)
	}
	return key, nil
}

// secured is the SRTP of one leg. It allocates nothing once it runs.
type secured struct {
	suite          *suite
	key            []byte // what the leg sends with
	theirs         []byte // what it hears with
	out, in        *srtp.Context
	header         rtp.Header
	sealed, opened []byte
}

func newSecured(s *suite, packet int) (*secured, error) {
	sec := &secured{suite: s, key: make([]byte, s.key+s.salt), sealed: make([]byte, 0, packet+s.tag), opened: make([]byte, 0, 2048)}
	_, _ = rand.Read(sec.key) // never fails
	var err error
	if sec.out, err = s.context(sec.key); err != nil {
		return nil, fmt.Errorf("set SRTP up: %w", err)
	}
	return sec, nil
}

// answered takes the server's key out of its crypto line.
func (s *secured) answered(crypto string) error {
	key, err := s.suite.keyIn(crypto)
	if err != nil {
		return err
	}
	if s.in, err = s.suite.context(key); err != nil {
		return fmt.Errorf("set SRTP up: %w", err)
	}
	s.theirs = key
	return nil
}

// stillHears says what is wrong if a crypto line of the server has another key than the one in use.
func (s *secured) stillHears(crypto string) error {
	key, err := s.suite.keyIn(crypto)
	if err == nil && !bytes.Equal(key, s.theirs) {
		err = fmt.Errorf("the server has changed its key")
	}
	return err
}

// seal returns pkt as it is to be sent, until the next call; nil if that cannot be.
func (s *secured) seal(pkt []byte) []byte {
	out, err := s.out.EncryptRTP(s.sealed, pkt, &s.header)
	if err != nil {
		return nil
	}
	return out
}

// open returns what has arrived in the clear, until the next call; nil if it is not authentic.
func (s *secured) open(pkt []byte) []byte {
	out, err := s.in.DecryptRTP(s.opened, pkt, &s.header)
	if err != nil {
		return nil
	}
	return out
}
