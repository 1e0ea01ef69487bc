package controller

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/security/sasl"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Goal: what the controller does depends on who asks, also for somebody else.
// Method: transcripts of requests, written as the JSON of kmsg's structs, from
// principals; of the answers, the error codes are shown with the items they are
// about.
func TestSecurity(t *testing.T) {
	s := &guarded{t: t}
	datadriven.RunTest(t, "testdata/security", s.run)
}

type guarded struct {
	t *testing.T
	w *world
}

func (s *guarded) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "cluster":
		s.w = newWorld(t, 7, 1)
		s.w.run(3 * time.Second)
		return ""
	case "authorizer":
		s.w.nodes[0].k.SetGate(security.NewGate([]security.Principal{security.User("broker")}, false))
		return ""
	case "restart": // a checkpoint has been written meanwhile, or the log is replayed
		s.w.crash(0)
		s.w.boot(0)
		s.w.run(3 * time.Second)
		return ""
	case "image":
		return s.image()
	}
	req := requestNamed(t, d.Cmd)
	var version int16
	d.MaybeScanArgs(t, "v", &version)
	req.SetVersion(version)
	if err := json.Unmarshal([]byte(d.Input), req); d.Input != "" && err != nil {
		t.Fatal(err)
	}
	n := s.w.nodes[0]
	n.peer = security.NewSession(security.User(text(d, "as")), "client")
	if by := text(d, "by"); by != "" { // as is whom the broker speaks for
		body := req.AppendTo(wire.AppendRequestHeader(nil, &wire.RequestHeader{Key: req.Key(), Version: version, CorrelationID: 7},
			wire.IsFlexible(req.Key(), version)))
		envelope := kmsg.NewPtrEnvelopeRequest()
		envelope.RequestData, envelope.RequestPrincipal = body, security.AppendPrincipal(nil, n.peer.Principal)
		n.peer = security.NewSession(security.User(by), "broker-host")
		resp := n.call(envelope).(*kmsg.EnvelopeResponse)
		if resp.ErrorCode != 0 {
			return "envelope: " + kerr.TypedErrorForCode(resp.ErrorCode).Message + "\n"
		}
		correlation, inner, err := wire.ParseResponseHeader(resp.ResponseData, req.Key(), version)
		out := req.ResponseKind()
		if err != nil || correlation != 7 || out.ReadFrom(inner) != nil {
			t.Fatalf("envelope: correlation %d, %v", correlation, err)
		}
		return codes(t, out)
	}
	return codes(t, n.call(req))
}

func requestNamed(t *testing.T, name string) kmsg.Request {
	for key := range int16(kmsg.MaxKey) {
		if strings.EqualFold(kmsg.NameForKey(key), strings.ReplaceAll(name, "-", "")) {
			return kmsg.RequestForKey(key)
		}
	}
	t.Fatalf("there is no request %q", name)
	return nil
}

// codes lists what has an error code in a response, or should have had one.
func codes(t *testing.T, resp kmsg.Response) string {
	b, err := json.Marshal(resp)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	listCodes(&out, "", tree)
	return out.String()
}

func listCodes(out *strings.Builder, what string, tree map[string]any) {
	for _, name := range []string{"Topic", "ResourceName", "User", "Principal"} {
		if v, ok := tree[name].(string); ok {
			what += " " + v
		}
	}
	if code, ok := tree["ErrorCode"].(float64); ok {
		said := "ok"
		if code != 0 {
			said = kerr.TypedErrorForCode(int16(code)).Message
		}
		if message, ok := tree["ErrorMessage"].(string); ok {
			said += ": " + message
		}
		fmt.Fprintf(out, "%s: %s\n", strings.TrimSpace(what), said)
	}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		items, _ := tree[name].([]any)
		for _, item := range items {
			if inner, ok := item.(map[string]any); ok {
				listCodes(out, what, inner)
			}
		}
	}
}

