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
)

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
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the key for secrets from %s: %w; make it readable, or move it away and lose what it sealed", name, config.PathReason(err))
	}
	if keys := config.SplitKeys(string(text)); len(keys) > 0 {
		return keys, nil
	}
	// There is none, or a full disk has left an empty file, with which nothing was sealed.
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	text = []byte(hex.EncodeToString(key[:]) + "\n")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		_ = os.Remove(name) // the half of a key would be taken for one
		return nil, fmt.Errorf("cannot write the key for secrets to %s: %w; make the directory writable", name, config.PathReason(err))
	}
	return config.SplitKeys(string(text)), nil
}
