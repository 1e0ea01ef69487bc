//go:build jvm

package conformance

import (
	"fmt"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// produce is a request of one batch; an id belongs to the topic's base name.
func (s *side) produce(base string, partition int32, acks int16, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = acks, 5000
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID = s.nameOf(base), s.id(base)
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, records
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// forever keeps a topic's records, whose timestamps are of long ago: with the
// default each broker would delete them at a time of its own.
var forever = []string{"retention.ms", "-1"}

func produceScript(o *oracle) {
	o.topic("log", 2, forever...)
	o.topic("lenient", 3, forever...) // for what Kafka takes and brokerd refuses, so that offsets elsewhere agree
	o.topic("small", 1, append(forever, "max.message.bytes", "200")...)
	o.topic("stamped", 1, "message.timestamp.type", "LogAppendTime")
	o.topic("recent", 1, append(forever, "message.timestamp.before.max.ms", "1000")...)
	o.topic("compacted", 1, "cleanup.policy", "compact")
	to := func(name, topic string, partition int32, acks int16, records []byte) {
		o.ask(name, func(s *side) kmsg.Request { return s.produce(topic, partition, acks, records) })
	}
	to("acks=-1", "log", 0, -1, newBatch("a", "b", "c").seal())
	to("acks=1", "log", 0, 1, newBatch("d").seal())
	to("acks=2", "log", 0, 2, newBatch("e").seal())
	to("acks=-2", "log", 0, -2, newBatch("e").seal())
	to("unknown partition", "log", 7, -1, newBatch("e").seal())
	to("negative partition", "log", -1, -1, newBatch("e").seal())
	to("unknown topic", "nowhere", 0, -1, newBatch("e").seal())
	if o.pass == 0 { // it takes Kafka's whole time-out
		to("no records", "log", 0, -1, nil)
	}
	to("empty records", "log", 0, -1, []byte{})
	corrupt := newBatch("e").seal()
	corrupt[len(corrupt)-1] ^= 1
	to("corrupt CRC", "log", 0, -1, corrupt)
	for _, magic := range []byte{0, 1, 3} {
		old := newBatch("e").seal()
		old[16] = magic
		to(fmt.Sprint("magic ", magic), "log", 0, -1, old)
	}
	to("too large", "small", 0, -1, newBatch(strings.Repeat("x", 300)).seal())
	to("large enough", "small", 0, -1, newBatch(strings.Repeat("x", 80)).seal())
	to("two batches", "log", 0, -1, append(newBatch("e").seal(), newBatch("f").seal()...))
	whole := newBatch("e").seal()
	to("half a batch", "log", 0, -1, whole[:len(whole)-5])
	to("a header's half", "log", 0, -1, whole[:30])
	to("trailing bytes", "lenient", 0, -1, append(newBatch("e").seal(), 0, 0, 0))
	mutate := func(name string, change func(b *batch)) {
		b := newBatch("g", "h")
		change(b)
		to(name, "log", 1, -1, b.seal())
	}
	lenient := func(name string, change func(b *batch)) {
		b := newBatch("g", "h")
		change(b)
		to(name, "lenient", 1, -1, b.seal())
	}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		o.t.Fatal(err)
	}
	lenient("zstd", func(b *batch) {
		b.Attributes, b.compress = 4, func(raw []byte) []byte { return encoder.EncodeAll(raw, nil) }
	})
	mutate("base offset 5", func(b *batch) { b.FirstOffset = 5 })
	mutate("offsets with a gap", func(b *batch) { b.records[1].OffsetDelta, b.LastOffsetDelta = 2, 2 })
	lenient("offsets decrease", func(b *batch) { b.records[0].OffsetDelta, b.records[1].OffsetDelta = 1, 0 })
	mutate("last delta too large", func(b *batch) { b.LastOffsetDelta = 9 })
	mutate("last delta negative", func(b *batch) { b.LastOffsetDelta = -1 })
	mutate("count too large", func(b *batch) { b.NumRecords = 3 })
	mutate("count too small", func(b *batch) { b.NumRecords = 1 })
	mutate("count 0", func(b *batch) { b.NumRecords, b.records, b.LastOffsetDelta = 0, nil, 0 })
	mutate("count negative", func(b *batch) { b.NumRecords = -1 })
	mutate("control batch", func(b *batch) { b.Attributes = 0x20 })
	mutate("transactional without id", func(b *batch) { b.Attributes = 0x10 })
	mutate("transactional", func(b *batch) { b.Attributes = 0x10; b.by(1, 0, 0) })
	mutate("unknown codec", func(b *batch) { b.Attributes = 7 })
	mutate("gzip that is none", func(b *batch) { b.Attributes = 1 })
	mutate("zstd that is none", func(b *batch) { b.Attributes = 4 })
	lenient("append time from a producer", func(b *batch) { b.Attributes = 8 })
	mutate("unused attribute", func(b *batch) { b.Attributes = 0x80 })
	mutate("delete horizon", func(b *batch) { b.Attributes = 0x40 })
	mutate("maximum before first", func(b *batch) { b.MaxTimestamp = b.FirstTimestamp - 5 })
	mutate("no timestamp", func(b *batch) { b.FirstTimestamp, b.MaxTimestamp = -1, -1 })
	mutate("far future", func(b *batch) { b.FirstTimestamp, b.MaxTimestamp = 9_999_999_999_999, 9_999_999_999_999+1 })
	mutate("record attributes", func(b *batch) { b.records[0].Attributes = 1 })
	mutate("null value and headers", func(b *batch) {
		b.records[0].Value, b.records[0].Headers = nil, []kmsg.Header{{Key: "h", Value: nil}, {Key: "h", Value: []byte("v")}}
	})
	keyless := newBatch("a")
	keyless.records[0].Key = nil
	to("compacted without key", "compacted", 0, -1, keyless.seal())
	to("compacted", "compacted", 0, -1, newBatch("a").seal())
	to("too old", "recent", 0, -1, newBatch("a").seal())
	o.ask("append time", func(s *side) kmsg.Request { return s.produce("stamped", 0, -1, newBatch("a").seal()) })
	o.ask("transactional id", func(s *side) kmsg.Request {
		req := s.produce("log", 0, -1, newBatch("a").seal())
		req.TransactionID = pointer("nobody")
		return req
	})
	o.ask("no topics", func(*side) kmsg.Request {
		req := kmsg.NewPtrProduceRequest()
		req.Acks = -1
		return req
	})
	o.ask("the same partition twice", func(s *side) kmsg.Request {
		req := s.produce("lenient", 2, -1, newBatch("i").seal())
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, req.Topics[0].Partitions[0])
		return req
	})
	o.ask("good and bad", func(s *side) kmsg.Request {
		req := s.produce("log", 1, -1, newBatch("i").seal())
		req.Topics = append(req.Topics, s.produce("nowhere", 0, -1, newBatch("i").seal()).Topics...)
		req.Topics = append(req.Topics, s.produce("small", 0, -1, newBatch(strings.Repeat("x", 300)).seal()).Topics...)
		return req
	})
	if o.pass == 0 {
		for version := range int16(3) {
			o.askAt(version, "as of old", func(s *side) kmsg.Request { return s.produce("log", 0, -1, nil) })
		}
	}
}

