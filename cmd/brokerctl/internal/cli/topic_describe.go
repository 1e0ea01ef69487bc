package cli

import (
	"strconv"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type partitionRow struct {
	Partition int32       `json:"partition" head:"PARTITION" doc:"number of the partition"`
	Leader    int32       `json:"leader" head:"LEADER" doc:"id of the leader, -1 when there is none"`
	Epoch     int32       `json:"leaderEpoch" head:"EPOCH" wide:"yes" doc:"how often the leader has changed"`
	Replicas  show.IDs    `json:"replicas" head:"REPLICAS" doc:"ids of the brokers that have it, the preferred leader first"`
	InSync    show.IDs    `json:"inSyncReplicas" head:"IN SYNC" doc:"ids of those that are in sync"`
	Offline   show.IDs    `json:"offlineReplicas" head:"OFFLINE" wide:"yes" doc:"ids of those that are down"`
	Start     *int64      `json:"start" head:"START" doc:"offset of the first record; null when the leader does not answer"`
	End       *int64      `json:"end" head:"END" doc:"high watermark; null when the leader does not answer"`
	Size      *show.Bytes `json:"size" head:"SIZE" wide:"yes" doc:"bytes of the leader's log; null when it does not tell"`
}

type topicDescription struct {
	Name         string         `json:"name" head:"Topic" doc:"name of the topic"`
	ID           string         `json:"id" head:"ID" doc:"its UUID in Kafka's notation; empty for old brokers"`
	Partitions   int            `json:"partitionCount" head:"Partitions" doc:"number of partitions"`
	Replicas     int            `json:"replicationFactor" head:"Replicas" doc:"replicas of its first partition"`
	InSync       show.Share     `json:"inSync" head:"In sync" doc:"replicas in sync, of all its replicas"`
	Minimum      string         `json:"minInSyncReplicas" head:"Min in sync" doc:"min.insync.replicas"`
	Compaction   bool           `json:"compaction" head:"Compaction" doc:"whether only the last record of a key is kept"`
	Retention    retentionValue `json:"retentionMillis" head:"Retention" doc:"milliseconds after which records are deleted; -1 is never"`
	RetentionCap capValue       `json:"retentionBytes" head:"Size limit" doc:"bytes of a partition above which old records are deleted; -1 is no limit"`
	Messages     int64          `json:"messages" head:"Messages" doc:"sum of end minus start offsets"`
	PerSecond    *int64         `json:"messagesPerSecond" head:"Messages/s" doc:"records written per second during --sample; null without it"`
	Size         *show.Bytes    `json:"size" head:"Size" doc:"bytes of all its replicas; null when no broker tells"`
	Producers    *int           `json:"producers" head:"Producers" doc:"idempotent producers that its leaders remember; null when they do not tell"`
	Consumers    show.Names     `json:"groups" head:"Groups" doc:"groups that read it or have committed an offset"`
	PartitionsOf []partitionRow `json:"partitions" doc:"its partitions"`
	Config       []configRow    `json:"config" doc:"its properties: in text those that were set, all with --format wide"`
}

// retentionValue and capValue print -1 in words.
type (
	retentionValue int64
	capValue       int64
)

func (v retentionValue) String() string { return show.Millis(v).String() }

func (v capValue) String() string {
	if v < 0 {
		return "none"
	}
	return show.Bytes(v).String() + " a partition"
}

type topicDescriptions struct {
	Topics []topicDescription `json:"topics" doc:"the topics by name"`
}

func (v topicDescriptions) Text(t *show.Text) {
	for _, topic := range v.Topics {
		t.Gap()
		t.Fields(topic)
		t.Gap()
		t.Table(topic.PartitionsOf, "no partition")
		rows := topic.Config
		if !t.Wide() {
			rows = setOnly(rows)
		}
		if len(rows) > 0 {
			t.Gap()
			t.Table(rows, "")
		}
	}
}

func (a *App) topicDescribeCommand() *cobra.Command {
	var sample sampleFlag
	cmd := &cobra.Command{
		Use: "describe TOPIC...", Short: "Show partitions, retention, readers and configuration of topics",
		Args: atLeastOne("TOPIC"), ValidArgsFunction: a.completeTopics,
		RunE: a.connected(func(s *session, args []string) error {
			topics, err := s.lookupTopics(args)
			if err != nil {
				return err
			}
			rows, err := s.topicRows(topics, &sample)
			if err != nil {
				return err
			}
			readers := s.readers()
			view := topicDescriptions{Topics: []topicDescription{}}
			for i, topic := range topics {
				d, err := s.describeTopic(topic, rows[i])
				if err != nil {
					return err
				}
				d.Consumers = readers[topic.Topic]
				view.Topics = append(view.Topics, *d)
			}
			return s.show(view)
		}),
	}
	sample.addTo(cmd)
	return cmd
}

func (s *session) describeTopic(topic kadm.TopicDetail, row topicRow) (*topicDescription, error) {
	d := &topicDescription{
		Name: topic.Topic, ID: row.ID, Partitions: row.Partitions, Replicas: row.Replicas, InSync: row.InSync,
		Messages: row.Messages, PerSecond: row.PerSecond, Size: row.Size, Producers: s.producers(topic),
		PartitionsOf: []partitionRow{}, Retention: -1, RetentionCap: -1,
	}
	config, err := s.describeConfig(kmsg.ConfigResourceTypeTopic, topic.Topic)
	if err != nil {
		return nil, err
	}
	d.Config = config
	for _, entry := range config {
		number, _ := strconv.ParseInt(entry.Value, 10, 64) // 0 for what is no number, which no case below is
		switch entry.Name {
		case "min.insync.replicas":
			d.Minimum = entry.Value
		case cleanupPolicy:
			d.Compaction = policyOf(entry.Value).compact
		case retentionMillis:
			d.Retention = retentionValue(number)
		case retentionBytes:
			d.RetentionCap = capValue(number)
		}
	}
	starts, err := s.admin.ListStartOffsets(s.ctx, topic.Topic)
	if err = partly(err); err != nil {
		return nil, err
	}
	ends, err := s.admin.ListEndOffsets(s.ctx, topic.Topic)
	if err = partly(err); err != nil {
		return nil, err
	}
	leaderSizes := s.leaderSizes(topic)
	for _, p := range topic.Partitions.Sorted() {
		d.PartitionsOf = append(d.PartitionsOf, partitionRow{
			Partition: p.Partition, Leader: p.Leader, Epoch: p.LeaderEpoch, Replicas: p.Replicas, InSync: p.ISR, Offline: p.OfflineReplicas,
			Start: offsetOf(starts, topic.Topic, p.Partition), End: offsetOf(ends, topic.Topic, p.Partition),
			Size: known(leaderSizes, p.Partition),
		})
	}
	return d, nil
}

func offsetOf(listed kadm.ListedOffsets, topic string, partition int32) *int64 {
	if o, ok := listed.Lookup(topic, partition); ok && o.Err == nil {
		return &o.Offset
	}
	return nil
}

// leaderSizes are the bytes of the leaders' logs by partition, as far as they
// are told.
func (s *session) leaderSizes(topic kadm.TopicDetail) map[int32]int64 {
	described, err := s.admin.DescribeAllLogDirs(s.ctx, kadm.TopicDetails{topic.Topic: topic}.TopicsSet())
	out := map[int32]int64{}
	if partly(err) != nil {
		return out
	}
	described.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			if topic.Partitions[p.Partition].Leader == d.Broker {
				out[p.Partition] = p.Size
			}
		})
	})
	return out
}

// producers counts the producers that the leaders of a topic remember; nil when
// they do not tell (before Kafka 2.8, or without the right).
func (s *session) producers(topic kadm.TopicDetail) *int {
	described, err := s.admin.DescribeProducers(s.ctx, kadm.TopicDetails{topic.Topic: topic}.TopicsSet())
	if err != nil {
		return nil
	}
	ids := map[int64]bool{}
	failed := false
	described.EachPartition(func(p kadm.DescribedProducersPartition) {
		failed = failed || p.Err != nil
		p.ActiveProducers.Each(func(producer kadm.DescribedProducer) { ids[producer.ProducerID] = true })
	})
	if failed {
		return nil
	}
	return show.Pointer(len(ids))
}

// readers finds which groups read a topic or have committed an offset for it,
// by topic. It is an ornament: without the right it is empty.
func (s *session) readers() map[string]show.Names {
	out := map[string]show.Names{}
	listed, err := s.admin.ListGroups(s.ctx)
	if partly(err) != nil {
		return out
	}
	lags, err := s.lags(listed.Groups())
	if err != nil {
		return out
	}
	for _, group := range lags.Sorted() {
		for topic := range group.Lag {
			out[topic] = append(out[topic], group.Group)
		}
	}
	return out
}
