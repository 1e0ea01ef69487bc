package admin

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-604ea8f1/windtunnel/broker/partition"
)

// scrapeTime bounds how long a scrape waits for the node.
const scrapeTime = 5 * time.Second

// The names are those of kafka_exporter (kafka_brokers, kafka_topic_...,
// kafka_consumergroup_...) and of the JMX exporter's usual rules
// (kafka_server_..., kafka_controller_..., kafka_network_...). Each partition is
// shown by its leader only and each group by its coordinator, so that sums over
// all nodes are right.
var (
	topicLabels     = []string{"topic", "partition"}
	groupLabels     = []string{"consumergroup", "topic", "partition"}
	sumLabels       = []string{"consumergroup", "topic"}
	brokers         = desc("kafka_brokers", "Brokers that are alive.")
	topicPartitions = desc("kafka_topic_partitions", "Partitions of a topic that this broker leads.", "topic")
	currentOffset   = desc("kafka_topic_partition_current_offset", "High watermark: the next offset that consumers will read.", topicLabels...)
	oldestOffset    = desc("kafka_topic_partition_oldest_offset", "First offset that is there.", topicLabels...)
	leaderOf        = desc("kafka_topic_partition_leader", "Id of the leader.", topicLabels...)
	replicasOf      = desc("kafka_topic_partition_replicas", "Replicas of the partition.", topicLabels...)
	inSyncOf        = desc("kafka_topic_partition_in_sync_replica", "Replicas that are in sync.", topicLabels...)
	preferredOf     = desc("kafka_topic_partition_leader_is_preferred", "Whether the first replica leads.", topicLabels...)
	underReplicated = desc("kafka_topic_partition_under_replicated_partition", "Whether a replica is not in sync.", topicLabels...)
	brokerInfo      = desc("kafka_broker_info", "A broker that is alive, by its id and its first listener.", "id", "address")
	groupMembers    = desc("kafka_consumergroup_members", "Members of a group.", "consumergroup")
	groupCommitted  = desc("kafka_consumergroup_current_offset", "Offset that a group has committed.", groupLabels...)
	groupLag        = desc("kafka_consumergroup_lag", "Records that a group has not yet committed.", groupLabels...)
	committedSum    = desc("kafka_consumergroup_current_offset_sum", "Offsets that a group has committed, over a topic's partitions.", sumLabels...)
	lagSum          = desc("kafka_consumergroup_lag_sum", "Records of a topic that a group has not yet committed.", sumLabels...)

	messagesIn     = desc("kafka_server_brokertopicmetrics_messagesin_total", "Records produced.", "topic")
	bytesIn        = desc("kafka_server_brokertopicmetrics_bytesin_total", "Bytes produced.", "topic")
	bytesOut       = desc("kafka_server_brokertopicmetrics_bytesout_total", "Bytes consumed.", "topic")
	replicaIn      = desc("kafka_server_brokertopicmetrics_replicationbytesin_total", "Bytes fetched from leaders.", "topic")
	replicaOut     = desc("kafka_server_brokertopicmetrics_replicationbytesout_total", "Bytes sent to followers.", "topic")
	produces       = desc("kafka_server_brokertopicmetrics_totalproducerequests_total", "Parts of produce requests, one for each partition.", "topic")
	fetches        = desc("kafka_server_brokertopicmetrics_totalfetchrequests_total", "Parts of answers to fetches, one for each partition.", "topic")
	partitionCount = desc("kafka_server_replicamanager_partitioncount", "Replicas on this broker.")
	leaderCount    = desc("kafka_server_replicamanager_leadercount", "Partitions that this broker leads.")
	underCount     = desc("kafka_server_replicamanager_underreplicatedpartitions", "Led partitions with a replica that is not in sync.")
	isrShrinks     = desc("kafka_server_replicamanager_isrshrinks_total", "Times that this broker, as a leader, has proposed the in-sync replicas without one that fell behind.")
	isrExpands     = desc("kafka_server_replicamanager_isrexpands_total", "Times that it has proposed one that has caught up.")
	atMinISR       = desc("kafka_server_replicamanager_atminisrpartitioncount", "Led partitions with as many replicas in sync as min.insync.replicas.")
	underMinISR    = desc("kafka_server_replicamanager_underminisrpartitioncount", "Led partitions with fewer replicas in sync than min.insync.replicas.")
	brokerState    = desc("kafka_server_kafkaserver_brokerstate", "Where the broker stands, in Kafka's numbers.")
	activeCount    = desc("kafka_controller_kafkacontroller_activecontrollercount", "1 on the active controller.")
	offlineCount   = desc("kafka_controller_kafkacontroller_offlinepartitionscount", "Partitions without a leader, on the active controller.")
	topicCount     = desc("kafka_controller_kafkacontroller_globaltopiccount", "Topics, on the active controller.")
	globalCount    = desc("kafka_controller_kafkacontroller_globalpartitioncount", "Partitions, on the active controller.")
	imbalanceCount = desc("kafka_controller_kafkacontroller_preferredreplicaimbalancecount", "Partitions whose first replica does not lead, on the active controller.")
	brokersActive  = desc("kafka_controller_kafkacontroller_activebrokercount", "Brokers that are alive, on the active controller.")
	brokersFenced  = desc("kafka_controller_kafkacontroller_fencedbrokercount", "Brokers that are registered and not alive, on the active controller.")
	requestsTotal  = desc("kafka_network_requestmetrics_requests_total", "Requests begun.", "request")
	connections    = desc("kafka_server_socket_server_metrics_connection_count", "Open connections.")
	inFlight       = desc("kafka_network_requestchannel_requestqueuesize", "Requests that have not been answered.")
	logStart       = desc("kafka_log_log_logstartoffset", "First offset of a replica.", topicLabels...)
	logEnd         = desc("kafka_log_log_logendoffset", "Next offset that a replica will hold.", topicLabels...)
	logSize        = desc("kafka_log_log_size", "Bytes of a replica's log.", topicLabels...)
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// collector shows one node.
type collector struct {
	look func(context.Context) (*snapshot, error)
}

// Describe implements prometheus.Collector. Which series there are depends on
// the topics, hence it names none.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	s, err := c.look(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(brokers, err)
		return
	}
	e := emitter{out}
	e.node(s)
	e.partitions(s)
	e.groups(s)
}