func idempotenceScript(o *oracle) {
	o.topic("once", 2, forever...)
	initialise := func(name string, build func(s *side) *kmsg.InitProducerIDRequest) []kmsg.Response {
		return o.ask(name, func(s *side) kmsg.Request { return build(s) })
	}
	fresh := func(*side) *kmsg.InitProducerIDRequest { return kmsg.NewPtrInitProducerIDRequest() }
	known := func(r kmsg.Response, s *side, name string) {
		if init, ok := r.(*kmsg.InitProducerIDResponse); ok {
			s.numbers[name] = init.ProducerID
		}
	}
	for _, s := range o.sides { // a block of ids is asked of the controller
		err := eventually(answerTimeout, func() error {
			resp, err := s.exchange(fresh(s))
			if err != nil {
				return err
			}
			return kerr.ErrorForCode(resp.(*kmsg.InitProducerIDResponse).ErrorCode)
		})
		if err != nil {
			o.t.Fatalf("%s: a producer id: %v", s.name, err)
		}
	}
	for i, r := range initialise("a producer", fresh) {
		known(r, o.sides[i], "p")
	}
	for i, r := range initialise("another producer", fresh) {
		known(r, o.sides[i], "q")
	}
	if version := o.ranges[int16(kmsg.InitProducerID)].max - o.pass; version >= 3 {
		initialise("epoch of a producer", func(s *side) *kmsg.InitProducerIDRequest {
			req := kmsg.NewPtrInitProducerIDRequest()
			req.ProducerID, req.ProducerEpoch = s.numbers["p"], 0
			return req
		})
		initialise("id without epoch", func(s *side) *kmsg.InitProducerIDRequest {
			req := kmsg.NewPtrInitProducerIDRequest()
			req.ProducerID = 1
			return req
		})
	}
	initialise("empty transactional id", func(*side) *kmsg.InitProducerIDRequest {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID = pointer("")
		return req
	})
	initialise("transactional time-out 0", func(*side) *kmsg.InitProducerIDRequest {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = pointer("t"), 0
		return req
	})
	step := func(name, producer string, epoch int16, sequence int32, values ...string) {
		o.ask(name, func(s *side) kmsg.Request {
			return s.produce("once", 0, -1, newBatch(values...).by(s.numbers[producer], epoch, sequence).seal())
		})
	}
	step("first", "p", 0, 0, "a", "b")
	step("next", "p", 0, 2, "c")
	step("duplicate of the last", "p", 0, 2, "c")
	step("duplicate of the first", "p", 0, 0, "a", "b")
	step("overlapping", "p", 0, 1, "b", "c")
	step("part of a batch", "p", 0, 0, "a")
	step("gap", "p", 0, 9, "d")
	step("new epoch not from 0", "p", 1, 5, "d")
	step("new epoch", "p", 1, 0, "d")
	step("old epoch", "p", 0, 3, "d")
	o.ask("unknown producer not from 0", func(s *side) kmsg.Request {
		return s.produce("lenient", 0, -1, newBatch("a").by(s.numbers["q"], 0, 5).seal())
	})
	for i := range 6 {
		step("six more", "p", 1, int32(1+i), "e")
	}
	step("duplicate of the sixth last", "p", 1, 1, "e")
	step("duplicate of the fifth last", "p", 1, 2, "e")
	step("negative sequence", "p", 1, -1, "f")
	step("negative epoch", "p", -1, 7, "f")
	step("wrap behind the largest", "p", 1, 2147483647, "f")
	o.ask("two batches of one producer", func(s *side) kmsg.Request {
		one := newBatch("g").by(s.numbers["p"], 1, 7).seal()
		return s.produce("once", 0, -1, append(one, newBatch("h").by(s.numbers["p"], 1, 8).seal()...))
	})
	describe := func(name string, topic func(s *side) string, partitions ...int32) {
		o.look(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrDescribeProducersRequest()
			req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: topic(s), Partitions: partitions}}
			for _, name := range []string{"p", "q"} {
				s.aliases[fmt.Sprint(s.numbers[name])] = "<producer " + name + ">"
			}
			return req
		})
		for _, s := range o.sides {
			for _, name := range []string{"p", "q"} {
				delete(s.aliases, fmt.Sprint(s.numbers[name]))
			}
		}
	}
	describe("known", func(s *side) string { return s.nameOf("once") }, 0, 1, 7)
	describe("unknown topic", func(*side) string { return "nowhere" }, 0)
	describe("bad topic", func(*side) string { return "a b" }, 0)
}

