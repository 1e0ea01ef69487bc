package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
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
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
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
	timers timer.Queue
	calls  []caller.Call
	last   conn.RequestID
	sent   map[conn.RequestID]kmsg.Request
	said   strings.Builder
}

func newDesk(t *testing.T) *desk {
	d := &desk{t: t, sent: make(map[conn.RequestID]kmsg.Request)}
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
	case "reply": // the controller's answer to the last call
		call := d.calls[len(d.calls)-1]
		resp := kmsg.ResponseForKey(call.Key)
		resp.SetVersion(call.Version)
		if err := json.Unmarshal([]byte(data.Input), resp); err != nil {
			t.Fatal(err)
		}
		d.server.Reply(d.context(), &caller.Reply{Token: call.Token, Key: call.Key, Version: call.Version, Body: resp.AppendTo(nil)})
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
	d.server.Handle(d.context(), &conn.Request{ID: d.last, Key: req.Key(), Version: version, Listener: edge.Listener(by), Body: req.AppendTo(nil), Peer: "client"})
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

var unsaid = []string{"Version", "UnknownTags", "ThrottleMillis", "AuthorizedOperations", "TimeoutMillis"}

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
	req := kmsg.RequestForKey(call.Key)
	req.SetVersion(call.Version)
	if err := req.ReadFrom(call.Body); err != nil {
		d.t.Fatal(err)
	}
	d.tell("forwarded:", req)
}

// Controller and its sibling implement Controllers.
func (d *desk) Controller() caller.NodeID      { return 1001 }
func (d *desk) ControllerFailed(caller.NodeID) {}
