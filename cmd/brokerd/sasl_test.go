package main

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/cmd/internal/trial"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// A node with TLS, every mechanism and ACLs, whose own connections to itself log
// in too, served to franz-go.

// securedNode starts a node on which everything is on, but what more says. Its
// tokens' keys are at a URL.
func securedNode(t *testing.T, ca *trial.Authority, keys, data string, more ...string) *process {
	node := ca.Issue("node.pem", "node")
	login := `org.apache.kafka.common.security.scram.ScramLoginModule required username="node" password="node-secret";`
	args := []string{"--dev", "--data", data}
	for _, property := range more {
		args = append(args, "--override", property)
	}
	for _, property := range []string{
		"listeners=CLIENTS://localhost:0,CONTROLLER://localhost:0",
		"listener.security.protocol.map=CLIENTS:SASL_SSL,CONTROLLER:SASL_SSL",
		"ssl.keystore.location=" + node,
		"ssl.truststore.location=" + ca.Trusted(),
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		"sasl.mechanism.inter.broker.protocol=SCRAM-SHA-256",
		"sasl.mechanism.controller.protocol=SCRAM-SHA-256",
		"listener.name.clients.scram-sha-256.sasl.jaas.config=" + login,
		"listener.name.controller.scram-sha-256.sasl.jaas.config=" + login,
		"listener.name.clients.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required " +
			`user_admin="admin-secret" user_eve="eve-secret";`,
		"listener.name.controller.sasl.enabled.mechanisms=SCRAM-SHA-256",
		"sasl.oauthbearer.jwks.endpoint.url=" + keys,
		"sasl.oauthbearer.expected.audience=kafka",
		"windtunnel.bootstrap.scram=SCRAM-SHA-256=[name=node,password=node-secret]",
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users=User:node;User:admin",
	} {
		key, _, _ := strings.Cut(property, "=")
		if !slices.ContainsFunc(more, func(other string) bool { return strings.HasPrefix(other, key+"=") }) {
			args = append(args, "--override", property)
		}
	}
	return run(t, args...)
}

type franz struct {
	*kgo.Client
	t *testing.T
}

// connect returns a client that logs in by a mechanism.
func connect(t *testing.T, p *process, ca *trial.Authority, mechanism sasl.Mechanism, options ...kgo.Opt) franz {
	t.Helper()
	pem, err := os.ReadFile(ca.Trusted())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(p.bootstrap), kgo.DialTLSConfig(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}), kgo.SASL(mechanism),
	}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return franz{client, t}
}

// ask sends a request to any broker.
func (f franz) ask(req kmsg.Request) kmsg.Response {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 30*time.Second)
	defer cancel()
	resp, err := f.Request(ctx, req)
	if err != nil {
		f.t.Fatalf("%T: %v", req, err)
	}
	return resp
}