// read asks for one partition.
func (s *side) read(base string, partition int32, offset int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = -1, 0, 1, 1<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = s.nameOf(base), s.id(base)
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = partition, offset, 1<<20, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// asReplica names who fetches in the field that the version of this pass has
// (KIP-903); Kafka ends the connection over one that it has not.
func asReplica(o *oracle, r *kmsg.FetchRequest, id int32) {
	if o.ranges[int16(kmsg.Fetch)].max-o.pass >= 15 {
		r.ReplicaState.ID = id
	} else {
		r.ReplicaID = id
	}
}

func fetchScript(o *oracle) {
	get := func(name, topic string, partition int32, offset int64, change func(r *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition)) {
		o.look(name, func(s *side) kmsg.Request {
			req := s.read(topic, partition, offset)
			if change != nil {
				change(req, &req.Topics[0].Partitions[0])
			}
			return req
		})
	}
	get("from 0", "log", 0, 0, nil)
	get("all that was mutated", "log", 1, 0, nil)
	get("of an idempotent producer", "compacted", 0, 0, nil)
	get("in a batch", "log", 0, 1, nil)
	get("at the end", "log", 0, 6, nil)
	get("behind the end", "log", 0, 1000, nil)
	get("negative", "log", 0, -1, nil)
	get("unknown partition", "log", 9, 0, nil)
	get("unknown topic", "nowhere", 0, 0, nil)
	type partition = kmsg.FetchRequestTopicPartition
	get("epoch 0", "log", 0, 0, func(_ *kmsg.FetchRequest, p *partition) { p.CurrentLeaderEpoch = 0 })
	get("epoch unknown", "log", 0, 0, func(_ *kmsg.FetchRequest, p *partition) { p.CurrentLeaderEpoch = 5 })
	get("last fetched epoch", "log", 0, 1, func(_ *kmsg.FetchRequest, p *partition) { p.LastFetchedEpoch = 0 })
	get("last fetched epoch too large", "log", 0, 1, func(_ *kmsg.FetchRequest, p *partition) { p.LastFetchedEpoch = 3 })
	get("last fetched epoch behind the end", "log", 0, 1000, func(_ *kmsg.FetchRequest, p *partition) { p.LastFetchedEpoch = 0 })
	get("first batch larger than the partition's maximum", "log", 0, 0, func(_ *kmsg.FetchRequest, p *partition) { p.PartitionMaxBytes = 10 })
	get("first batch larger than the maximum", "log", 0, 0, func(r *kmsg.FetchRequest, _ *partition) { r.MaxBytes = 10 })
	get("maximum 0", "log", 0, 0, func(r *kmsg.FetchRequest, p *partition) { r.MaxBytes, p.PartitionMaxBytes = 0, 0 })
	get("maximum negative", "log", 0, 0, func(r *kmsg.FetchRequest, p *partition) { r.MaxBytes, p.PartitionMaxBytes = -1, -1 })
	get("partition's maximum in the middle of a batch", "log", 0, 0, func(_ *kmsg.FetchRequest, p *partition) { p.PartitionMaxBytes = 150 })
	get("minimum not reached", "log", 0, 0, func(r *kmsg.FetchRequest, _ *partition) { r.MinBytes, r.MaxWaitMillis = 1<<20, 20 })
	get("minimum 0 at the end", "log", 0, 6, func(r *kmsg.FetchRequest, _ *partition) { r.MinBytes, r.MaxWaitMillis = 0, 10_000 })
	get("out of range with a minimum", "log", 0, 1000, func(r *kmsg.FetchRequest, _ *partition) { r.MinBytes, r.MaxWaitMillis = 1<<20, 10_000 })
	get("read committed", "log", 0, 0, func(r *kmsg.FetchRequest, _ *partition) { r.IsolationLevel = 1 })
	get("isolation level 5", "log", 0, 0, func(r *kmsg.FetchRequest, _ *partition) { r.IsolationLevel = 5 })
	get("no partitions", "log", 0, 0, func(r *kmsg.FetchRequest, _ *partition) { r.Topics = nil })
	get("rack", "log", 0, 0, func(r *kmsg.FetchRequest, _ *partition) { r.Rack = "elsewhere" })
	get("two partitions with a maximum for one", "log", 0, 0, func(r *kmsg.FetchRequest, p *partition) {
		other := *p
		other.Partition = 1
		r.MaxBytes = 100
		r.Topics[0].Partitions = append(r.Topics[0].Partitions, other)
	})
	get("the same partition twice", "log", 0, 0, func(r *kmsg.FetchRequest, p *partition) {
		r.Topics[0].Partitions = append(r.Topics[0].Partitions, *p)
	})
	get("as a follower that is none", "log", 0, 0, func(r *kmsg.FetchRequest, _ *partition) {
		asReplica(o, r, 9)
	})
	get("as a debugging replica", "log", 0, 0, func(r *kmsg.FetchRequest, _ *partition) {
		asReplica(o, r, -2)
	})
	deleteRecordsScript(o)
	get("below the log start", "log", 0, 0, nil)
	get("in the batch that was cut", "log", 0, 2, nil)
}

func deleteRecordsScript(o *oracle) {
	cut := func(name, topic string, partition int32, offset int64) {
		o.ask(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrDeleteRecordsRequest()
			req.TimeoutMillis = 5000
			req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: s.nameOf(topic), Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: partition, Offset: offset}}}}
			return req
		})
	}
	cut("behind the high watermark", "log", 0, 1000)
	cut("negative", "log", 0, -2)
	cut("unknown partition", "log", 9, 0)
	cut("unknown topic", "nowhere", 0, 0)
	cut("compacted", "compacted", 0, 0)
	cut("in a batch", "log", 0, 2)
	cut("below the log start", "log", 0, 1)
	cut("to the high watermark", "log", 1, -1)
	cut("again", "log", 1, -1)
}

