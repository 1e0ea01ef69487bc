//go:build jvm

package conformance

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func pointer[T any](v T) *T { return &v }

// plainTopic asks for a topic as most do.
func plainTopic(name string, partitions int32, configs ...string) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, 1
	for i := 0; i < len(configs); i += 2 {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = configs[i], &configs[i+1]
		t.Configs = append(t.Configs, c)
	}
	return t
}

func createTopics(topics ...kmsg.CreateTopicsRequestTopic) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = topics
	return req
}

// topic creates a topic on both sides and waits until it has a leader.
func (o *oracle) topic(base string, partitions int32, configs ...string) {
	const create, metadata = 7, 12
	o.askAt(create, "a topic "+base, func(s *side) kmsg.Request {
		return createTopics(plainTopic(s.nameOf(base), partitions, configs...))
	})
	for _, s := range o.sides {
		if err := s.learn(base, partitions); err != nil {
			o.t.Fatal(err)
		}
	}
}

// learn waits until a topic has its partitions and leaders and keeps its id. What
// metadata tells a broker may not have acted upon yet: the leaders must answer.
func (s *side) learn(base string, partitions int32) error {
	err := eventually(answerTimeout, func() error {
		req := kmsg.NewPtrMetadataRequest()
		req.Version = 12
		req.Topics = []kmsg.MetadataRequestTopic{{Topic: pointer(s.nameOf(base))}}
		resp, err := s.exchange(req)
		if err != nil {
			return err
		}
		t := &resp.(*kmsg.MetadataResponse).Topics[0]
		known := 0
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 && p.Leader == 1 {
				known++
			}
		}
		led := min(known, s.leads(base, partitions))
		if led == int(partitions) {
			s.topics[base] = t.TopicID
			s.aliases[fmt.Sprintf("%x", t.TopicID)] = "<id of " + base + ">"
			return nil
		}
		return fmt.Errorf("error code %d, %d of %d partitions have a leader", t.ErrorCode, led, partitions)
	})
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: topic %s: %w", s.name, base, err)
}

// leads counts the partitions whose leader says where they end.
func (s *side) leads(base string, partitions int32) (led int) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = 5, -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = s.nameOf(base)
	for partition := range partitions {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = partition, -1
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	resp, err := s.exchange(req)
	if err != nil {
		return 0
	}
	for _, p := range resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions {
		if p.ErrorCode == 0 {
			led++
		}
	}
	return led
}