func (f franz) createTopic(name string) {
	f.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, 1
	req.Topics = append(req.Topics, topic)
	req.TimeoutMillis = 10_000
	if err := kerr.ErrorForCode(f.ask(req).(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode); err != nil {
		f.t.Fatalf("create %s: %v", name, err)
	}
}

func (f franz) allow(principal string, kind kmsg.ACLResourceType, name string, operations ...kmsg.ACLOperation) {
	f.t.Helper()
	req := kmsg.NewPtrCreateACLsRequest()
	for _, op := range operations {
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourcePatternType, c.ResourceName = kind, kmsg.ACLResourcePatternTypeLiteral, name
		c.Principal, c.Host, c.Operation, c.PermissionType = principal, "*", op, kmsg.ACLPermissionTypeAllow
		req.Creations = append(req.Creations, c)
	}
	for _, r := range f.ask(req).(*kmsg.CreateACLsResponse).Results {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f franz) addUser(name, password string) {
	f.t.Helper()
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	for mechanism, h := range []func() hash.Hash{sha256.New, sha512.New} {
		salt := []byte(rand.Text())
		salted, err := pbkdf2.Key(h, password, salt, 4096, h().Size())
		if err != nil {
			f.t.Fatal(err)
		}
		u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
		u.Name, u.Mechanism, u.Iterations, u.Salt, u.SaltedPassword = name, int8(mechanism+1), 4096, salt, salted
		req.Upsertions = append(req.Upsertions, u)
	}
	// Two mechanisms of a user are one result, as in Kafka.
	for _, r := range f.ask(req).(*kmsg.AlterUserSCRAMCredentialsResponse).Results {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			f.t.Fatalf("add %s: %v", name, err)
		}
	}
}

func (f franz) produce(topic string, n int) error {
	ctx, cancel := context.WithTimeout(f.t.Context(), 30*time.Second)
	defer cancel()
	var records []*kgo.Record
	for i := range n {
		records = append(records, &kgo.Record{Topic: topic, Value: fmt.Append(nil, i)})
	}
	return f.ProduceSync(ctx, records...).FirstErr()
}

// read polls until it has n records, and returns the first error instead.
func (f franz) read(n int) error {
	ctx, cancel := context.WithTimeout(f.t.Context(), 30*time.Second)
	defer cancel()
	for got := 0; got < n; {
		fetches := f.PollFetches(ctx)
		for _, e := range fetches.Errors() {
			var rejoins *kgo.ErrGroupSession // a coordinator that moved, on a machine so busy that the node was fenced
			if !errors.As(e.Err, &rejoins) {
				return e.Err
			}
		}
		for it := fetches.RecordIter(); !it.Done(); got++ {
			if want := fmt.Sprint(got); string(it.Next().Value) != want {
				return fmt.Errorf("record %d is not %s", got, want)
			}
		}
	}
	return nil
}

func TestEveryMechanism(t *testing.T) {
	t.Parallel()
	const records = 100
	ca, tokens, data := trial.NewAuthority(t, "authority"), trial.NewIssuer(t), t.TempDir()
	p := securedNode(t, ca, "file://"+tokens.Keys(), data)
	asAdmin := plain.Auth{User: "admin", Pass: "admin-secret"}.AsMechanism()
	alice256 := scram.Auth{User: "alice", Pass: "alice=secret,"}.AsSha256Mechanism()
	alice512 := scram.Auth{User: "alice", Pass: "alice=secret,"}.AsSha512Mechanism()

	admin := connect(t, p, ca, asAdmin)
	admin.createTopic("orders")
	admin.addUser("alice", "alice=secret,")
	admin.allow("User:alice", kmsg.ACLResourceTypeTopic, "orders", kmsg.ACLOperationRead, kmsg.ACLOperationWrite)
	admin.allow("User:alice", kmsg.ACLResourceTypeGroup, "readers", kmsg.ACLOperationRead)
	admin.allow("User:carol", kmsg.ACLResourceTypeTopic, "orders", kmsg.ACLOperationRead)

	if err := connect(t, p, ca, alice512).produce("orders", records); err != nil {
		t.Errorf("alice writes: %v", err)
	}
	fromStart := kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())
	group := connect(t, p, ca, alice256, kgo.ConsumeTopics("orders"), kgo.ConsumerGroup("readers"), fromStart)
	if err := group.read(records); err != nil {
		t.Errorf("alice reads in a group: %v", err)
	}
	carol := oauth.Auth{Token: tokens.Token("carol", "kafka", time.Hour)}.AsMechanism()
	if err := connect(t, p, ca, carol, kgo.ConsumeTopics("orders"), fromStart).read(records); err != nil {
		t.Errorf("carol reads: %v", err)
	}

	// Who may not, may not.
	eve := plain.Auth{User: "eve", Pass: "eve-secret"}.AsMechanism()
	if err := connect(t, p, ca, eve).produce("orders", 1); !errors.Is(err, kerr.TopicAuthorizationFailed) && !errors.Is(err, kerr.ClusterAuthorizationFailed) {
		t.Errorf("eve writes: %v", err)
	}
	if err := connect(t, p, ca, eve, kgo.ConsumeTopics("orders"), fromStart, kgo.KeepRetryableFetchErrors()).read(1); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("eve reads: %v", err)
	}
	if err := connect(t, p, ca, carol).produce("orders", 1); !errors.Is(err, kerr.TopicAuthorizationFailed) && !errors.Is(err, kerr.ClusterAuthorizationFailed) {
		t.Errorf("carol writes: %v", err)
	}
	for name, mechanism := range map[string]sasl.Mechanism{
		"a wrong password":           plain.Auth{User: "admin", Pass: "guess"}.AsMechanism(),
		"a wrong SCRAM password":     scram.Auth{User: "alice", Pass: "guess"}.AsSha256Mechanism(),
		"an unknown user":            scram.Auth{User: "nobody", Pass: "guess"}.AsSha512Mechanism(),
		"a token of another issuer":  oauth.Auth{Token: trial.NewIssuer(t).Token("carol", "kafka", time.Hour)}.AsMechanism(),
		"a token for somewhere else": oauth.Auth{Token: tokens.Token("carol", "web", time.Hour)}.AsMechanism(),
		"an expired token":           oauth.Auth{Token: tokens.Token("carol", "kafka", -time.Minute)}.AsMechanism(),
	} {
		client := connect(t, p, ca, mechanism)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := client.Ping(ctx); !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}

	// What was decided is in the metadata log.
	p.end(syscall.SIGKILL)
	p = securedNode(t, ca, "file://"+tokens.Keys(), data)
	again := connect(t, p, ca, alice256, kgo.ConsumeTopics("orders"), fromStart)
	if err := again.read(records); err != nil {
		t.Errorf("alice reads after a restart: %v", err)
	}
}