// fetchSessionScript: sessions are since version 7.
func fetchSessionScript(o *oracle) {
	if o.ranges[int16(kmsg.Fetch)].max-o.pass < 7 {
		return
	}
	session := func(name string, build func(s *side, r *kmsg.FetchRequest)) []kmsg.Response {
		return o.ask("session: "+name, func(s *side) kmsg.Request {
			req := s.read("once", 0, 0)
			build(s, req)
			return req
		})
	}
	session("unknown", func(_ *side, r *kmsg.FetchRequest) { r.SessionID, r.SessionEpoch = 12345, 1 })
	session("close unknown", func(_ *side, r *kmsg.FetchRequest) { r.SessionID, r.SessionEpoch = 12345, -1 })
	session("id 0 with an epoch", func(_ *side, r *kmsg.FetchRequest) { r.SessionID, r.SessionEpoch = 0, 3 })
	session("of nothing", func(_ *side, r *kmsg.FetchRequest) { r.SessionEpoch, r.Topics = 0, nil })
	for i, r := range session("a new one", func(_ *side, r *kmsg.FetchRequest) { r.SessionEpoch = 0 }) {
		if f, ok := r.(*kmsg.FetchResponse); ok {
			o.sides[i].numbers["session"] = int64(f.SessionID)
			o.sides[i].aliases[fmt.Sprint(f.SessionID)] = "<session>"
		}
	}
	in := func(epoch int32, change func(s *side, r *kmsg.FetchRequest)) func(s *side, r *kmsg.FetchRequest) {
		return func(s *side, r *kmsg.FetchRequest) {
			r.SessionID, r.SessionEpoch, r.Topics = int32(s.numbers["session"]), epoch, nil
			if change != nil {
				change(s, r)
			}
		}
	}
	session("nothing new", in(1, nil))
	session("epoch again", in(1, nil))
	session("epoch skipped", in(5, nil))
	session("back to 0", in(2, func(s *side, r *kmsg.FetchRequest) { r.Topics = s.read("once", 0, 0).Topics }))
	session("to the end", in(3, func(s *side, r *kmsg.FetchRequest) { r.Topics = s.read("once", 0, 4).Topics }))
	session("an unknown partition more", in(4, func(s *side, r *kmsg.FetchRequest) { r.Topics = s.read("once", 7, 0).Topics }))
	session("an unknown topic more", in(5, func(s *side, r *kmsg.FetchRequest) { r.Topics = s.read("nowhere", 0, 0).Topics }))
	session("what is wrong stays wrong", in(6, nil))
	session("forgotten", in(7, func(s *side, r *kmsg.FetchRequest) {
		r.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: s.nameOf("once"), TopicID: s.id("once"), Partitions: []int32{0, 7}}}
	}))
	session("closed", in(-1, nil))
	session("after its end", in(8, nil))
}

