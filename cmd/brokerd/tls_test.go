package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// authority issues the certificates of a test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newAuthority(t *testing.T, name string) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	template := a.template(name)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	a.key = a.newKey()
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write("ca.pem", &pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *authority) template(name string) *x509.Certificate {
	a.next++
	return &x509.Certificate{
		SerialNumber: big.NewInt(a.next), Subject: pkix.Name{CommonName: name, Organization: []string{"Test"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"},
	}
}

func (a *authority) write(name string, blocks ...*pem.Block) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	var text []byte
	for _, b := range blocks {
		text = append(text, pem.EncodeToMemory(b)...)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// issue writes a certificate with its key and returns the path.
func (a *authority) issue(file, name string) string {
	a.t.Helper()
	key := a.newKey()
	der, err := x509.CreateCertificate(rand.Reader, a.template(name), a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(file, &pem.Block{Type: "CERTIFICATE", Bytes: der}, &pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

// A node whose listeners are all encrypted, its own connections to itself
// included, and which asks for certificates. A client with one is served, one
// without or of another authority is not, and SIGHUP brings a new certificate.
func TestMutualTLS(t *testing.T) {
	ca, stranger := newAuthority(t, "authority"), newAuthority(t, "stranger")
	node, client := ca.issue("node.pem", "node"), ca.issue("client.pem", "client")
	p := run(t, "--dev", "--data", t.TempDir(),
		"--override", "listeners=CLIENTS://localhost:0,CONTROLLER://localhost:0",
		"--override", "listener.security.protocol.map=CLIENTS:SSL,CONTROLLER:SSL",
		"--override", "ssl.keystore.location="+node, "--override", "ssl.truststore.location="+filepath.Join(ca.dir, "ca.pem"),
		"--override", "ssl.client.auth=required")
	secured := func(certificate, authorities string) []string {
		return []string{"-b", p.bootstrap, "-X", "security.protocol=ssl", "-X", "ssl.ca.location=" + authorities,
			"-X", "ssl.certificate.location=" + certificate, "-X", "ssl.key.location=" + certificate}
	}
	trusted := filepath.Join(ca.dir, "ca.pem")
	good := secured(client, trusted)
	kcat(t, "hello\n", append(good, "-P", "-t", "secret")...)
	if got := kcat(t, "", append(good, "-C", "-t", "secret", "-e", "-q")...); got != "hello\n" {
		t.Errorf("read %q", got)
	}
	refused := func(why string, args ...string) {
		t.Helper()
		if out, err := tryKcat(t, "", append(args, "-L", "-m", "3")...); err == nil {
			t.Errorf("%s was served: %s", why, out)
		}
	}
	refused("a client without a certificate", "-b", p.bootstrap, "-X", "security.protocol=ssl", "-X", "ssl.ca.location="+trusted)
	refused("a client of another authority", secured(stranger.issue("client.pem", "client"), trusted)...)
	refused("a client in plain text", "-b", p.bootstrap)

	stranger.issue("node.pem", "node")
	replacement, err := os.ReadFile(filepath.Join(stranger.dir, "node.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(node, replacement, 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.awaitLog("certificates have been read again")
	kcat(t, "", append(secured(client, filepath.Join(stranger.dir, "ca.pem")), "-L", "-m", "5")...)
	refused("a client that trusts the old certificate only", good...)
	if err := os.WriteFile(node, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.awaitLog("certificates were not read again")
	kcat(t, "", append(secured(client, filepath.Join(stranger.dir, "ca.pem")), "-L", "-m", "5")...)
}

func TestBadSettings(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "give --dev for one node"},
		{[]string{"--dev", "--config", "x"}, "two ways"},
		{[]string{"--config", "/does/not/exist"}, "no such file"},
		{[]string{"--dev", "--override", "listeners=SSL://localhost:0,CONTROLLER://localhost:0"}, "ssl.keystore.location must name a PEM file"},
		{[]string{"--dev", "--override", "num.partitons=3"}, `--override: broker property "num.partitons" is unknown to Kafka; did you mean "num.partitions"?`},
		{[]string{"--dev", "--override", "process.roles=brokre"}, "must be broker, controller or broker,controller"},
		{[]string{"--dev", "--override", "controller.quorum.voters=2@localhost:1,3@localhost:2"}, "has no node 1"},
		{[]string{"--dev", "--override", "controller.quorum.voters=1@localhost:1,3@localhost:2"}, "draw an id with brokerd cluster-id"},
		{[]string{"--dev", "--override", "listener.name.x.ssl.client.auth=none"}, `"listener.name.x.ssl.client.auth" is of a listener that does not exist`},
		{[]string{"--dev", "--listen", "localhost:65536"}, "must be NAME://host:port"},
		{[]string{"dev-cluster", "--nodes", "2", "--zones", "3"}, "want 1 to 26 nodes"},
	} {
		args := c.args
		if len(args) > 0 && args[0] == "--dev" {
			args = append([]string{"--data", t.TempDir()}, args...)
			if !strings.Contains(strings.Join(args, " "), "listen") {
				args = append(args, "--listen", "localhost:0")
			}
		}
		status, complaint := fails(t, args...)
		if status != 2 || !strings.Contains(complaint, c.want) {
			t.Errorf("brokerd %s: exit status %d, %s", strings.Join(c.args, " "), status, complaint)
		}
	}
}

func TestConfigIsListed(t *testing.T) {
	for word, want := range map[string]string{"": "log.retention.hours", "keystore": "ssl.keystore.location", "voters": "controller.quorum.voters"} {
		out, err := command(t, "config", word).Output()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("brokerd config %s: %v: no %s", word, err, want)
		}
	}
}
