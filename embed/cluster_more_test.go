package embed

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
	"slices"
	"strings"
	"testing"
	"time"
)

// TestArchiveOfMany: of three nodes that would archive one does, another takes over when it stops, and nothing is missing.
func TestArchiveOfMany(t *testing.T) {
	members := startMembers(t, clusterConfigs(t, 3))
	stops := make(map[*Log]func())
	for _, m := range members {
		stops[m.log] = startArchive(t, m.log)
	}
	who := func() (active []*Log) {
		for _, m := range members {
			if m.log.Archiving() {
				active = append(active, m.log)
			}
		}
		return active
	}
	eventually(t, "somebody archives", func() bool { return len(who()) == 1 })
	first := who()[0]
	a := appendMany(t, members[0].log, "a", "offer", "answer", "delete")
	if err := members[1].log.Retire(t.Context(), "a", a); err != nil {
		t.Fatal(err)
	}
	stops[first]()
	eventually(t, "another one archives", func() bool { return slices.ContainsFunc(who(), func(l *Log) bool { return l != first }) })
	if n := len(who()); n != 1 {
		t.Errorf("%d archive", n)
	}
	b := appendMany(t, members[1].log, "b", "offer", "delete")
	if err := first.Trim(t.Context(), b+1); err != nil { // the old one waits for the new one's position
		t.Fatal(err)
	}
	for i, m := range members {
		if got := history(t, m.log, "a") + history(t, m.log, "b"); got != "[offer answer delete][offer delete]" {
			t.Errorf("node %d: %s", i, got)
		}
	}
}

// TestFollowGap: a follower whose position was trimmed away while it was not there is told.
func TestFollowGap(t *testing.T) {
	l := newLog(t)
	startArchive(t, l)
	appendMany(t, l, "a", "1", "2", "3")
	appendMany(t, l, "b", "1")
	last := appendMany(t, l, "c", "1", "2")
	if err := l.Trim(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	type gap struct{ from, to uint64 }
	run := func(from uint64, after time.Duration) (gaps []gap, entries int) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_ = l.Follow(ctx, from, Follower{
			Entry:    func(Entry) { entries++ },
			CaughtUp: func(uint64) { cancel() },
			Gap:      func(from, to uint64) { gaps = append(gaps, gap{from, to}) },
			GapAfter: after,
		})
		return gaps, entries
	}
	if gaps, n := run(1, 0); len(gaps) != 0 || n != 1 {
		t.Errorf("from the start: %v, %d entries", gaps, n)
	}
	if gaps, n := run(3, 0); fmt.Sprint(gaps) != fmt.Sprintf("[{3 %d}]", last-1) || n != 1 {
		t.Errorf("from 3: %v, %d entries", gaps, n)
	}
	if gaps, n := run(last, 0); len(gaps) != 0 || n != 1 {
		t.Errorf("from what is there: %v, %d entries", gaps, n)
	}
	// One that was away for too long is told where the stream ends, whatever is there.
	var told gap
	r := &follow{l: l, stream: l.callsStream(), next: last, caughtUp: true, alive: time.Now().Add(-time.Hour)}
	r.f = Follower{GapAfter: time.Minute, Gap: func(from, to uint64) { told = gap{from, to} }}
	if err := r.look(t.Context()); err != nil || told != (gap{last, last}) {
		t.Errorf("away for an hour: %v, %v", told, err)
	}
	if keys, err := l.Keys(t.Context()); err != nil || fmt.Sprint(keys) != "map[c:1]" {
		t.Errorf("keys %v, %v", keys, err)
	}
}

// testCA makes certificates for hosts, in dir.
func testCA(t testing.TB, dir, name string, hosts ...string) (files []TLSFiles) {
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
		files = append(files, TLSFiles{
			CA: caFile, Cert: write(fmt.Sprint(i, ".pem"), "CERTIFICATE", der), Key: write(fmt.Sprint(i, "-key.pem"), "EC PRIVATE KEY", secret),
		})
	}
	return files
}

// TestTLS: routes and clients over TLS; a client needs the authority, a server of another authority is not let in.
func TestTLS(t *testing.T) {
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
	if _, err := Connect(t.Context(), "x", []string{members[1].server.URL()}, Credentials{ClusterKey: list[0].ClusterKey}); err == nil {
		t.Error("a client that does not know the authority was content")
	}
	nc, err := Connect(t.Context(), "x", []string{members[1].server.URL()}, Credentials{ClusterKey: list[0].ClusterKey, TLS: TLSFiles{CA: files[0].CA}})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	l, err := Attach(t.Context(), nc, Config{Region: "r", Logger: testLogger(t)})
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
		s, err := StartServer(ctx, stranger)
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
	if _, err := StartServer(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "none.pem") {
		t.Errorf("a missing file: %v", err)
	}
}