func offsetsScript(o *oracle) {
	at := func(partition int32, timestamp int64, epoch int32) kmsg.ListOffsetsRequestTopicPartition {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp, p.CurrentLeaderEpoch = partition, timestamp, epoch
		return p
	}
	ask := func(name, topic string, isolation int8, parts ...kmsg.ListOffsetsRequestTopicPartition) {
		o.look(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrListOffsetsRequest()
			req.ReplicaID, req.IsolationLevel = -1, isolation
			req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: s.nameOf(topic), Partitions: parts}}
			return req
		})
	}
	list := func(name, topic string, partition int32, timestamp int64, epoch int32) {
		ask(name, topic, 0, at(partition, timestamp, epoch))
	}
	for timestamp := int64(-7); timestamp <= 0; timestamp++ {
		list(fmt.Sprint("timestamp ", timestamp), "log", 0, timestamp, -1)
		list(fmt.Sprint("of nothing, timestamp ", timestamp), "once", 1, timestamp, -1)
	}
	list("at a timestamp", "once", 0, batchTime+1, -1)
	list("behind all timestamps", "once", 0, batchTime+1_000_000, -1)
	list("unknown partition", "once", 9, -1, -1)
	list("unknown topic", "nowhere", 0, -1, -1)
	list("epoch 0", "once", 0, -1, 0)
	list("epoch unknown", "once", 0, -1, 4)
	ask("the same partition twice", "once", 0, at(0, -1, -1), at(0, -1, -1))
	ask("read committed", "once", 1, at(0, -1, -1))
	epoch := func(name, topic string, partition, current, leader int32) {
		o.look(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrOffsetForLeaderEpochRequest()
			req.ReplicaID = -1
			p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
			p.Partition, p.CurrentLeaderEpoch, p.LeaderEpoch = partition, current, leader
			req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: s.nameOf(topic), Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}}}
			return req
		})
	}
	epoch("current", "once", 0, -1, 0)
	epoch("of an empty log", "once", 1, -1, 0)
	epoch("negative", "once", 0, -1, -1)
	epoch("of the future", "once", 0, -1, 7)
	epoch("asked in an unknown epoch", "once", 0, 5, 0)
	epoch("unknown partition", "once", 9, -1, 0)
	epoch("unknown topic", "nowhere", 0, -1, 0)
}