func topicsScript(o *oracle) {
	one := func(name string, build func(s *side) kmsg.CreateTopicsRequestTopic) {
		o.ask(name, func(s *side) kmsg.Request { return createTopics(build(s)) })
	}
	named := func(name string) func(*side) kmsg.CreateTopicsRequestTopic {
		return func(*side) kmsg.CreateTopicsRequestTopic { return plainTopic(name, 1) }
	}
	o.topic("orders", 3, "retention.ms", "3600000")
	one("existing", func(s *side) kmsg.CreateTopicsRequestTopic { return plainTopic(s.nameOf("orders"), 1) })
	one("empty name", named(""))
	one("dot", named("."))
	one("bad character", named("a b"))
	one("name of 250", named(fmt.Sprintf("%0250d", 1)))
	for _, n := range []int32{0, -1, -2, 20_000} {
		one(fmt.Sprint("partitions ", n), func(s *side) kmsg.CreateTopicsRequestTopic {
			return plainTopic(s.nameOf(fmt.Sprint("partitions", n)), n)
		})
	}
	for _, n := range []int16{0, -1, -2, 2} {
		one(fmt.Sprint("replicas ", n), func(s *side) kmsg.CreateTopicsRequestTopic {
			t := plainTopic(s.nameOf(fmt.Sprint("replicas", n)), 1)
			t.ReplicationFactor = n
			return t
		})
	}
	assign := func(partitions ...int32) []kmsg.CreateTopicsRequestTopicReplicaAssignment {
		var list []kmsg.CreateTopicsRequestTopicReplicaAssignment
		for _, p := range partitions {
			a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			a.Partition, a.Replicas = p, []int32{1}
			list = append(list, a)
		}
		return list
	}
	assigned := func(name string, partitions int32, replicas int16, list []kmsg.CreateTopicsRequestTopicReplicaAssignment) {
		one(name, func(s *side) kmsg.CreateTopicsRequestTopic {
			t := plainTopic(s.nameOf("assigned"), partitions)
			t.ReplicationFactor, t.ReplicaAssignment = replicas, list
			return t
		})
	}
	assigned("assignment and counts", 1, 1, assign(0))
	assigned("assignment with a gap", -1, -1, assign(0, 2))
	assigned("assignment twice", -1, -1, assign(0, 0))
	unknown, doubled, empty := assign(0), assign(0), assign(0)
	unknown[0].Replicas, doubled[0].Replicas, empty[0].Replicas = []int32{9}, []int32{1, 1}, nil
	assigned("assignment to nobody", -1, -1, unknown)
	assigned("assignment doubled", -1, -1, doubled)
	assigned("assignment empty", -1, -1, empty)
	assigned("assignment", -1, -1, assign(0, 1))
	configs := []string{
		"cleanup.policy", "shred", "cleanup.policy", "compact,delete", "cleanup.policy", "", "retention.ms", "-2", "retention.ms", "week", "no.such.config", "1",
		"min.insync.replicas", "0", "segment.bytes", "1", "compression.type", "brotli", "max.message.bytes", "-1",
		"compression.gzip.level", "10", "compression.gzip.level", "6", "compression.zstd.level", "3", "compression.zstd.level", "99", "compression.lz4.level", "9", "compression.lz4.level", "18",
		"message.timestamp.type", "createtime", "unclean.leader.election.enable", "maybe", "unclean.leader.election.enable", "TRUE", "retention.ms", " 5 ",
		"min.cleanable.dirty.ratio", "1.5", "segment.jitter.ms", "-1", "flush.ms", "", "message.format.version", "3.0", "message.downconversion.enable", "true",
		"remote.storage.enable", "true", "remote.storage.enable", "false", "local.retention.ms", "-2", "local.retention.bytes", "1",
		"leader.replication.throttled.replicas", "0:1", "leader.replication.throttled.replicas", "none", "preallocate", "true", "errors.deadletterqueue.group.enable", "true",
	}
	for i := 0; i < len(configs); i += 2 {
		one(configs[i]+"="+configs[i+1], func(s *side) kmsg.CreateTopicsRequestTopic {
			return plainTopic(s.nameOf(fmt.Sprint("config", i)), 1, configs[i], configs[i+1])
		})
	}
	one("config null", func(s *side) kmsg.CreateTopicsRequestTopic {
		t := plainTopic(s.nameOf("null"), 1)
		t.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "retention.ms"}}
		return t
	})
	one("config twice", func(s *side) kmsg.CreateTopicsRequestTopic {
		return plainTopic(s.nameOf("twice"), 1, "retention.ms", "1000", "retention.ms", "2000")
	})
	o.ask("the same twice, and another", func(s *side) kmsg.Request {
		return createTopics(plainTopic(s.nameOf("same"), 1), plainTopic(s.nameOf("other"), 1), plainTopic(s.nameOf("same"), 2))
	})
	o.ask("none", func(*side) kmsg.Request { return createTopics() })
	o.ask("colliding", func(s *side) kmsg.Request {
		return createTopics(plainTopic(s.nameOf("dotted.name"), 1), plainTopic(s.nameOf("dotted_name"), 1))
	})
	o.ask("validate only", func(s *side) kmsg.Request {
		req := createTopics(plainTopic(s.nameOf("imagined"), 2), plainTopic(s.nameOf("orders"), 2), plainTopic("b@d", 1))
		req.ValidateOnly = true
		return req
	})
	o.ask("internal", func(*side) kmsg.Request {
		req := createTopics(plainTopic("__cluster_metadata", 1))
		req.ValidateOnly = true
		return req
	})
	partitionsScript(o)
	deleteScript(o)
}

