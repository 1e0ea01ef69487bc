package broker_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/seed-604ea8f1/windtunnel/broker"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/controller"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/listener"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
)

// creator asks a node for a topic until it has got it.
type creator struct {
	codes []int16 // of the answers
	conn  edge.ConnID
	dials edge.DialID
}

const askEvery = clock.Instant(100 * time.Millisecond)

func (m *creator) Step(ev *edge.Event, out *edge.Effects) {
	switch ev.Kind {
	case edge.EventConnOpened:
		m.conn = ev.Conn
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version = 5
		req.TimeoutMillis = 1000
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "t", 1, 1
		req.Topics = append(req.Topics, topic)
		head := wire.AppendRequestHeader([]byte{0, 0, 0, 0}, &wire.RequestHeader{Key: req.Key(), Version: req.Version, CorrelationID: 1}, true)
		head = req.AppendTo(head)
		binary.BigEndian.PutUint32(head, uint32(len(head)-4))
		out.Sends = append(out.Sends, edge.Send{Conn: m.conn, Head: head})
	case edge.EventFrame:
		resp := kmsg.NewPtrCreateTopicsResponse()
		resp.Version = 5
		if _, body, err := wire.ParseResponseHeader(ev.Frame.Bytes(), resp.Key(), resp.Version); err == nil && resp.ReadFrom(body) == nil {
			m.codes = append(m.codes, resp.Topics[0].ErrorCode)
		}
		ev.Frame.Release()
	case edge.EventBoot, edge.EventWake:
		m.dials++
		out.Dials = append(out.Dials, edge.Dial{ID: m.dials, Host: "node", Port: 9092})
	case edge.EventConnClosed, edge.EventConnFailed: // it does not serve yet
		out.Wake = ev.Now + askEvery
	}
}

// A node that is broker and controller has two addresses under one id: what a
// client asks of it must reach its own controller, and not itself as a broker.
func TestANodeThatIsBoth(t *testing.T) {
	client := &creator{}
	node := visit(t, client, clock.Instant(10*time.Second))
	if !node.Ready() {
		t.Error("the node is not ready")
	}
	if len(client.codes) != 1 || client.codes[0] != 0 {
		t.Errorf("answers %v, want one without an error", client.codes)
	}
	if node.Image().Topic("t") == nil {
		t.Error("the topic does not exist")
	}
}

// visit lets a node that is broker and controller, with some properties, live for a
// while with a client.
func visit(t *testing.T, client edge.Machine, until clock.Instant, properties ...config.KV) *broker.Node {
	settings, err := config.ParseBroker(properties)
	if err != nil {
		t.Fatal(err)
	}
	var node *broker.Node
	d := disk.Defaults()
	world := sim.New(sim.Config{
		Seed: 1,
		Topology: netsim.Topology{
			Loopback: netsim.Link{Latency: netsim.Constant(20 * time.Microsecond)},
			SameZone: netsim.Link{Latency: netsim.Constant(200 * time.Microsecond)},
			Hosts: []netsim.Host{
				{Name: "node", Zone: "a", Ports: []netsim.Port{{Number: 9092, Listener: edge.ListenerClient}, {Number: 9093, Listener: edge.ListenerController}}},
				{Name: "client", Zone: "a"},
			},
		},
		Hosts: []sim.HostConfig{
			{Disk: &d, Cost: sim.BrokerCost(), Boot: func(info sim.BootInfo) edge.Machine {
				node = broker.New(broker.Config{
					NodeID: 1, ClusterID: "both", IsBroker: true, IsController: true, Listeners: listener.Plain("node", 9092),
					Voters: []controller.Voter{{ID: 1, Host: "node", Port: 9093}}, Broker: settings, Seed: info.Seed,
				})
				return node
			}},
			{Boot: func(sim.BootInfo) edge.Machine { return client }},
		},
	})
	world.Run(until)
	return node
}
