package broker_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/coordinator"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
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

// beside are the values without which a property's bound would contradict another one's
// default.
var beside = map[string]config.KV{
	"group.max.session.timeout.ms=1":          {Name: "group.min.session.timeout.ms", Value: "1"},
	"group.min.session.timeout.ms=2147483647": {Name: "group.max.session.timeout.ms", Value: "2147483647"},
	"replica.fetch.wait.max.ms=2147483647":    {Name: "replica.lag.time.max.ms", Value: "2147483647"},
	"replica.lag.time.max.ms=1":               {Name: "replica.fetch.wait.max.ms", Value: "0"},
}

// refused are the bounds that are never allowed: a session is longer than the interval of
// the heartbeats that keep it.
var refused = map[string]config.KV{
	"broker.heartbeat.interval.ms=2147483647": {Name: "broker.session.timeout.ms", Value: "2147483647"},
	"broker.session.timeout.ms=1":             {Name: "broker.heartbeat.interval.ms", Value: "1"},
}

// small is a group log that one node can hold.
var small = map[string]string{"offsets.topic.num.partitions": "1", "offsets.topic.replication.factor": "1"}

// smallWith is small with a property that may be one of its own.
func smallWith(name, value string) []config.KV {
	properties := []config.KV{{Name: name, Value: value}}
	for _, k := range slices.Sorted(maps.Keys(small)) {
		if k != name {
			properties = append(properties, config.KV{Name: k, Value: small[k]})
		}
	}
	return properties
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
				properties := smallWith(p.Name, strconv.FormatInt(value, 10))
				if other, ok := beside[name]; ok {
					properties = append(properties, other)
				}
				if other, ok := refused[name]; ok {
					if _, err := config.ParseBroker(append(properties, other)); err == nil {
						t.Errorf("accepted beside %s=%s", other.Name, other.Value)
					}
					return
				}
				node := visit(t, &visitor{}, clock.Instant(time.Minute), properties...)
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
					node := visit(t, v, clock.Instant(time.Minute), append(smallWith("log.retention.check.interval.ms", "1000"), config.KV{Name: "log.cleaner.backoff.ms", Value: "1000"},
						config.KV{Name: "log.initial.task.delay.ms", Value: "1"}, config.KV{Name: "log.cleaner.min.cleanable.ratio", Value: "0"})...)
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