func (s *guarded) image() string {
	var b strings.Builder
	image := s.w.nodes[0].k.Image()
	for _, t := range image.Topics {
		fmt.Fprintf(&b, "topic %s\n", t.Name)
	}
	for i := range image.ACLs {
		fmt.Fprintf(&b, "%v\n", &image.ACLs[i])
	}
	for _, u := range image.ScramUsers {
		fmt.Fprintf(&b, "user %s %s iterations %d\n", u.Name, u.Mechanism, u.Credential.Iterations)
	}
	return b.String()
}

// Goal: the credential that AlterUserScramCredentials stores lets in whoever
// knows the password that the client salted.
func TestStoredCredentialsLetIn(t *testing.T) {
	w := newWorld(t, 7, 1)
	w.run(3 * time.Second)
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	u.Name, u.Mechanism, u.Iterations, u.Salt = "alice", int8(sasl.SHA256), 4096, []byte("salt")
	// The salted password of "secret", as a client computes it (RFC 5802, Hi).
	want := sasl.NewScramCredential(sasl.SHA256, "secret", "salt", 4096)
	u.SaltedPassword = saltedPassword(t, "secret", "salt")
	req.Upsertions = append(req.Upsertions, u)
	w.active().call(req)
	got := w.active().k.Image().ScramCredential("alice", sasl.SHA256)
	if got == nil || *got != want {
		t.Fatalf("stored %+v, want %+v", got, want)
	}
}

// Goal: every request that dispatch knows is asked about. Method: somebody
// without rights sends an empty one of each; whatever is neither refused as a
// whole nor about items must be listed here.
func TestNoRequestGoesUnasked(t *testing.T) {
	w := newWorld(t, 7, 1)
	w.run(3 * time.Second)
	k := w.nodes[0].k
	k.SetGate(security.NewGate(nil, false))
	byItem := []kmsg.Key{kmsg.CreateTopics, kmsg.DeleteTopics, kmsg.CreatePartitions, kmsg.AlterConfigs, kmsg.IncrementalAlterConfigs}
	for key := range int16(kmsg.MaxKey) {
		if !handled(key) || slices.Contains(byItem, kmsg.Key(key)) {
			continue
		}
		change := &change{k: k, image: k.image}
		if _, refused := change.authorize(security.NewSession(security.User("eve"), "h"), kmsg.RequestForKey(key)); !refused {
			t.Errorf("%s is carried out for everybody", kmsg.NameForKey(key))
		}
		if op := clusterOperation(kmsg.Key(key)); op != acl.Alter && op != acl.ClusterAction && op != acl.Describe && op != acl.AlterConfigs {
			t.Errorf("%s: %s", kmsg.NameForKey(key), op)
		}
	}
}

func saltedPassword(t *testing.T, password, salt string) []byte {
	key, err := pbkdf2.Key(sha256.New, password, []byte(salt), 4096, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A forwarded request that cannot be read ends with an error in its envelope: the
// connection is the broker's, for the requests of all of its clients.
func TestUnreadableRequestInAnEnvelope(t *testing.T) {
	w := newWorld(t, 7, 1)
	w.run(3 * time.Second)
	n := w.nodes[0]
	n.peer = security.NewSession(security.User("broker"), "broker-host")
	for _, body := range [][]byte{{0xff}, make([]byte, wire.StructureBytesMin+1)} {
		envelope := kmsg.NewPtrEnvelopeRequest()
		envelope.RequestPrincipal = security.AppendPrincipal(nil, security.User("eve"))
		envelope.RequestData = append(wire.AppendRequestHeader(nil, &wire.RequestHeader{Key: int16(kmsg.CreateTopics), Version: 7}, true), body...)
		if resp := n.call(envelope).(*kmsg.EnvelopeResponse); resp.ErrorCode != kerr.InvalidRequest.Code {
			t.Errorf("a body of %d bytes: %v", len(body), kerr.ErrorForCode(resp.ErrorCode))
		}
	}
}