// librdkafka logs in by every mechanism, and the one of Debian does it in its own
// way: it wants SaslHandshake to be served from version 0 on, and repeats its nonce
// in SCRAM's last message.
func TestKcatLogsIn(t *testing.T) {
	t.Parallel()
	ca := trial.NewAuthority(t, "authority")
	p := securedNode(t, ca, "file://"+trial.NewIssuer(t).Keys(), t.TempDir())
	admin := connect(t, p, ca, plain.Auth{User: "admin", Pass: "admin-secret"}.AsMechanism())
	admin.createTopic("orders")
	admin.addUser("alice", "alice=secret,")
	admin.allow("User:alice", kmsg.ACLResourceTypeTopic, "orders", kmsg.ACLOperationRead, kmsg.ACLOperationWrite)
	as := func(mechanism, user, password string) []string {
		return []string{"-b", p.bootstrap, "-X", "security.protocol=sasl_ssl", "-X", "ssl.ca.location=" + ca.Trusted(),
			"-X", "sasl.mechanism=" + mechanism, "-X", "sasl.username=" + user, "-X", "sasl.password=" + password}
	}
	want := ""
	for mechanism, user := range map[string]string{"PLAIN": "admin", "SCRAM-SHA-256": "alice", "SCRAM-SHA-512": "alice"} {
		password := map[string]string{"admin": "admin-secret", "alice": "alice=secret,"}[user]
		kcat(t, "hello\n", append(as(mechanism, user, password), "-P", "-t", "orders")...)
		want += "hello\n"
		if got := kcat(t, "", append(as(mechanism, user, password), "-C", "-t", "orders", "-e", "-q")...); got != want {
			t.Errorf("%s reads %q by %s", user, got, mechanism)
		}
		if out, err := tryKcat(t, "", append(as(mechanism, user, "guess"), "-L", "-m", "3")...); err == nil {
			t.Errorf("%s with a wrong password is served: %s", mechanism, out)
		}
	}
}