func partitionsScript(o *oracle) {
	grow := func(name string, validate bool, build func(s *side) []kmsg.CreatePartitionsRequestTopic) {
		o.ask(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrCreatePartitionsRequest()
			req.Topics, req.ValidateOnly, req.TimeoutMillis = build(s), validate, 10_000
			return req
		})
	}
	to := func(topic string, count int32, replicas ...[]int32) kmsg.CreatePartitionsRequestTopic {
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = topic, count
		for _, r := range replicas {
			t.Assignment = append(t.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: r})
		}
		return t
	}
	one := func(name string, count int32, replicas ...[]int32) {
		grow(name, false, func(s *side) []kmsg.CreatePartitionsRequestTopic {
			return []kmsg.CreatePartitionsRequestTopic{to(s.nameOf("orders"), count, replicas...)}
		})
	}
	one("fewer", 2)
	one("as many", 3)
	one("none", 0)
	one("negative", -1)
	one("too many assignments", 4, []int32{1}, []int32{1})
	one("too few assignments", 6, []int32{1}, []int32{1})
	one("assigned to nobody", 4, []int32{7})
	one("assigned twice", 4, []int32{1, 1})
	one("assigned to none", 4, []int32{})
	grow("unknown topic", false, func(s *side) []kmsg.CreatePartitionsRequestTopic {
		return []kmsg.CreatePartitionsRequestTopic{to("nowhere", 4)}
	})
	grow("the same twice", false, func(s *side) []kmsg.CreatePartitionsRequestTopic {
		return []kmsg.CreatePartitionsRequestTopic{to(s.nameOf("orders"), 4), to(s.nameOf("orders"), 5), to("nowhere", 1)}
	})
	grow("validate only", true, func(s *side) []kmsg.CreatePartitionsRequestTopic {
		return []kmsg.CreatePartitionsRequestTopic{to(s.nameOf("orders"), 9)}
	})
	one("one more", 4, []int32{1})
	for _, s := range o.sides {
		if err := s.learn("orders", 4); err != nil {
			o.t.Fatal(err)
		}
	}
}

func deleteScript(o *oracle) {
	const byID = 6
	remove := func(name string, build func(s *side) []kmsg.DeleteTopicsRequestTopic) {
		o.ask(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrDeleteTopicsRequest()
			req.Topics, req.TimeoutMillis = build(s), 10_000
			for _, t := range req.Topics {
				if t.Topic != nil {
					req.TopicNames = append(req.TopicNames, *t.Topic)
				}
			}
			return req
		})
	}
	names := func(list ...string) []kmsg.DeleteTopicsRequestTopic {
		var topics []kmsg.DeleteTopicsRequestTopic
		for _, n := range list {
			topics = append(topics, kmsg.DeleteTopicsRequestTopic{Topic: pointer(n)})
		}
		return topics
	}
	o.topic("doomed", 1)
	o.topic("doomed2", 1)
	remove("unknown", func(*side) []kmsg.DeleteTopicsRequestTopic { return names("nowhere") })
	remove("none", func(*side) []kmsg.DeleteTopicsRequestTopic { return names() })
	remove("empty name", func(*side) []kmsg.DeleteTopicsRequestTopic { return names("") })
	remove("bad name", func(*side) []kmsg.DeleteTopicsRequestTopic { return names("a b") })
	remove("the same twice", func(s *side) []kmsg.DeleteTopicsRequestTopic { return names(s.nameOf("doomed"), s.nameOf("doomed")) })
	if r := o.ranges[int16(kmsg.DeleteTopics)]; r.max-o.pass >= byID {
		remove("unknown id", func(*side) []kmsg.DeleteTopicsRequestTopic {
			return []kmsg.DeleteTopicsRequestTopic{{TopicID: [16]byte{1}}}
		})
		remove("neither", func(*side) []kmsg.DeleteTopicsRequestTopic { return []kmsg.DeleteTopicsRequestTopic{{}} })
		remove("name and id", func(s *side) []kmsg.DeleteTopicsRequestTopic {
			return []kmsg.DeleteTopicsRequestTopic{{Topic: pointer(s.nameOf("doomed2")), TopicID: s.id("doomed2")}}
		})
		remove("name and its id apart", func(s *side) []kmsg.DeleteTopicsRequestTopic {
			return append(names(s.nameOf("doomed2")), kmsg.DeleteTopicsRequestTopic{TopicID: s.id("doomed2")})
		})
		remove("id", func(s *side) []kmsg.DeleteTopicsRequestTopic {
			return []kmsg.DeleteTopicsRequestTopic{{TopicID: s.id("doomed2")}}
		})
	}
	remove("two names", func(s *side) []kmsg.DeleteTopicsRequestTopic { return names(s.nameOf("doomed"), s.nameOf("doomed2")) })
	remove("deleted", func(s *side) []kmsg.DeleteTopicsRequestTopic { return names(s.nameOf("doomed")) })
}

