package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/listener"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Goal: what a broker answers from its own image, and what it forwards, reads
// like a story. Method: transcripts of requests, written as the JSON of kmsg's
// structs, against a server whose controller is the test; of the answers, fields
// with their default are left out.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		d := newDesk(t)
		datadriven.RunTest(t, path, d.run)
	})
}

// desk is a server with all around it played by the test.
type desk struct {
	t      *testing.T
	server *Server
	image  *meta.Image
	out    edge.Effects
	left   int64 // on the volume; negative is an error
	timers timer.Queue
	calls  []caller.Call
	last   conn.RequestID
	sent   map[conn.RequestID]kmsg.Request
	said   strings.Builder
	peer   *security.Session // who asks
}

func newDesk(t *testing.T) *desk {
	d := &desk{t: t, sent: make(map[conn.RequestID]kmsg.Request), peer: security.NewSession(security.Anonymous, "client")}
	static := []config.KV{{Name: "log.retention.hours", Value: "2"}, {Name: "max.request.partition.size.limit", Value: "4"}}
	cfg, err := config.ParseBroker(static)
	if err != nil {
		t.Fatal(err)
	}
	partitions := partition.NewManager(cfg, 1, log.NewManager(cfg), d)
	listeners := []listener.Listener{{Name: "PLAINTEXT"}, {Name: "EXTERNAL", Protocol: listener.SSL}}
	d.server = NewServer(Self{NodeID: 1, ClusterID: "desk", LogDir: "/data", Listeners: listeners}, cfg, static, d, d, d,
		NewData(partitions, d, listeners), nil)
	d.image = meta.Empty()
	records := []meta.Record{}
	for id := int32(1); id <= 3; id++ {
		b := &meta.RegisterBrokerRecord{BrokerID: id, Fenced: id == 3,
			Endpoints: []meta.Endpoint{{Name: "PLAINTEXT", Host: fmt.Sprintf("b%d", id), Port: 9092}}}
		if id == 1 { // the only one that is reached from outside
			b.Endpoints = append(b.Endpoints, meta.Endpoint{Name: "EXTERNAL", Host: "b1.example", Port: 443, Protocol: int16(listener.SSL)})
		}
		records = append(records, b)
	}
	for i, name := range []string{"empty", "orders", "users"} {
		id := meta.TopicID{15: byte(i + 1)}
		records = append(records, &meta.TopicRecord{Name: name, TopicID: id})
		for index := int32(0); index < int32(i*3); index++ {
			p := meta.Partition{Replicas: []int32{1, 2, 3}, ISR: []int32{1, 2}, ELR: []int32{3}, Leader: index%3 + 1, LeaderEpoch: 7}
			records = append(records, &meta.PartitionRecord{TopicID: id, PartitionID: index, Partition: p})
		}
	}
	d.apply(records...)
	return d
}

func (d *desk) apply(records ...meta.Record) {
	d.image = d.image.Apply(records, d.image.Offset+1, 1)
	d.server.SetImage(d.image)
}

func (d *desk) context() *step.Context { return &step.Context{Out: &d.out, Timers: &d.timers} }