// A node logs in to itself, broker to controller and the other way round, by a token
// that ends soon. It is renewed in its file; the node goes on beyond the first one's
// end, and does not if nobody renews it.
func TestNodesLogInByTokens(t *testing.T) {
	t.Parallel()
	ca, tokens := trial.NewAuthority(t, "authority"), trial.NewIssuer(t)
	own := filepath.Join(t.TempDir(), "token")
	issue := func(life time.Duration) {
		if err := os.WriteFile(own, []byte(tokens.Token("node", "kafka", life)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const life = 15 * time.Second
	issue(life)
	ends := time.Now().Add(life)
	p := securedNode(t, ca, "file://"+tokens.Keys(), t.TempDir(),
		"listener.name.controller.sasl.enabled.mechanisms=OAUTHBEARER",
		"sasl.mechanism.inter.broker.protocol=OAUTHBEARER",
		"sasl.mechanism.controller.protocol=OAUTHBEARER",
		"sasl.oauthbearer.token.endpoint.url=file://"+own,
		"sasl.oauthbearer.clock.skew.seconds=0",
		"broker.session.timeout.ms=60000", // a machine that stands still for seconds is not what is tested
		"windtunnel.admin.listener=localhost:0")
	admin := connect(t, p, ca, plain.Auth{User: "admin", Pass: "admin-secret"}.AsMechanism())
	admin.createTopic("before")
	issue(time.Hour) // the node finds it by itself
	for i := 0; time.Now().Before(ends.Add(2 * time.Second)); i++ {
		admin.createTopic(fmt.Sprintf("meanwhile-%d", i)) // the broker asks the controller
	}
	admin.createTopic("after")
	get(t, "http://"+p.admin+"/readyz", http.StatusOK)

	// What is no token leaves the one that was there.
	if err := os.WriteFile(own, []byte("no token"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.awaitLog("the node's token was not read again")
	admin.createTopic("still")
}

// login tells whether a token lets its bearer in.
func login(t *testing.T, p *process, ca *trial.Authority, token string) error {
	t.Helper()
	client := connect(t, p, ca, oauth.Auth{Token: token}.AsMechanism())
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return client.Ping(ctx)
}

// An issuer takes another key: SIGHUP brings it, and a file that is no key set
// leaves what was there.
func TestKeysInAFileAreRotated(t *testing.T) {
	ca, tokens := trial.NewAuthority(t, "authority"), trial.NewIssuer(t)
	p := securedNode(t, ca, "file://"+tokens.Keys(), t.TempDir())
	older := tokens.Token("carol", "kafka", time.Hour)
	if err := login(t, p, ca, older); err != nil {
		t.Fatal(err)
	}
	tokens.Rotate()
	newer := tokens.Token("carol", "kafka", time.Hour)
	if err := login(t, p, ca, newer); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("before the node has the key: %v", err)
	}
	path := tokens.Keys()
	p.signal(syscall.SIGHUP)
	p.awaitLog("settings have been read again")
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.awaitLog("settings were not all read again")
	if err := login(t, p, ca, newer); err != nil {
		t.Errorf("a token of the new key: %v", err)
	}
	if err := login(t, p, ca, older); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("a token of the old key: %v", err)
	}
}

// The same from a web server, which nobody has to tell the node of.
func TestKeysOfAWebServerAreRotated(t *testing.T) {
	ca, tokens := trial.NewAuthority(t, "authority"), trial.NewIssuer(t)
	var keys atomic.Pointer[[]byte]
	publish := func() {
		text := tokens.KeySet()
		keys.Store(&text)
	}
	publish()
	pair := ca.Issue("web.pem", "web")
	certificate, err := tls.LoadX509KeyPair(pair, pair)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(*keys.Load()) }))
	web.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	web.StartTLS()
	defer web.Close()
	_, port, _ := strings.Cut(web.Listener.Addr().String(), ":")
	t.Setenv("SSL_CERT_FILE", ca.Trusted())
	p := securedNode(t, ca, "https://localhost:"+port+"/jwks", t.TempDir(), "sasl.oauthbearer.jwks.endpoint.refresh.ms=20")
	if err := login(t, p, ca, tokens.Token("carol", "kafka", time.Hour)); err != nil {
		t.Fatal(err)
	}
	tokens.Rotate()
	newer := tokens.Token("carol", "kafka", time.Hour)
	if err := login(t, p, ca, newer); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("before it is published: %v", err)
	}
	publish()
	limit, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for login(t, p, ca, newer) != nil {
		if limit.Err() != nil {
			t.Fatal("the new key is not taken")
		}
	}
	web.Close()
	p.awaitLog("keys of tokens were not fetched again")
	if err := login(t, p, ca, newer); err != nil {
		t.Errorf("without the web server: %v", err)
	}
}

