package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rtpjet/embed"
)

// testCA makes certificates for hosts, in dir.
func testCA(t testing.TB, dir, name string, hosts ...string) (files []embed.TLSFiles) {
	t.Helper()
	write := func(file, kind string, der []byte) string {
		file = filepath.Join(dir, name+"-"+file)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	issue := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			parent, signer = template, key
		}
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert, key, der
	}
	ca, caKey, der := issue(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	caFile := write("ca.pem", "CERTIFICATE", der)
	for i, host := range hosts {
		_, key, der := issue(&x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 2)), Subject: pkix.Name{CommonName: host}, IPAddresses: []net.IP{net.ParseIP(host)},
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}, ca, caKey)
		secret, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, embed.TLSFiles{
			CA: caFile, Cert: write(fmt.Sprint(i, ".pem"), "CERTIFICATE", der), Key: write(fmt.Sprint(i, "-key.pem"), "EC PRIVATE KEY", secret),
		})
	}
	return files
}

// TestTLS: routes and clients over TLS; a client needs the authority, a server of another authority is not let in.
func TestTLS(t *testing.T) {
	t.Parallel()
	list := clusterConfigs(t, 3)
	var hosts []string
	for _, cfg := range list {
		host, _, _ := strings.Cut(cfg.Listen, ":")
		hosts = append(hosts, host)
	}
	files := testCA(t, t.TempDir(), "ours", hosts...)
	for i := range list {
		list[i].Routes = list[i].Routes[:2]
		list[i].TLS, list[i].RouteTLS = files[i], files[i]
		list[i].ClusterKey = []byte("0123456789abcdef")
	}
	members := startMembers(t, list[:2])
	mustAppend(t, members[0].log, "k", 0, "x")
	if _, err := embed.Connect(t.Context(), "x", []string{members[1].server.URL()}, embed.Credentials{ClusterKey: list[0].ClusterKey}); err == nil {
		t.Error("a client that does not know the authority was content")
	}
	nc, err := embed.Connect(t.Context(), "x", []string{members[1].server.URL()}, embed.Credentials{ClusterKey: list[0].ClusterKey, TLS: embed.TLSFiles{CA: files[0].CA}})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	l, err := embed.Attach(t.Context(), nc, embed.Config{Region: "r", Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got, _, err := l.Since(t.Context(), "k", 0); err != nil || show(got) != "1:k=x" {
		t.Errorf("%s, %v", show(got), err)
	}

	stranger := list[2]
	stranger.RouteTLS = testCA(t, t.TempDir(), "theirs", hosts[2])[0]
	lines, logger := newLineLog()
	stranger.Logger = logger
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		s, err := Start(ctx, stranger)
		if err == nil {
			s.Shutdown()
		}
		done <- err
	}()
	lines.await(t, "TLS")
	cancel()
	if err := <-done; err == nil {
		t.Error("a server of another authority was let in")
	}
	if got := members[0].server.Servers(); got != 2 {
		t.Errorf("%d servers", got)
	}
	broken := list[0]
	broken.RouteTLS.CA = filepath.Join(t.TempDir(), "none.pem")
	broken.StoreDir, broken.Listen, broken.ClusterListen = t.TempDir(), "", testHost()+":6222"
	if _, err := Start(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "none.pem") {
		t.Errorf("a missing file: %v", err)
	}
}