func (d *desk) run(t *testing.T, data *datadriven.TestData) string {
	d.said.Reset()
	switch data.Cmd {
	case "left": // BYTES on the volume, negative for an error
		n, err := strconv.ParseInt(strings.TrimSpace(data.Input), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		d.left = n
	case "config": // RESOURCE NAME=VALUE of a broker, or "all"
		for _, line := range strings.Split(strings.TrimSpace(data.Input), "\n") {
			resource, kv, _ := strings.Cut(line, " ")
			name, value, _ := strings.Cut(kv, "=")
			kind := meta.ResourceBroker
			switch {
			case resource == "all":
				resource = ""
			case d.image.Topic(resource) != nil:
				kind = meta.ResourceTopic
			}
			d.apply(&meta.ConfigRecord{Type: kind, Resource: resource, Name: name, Value: value})
		}
	case "topic": // NAME, of one partition
		name := strings.TrimSpace(data.Input)
		id := meta.TopicID{14: 1, 15: byte(len(d.image.Topics))}
		d.apply(&meta.TopicRecord{Name: name, TopicID: id}, &meta.PartitionRecord{TopicID: id,
			Partition: meta.Partition{Replicas: []int32{1}, ISR: []int32{1}, Leader: 1, LeaderEpoch: 7}})
	case "reply": // the controller's answer to the last call
		call := d.calls[len(d.calls)-1]
		resp := kmsg.ResponseForKey(call.Key)
		resp.SetVersion(call.Version)
		if call.Key == int16(kmsg.Envelope) {
			inner, _ := d.open(call.Body)
			answer := inner.ResponseKind()
			if err := json.Unmarshal([]byte(data.Input), answer); err != nil {
				t.Fatal(err)
			}
			resp.(*kmsg.EnvelopeResponse).ResponseData = answer.AppendTo(wire.AppendResponseHeader(nil, inner.Key(), inner.GetVersion(), 0))
		} else if err := json.Unmarshal([]byte(data.Input), resp); err != nil {
			t.Fatal(err)
		}
		d.server.Reply(d.context(), &caller.Reply{Token: call.Token, Key: call.Key, Version: call.Version, Body: resp.AppendTo(nil)})
	case "authorizer": // super=User:NAME
		var super string
		data.MaybeScanArgs(t, "super", &super)
		principal, err := security.ParsePrincipal(super)
		if err != nil {
			t.Fatal(err)
		}
		g := security.NewGate([]security.Principal{principal}, false)
		d.server.SetGate(g)
		d.server.data.Partitions.SetGate(g)
		d.server.SetImage(d.image)
	case "allow", "deny": // NAME OPERATION TYPE PATTERN NAME
		for _, line := range strings.Split(strings.TrimSpace(data.Input), "\n") {
			d.apply(&meta.AccessControlEntryRecord{Binding: binding(t, data.Cmd, line)})
		}
	case "as":
		d.peer = security.NewSession(security.User(strings.TrimSpace(data.Input)), "client")
	default:
		d.request(t, data)
	}
	return d.said.String()
}

// request is NAME v=VERSION listener=NUMBER and the request's fields.
func (d *desk) request(t *testing.T, data *datadriven.TestData) {
	var version int16
	var by int
	data.MaybeScanArgs(t, "v", &version)
	data.MaybeScanArgs(t, "listener", &by)
	req := requestNamed(data.Cmd)
	if req == nil {
		data.Fatalf(t, "there is no request %q", data.Cmd)
	}
	req.SetVersion(version)
	if data.Input != "" {
		if err := json.Unmarshal([]byte(data.Input), req); err != nil {
			t.Fatal(err)
		}
	}
	d.last++
	d.sent[d.last] = req
	d.server.Handle(d.context(), &conn.Request{ID: d.last, Key: req.Key(), Version: version, Listener: edge.Listener(by), Body: req.AppendTo(nil), Peer: "client", Session: d.peer})
	for _, op := range d.out.Disk {
		fmt.Fprintf(&d.said, "%v\n", op.Kind)
		r := edge.DiskResult{Token: op.Token, Op: op.Kind, Length: d.left, Total: 4000}
		if d.left < 0 {
			r = edge.DiskResult{Token: op.Token, Op: op.Kind, Err: edge.ErrIO}
		}
		d.server.Volume(d.context(), &r)
	}
	d.out.Reset()
}

func binding(t *testing.T, permission, line string) acl.Binding {
	f := strings.Fields(line)
	if len(f) != 5 {
		t.Fatalf("malformed entry %q", line)
	}
	op, err := kmsg.ParseACLOperation(f[1])
	kind, err2 := kmsg.ParseACLResourceType(f[2])
	pattern, err3 := kmsg.ParseACLResourcePatternType(f[3])
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	b := acl.Binding{Resource: acl.Resource{Type: kind, Pattern: pattern, Name: f[4]}, Principal: "User:" + f[0], Host: "*",
		Operation: op, Permission: acl.Allow}
	if permission == "deny" {
		b.Permission = acl.Deny
	}
	return b
}

// open takes a forwarded request out of its envelope.
func (d *desk) open(body []byte) (kmsg.Request, security.Principal) {
	var envelope kmsg.EnvelopeRequest
	if err := envelope.ReadFrom(body); err != nil {
		d.t.Fatal(err)
	}
	header, rest, err := wire.ParseRequestHeader(envelope.RequestData)
	if err != nil {
		d.t.Fatal(err)
	}
	req := kmsg.RequestForKey(header.Key)
	req.SetVersion(header.Version)
	principal, err := security.DecodePrincipal(envelope.RequestPrincipal)
	if err := errors.Join(err, req.ReadFrom(rest)); err != nil {
		d.t.Fatal(err)
	}
	return req, principal
}

func requestNamed(name string) kmsg.Request {
	for i := range keys {
		if strings.EqualFold(kmsg.NameForKey(keys[i].Key), strings.ReplaceAll(name, "-", "")) {
			return kmsg.RequestForKey(keys[i].Key)
		}
	}
	return nil
}

// tell prints a message, one line for each of its lists' items, defaults left out.
func (d *desk) tell(what string, message any) {
	b, err := json.Marshal(message)
	if err != nil {
		d.t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(b, &tree); err != nil {
		d.t.Fatal(err)
	}
	d.said.WriteString(what)
	d.fields(tree, 1)
}

var unsaid = []string{"Version", "UnknownTags", "ThrottleMillis", "TimeoutMillis"}

func (d *desk) fields(tree map[string]any, depth int) {
	var lists []string
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		if slices.Contains(unsaid, name) {
			continue
		}
		switch v := tree[name].(type) {
		case nil:
		case map[string]any:
			lists = append(lists, name)
		case []any:
			if len(v) > 0 {
				if _, nested := v[0].(map[string]any); nested {
					lists = append(lists, name)
				} else {
					fmt.Fprintf(&d.said, " %s=%v", name, v)
				}
			}
		default:
			if strings.HasSuffix(name, "AuthorizedOperations") && v == float64(authorizedUnknown) {
				break
			}
			if v != "" && v != false && v != 0.0 {
				fmt.Fprintf(&d.said, " %s=%v", name, v)
			}
		}
	}
	d.said.WriteByte('\n')
	for _, name := range lists {
		items, many := tree[name].([]any)
		if !many {
			items = []any{tree[name]}
		}
		for _, item := range items {
			d.said.WriteString(strings.Repeat("  ", depth) + name + ":")
			d.fields(item.(map[string]any), depth+1)
		}
	}
}

// Respond implements conn.Responder. The answer goes over the wire and back.
func (d *desk) Respond(_ *step.Context, id conn.RequestID, resp kmsg.Response) {
	again := d.sent[id].ResponseKind()
	if resp.GetVersion() != d.sent[id].GetVersion() {
		d.t.Fatalf("request of version %d answered in version %d", d.sent[id].GetVersion(), resp.GetVersion())
	}
	if err := again.ReadFrom(resp.AppendTo(nil)); err != nil {
		d.t.Fatal(err)
	}
	d.tell("answer:", again)
}

func (d *desk) RespondEncoded(_ *step.Context, id conn.RequestID, send edge.Send) {
	resp := d.sent[id].ResponseKind()
	if err := resp.ReadFrom(send.Head); err != nil {
		d.t.Fatal(err)
	}
	d.tell("passed on:", resp)
}

func (d *desk) ResponseHead(_ conn.RequestID, dst []byte) []byte { return dst }
func (d *desk) Listener(conn.RequestID) edge.Listener            { return 0 }
func (d *desk) NoResponse(*step.Context, conn.RequestID)         {}
func (d *desk) Disconnect(*step.Context, conn.RequestID)         { d.said.WriteString("disconnected\n") }

// Send implements caller.Sender.
func (d *desk) Send(_ *step.Context, call caller.Call) {
	d.calls = append(d.calls, call)
	if call.Key == int16(kmsg.Envelope) {
		req, principal := d.open(call.Body)
		what := "forwarded:"
		if principal != security.Anonymous {
			what = fmt.Sprintf("forwarded for %s:", principal)
		}
		d.tell(what, req)
		return
	}
	req := kmsg.RequestForKey(call.Key)
	req.SetVersion(call.Version)
	if err := req.ReadFrom(call.Body); err != nil {
		d.t.Fatal(err)
	}
	d.tell("asked:", req)
}

// Controller and its sibling implement Controllers.
func (d *desk) Controller() caller.NodeID      { return 1001 }
func (d *desk) ControllerFailed(caller.NodeID) {}
