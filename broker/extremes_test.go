package broker_test

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/seed-604ea8f1/windtunnel/broker"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/controller"
	"github.com/seed-604ea8f1/windtunnel/broker/coordinator"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/listener"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
)

// visitor makes a node create a topic and the log of its groups, again and again.
type visitor struct {
	dials edge.DialID
	sent  int32
	next  clock.Instant
}

const visitEvery = clock.Instant(time.Second)

func (v *visitor) Step(ev *edge.Event, out *edge.Effects) {
	defer func() { out.Wake = v.next }()
	switch ev.Kind {
	case edge.EventConnOpened:
		create := kmsg.NewPtrCreateTopicsRequest()
		create.TimeoutMillis = 1000
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "t", 1, 1
		create.Topics = append(create.Topics, topic)
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.CoordinatorKeys = []string{"g"}
		v.send(ev.Conn, create, 5, out)
		v.send(ev.Conn, find, 4, out)
	case edge.EventFrame:
		ev.Frame.Release()
	case edge.EventBoot, edge.EventWake:
		v.dials++
		out.Dials = append(out.Dials, edge.Dial{ID: v.dials, Host: "node", Port: 9092})
		v.next = ev.Now + visitEvery
	case edge.EventConnClosed, edge.EventConnFailed: // it does not serve yet, or not any more
	}
}

func (v *visitor) send(conn edge.ConnID, req kmsg.Request, version int16, out *edge.Effects) {
	req.SetVersion(version)
	v.sent++
	head := wire.AppendRequestHeader([]byte{0, 0, 0, 0}, &wire.RequestHeader{Key: req.Key(), Version: version, CorrelationID: v.sent}, req.IsFlexible())
	head = req.AppendTo(head)
	binary.BigEndian.PutUint32(head, uint32(len(head)-4))
	out.Sends = append(out.Sends, edge.Send{Conn: conn, Head: head})
}

// unfit are the values with which no group can have a log, however well a node is.
var unfit = map[string]string{
	"offsets.topic.num.partitions=2147483647": "more partitions than may be created at once",
	"offsets.topic.replication.factor=32767":  "more replicas than there are brokers",
	"socket.request.max.bytes=1":              "no request is so short",
}

// Goal: no number that a property allows makes a node fall over or go round in
// circles, as an interval does that comes to nothing, or to less. Method: each
// property at both of its bounds, for a minute of a node that is broker and
// controller and leads the log of the groups. A node that goes round in circles
// never ends its Step, nor this test.
func TestExtremeProperties(t *testing.T) {
	for _, p := range config.BrokerProperties() {
		if !p.Effect || !p.Numeric() {
			continue
		}
		for _, value := range []int64{p.Min, p.Max} {
			name := fmt.Sprintf("%s=%d", p.Name, value)
			t.Run(name, func(t *testing.T) {
				node := visit(t, config.KV{Name: p.Name, Value: strconv.FormatInt(value, 10)})
				shards := node.Groups().Shards()
				if fit := len(shards) == 1 && shards[0].State == coordinator.Active; unfit[name] == "" && (!fit || !node.Ready()) {
					t.Errorf("ready: %v, coordinates %v", node.Ready(), shards)
				}
			})
		}
	}
}

// visit lets a node with a property live for a minute.
func visit(t *testing.T, property config.KV) *broker.Node {
	settings, err := config.ParseBroker([]config.KV{
		{Name: "offsets.topic.num.partitions", Value: "1"}, {Name: "offsets.topic.replication.factor", Value: "1"}, property,
	})
	if err != nil {
		t.Skip(err) // two properties contradict each other
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
			{Boot: func(sim.BootInfo) edge.Machine { return &visitor{} }},
		},
	})
	world.Run(clock.Instant(time.Minute))
	return node
}