type emitter struct{ out chan<- prometheus.Metric }

func (e emitter) gauge(d *prometheus.Desc, value float64, labels ...string) {
	e.out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (e emitter) counter(d *prometheus.Desc, value uint64, labels ...string) {
	e.out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

func (e emitter) flag(d *prometheus.Desc, is bool, labels ...string) {
	value := 0.0
	if is {
		value = 1
	}
	e.gauge(d, value, labels...)
}

func (e emitter) node(s *snapshot) {
	e.gauge(brokers, float64(len(s.brokers)))
	for id, address := range s.brokers {
		e.gauge(brokerInfo, 1, strconv.Itoa(int(id)), address)
	}
	e.gauge(activeCount, float64(s.active))
	e.gauge(offlineCount, float64(s.cluster.leaderless))
	e.gauge(topicCount, float64(s.cluster.topics))
	e.gauge(globalCount, float64(s.cluster.partitions))
	e.gauge(imbalanceCount, float64(s.cluster.misled))
	e.gauge(brokersActive, float64(s.cluster.active))
	e.gauge(brokersFenced, float64(s.cluster.fenced))
	e.counter(isrShrinks, s.isrChanges.Shrinks)
	e.counter(isrExpands, s.isrChanges.Expands)
	e.gauge(brokerState, float64(s.state))
	e.gauge(connections, float64(s.connections))
	e.gauge(inFlight, float64(s.inFlight))
	e.traffic(s.traffic, "")
	for name, count := range s.requests {
		e.counter(requestsTotal, count, name)
	}
}

// traffic shows one topic, or with an empty name all of them, as the JMX
// exporter does.
func (e emitter) traffic(t partition.Traffic, topic string) {
	e.counter(messagesIn, t.MessagesIn, topic)
	e.counter(bytesIn, t.BytesIn, topic)
	e.counter(bytesOut, t.BytesOut, topic)
	e.counter(replicaIn, t.ReplicaBytesIn, topic)
	e.counter(replicaOut, t.ReplicaBytesOut, topic)
	e.counter(produces, t.Produces, topic)
	e.counter(fetches, t.Fetches, topic)
}

func (e emitter) partitions(s *snapshot) {
	leads, under, atMin, underMin := 0, 0, 0, 0
	led := make(map[string]int)
	traffic := make(map[string]partition.Traffic)
	for i := range s.partitions {
		p := &s.partitions[i]
		index := strconv.Itoa(int(p.index))
		e.gauge(logSize, float64(p.bytes), p.topic, index)
		e.gauge(logStart, float64(p.start), p.topic, index)
		e.gauge(logEnd, float64(p.end), p.topic, index)
		traffic[p.topic] = traffic[p.topic].Plus(p.traffic)
		if !p.leading {
			continue
		}
		leads++
		led[p.topic]++
		if p.inSync < p.replicas {
			under++
		}
		switch {
		case p.inSync < p.minISR:
			underMin++
		case p.inSync == p.minISR:
			atMin++
		}
		e.gauge(currentOffset, float64(p.mark), p.topic, index)
		e.gauge(oldestOffset, float64(p.start), p.topic, index)
		e.gauge(leaderOf, float64(p.leader), p.topic, index)
		e.gauge(replicasOf, float64(p.replicas), p.topic, index)
		e.gauge(inSyncOf, float64(p.inSync), p.topic, index)
		e.flag(preferredOf, p.preferred, p.topic, index)
		e.flag(underReplicated, p.inSync < p.replicas, p.topic, index)
	}
	e.gauge(partitionCount, float64(len(s.partitions)))
	e.gauge(leaderCount, float64(leads))
	e.gauge(underCount, float64(under))
	e.gauge(atMinISR, float64(atMin))
	e.gauge(underMinISR, float64(underMin))
	for topic, n := range led {
		e.gauge(topicPartitions, float64(n), topic)
	}
	for topic, t := range traffic {
		e.traffic(t, topic)
	}
}

func (e emitter) groups(s *snapshot) {
	for i := range s.groups {
		g := &s.groups[i]
		e.gauge(groupMembers, float64(g.members), g.id)
		sums := make(map[string]*topicSum)
		for j := range g.offsets {
			o := &g.offsets[j]
			index := strconv.Itoa(int(o.partition))
			e.gauge(groupCommitted, float64(o.offset), g.id, o.topic, index)
			if o.lag() >= 0 {
				e.gauge(groupLag, float64(o.lag()), g.id, o.topic, index)
			}
			if sums[o.topic] == nil {
				sums[o.topic] = &topicSum{}
			}
			sums[o.topic].add(o)
		}
		for topic, sum := range sums {
			e.gauge(committedSum, float64(sum.committed), g.id, topic)
			if !sum.partial {
				e.gauge(lagSum, float64(sum.lag), g.id, topic)
			}
		}
	}
}

// topicSum adds up what a group has committed of one topic.
type topicSum struct {
	committed, lag int64
	partial        bool // the lag of a partition is not known, hence that of the topic
}

func (t *topicSum) add(o *groupOffset) {
	t.committed += o.offset
	if lag := o.lag(); lag >= 0 {
		t.lag += lag
	} else {
		t.partial = true
	}
}
