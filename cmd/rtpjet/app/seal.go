package app

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"rtpjet/cmd/rtpjet/config"
	"rtpjet/events"
)

// encode makes the bytes of an event as the log gets them: with its secrets sealed.
func (n *Node) encode(env events.Envelope) ([]byte, error) { return events.Encode(n.sealer.Seal(env)) }

// decode reads what encode wrote.
func (n *Node) decode(data []byte) (events.Envelope, error) {
	env, err := events.Decode(data)
	if err != nil {
		return env, err
	}
	return n.opened(env), nil
}

// opened opens the secrets of an event. One whose secrets cannot be opened is of use all the same: everything but the
// encrypted media of its call works.
func (n *Node) opened(env events.Envelope) events.Envelope {
	env, err := n.sealer.Open(env)
	if err != nil && n.warnSealed() {
		n.log.Error("the keys of an encrypted call cannot be read; its media does not get through here: "+
			"give this node the --cluster-key-file of the others", "call-id", env.Call, "err", err)
	}
	return env
}

// warnSealed tells whether it is time to complain again.
func (n *Node) warnSealed() bool {
	n.unsealed.Add(1)
	due := false
	n.sealWarning.Do(func() { due = true })
	return due
}

// sealKeys are the keys for secrets in the log, the one to seal with first: those of the operator's file, or one of the
// node's own if it has the log for itself.
func sealKeys(c *config.Config, log *slog.Logger) ([][]byte, error) {
	if len(c.ClusterKeys) > 0 {
		return c.ClusterKeys, nil
	}
	if len(c.NATS) > 0 || c.NATSClusterListen != "" {
		log.Warn("there is no --cluster-key-file: the keys of encrypted calls stand in the log as they are")
		return nil, nil
	}
	name := filepath.Join(c.DataDir, config.OwnKeyFile)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		var key [32]byte
		if _, err := rand.Read(key[:]); err != nil {
			return nil, fmt.Errorf("make a key: %w", err)
		}
		text = []byte(hex.EncodeToString(key[:]) + "\n")
		err = os.WriteFile(name, text, 0o600)
		if err != nil {
			return nil, fmt.Errorf("cannot write the key for secrets to %s: %w; make the directory writable", name, config.PathReason(err))
		}
	} else if err != nil {
		return nil, fmt.Errorf("cannot read the key for secrets from %s: %w; make it readable, or move it away and lose what it sealed", name, config.PathReason(err))
	}
	return config.SplitKeys(string(text)), nil
}
