package config

import (
	"strings"

	"rtpjet/embed"
)

// NATSAuth is how connections to NATS prove who they are, in both directions.
type NATSAuth struct {
	// NATSCreds is a file with a JWT and a seed. NATSUser and NATSPassword take its place where there are users.
	NATSCreds, NATSUser, NATSPassword string
	// NATSTLSCA, NATSTLSCert and NATSTLSKey are PEM files: for the embedded NATS, its clients and its routes, or for the NATS
	// elsewhere.
	NATSTLSCA, NATSTLSCert, NATSTLSKey string
	// ClusterKey is the secret that the nodes of a cluster share; empty: none.
	ClusterKey []byte
	// ClusterKeys are all lines of its file: the key in use, and earlier ones that secrets in the log may be sealed with.
	ClusterKeys [][]byte
}

// natsAuth decodes what serve, dev and the commands that look at calls have in common. external is true if there is a NATS
// elsewhere.
func (d *decoder) natsAuth(env Env, external bool) (a NATSAuth) {
	a.NATSCreds, a.NATSUser = d.s.one("nats-creds", ""), d.s.one("nats-user", "")
	a.NATSTLSCA, a.NATSTLSCert, a.NATSTLSKey = d.s.one("nats-tls-ca", ""), d.s.one("nats-tls-cert", ""), d.s.one("nats-tls-key", "")
	password := d.s.one("nats-password-file", "")
	if password != "" {
		a.NATSPassword = d.secret("nats-password-file", password, env)
	}
	switch {
	case (a.NATSUser == "") != (password == ""):
		d.faults.add("--nats-user and --nats-password-file belong together; give both, or none")
	case a.NATSUser != "" && a.NATSCreds != "":
		d.faults.add("--nats-user and --nats-creds exclude each other; leave one out")
	case (a.NATSTLSCert == "") != (a.NATSTLSKey == ""):
		d.faults.add("--nats-tls-cert and --nats-tls-key belong together; give both, or none")
	case a.NATSTLSCA != "" && a.NATSTLSCert == "" && !external:
		d.faults.add("--nats-tls-ca alone has no meaning for the embedded NATS; give --nats-tls-cert and --nats-tls-key as well")
	}
	for _, name := range []string{"nats-creds", "nats-user"} {
		if len(d.s[name]) > 0 && !external {
			d.faults.add("--%s has no meaning without --nats; give the URL, or leave it out", name)
		}
	}
	if name := d.s.one("cluster-key-file", ""); name != "" {
		for _, key := range SplitKeys(d.secret("cluster-key-file", name, env)) {
			if n := len(key); n < embed.MinClusterKey {
				d.faults.add("--cluster-key-file: %s has a key of %d bytes; each line must be a secret of at least %d, for example from openssl rand -hex 32",
					name, n, embed.MinClusterKey)
				continue
			}
			a.ClusterKeys = append(a.ClusterKeys, key)
		}
		if len(a.ClusterKeys) > 0 {
			a.ClusterKey = a.ClusterKeys[0]
		}
	}
	return a
}

// secret reads a file that holds a secret and nothing else but space around it.
func (d *decoder) secret(option, name string, env Env) string {
	b, err := env.ReadFile(name)
	if err != nil {
		d.faults.add("--%s: cannot read %s: %v; name a file that holds the secret", option, name, PathReason(err))
		return ""
	}
	text := strings.TrimSpace(string(b))
	if text == "" {
		d.faults.add("--%s: %s is empty; write the secret into it", option, name)
	}
	return text
}

// cluster decodes where the embedded NATS finds the other servers.
func (d *decoder) cluster(c *Config) {
	external := len(c.NATS) > 0
	c.NATSReplicas = d.number("nats-replicas")
	c.NATSClusterListen = d.s.one("nats-cluster-listen", "")
	for _, v := range d.s["nats-routes"] {
		for r := range strings.SplitSeq(v.value, ",") {
			if r = strings.TrimSpace(r); r == "" {
				continue
			}
			hostPort := r
			if _, rest, ok := strings.Cut(r, "://"); ok {
				hostPort = rest
			}
			if !reachable(hostPort) {
				d.faults.add("%s is %s; it must be ADDR:PORT, such as 192.0.2.1:6222", v.where, Quote(r))
			}
			c.NATSRoutes = append(c.NATSRoutes, r)
		}
	}
	switch {
	case external && (c.NATSClusterListen != "" || len(c.NATSRoutes) > 0):
		d.faults.add("--nats and --nats-cluster-listen or --nats-routes exclude each other: the one uses a NATS elsewhere, the others the embedded one")
	case c.NATSClusterListen != "" && c.NATSListen == "":
		// nats-server opens its routes once it listens for clients, and waits for that without end, even when it is shut down.
		d.faults.add("--nats-listen=none and --nats-cluster-listen exclude each other: a NATS server takes the others of its cluster only if it takes clients; "+
			"give --nats-listen an address that only this machine reaches, such as %s", DefaultNATSListen)
	case c.NATSClusterListen == "" && len(c.NATSRoutes) > 0:
		d.faults.add("--nats-routes has no meaning without --nats-cluster-listen; say where the other servers reach this one, such as 192.0.2.1:6222")
	case c.NATSClusterListen != "" && !fixedPort(c.NATSClusterListen):
		d.faults.add("--nats-cluster-listen is %s; it must be ADDR:PORT", Quote(c.NATSClusterListen))
	}
	if c.NATSReplicas > 1 && !external && c.NATSClusterListen == "" {
		d.faults.add("--nats-replicas is %d, and a server that stands alone has 1; give --nats-cluster-listen, or leave it out", c.NATSReplicas)
	}
}

// OwnKeyFile is the key for secrets in the log that a node without a cluster makes for itself, in its data directory.
const OwnKeyFile = "cluster.key"

// SplitKeys reads the lines of a key file: the first key is the one in use, the others are earlier ones.
func SplitKeys(text string) [][]byte {
	var keys [][]byte
	for line := range strings.Lines(text) {
		if k := strings.TrimSpace(line); k != "" {
			keys = append(keys, []byte(k))
		}
	}
	return keys
}

// Credentials are what a connection to a NATS elsewhere shows, which may be the embedded one of another node.
func (a *NATSAuth) Credentials() embed.Credentials {
	return embed.Credentials{
		File: a.NATSCreds, User: a.NATSUser, Password: a.NATSPassword, ClusterKey: a.ClusterKey, TLS: a.TLS(),
	}
}

// TLS are the files for NATS over TLS.
func (a *NATSAuth) TLS() embed.TLSFiles {
	return embed.TLSFiles{CA: a.NATSTLSCA, Cert: a.NATSTLSCert, Key: a.NATSTLSKey}
}
