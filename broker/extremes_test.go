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
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
)

// visitor makes a node create a topic and the log of its groups, again and again,
// and writes to the topic.
type visitor struct {
	config []kmsg.CreateTopicsRequestTopicConfig // of the topic
	dials  edge.DialID
	sent   int32
	next   clock.Instant
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
		topic.Configs = v.config
		create.Topics = append(create.Topics, topic)
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.CoordinatorKeys = []string{"g"}
		v.send(ev.Conn, create, 5, out)
		v.send(ev.Conn, find, 4, out)
		v.send(ev.Conn, v.produce(), 9, out)
	case edge.EventFrame:
		ev.Frame.Release()
	case edge.EventBoot, edge.EventWake:
		v.dials++
		out.Dials = append(out.Dials, edge.Dial{ID: v.dials, Host: "node", Port: 9092})
		v.next = ev.Now + visitEvery
	case edge.EventConnClosed, edge.EventConnFailed: // it does not serve yet, or not any more
	}
}

// produce has a record and a tombstone of one key.
func (v *visitor) produce() kmsg.Request {
	var b record.Builder
	b.Reset(make([]byte, 0, 1<<10), record.NoProducer(record.None))
	b.Append(int64(v.sent), []byte("k"), []byte("v"), nil)
	b.Append(int64(v.sent), []byte("k"), nil, nil)
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = 1, 1000
	topic, p := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	p.Records = b.Finish()
	topic.Topic, topic.Partitions = "t", append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	return req
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
				node := visit(t, &visitor{}, clock.Instant(time.Minute), config.KV{Name: p.Name, Value: strconv.FormatInt(value, 10)})
				shards := node.Groups().Shards()
				if fit := len(shards) == 1 && shards[0].State == coordinator.Active; unfit[name] == "" && (!fit || !node.Ready()) {
					t.Errorf("ready: %v, coordinates %v", node.Ready(), shards)
				}
			})
		}
	}
}

// TestExtremeTopics is the same for what anybody may ask of a topic, whose cleaner
// and retention look often.
func TestExtremeTopics(t *testing.T) {
	for _, p := range config.TopicProperties() {
		if !p.Effect || !p.Numeric() {
			continue
		}
		for _, value := range []int64{p.Min, p.Max} {
			name := fmt.Sprintf("%s=%d", p.Name, value)
			for _, policy := range []string{"delete", "compact", "compact,delete"} {
				t.Run(name+"/"+policy, func(t *testing.T) {
					v := &visitor{}
					for _, kv := range []config.KV{{Name: "cleanup.policy", Value: policy}, {Name: p.Name, Value: strconv.FormatInt(value, 10)}} {
						c := kmsg.NewCreateTopicsRequestTopicConfig()
						c.Name, c.Value = kv.Name, kmsg.StringPtr(kv.Value)
						v.config = append(v.config, c)
					}
					node := visit(t, v, clock.Instant(time.Minute), config.KV{Name: "log.retention.check.interval.ms", Value: "1000"}, config.KV{Name: "log.cleaner.backoff.ms", Value: "1000"},
						config.KV{Name: "log.initial.task.delay.ms", Value: "1"}, config.KV{Name: "log.cleaner.min.cleanable.ratio", Value: "0"})
					if !node.Ready() || node.Image().Topic("t") == nil {
						t.Errorf("ready: %v, the topic: %v", node.Ready(), node.Image().Topic("t"))
					}
					if end := node.Partitions().Get(log.Partition{Topic: "t"}).EndOffset(); end == 0 && name != "message.timestamp.before.max.ms=0" {
						t.Error("nothing has been written")
					}
				})
			}
		}
	}
}

// visit lets a node with some properties live for a while.
func visit(t *testing.T, client edge.Machine, until clock.Instant, properties ...config.KV) *broker.Node {
	settings, err := config.ParseBroker(append([]config.KV{
		{Name: "offsets.topic.num.partitions", Value: "1"}, {Name: "offsets.topic.replication.factor", Value: "1"},
	}, properties...))
	if err != nil {
		t.Skip(err) // it contradicts another one's default
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
