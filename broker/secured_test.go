package broker_test

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/controller"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/lifecycle"
	"github.com/seed-604ea8f1/windtunnel/broker/listener"
	"github.com/seed-604ea8f1/windtunnel/broker/security/sasl"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Goal: a cluster whose every listener is SASL forms, serves those who may and
// nobody else, and lives on when sessions end and nodes start again. Method: the
// real nodes in a simulated world; the client is a script of frames.

const (
	clientPort     = 9092
	controllerPort = 9093
	reauthMillis   = 10_000
)

type secured struct {
	t      *testing.T
	w      *sim.World
	client *tester
	nonce  int
}

// jaasScram is a JAAS entry by which a node logs in.
func jaasScram(password string) string {
	return `org.apache.kafka.common.security.scram.ScramLoginModule required username="node" password="` + password + `";`
}

// newSecured makes a world of three controllers and three brokers; the last
// broker has a password of its own.
func newSecured(t *testing.T, lastPassword string) *secured {
	t.Helper()
	s := &secured{t: t, client: &tester{}}
	cfg := sim.Config{Seed: 11, Start: clock.Wall(1_700_000_000_000), WholeFrames: true}
	cfg.Topology.Loopback = netsim.Link{Latency: netsim.Constant(20 * time.Microsecond)}
	cfg.Topology.SameZone = netsim.Link{Latency: netsim.Constant(200 * time.Microsecond)}
	cfg.Topology.CrossZone = cfg.Topology.SameZone
	var voters []controller.Voter
	for i := range int32(3) {
		voters = append(voters, controller.Voter{ID: 101 + i, Host: fmt.Sprintf("controller-%d", i+1), Port: controllerPort})
	}
	for i := range int32(6) {
		node := broker.Config{ClusterID: "secured", Voters: voters}
		name, port := fmt.Sprintf("controller-%d", i+1), netsim.Port{Number: controllerPort, Listener: edge.ListenerController}
		node.NodeID, node.IsController = 101+i, true
		if i >= 3 {
			name, port = fmt.Sprintf("broker-%d", i-2), netsim.Port{Number: clientPort, Listener: edge.ListenerClient}
			node.NodeID, node.IsController, node.IsBroker = i-2, false, true
		}
		password := "node-secret"
		if i == 5 {
			password = lastPassword
		}
		s.settings(&node, name, password)
		cfg.Topology.Hosts = append(cfg.Topology.Hosts, netsim.Host{Name: name, Zone: "a", Ports: []netsim.Port{port}})
		drive := disk.Defaults()
		cfg.Hosts = append(cfg.Hosts, sim.HostConfig{Disk: &drive, Boot: func(info sim.BootInfo) edge.Machine {
			boot := node
			boot.Seed = info.Seed
			boot.Security.Secret = [32]byte{byte(info.Seed), byte(info.Number), byte(node.NodeID)}
			if err := boot.CheckSecurity(); err != nil {
				t.Fatal(err)
			}
			return broker.New(boot)
		}})
	}
	cfg.Topology.Hosts = append(cfg.Topology.Hosts, netsim.Host{Name: "client", Zone: "a"})
	cfg.Hosts = append(cfg.Hosts, sim.HostConfig{Boot: func(sim.BootInfo) edge.Machine { return s.client }})
	s.w = sim.New(cfg)
	return s
}

