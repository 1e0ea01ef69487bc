package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Goal: a property means the same wherever it is written, the stronger source
// wins, and an error names the place. Method: small files and what comes of them.

func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFormsOfOneFile(t *testing.T) {
	forms := map[string]string{
		"a.properties": "# comment\n! comment\nnode.id = 7\nlog.retention.ms:1000\nprocess.roles broker,\\\n   controller\nbroker.rack=\\u007a\\ one\n",
		"a.yaml":       "node.id: 7\nlog.retention.ms: 1000\nprocess.roles: [broker, controller]\nbroker.rack: z one # a zone\n",
		"b.yml":        "node: {id: 7}\nlog:\n  retention:\n    ms: 1000\nprocess.roles: broker,controller\nbroker.rack: \"z one\"\n",
	}
	for name, text := range forms {
		given, err := File(written(t, name, text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s, err := Parse(given)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := []any{s.Node.NodeID, s.Node.ProcessRoles, s.Broker.TopicDefaults.RetentionMillis, s.Broker.BrokerRack}
		if diff := cmp.Diff([]any{int64(7), "broker,controller", int64(1000), "z one"}, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestTheStrongerSourceWins(t *testing.T) {
	file, err := File(written(t, "a.properties", "node.id=1\nnum.partitions=2\nlog.retention.ms=3\n"))
	if err != nil {
		t.Fatal(err)
	}
	environment := Environment([]string{"PATH=/bin", "WINDTUNNEL_NUM_PARTITIONS=4", "WINDTUNNEL_LOG_RETENTION_MS=5",
		"WINDTUNNEL_LISTENER_NAME_EXTERNAL_SSL_KEYSTORE_LOCATION=/key.pem"})
	flags, err := Flags([]string{"log.retention.ms=6"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse(file, environment, flags)
	if err != nil {
		t.Fatal(err)
	}
	tls, err := s.TLS("EXTERNAL")
	if err != nil {
		t.Fatal(err)
	}
	got := []any{s.Node.NodeID, s.Broker.NumPartitions, s.Broker.TopicDefaults.RetentionMillis, tls.KeystoreLocation}
	if diff := cmp.Diff([]any{int64(1), int64(4), int64(6), "/key.pem"}, got); diff != "" {
		t.Error(diff)
	}
}

// Goal: every property can be set by the environment, credentials and names with
// hyphens and underscores too. Method: variables and the names that they mean.
func TestVariablesAreProperties(t *testing.T) {
	var got []string
	for _, g := range Environment([]string{
		"WINDTUNNEL_LISTENER_NAME_CLIENTS_SCRAM_SHA_512_SASL_JAAS_CONFIG=a",
		"WINDTUNNEL_LISTENER_NAME_CLIENTS_SCRAM___SHA___256_SASL_JAAS_CONFIG=b",
		"WINDTUNNEL_LISTENER_NAME_SASL__SSL_PLAIN_SASL_JAAS_CONFIG=c",
		"WINDTUNNEL_WINDTUNNEL_BOOTSTRAP_SCRAM=d=e",
		"WINDTUNNEL_=f", "OTHER=g",
	}) {
		got = append(got, g.Name+" is "+g.Value)
	}
	want := []string{
		"listener.name.clients.scram-sha-512.sasl.jaas.config is a",
		"listener.name.clients.scram-sha-256.sasl.jaas.config is b",
		"listener.name.sasl_ssl.plain.sasl.jaas.config is c",
		"windtunnel.bootstrap.scram is d=e",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsNameThePlaceAndTheCure(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a.properties", "\nlog.retentoin.ms=1\n", `a.properties:2: broker property "log.retentoin.ms" is unknown to Kafka; did you mean "log.retention.ms"?`},
		{"a.properties", "listenres=PLAINTEXT://:1\n", `a.properties:1: broker property "listenres" is unknown to Kafka; did you mean "listeners"?`},
		{"a.properties", "num.io.threads=8\n", `a.properties:1: broker property "num.io.threads" is known to Kafka but without effect here`},
		{"a.yaml", "a: 1\nnum.partitions: many\n", `a.yaml:`},
		{"a.yaml", "num.partitions: many\n", `a.yaml:1: broker property num.partitions="many" must be a whole number in 1 .. 2147483647`},
		{"a.yaml", "num:\n  partitions: {a: [b]}\n  x: 1\n", `a.yaml:2: broker property "num.partitions.a" is unknown`},
		{"a.yaml", "- a\n", "a.yaml:1: want a mapping"},
		{"a.properties", "node.id=1\nnode.id=2\n", "a.properties:2: property node.id is given twice, before at"},
		{"a.properties", "node.id=1\nbroker.id=1\n", "a.properties:2: node property \"broker.id\" is another name of node.id"},
		{"a.properties", "listener.name.x.num.partitions=1\n", `cannot be set for one listener`},
		{"a.properties", "ssl.client.auth=maybe\n", `a.properties:1: ssl property ssl.client.auth="maybe" must be one of: none, requested, required`},
		{"a.properties", "a=\\uzzzz\n", "a.properties:1: \"\\\\uzzzz\": \\u needs four hexadecimal digits"},
	} {
		given, err := File(written(t, c.name, c.text))
		if err == nil {
			_, err = Parse(given)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v\nwant %s", c.text, err, c.want)
		}
	}
}

func FuzzProperties(f *testing.F) {
	f.Add("a=b\\\n c\n# d\n\\u0041:1")
	f.Fuzz(func(t *testing.T, text string) {
		given, err := parseProperties("f", text)
		for _, g := range given {
			if err == nil && g.Where == "" {
				t.Errorf("%q has no place", g.Name)
			}
		}
	})
}

func FuzzYAML(f *testing.F) {
	f.Add("a: b\nc:\n  d: [1, 2]\n")
	f.Fuzz(func(t *testing.T, text string) {
		given, err := parseYAML("f", []byte(text))
		for _, g := range given {
			if err == nil && g.Where == "" {
				t.Errorf("%q has no place", g.Name)
			}
		}
	})
}