func metadataScript(o *oracle) {
	const withIDs, withoutCreation = 10, 4
	version := max(o.ranges[int16(kmsg.Metadata)].min, o.ranges[int16(kmsg.Metadata)].max-o.pass)
	about := func(name string, create bool, topics func(s *side) []kmsg.MetadataRequestTopic) {
		o.look(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrMetadataRequest()
			req.Topics, req.AllowAutoTopicCreation = topics(s), create
			req.IncludeClusterAuthorizedOperations, req.IncludeTopicAuthorizedOperations = version >= 8 && version <= 10, version >= 8
			return req
		})
	}
	named := func(list ...string) []kmsg.MetadataRequestTopic {
		topics := []kmsg.MetadataRequestTopic{}
		for _, n := range list {
			topics = append(topics, kmsg.MetadataRequestTopic{Topic: pointer(n)})
		}
		return topics
	}
	about("by name", false, func(s *side) []kmsg.MetadataRequestTopic { return named(s.nameOf("orders")) })
	about("the same twice", false, func(s *side) []kmsg.MetadataRequestTopic { return named(s.nameOf("orders"), s.nameOf("orders")) })
	if version >= 1 {
		about("none", false, func(*side) []kmsg.MetadataRequestTopic { return named() })
	}
	if version >= withoutCreation {
		about("unknown", false, func(s *side) []kmsg.MetadataRequestTopic { return named(s.nameOf("nowhere"), s.nameOf("orders")) })
	}
	about("bad names", true, func(*side) []kmsg.MetadataRequestTopic { return named("a b", "", "..", fmt.Sprintf("%0250d", 1)) })
	if version >= withIDs {
		about("by id", false, func(s *side) []kmsg.MetadataRequestTopic {
			return []kmsg.MetadataRequestTopic{{TopicID: s.id("orders")}}
		})
		about("unknown id", false, func(*side) []kmsg.MetadataRequestTopic { return []kmsg.MetadataRequestTopic{{TopicID: [16]byte{1}}} })
		about("neither", false, func(*side) []kmsg.MetadataRequestTopic { return []kmsg.MetadataRequestTopic{{}} })
		about("name and id", false, func(s *side) []kmsg.MetadataRequestTopic {
			return []kmsg.MetadataRequestTopic{{TopicID: s.id("orders"), Topic: pointer(s.nameOf("orders"))}}
		})
		about("name and id apart", false, func(s *side) []kmsg.MetadataRequestTopic {
			return append(named(s.nameOf("orders")), kmsg.MetadataRequestTopic{TopicID: s.id("orders")})
		})
	}
	o.ask("created on demand", func(s *side) kmsg.Request {
		req := kmsg.NewPtrMetadataRequest()
		req.Topics, req.AllowAutoTopicCreation = named(s.nameOf("wanted")), true
		return req
	})
	for _, s := range o.sides {
		if err := s.learn("wanted", 1); err != nil {
			o.t.Fatal(err)
		}
	}
	about("after its creation", false, func(s *side) []kmsg.MetadataRequestTopic { return named(s.nameOf("wanted")) })
	describePartitionsScript(o)
}

func describePartitionsScript(o *oracle) {
	describe := func(name string, limit int32, cursor func(s *side) *kmsg.DescribeTopicPartitionsRequestCursor, topics func(s *side) []string) {
		o.look(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrDescribeTopicPartitionsRequest()
			req.ResponsePartitionLimit, req.Cursor = limit, cursor(s)
			for _, t := range topics(s) {
				req.Topics = append(req.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: t})
			}
			return req
		})
	}
	orders := func(s *side) []string { return []string{s.nameOf("orders"), s.nameOf("wanted"), "nowhere", "a b"} }
	start := func(*side) *kmsg.DescribeTopicPartitionsRequestCursor { return nil }
	at := func(topic string, partition int32) func(s *side) *kmsg.DescribeTopicPartitionsRequestCursor {
		return func(s *side) *kmsg.DescribeTopicPartitionsRequestCursor {
			return &kmsg.DescribeTopicPartitionsRequestCursor{Topic: s.nameOf(topic), Partition: partition}
		}
	}
	describe("all", 100, start, orders)
	describe("the first two", 2, start, orders)
	describe("limit 0", 0, start, orders)
	describe("from a cursor", 100, at("orders", 2), orders)
	describe("from a cursor behind the last partition", 100, at("orders", 9), orders)
	describe("from a cursor that is not asked for", 100, at("p", 0), orders)
	describe("from a negative cursor", 100, at("orders", -1), orders)
	describe("no topics", 2, start, func(*side) []string { return nil })
}