func (s *secured) settings(node *broker.Config, host, password string) {
	set := listener.Plain(host, clientPort)
	for i := range set.All {
		set.All[i].Protocol = listener.SASLPlaintext
	}
	set.Of(edge.ListenerController).Port = controllerPort
	node.Listeners = set
	var err error
	node.Broker, err = config.ParseBroker([]config.KV{
		{Name: "authorizer.class.name", Value: config.StandardAuthorizer.String()},
		{Name: "super.users", Value: "User:node;User:admin"},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	own, err := config.ParseSasl([]config.KV{
		{Name: "sasl.enabled.mechanisms", Value: "SCRAM-SHA-256,PLAIN"},
		{Name: "sasl.mechanism.inter.broker.protocol", Value: "SCRAM-SHA-256"},
		{Name: "sasl.mechanism.controller.protocol", Value: "SCRAM-SHA-256"},
		{Name: "connections.max.reauth.ms", Value: fmt.Sprint(reauthMillis)},
		{Name: "scram-sha-256.sasl.jaas.config", Value: jaasScram(password)},
		{Name: "plain.sasl.jaas.config", Value: `org.apache.kafka.common.security.plain.PlainLoginModule required user_admin="admin-secret" user_eve="eve-secret";`},
		{Name: "windtunnel.bootstrap.scram", Value: "SCRAM-SHA-256=[name=node,password=node-secret]"},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	node.Security.Sasl = []config.Sasl{own, own}
	if node.IsController {
		node.Security.Bootstrap = own.Bootstrap
	}
}

func (s *secured) run(d time.Duration) { s.w.Run(s.w.Now().Add(d)) }

func (s *secured) node(name string) *broker.Node {
	id, _ := s.w.Host(name)
	n, _ := s.w.Machine(id).(*broker.Node)
	return n
}

// tester is a client that does what the test says: it looks every few
// milliseconds for something to do.
type tester struct {
	dial   string
	port   int32
	dials  edge.DialID
	conn   edge.ConnID
	gone   bool // refused or closed
	outbox [][]byte
	inbox  [][]byte
}

// Step implements edge.Machine.
func (k *tester) Step(ev *edge.Event, e *edge.Effects) {
	switch ev.Kind {
	case edge.EventConnOpened:
		k.conn = ev.Conn
	case edge.EventConnFailed, edge.EventConnClosed:
		k.gone = true
	case edge.EventFrame:
		k.inbox = append(k.inbox, append([]byte{}, ev.Frame.Bytes()...))
		ev.Frame.Release()
	}
	if k.dial != "" {
		if k.conn != 0 {
			e.Close = append(e.Close, k.conn)
		}
		k.dials++
		e.Dials = append(e.Dials, edge.Dial{ID: k.dials, Host: k.dial, Port: k.port})
		k.dial, k.conn, k.gone, k.inbox = "", 0, false, nil
	} else if k.conn != 0 {
		for _, frame := range k.outbox {
			e.Sends = append(e.Sends, edge.Send{Conn: k.conn, Head: frame})
		}
		k.outbox = nil
	}
	e.Wake = ev.Now.Add(5 * time.Millisecond)
}

func (s *secured) connect(host string, port int32) {
	s.client.dial, s.client.port = host, port
	s.run(100 * time.Millisecond)
	if s.client.conn == 0 {
		s.t.Fatalf("no connection to %s", host)
	}
}

// call sends a request and returns the answer, nil if the connection was closed
// instead.
func (s *secured) call(req kmsg.Request) kmsg.Response {
	s.t.Helper()
	k := s.client
	k.outbox = append(k.outbox, wire.AppendRequest(nil, 1, "client", req))
	for range 2000 {
		s.run(5 * time.Millisecond)
		if len(k.inbox) > 0 {
			resp := req.ResponseKind()
			if _, err := wire.ParseResponse(k.inbox[0], resp); err != nil {
				s.t.Fatal(err)
			}
			k.inbox = k.inbox[1:]
			return resp
		}
		if k.gone {
			k.outbox = nil
			return nil
		}
	}
	s.t.Fatalf("no answer to %T", req)
	return nil
}

// prover is a client's side of an exchange.
func (s *secured) prover(mechanism sasl.Mechanism, user, password string) sasl.Client {
	s.nonce++
	if m, ok := sasl.ScramMechanismOf(mechanism); ok {
		return sasl.NewScramClient(m, user, password, fmt.Sprintf("client%d", s.nonce), new(sasl.Salted))
	}
	return sasl.NewPlainClient(user, password)
}

// authenticate proves to be a user, and returns Kafka's error, or the end of the
// connection as an error.
func (s *secured) authenticate(mechanism sasl.Mechanism, user, password string) (lifetime int64, err error) {
	s.t.Helper()
	client := s.prover(mechanism, user, password)
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.SetVersion(1)
	handshake.Mechanism = mechanism
	resp := s.call(handshake)
	if resp == nil {
		return 0, fmt.Errorf("closed at the handshake")
	}
	if err := kerr.ErrorForCode(resp.(*kmsg.SASLHandshakeResponse).ErrorCode); err != nil {
		return 0, err
	}
	var answer []byte
	for {
		token, done, err := client.Next(answer)
		if err != nil || done {
			return lifetime, err
		}
		req := kmsg.NewPtrSASLAuthenticateRequest()
		req.SetVersion(2)
		req.SASLAuthBytes = token
		resp := s.call(req)
		if resp == nil {
			return 0, fmt.Errorf("closed at a token")
		}
		r := resp.(*kmsg.SASLAuthenticateResponse)
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return 0, err
		}
		answer, lifetime = append([]byte{}, r.SASLAuthBytes...), r.SessionLifetimeMillis
	}
}

// authenticateBare is authenticate with tokens that have no headers, which is
// what follows a handshake of version 0.
func (s *secured) authenticateBare(mechanism sasl.Mechanism, user, password string) error {
	s.t.Helper()
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.Mechanism = mechanism
	if resp, ok := s.call(handshake).(*kmsg.SASLHandshakeResponse); !ok || resp.ErrorCode != 0 {
		return fmt.Errorf("the handshake's answer: %+v", resp)
	}
	client, k := s.prover(mechanism, user, password), s.client
	var answer []byte
	for {
		token, done, err := client.Next(answer)
		if err != nil || done {
			return err
		}
		k.outbox = append(k.outbox, append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...))
		s.run(time.Second)
		if len(k.inbox) == 0 {
			return fmt.Errorf("no answer to a token, closed is %v", k.gone)
		}
		answer, k.inbox = k.inbox[0], k.inbox[1:]
	}
}

// as opens a connection as a user.
func (s *secured) as(host string, port int32, mechanism sasl.Mechanism, user, password string) {
	s.t.Helper()
	s.connect(host, port)
	lifetime, err := s.authenticate(mechanism, user, password)
	if err != nil || lifetime != reauthMillis {
		s.t.Fatalf("%s by %s at %s: session of %d ms, %v", user, mechanism, host, lifetime, err)
	}
}

func request(req kmsg.Request, version int16) kmsg.Request {
	req.SetVersion(version)
	return req
}

func metadata() kmsg.Request { return request(kmsg.NewPtrMetadataRequest(), 12) }

func (s *secured) createTopic(name string) {
	s.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.SetVersion(7)
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, 1, 3
	req.Topics = append(req.Topics, rt)
	if resp, ok := s.call(req).(*kmsg.CreateTopicsResponse); !ok || resp.Topics[0].ErrorCode != 0 {
		s.t.Fatalf("create %s: %+v", name, resp)
	}
}

// addUser gives alice a password, by AlterUserScramCredentials.
func (s *secured) addUser(name, password string) {
	s.t.Helper()
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	u.Name, u.Mechanism, u.Iterations, u.Salt = name, int8(sasl.SHA256), 4096, []byte("salt")
	u.SaltedPassword = salted(s.t, password, "salt")
	req.Upsertions = append(req.Upsertions, u)
	if resp, ok := s.call(req).(*kmsg.AlterUserSCRAMCredentialsResponse); !ok || resp.Results[0].ErrorCode != 0 {
		s.t.Fatalf("add %s: %+v", name, resp)
	}
}

func (s *secured) allow(principal string, op kmsg.ACLOperation, topic string) {
	s.t.Helper()
	req := kmsg.NewPtrCreateACLsRequest()
	req.SetVersion(3)
	creation := kmsg.NewCreateACLsRequestCreation()
	creation.ResourceType, creation.ResourcePatternType, creation.ResourceName = kmsg.ACLResourceTypeTopic, kmsg.ACLResourcePatternTypeLiteral, topic
	creation.Principal, creation.Host, creation.Operation, creation.PermissionType = principal, "*", op, kmsg.ACLPermissionTypeAllow
	req.Creations = append(req.Creations, creation)
	if resp, ok := s.call(req).(*kmsg.CreateACLsResponse); !ok || resp.Results[0].ErrorCode != 0 {
		s.t.Fatalf("create ACL: %+v", resp)
	}
}

// fetch reads orders/0 as a consumer (-1) or as if it were a replica.
func (s *secured) fetch(replica int32) int16 {
	s.t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(12)
	req.ReplicaID, req.SessionEpoch, req.MaxBytes = replica, -1, 1<<20
	t := kmsg.NewFetchRequestTopic()
	t.Topic = "orders"
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = 1 << 20
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, ok := s.call(req).(*kmsg.FetchResponse)
	if !ok {
		s.t.Fatal("the fetch closed the connection")
	}
	return resp.Topics[0].Partitions[0].ErrorCode
}

func (s *secured) leader() string {
	image := s.node("broker-1").Image()
	return fmt.Sprintf("broker-%d", image.Topic("orders").Partitions[0].Leader)
}

func (s *secured) activeController() string {
	for i := range 3 {
		name := fmt.Sprintf("controller-%d", i+1)
		if n := s.node(name); n != nil && n.Controller().IsActive() {
			return name
		}
	}
	s.t.Fatal("no active controller")
	return ""
}

func (s *secured) serving(want ...string) {
	s.t.Helper()
	for _, name := range want {
		if state := s.node(name).State(); state != lifecycle.Running {
			s.t.Fatalf("%s is %s", name, state)
		}
	}
}

func TestSecuredCluster(t *testing.T) {
	s := newSecured(t, "node-secret")
	s.run(10 * time.Second)
	s.serving("broker-1", "broker-2", "broker-3")

	// Nobody does anything before proving who it is.
	s.connect("broker-1", clientPort)
	versions := kmsg.NewPtrApiVersionsRequest()
	versions.ClientSoftwareName, versions.ClientSoftwareVersion = "test", "1"
	if resp, ok := s.call(request(versions, 3)).(*kmsg.ApiVersionsResponse); !ok || resp.ErrorCode != 0 {
		t.Errorf("ApiVersions before authentication: %+v", resp)
	}
	if resp := s.call(metadata()); resp != nil {
		t.Errorf("metadata before authentication: %+v", resp)
	}
	// A wrong password is told so, a moment later, and then the connection ends.
	s.connect("broker-1", clientPort)
	before := s.w.Now()
	if _, err := s.authenticate(sasl.Plain, "admin", "guess"); err != kerr.SaslAuthenticationFailed {
		t.Errorf("wrong password: %v", err)
	}
	if waited := s.w.Now().Sub(before); waited < 100*time.Millisecond {
		t.Errorf("the next guess may come after %v", waited)
	}
	if resp := s.call(metadata()); resp != nil {
		t.Error("served after a wrong password")
	}
	s.connect("broker-1", clientPort)
	if _, err := s.authenticate("GSSAPI", "admin", "admin-secret"); err != kerr.UnsupportedSaslMechanism {
		t.Errorf("GSSAPI: %v", err)
	}

	s.as("broker-1", clientPort, sasl.Plain, "admin", "admin-secret")
	s.createTopic("orders")
	s.createTopic("secret")
	s.addUser("alice", "alice-secret")
	s.allow("User:alice", kmsg.ACLOperationRead, "orders")
	s.run(time.Second)

	// Alice sees and does what she may, and is no replica.
	s.as(s.leader(), clientPort, sasl.ScramSHA256, "alice", "alice-secret")
	all := s.call(metadata()).(*kmsg.MetadataResponse)
	if len(all.Topics) != 1 || *all.Topics[0].Topic != "orders" {
		t.Errorf("alice sees %+v", all.Topics)
	}
	if code := s.fetch(-1); code != 0 {
		t.Errorf("alice reads: %v", kerr.ErrorForCode(code))
	}
	if code := s.fetch(2); code != kerr.TopicAuthorizationFailed.Code {
		t.Errorf("alice poses as replica 2: %v", kerr.ErrorForCode(code))
	}
	s.as("broker-1", clientPort, sasl.Plain, "eve", "eve-secret")
	if all := s.call(metadata()).(*kmsg.MetadataResponse); len(all.Topics) != 0 {
		t.Errorf("eve sees %+v", all.Topics)
	}

	// On the controllers' listener she may do no more.
	active := s.activeController()
	s.as(active, controllerPort, sasl.ScramSHA256, "alice", "alice-secret")
	alter := kmsg.NewPtrAlterPartitionRequest()
	alter.SetVersion(3)
	if resp := s.call(alter).(*kmsg.AlterPartitionResponse); resp.ErrorCode != kerr.ClusterAuthorizationFailed.Code {
		t.Errorf("alice alters a partition: %v", kerr.ErrorForCode(resp.ErrorCode))
	}
	heartbeat := kmsg.NewPtrBrokerHeartbeatRequest()
	heartbeat.SetVersion(1)
	heartbeat.BrokerID = 1
	if resp := s.call(heartbeat).(*kmsg.BrokerHeartbeatResponse); resp.ErrorCode != kerr.ClusterAuthorizationFailed.Code {
		t.Errorf("alice beats for broker 1: %v", kerr.ErrorForCode(resp.ErrorCode))
	}
	envelope := kmsg.NewPtrEnvelopeRequest()
	if resp := s.call(envelope).(*kmsg.EnvelopeResponse); resp.ErrorCode != kerr.ClusterAuthorizationFailed.Code {
		t.Errorf("alice speaks for others: %v", kerr.ErrorForCode(resp.ErrorCode))
	}
	for _, key := range []int16{controller.KeyMetadataFetch, controller.KeyRaft} {
		s.as(active, controllerPort, sasl.ScramSHA256, "alice", "alice-secret")
		if !s.refusesPrivate(key) {
			t.Errorf("alice is served key %d", key)
		}
	}
}

// refusesPrivate sends an empty request of a private key, and tells whether the
// connection is closed.
func (s *secured) refusesPrivate(key int16) bool {
	header := wire.RequestHeader{Key: key, CorrelationID: 1, ClientID: "client", HasClientID: true}
	frame := wire.AppendRequestHeader([]byte{0, 0, 0, 0}, &header, wire.IsFlexible(key, 0))
	frame[3] = byte(len(frame) - 4)
	s.client.outbox = append(s.client.outbox, frame)
	s.run(time.Second)
	return s.client.gone && len(s.client.inbox) == 0
}

// Goal: who begins with SaslHandshake version 0 is let in as anybody else is, and
// learns of a wrong password by the end of the connection. librdkafka wants the
// version where there is something to prove.
func TestTokensWithoutHeaders(t *testing.T) {
	s := newSecured(t, "node-secret")
	s.run(10 * time.Second)
	s.as("broker-1", clientPort, sasl.Plain, "admin", "admin-secret")
	s.addUser("alice", "alice-secret")
	s.run(time.Second)
	for _, user := range []struct{ mechanism, name string }{{sasl.Plain, "admin"}, {sasl.ScramSHA256, "alice"}} {
		s.connect("broker-1", clientPort)
		versions := s.call(request(kmsg.NewPtrApiVersionsRequest(), 0)).(*kmsg.ApiVersionsResponse)
		for _, k := range versions.ApiKeys {
			if kmsg.Key(k.ApiKey) == kmsg.SASLHandshake && (k.MinVersion != 0 || k.MaxVersion != 1) {
				t.Errorf("SaslHandshake is served in versions %d to %d", k.MinVersion, k.MaxVersion)
			}
		}
		if err := s.authenticateBare(user.mechanism, user.name, user.name+"-secret"); err != nil {
			t.Errorf("%s by %s: %v", user.name, user.mechanism, err)
		} else if s.call(metadata()) == nil {
			t.Errorf("%s is not served", user.name)
		}
		// Headers are back: the session can be renewed in the newer way.
		s.run(2 * time.Second)
		if _, err := s.authenticate(user.mechanism, user.name, user.name+"-secret"); err != nil {
			t.Errorf("%s renews: %v", user.name, err)
		}
		s.connect("broker-1", clientPort)
		if err := s.authenticateBare(user.mechanism, user.name, "guess"); err == nil || !s.client.gone {
			t.Errorf("%s by %s with a wrong password: %v, closed is %v", user.name, user.mechanism, err, s.client.gone)
		}
	}
}

func TestSessionsEnd(t *testing.T) {
	s := newSecured(t, "node-secret")
	s.run(10 * time.Second)
	s.as("broker-1", clientPort, sasl.Plain, "admin", "admin-secret")
	s.createTopic("orders")
	if _, err := s.authenticate(sasl.Plain, "admin", "admin-secret"); err != kerr.IllegalSaslState {
		t.Errorf("a second exchange within a second: %v", err)
	}
	// Whoever renews the session in time stays, and stays who it is.
	s.run(8 * time.Second)
	if _, err := s.authenticate(sasl.Plain, "admin", "admin-secret"); err != nil {
		t.Errorf("renew: %v", err)
	}
	s.run(8 * time.Second)
	if s.call(metadata()) == nil {
		t.Error("closed within a renewed session")
	}
	if _, err := s.authenticate(sasl.Plain, "eve", "eve-secret"); err != kerr.SaslAuthenticationFailed {
		t.Errorf("somebody else renews: %v", err)
	}
	s.as("broker-1", clientPort, sasl.Plain, "admin", "admin-secret")
	s.run(11 * time.Second)
	if s.call(metadata()) != nil {
		t.Error("served after the session's end")
	}
	// Nodes renew theirs: through many sessions no broker is fenced, and no
	// replica falls behind.
	epoch := s.node("broker-1").Image().Topic("orders").Partitions[0].PartitionEpoch
	s.run(3 * time.Minute)
	s.serving("broker-1", "broker-2", "broker-3")
	p := s.node("broker-1").Image().Topic("orders").Partitions[0]
	if len(p.ISR) != 3 || p.PartitionEpoch != epoch {
		t.Errorf("after many sessions: %+v", p)
	}
}

func TestNodesStartAgain(t *testing.T) {
	s := newSecured(t, "node-secret")
	s.run(10 * time.Second)
	s.as("broker-1", clientPort, sasl.Plain, "admin", "admin-secret")
	s.addUser("alice", "alice-secret")
	for h := range 6 { // all at once: the users are in the metadata log only
		s.w.PowerLoss(netsim.HostID(h))
	}
	for h := range 6 {
		s.w.Start(netsim.HostID(h), time.Second)
	}
	s.run(30 * time.Second)
	s.serving("broker-1", "broker-2", "broker-3")
	s.as("broker-2", clientPort, sasl.ScramSHA256, "alice", "alice-secret")
}

func TestANodeWithoutThePasswordStaysOut(t *testing.T) {
	s := newSecured(t, "a guess")
	s.run(20 * time.Second)
	s.serving("broker-1", "broker-2")
	if state := s.node("broker-3").State(); state == lifecycle.Running {
		t.Fatal("a broker with a wrong password has joined")
	}
	if s.node("broker-1").Image().Broker(3) != nil {
		t.Fatal("a broker with a wrong password is registered")
	}
}

func TestASecuredRunRepeats(t *testing.T) {
	hash := func() uint64 {
		s := newSecured(t, "node-secret")
		s.run(15 * time.Second)
		s.as("broker-1", clientPort, sasl.Plain, "admin", "admin-secret")
		s.createTopic("orders")
		s.run(15 * time.Second)
		return s.w.Trace().Hash()
	}
	if a, b := hash(), hash(); a != b {
		t.Fatalf("trace hashes %x and %x", a, b)
	}
}

func salted(t *testing.T, password, salt string) []byte {
	t.Helper()
	key, err := pbkdf2.Key(sha256.New, password, []byte(salt), 4096, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
