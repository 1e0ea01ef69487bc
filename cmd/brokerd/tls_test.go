package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/cmd/internal/trial"
)

// A node whose listeners are all encrypted, its own connections to itself
// included, and which asks for certificates. A client with one is served, one
// without or of another authority is not, and SIGHUP brings a new certificate.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	ca, stranger := trial.NewAuthority(t, "authority"), trial.NewAuthority(t, "stranger")
	node, client := ca.Issue("node.pem", "node"), ca.Issue("client.pem", "client")
	p := run(t, "--dev", "--data", t.TempDir(),
		"--override", "listeners=CLIENTS://localhost:0,CONTROLLER://localhost:0",
		"--override", "listener.security.protocol.map=CLIENTS:SSL,CONTROLLER:SSL",
		"--override", "ssl.keystore.location="+node, "--override", "ssl.truststore.location="+ca.Trusted(),
		"--override", "ssl.client.auth=required")
	secured := func(certificate, authorities string) []string {
		return []string{"-b", p.bootstrap, "-X", "security.protocol=ssl", "-X", "ssl.ca.location=" + authorities,
			"-X", "ssl.certificate.location=" + certificate, "-X", "ssl.key.location=" + certificate}
	}
	trusted := ca.Trusted()
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
	refused("a client of another authority", secured(stranger.Issue("client.pem", "client"), trusted)...)
	refused("a client in plain text", "-b", p.bootstrap)

	stranger.Issue("node.pem", "node")
	replacement, err := os.ReadFile(filepath.Join(stranger.Dir, "node.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(node, replacement, 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.awaitLog("settings have been read again")
	kcat(t, "", append(secured(client, stranger.Trusted()), "-L", "-m", "5")...)
	refused("a client that trusts the old certificate only", good...)
	if err := os.WriteFile(node, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.awaitLog("settings were not all read again")
	kcat(t, "", append(secured(client, stranger.Trusted()), "-L", "-m", "5")...)
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
		{[]string{"--dev", "--listen", "localhost:65536"}, "--listen: node property listeners="},
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
