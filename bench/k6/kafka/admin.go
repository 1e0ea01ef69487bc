package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/grafana/sobek"
	"github.com/twmb/franz-go/pkg/kadm"
)

// adminTimeout is how long an admin call may take.
const adminTimeout = 30 * time.Second

type adminConfig struct {
	connection
	Address string `json:"address"` // the name of brokers before v2
}

// AdminClient administers topics and group offsets.
type AdminClient struct {
	i      *instance
	client *client
}

func (i *instance) newAdmin(call sobek.ConstructorCall) *AdminClient {
	var cfg adminConfig
	if err := decode(call.Arguments, "AdminClient", &cfg); err != nil {
		i.throw(err)
	}
	if cfg.Address != "" {
		cfg.Brokers = append(cfg.Brokers, cfg.Address)
	}
	opts, err := cfg.options("AdminClient")
	if err != nil {
		i.throw(err)
	}
	key, err := json.Marshal(cfg)
	if err != nil {
		i.throw(err)
	}
	return &AdminClient{i: i, client: i.root.clients.share("admin "+string(key), cfg.Brokers, opts)}
}

func (i *instance) newAdminClient(call sobek.ConstructorCall) *sobek.Object {
	return i.object(call, i.newAdmin(call))
}

// Connection is the AdminClient before v2: its listTopics returns names.
type Connection struct{ admin *AdminClient }

func (i *instance) newConnection(call sobek.ConstructorCall) *sobek.Object {
	return i.object(call, &Connection{i.newAdmin(call)})
}

// CreateTopic creates a topic.
func (c *Connection) CreateTopic(config sobek.Value) error { return c.admin.CreateTopic(config) }

// DeleteTopic deletes a topic.
func (c *Connection) DeleteTopic(topic string) error { return c.admin.DeleteTopic(topic) }

// ListTopics returns the names of the topics.
func (c *Connection) ListTopics() ([]string, error) {
	infos, err := c.admin.ListTopics()
	names := make([]string, 0, len(infos))
	for _, t := range infos {
		names = append(names, t.Topic)
	}
	return names, err
}

// Close does nothing: the client is shared and ends with the test.
func (c *Connection) Close() {}

func (a *AdminClient) open() (*kadm.Client, context.Context, context.CancelFunc, error) {
	cl, err := a.client.get(a.i.vu.Context())
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := context.WithTimeout(a.i.vu.Context(), adminTimeout)
	return kadm.NewClient(cl), ctx, cancel, nil
}

type topicConfig struct {
	Topic             string `json:"topic"`
	NumPartitions     int32  `json:"numPartitions"`     // default: the broker's
	ReplicationFactor int16  `json:"replicationFactor"` // default: the broker's
	ConfigEntries     []struct {
		ConfigName  string `json:"configName"`
		ConfigValue string `json:"configValue"`
	} `json:"configEntries"`
}

// CreateTopic creates a topic; one that exists already is an error.
func (a *AdminClient) CreateTopic(config sobek.Value) error {
	t := topicConfig{NumPartitions: -1, ReplicationFactor: -1}
	if err := decode([]sobek.Value{config}, "createTopic", &t); err != nil {
		return err
	}
	adm, ctx, cancel, err := a.open()
	if err != nil {
		return err
	}
	defer cancel()
	configs := map[string]*string{}
	for _, e := range t.ConfigEntries {
		configs[e.ConfigName] = &e.ConfigValue
	}
	if _, err := adm.CreateTopic(ctx, t.NumPartitions, t.ReplicationFactor, configs, t.Topic); err != nil {
		return fmt.Errorf("create topic %s: %w", t.Topic, err)
	}
	return nil
}

// DeleteTopic deletes a topic.
func (a *AdminClient) DeleteTopic(topic string) error {
	adm, ctx, cancel, err := a.open()
	if err != nil {
		return err
	}
	defer cancel()
	if _, err := adm.DeleteTopic(ctx, topic); err != nil {
		return fmt.Errorf("delete topic %s: %w", topic, err)
	}
	return nil
}

// TopicInfo is one topic of listTopics.
type TopicInfo struct {
	Topic      string `js:"topic"`
	Partitions int    `js:"partitions"`
	Error      any    `js:"error"`
}

// ListTopics returns the topics that are not internal, in order.
func (a *AdminClient) ListTopics() ([]TopicInfo, error) {
	adm, ctx, cancel, err := a.open()
	if err != nil {
		return nil, err
	}
	defer cancel()
	topics, err := adm.ListTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	infos := []TopicInfo{}
	for _, t := range topics.Sorted() {
		infos = append(infos, TopicInfo{t.Topic, len(t.Partitions), text(t.Err)})
	}
	return infos, nil
}

// PartitionInfo is one partition of getMetadata.
type PartitionInfo struct {
	ID       int32   `js:"id"`
	Leader   int32   `js:"leader"`
	Replicas []int32 `js:"replicas"`
	ISRs     []int32 `js:"isrs"`
	Error    any     `js:"error"`
}

// TopicMetadata is what getMetadata returns.
type TopicMetadata struct {
	Topic      string          `js:"topic"`
	Partitions []PartitionInfo `js:"partitions"`
	Error      any             `js:"error"`
}

// GetMetadata returns the leaders and replicas of a topic.
func (a *AdminClient) GetMetadata(topic string) (*TopicMetadata, error) {
	adm, ctx, cancel, err := a.open()
	if err != nil {
		return nil, err
	}
	defer cancel()
	topics, err := adm.ListTopics(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("describe topic %s: %w", topic, err)
	}
	t := topics[topic]
	m := &TopicMetadata{Topic: topic, Error: text(t.Err)}
	for _, p := range t.Partitions.Sorted() {
		m.Partitions = append(m.Partitions, PartitionInfo{p.Partition, p.Leader, p.Replicas, p.ISR, text(p.Err)})
	}
	return m, nil
}

// GroupOffset is one offset of initializeConsumerGroupOffsets.
type GroupOffset struct {
	Topic     string `js:"topic"`
	Partition int32  `js:"partition"`
	Offset    int64  `js:"offset"`
}

// InitializeConsumerGroupOffsets commits, for a group without members, the
// present end of every partition of {groupId, topics}.
func (a *AdminClient) InitializeConsumerGroupOffsets(config sobek.Value) ([]GroupOffset, error) {
	var want struct {
		GroupID string   `json:"groupId"`
		Topics  []string `json:"topics"`
	}
	if err := decode([]sobek.Value{config}, "initializeConsumerGroupOffsets", &want); err != nil {
		return nil, err
	}
	adm, ctx, cancel, err := a.open()
	if err != nil {
		return nil, err
	}
	defer cancel()
	ends, err := adm.ListEndOffsets(ctx, want.Topics...)
	if err := errors.Join(err, ends.Error()); err != nil {
		return nil, fmt.Errorf("list end offsets: %w", err)
	}
	offsets := ends.Offsets()
	committed, err := adm.CommitOffsets(ctx, want.GroupID, offsets)
	if err := errors.Join(err, committed.Error()); err != nil {
		return nil, fmt.Errorf("commit offsets of %s: %w", want.GroupID, err)
	}
	list := []GroupOffset{}
	for _, o := range offsets.Sorted() {
		list = append(list, GroupOffset{o.Topic, o.Partition, o.At})
	}
	return list, nil
}

// Close does nothing: the client is shared and ends with the test.
func (a *AdminClient) Close() {}

// text is an error for JavaScript, null for none.
func text(err error) any {
	if err == nil {
		return nil
	}
	return err.Error()
}