func TestBadSecuritySettings(t *testing.T) {
	secure := func(properties ...string) []string {
		args := []string{"--dev", "--data", t.TempDir(), "--override", "listeners=CLIENTS://localhost:0,CONTROLLER://localhost:0",
			"--override", "listener.security.protocol.map=CLIENTS:SASL_PLAINTEXT"}
		for _, p := range properties {
			args = append(args, "--override", p)
		}
		return args
	}
	const plainUsers = "listener.name.clients.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_a=\"hush\";"
	for _, c := range []struct {
		args []string
		want string
	}{
		{secure(), "sasl.enabled.mechanisms must name at least one"},
		{secure("sasl.enabled.mechanisms=PLAIN"), "listener.name.clients.plain.sasl.jaas.config must name its users"},
		{secure("sasl.enabled.mechanisms=GSSAPI"), "is known to Kafka but without effect here"},
		{secure("sasl.enabled.mechanisms=PLAIN", plainUsers), "sasl.mechanism.inter.broker.protocol must say how this node"},
		{secure("sasl.enabled.mechanisms=PLAIN", plainUsers, "sasl.mechanism.inter.broker.protocol=PLAIN"), "must have a username and a password"},
		{secure("sasl.enabled.mechanisms=OAUTHBEARER"), "must name the keys of the issuer"},
		{secure("sasl.oauthbearer.jwks.endpoint.url=ftp://example.com/jwks"), "must be file:///path/jwks.json, https://host/path or a data URL"},
		{secure("sasl.oauthbearer.jwks.endpoint.url=file://does/not/exist"), "is no URL of a file"},
		{secure("sasl.oauthbearer.jwks.endpoint.url=file:///does/not/exist"), "--override: sasl property sasl.oauthbearer.jwks.endpoint.url=\"file:///does/not/exist\" cannot be used: read the keys"},
		{secure("sasl.enabled.mechanisms=PLAIN", plainUsers, "sasl.mechanism.inter.broker.protocol=OAUTHBEARER"), "sasl.oauthbearer.token.endpoint.url must name the file"},
		{secure("sasl.mechanism.inter.broker.protocol=GSSAPI"), "is known to Kafka but without effect here"},
		{secure("sasl.oauthbearer.token.endpoint.url=https://example.com/token"), "must be file:///path/token"},
		{secure("sasl.oauthbearer.token.endpoint.url=file:///no/token"), "has no effect: neither"},
		{secure("sasl.oauthbearer.token.endpoint.url=file:///no/token", "sasl.mechanism.inter.broker.protocol=OAUTHBEARER"), "cannot be used: read the node's token: open /no/token"},
		{secure("plain.sasl.jaas.config=x"), "must be set for a listener, as listener.name.NAME.plain.sasl.jaas.config"},
		{secure("listener.name.clients.plain.sasl.jaas.config=PlainLoginModule required user_a=\"hush\";"), `is no JAAS entry: login module "PlainLoginModule" is unknown`},
		{secure("listener.name.clients.sasl.mechanism.inter.broker.protocol=PLAIN"), "cannot be set for one listener"},
		{secure("super.users=admin"), "must be a list such as User:alice;User:bob"},
		{secure("authorizer.class.name=kafka.security.authorizer.AclAuthorizer"), "org.apache.kafka.metadata.authorizer.StandardAuthorizer"},
		{secure("windtunnel.bootstrap.scram=SCRAM-SHA-256=[name=a,password=hush,iterations=1]"), "iterations must be in 4096 .. 16384"},
	} {
		status, complaint := fails(t, c.args...)
		if status != 2 || !strings.Contains(complaint, c.want) || strings.Contains(complaint, "hush") {
			t.Errorf("brokerd %s: exit status %d, %s", strings.Join(c.args[8:], " "), status, complaint)
		}
	}
}
