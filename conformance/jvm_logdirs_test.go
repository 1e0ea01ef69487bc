//go:build jvm

package conformance

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Goal: a log directory that one of the brokers wrote is read by the other, all
// of it. Method: each broker fills topics of every kind; its partitions are put
// in place of empty ones of the other, as they are or by brokerd import, and what
// is read there is compared with what the writer itself gave, after that has been
// compared with what was produced.
func TestLogDirectory(t *testing.T) {
	for _, from := range []brokerKind{{"Kafka", startKafka}, {"brokerd", startBrokerd}} {
		into := brokerKind{"brokerd", startBrokerd}
		if from.name == "brokerd" {
			into = brokerKind{"Kafka", startKafka}
		}
		t.Run(from.name+" to "+into.name, func(t *testing.T) { testExchange(t, from, into) })
	}
}

type brokerKind struct {
	name  string
	start func(*testing.T, string) *single
}

func testExchange(t *testing.T, from, into brokerKind) {
	dir := t.TempDir()
	w := &writer{t: t, single: from.start(t, dir)}
	w.fill()
	written := w.read()
	w.judge(written)
	w.stop(t)

	// The second life's records are of another leader epoch.
	stopped := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(stopped, os.DirFS(filepath.Join(dir, "data"))); err != nil {
		t.Fatal(err)
	}
	w.single = from.start(t, dir)
	w.more()
	again := w.read()
	w.judge(again)
	w.kill()

	t.Run("files as they are", func(t *testing.T) {
		target := t.TempDir()
		s := emptyTopics(t, into, target)
		s.stop(t)
		replaceFiles(t, stopped, filepath.Join(target, "data"))
		r := &writer{t: t, single: into.start(t, target), once: w.once}
		r.equal(written, asWritten)
		r.continues()
	})
	t.Run("brokerd import", func(t *testing.T) {
		target := t.TempDir()
		s := emptyTopics(t, into, target)
		s.stop(t)
		args := append([]string{"import", "--from", filepath.Join(dir, "data"), "--into", filepath.Join(target, "data")}, slices.Sorted(maps.Keys(exchanged))...)
		out, err := exec.Command(brokerd, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("brokerd import: %v\n%s", err, out)
		}
		t.Logf("brokerd import:\n%s", out)
		r := &writer{t: t, single: into.start(t, target)}
		r.equal(again, asImported)
		// A kill and records of its own leave what was imported as it is.
		r.more()
		later := r.read()
		r.kill()
		r.single = into.start(t, target)
		r.equal(later, asWritten)

	})
}

// exchanged are the topics, each with its partitions and configs.
var exchanged = map[string]struct {
	partitions int32
	configs    map[string]string
}{
	"codecs":    {2, map[string]string{"segment.bytes": "1048576"}},
	"compacted": {1, map[string]string{"segment.bytes": "1048576", "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"}},
	"cut":       {1, nil},
	"once":      {1, nil},
	"stamped":   {1, map[string]string{"message.timestamp.type": "LogAppendTime"}},
	"void":      {1, nil},
}

func createExchanged(t *testing.T, s *single, more map[string]string) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = 5, 30_000
	for _, name := range slices.Sorted(maps.Keys(exchanged)) {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, exchanged[name].partitions, 1
		configs := map[string]string{"retention.ms": "-1"} // of timestamps that are years old
		maps.Copy(configs, exchanged[name].configs)
		maps.Copy(configs, more)
		for _, key := range slices.Sorted(maps.Keys(configs)) {
			c := kmsg.NewCreateTopicsRequestTopicConfig()
			c.Name, c.Value = key, pointer(configs[key])
			topic.Configs = append(topic.Configs, c)
		}
		req.Topics = append(req.Topics, topic)
	}
	for _, topic := range ask(t, s, req).(*kmsg.CreateTopicsResponse).Topics {
		if topic.ErrorCode != 0 {
			t.Fatalf("create %s: error %d", topic.Topic, topic.ErrorCode)
		}
	}
}

func ask(t *testing.T, s *single, req kmsg.Request) kmsg.Response {
	t.Helper()
	conn, err := dial(s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.close()
	resp, err := conn.exchange(req)
	if err != nil {
		t.Fatalf("%s: %v", kmsg.NameForKey(req.Key()), err)
	}
	return resp
}

// emptyTopics starts a node in a new directory, with the topics, whose compaction
// would make comparing a race.
func emptyTopics(t *testing.T, k brokerKind, dir string) *single {
	t.Helper()
	s := k.start(t, dir)
	createExchanged(t, s, map[string]string{"min.compaction.lag.ms": "3000000000000"})
	// A partition is led once its directory is there.
	cl := newClient(t, s)
	for topic := range exchanged {
		ends(t, cl, topic, -1)
	}
	return s
}

// writer fills a broker and reads it.
type writer struct {
	t *testing.T
	*single
	produced map[string][]kgo.Record // of topics that lose nothing
	once     int64                   // producer of the topic once
}

func newClient(t *testing.T, s *single, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(s.address), kgo.RecordPartitioner(kgo.ManualPartitioner())}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// produce writes records, which must be acknowledged, and notes those of topics
// that are judged record by record.
func (w *writer) produce(codec kgo.CompressionCodec, records ...*kgo.Record) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	cl := newClient(w.t, w.single, kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(64<<10))
	defer cl.Close()
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		w.t.Fatalf("produce to %s: %v", records[0].Topic, err)
	}
	if w.produced == nil {
		w.produced = make(map[string][]kgo.Record)
	}
	for _, r := range records {
		w.produced[r.Topic] = append(w.produced[r.Topic], *r)
	}
}

var compressions = []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}

// draw makes records of a topic, with and without keys, values and headers.
func draw(random *rand.Rand, topic string, partition int32, count int) (list []*kgo.Record) {
	for i := range count {
		value := make([]byte, 500+random.IntN(2000))
		for at := range value {
			value[at] = byte(random.IntN(16)) // so that codecs have something to do
		}
		r := &kgo.Record{Topic: topic, Partition: partition, Value: value, Timestamp: time.UnixMilli(batchTime + int64(len(list))*1000 - int64(random.IntN(3000)))}
		switch i % 4 {
		case 0:
			r.Key, r.Value = fmt.Appendf(nil, "key %d", i), nil
		case 1:
			r.Key, r.Headers = []byte{}, []kgo.RecordHeader{{Key: "one", Value: []byte("1")}, {Key: "", Value: nil}, {Key: "one", Value: []byte{}}}
		case 2:
			r.Key = fmt.Appendf(nil, "key %d", i)
		}
		list = append(list, r)
	}
	return list
}

func (w *writer) fill() {
	t := w.t
	createExchanged(t, w.single, nil)
	random := rand.New(rand.NewPCG(1, 2))
	for _, codec := range compressions {
		for partition := range exchanged["codecs"].partitions {
			w.produce(codec, draw(random, "codecs", partition, 500)...)
		}
		w.produce(codec, draw(random, "stamped", 0, 20)...)
	}
	w.produce(kgo.NoCompression(), draw(random, "cut", 0, 100)...)
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 10_000
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: "cut", Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: 0, Offset: cutAt}}}}
	ask(t, w.single, req)
	w.compact(random)

	w.once = ask(t, w.single, kmsg.NewPtrInitProducerIDRequest()).(*kmsg.InitProducerIDResponse).ProducerID
	for sequence := range int32(7) {
		if code, offset := w.sequence(sequence); code != 0 || offset != int64(sequence) {
			t.Fatalf("sequence %d of an idempotent producer: error %d, offset %d", sequence, code, offset)
		}
	}
}

// cutAt is the offset to which the topic cut loses its records by DeleteRecords.
const cutAt = 37

// more writes after a restart, or after an import.
func (w *writer) more() {
	w.produce(kgo.ZstdCompression(), draw(rand.New(rand.NewPCG(3, 4)), "codecs", 0, 100)...)
}

// compact writes keys over and over, deletes some, and waits until all but the
// segment in use has been compacted.
func (w *writer) compact(random *rand.Rand) {
	t := w.t
	for round := range 8 {
		list := draw(random, "compacted", 0, 300)
		for i, r := range list {
			r.Key = fmt.Appendf(nil, "key %d", i%50)
			if r.Value == nil && i%50 >= 20 {
				r.Value = fmt.Appendf(nil, "round %d", round)
			}
		}
		w.produce(compressions[round%len(compressions)], list...)
	}
	data := filepath.Join(w.dir, "data")
	err := eventually(time.Minute, func() error {
		segments, err := filepath.Glob(filepath.Join(data, "compacted-0", "*.log"))
		if err != nil || len(segments) == 0 {
			return fmt.Errorf("segments: %v, %v", segments, err)
		}
		var active int64
		if _, err := fmt.Sscanf(filepath.Base(segments[len(segments)-1]), "%d.log", &active); err != nil {
			return err
		}
		if active == 0 || checkpointLines(t, data, "cleaner-offset-checkpoint")["compacted 0"] != fmt.Sprint(active) {
			return fmt.Errorf("not all has been compacted; segments are %v", segments)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sequence sends a record of the producer of the topic once.
func (w *writer) sequence(sequence int32) (code int16, offset int64) {
	w.t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 9, -1, 10_000
	topic, partition := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	topic.Topic = "once"
	b := newBatch(fmt.Sprint("sequence ", sequence)).by(w.once, 0, sequence)
	b.FirstTimestamp = time.Now().UnixMilli() // long ago the producer would have expired
	b.MaxTimestamp = b.FirstTimestamp
	partition.Records = b.seal()
	topic.Partitions = append(topic.Partitions, partition)
	req.Topics = append(req.Topics, topic)
	p := ask(w.t, w.single, req).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	return p.ErrorCode, p.BaseOffset
}

// continues checks that what the log knows of the producer has been read with it.
func (w *writer) continues() {
	w.t.Helper()
	const outOfOrder = 45
	for _, step := range []struct {
		sequence int32
		code     int16
		offset   int64
	}{{6, 0, 6}, {9, outOfOrder, -1}, {7, 0, 7}, {7, 0, 7}} {
		if code, offset := w.sequence(step.sequence); code != step.code || offset != step.offset {
			w.t.Errorf("sequence %d: error %d, offset %d; want error %d, offset %d", step.sequence, code, offset, step.code, step.offset)
		}
	}
}

// logs are all records of each topic, partition by partition, in order.
type logs map[string][]kgo.Record

func ends(t *testing.T, cl *kgo.Client, topic string, timestamp int64) map[int32]int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	list := kmsg.NewListOffsetsRequestTopic()
	list.Topic = topic
	for partition := range exchanged[topic].partitions {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp, p.CurrentLeaderEpoch = partition, timestamp, -1
		list.Partitions = append(list.Partitions, p)
	}
	req.Topics = append(req.Topics, list)
	offsets := make(map[int32]int64)
	for len(offsets) < int(exchanged[topic].partitions) {
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			t.Fatalf("offsets of %s: %v", topic, err)
		}
		for _, p := range resp.Topics[0].Partitions {
			if p.ErrorCode == 0 {
				offsets[p.Partition] = p.Offset
			}
		}
	}
	return offsets
}

// read reads everything.
func (w *writer) read() logs {
	w.t.Helper()
	all := make(logs)
	for topic := range exchanged {
		cl := newClient(w.t, w.single, kgo.ConsumeTopics(topic))
		start, end := ends(w.t, cl, topic, -2), ends(w.t, cl, topic, -1)
		read := make(map[int32][]kgo.Record)
		for partition := range end {
			if start[partition] == end[partition] {
				delete(end, partition)
			}
		}
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		for len(end) > 0 {
			fetches := cl.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				w.t.Fatalf("read %s: %v; the ends are %v", topic, err, end)
			}
			fetches.EachRecord(func(r *kgo.Record) {
				if len(read[r.Partition]) == 0 && topic != "compacted" && r.Offset != start[r.Partition] {
					w.t.Errorf("%s starts at offset %d, its first record is at %d", topic, start[r.Partition], r.Offset)
				}
				read[r.Partition] = append(read[r.Partition], *r)
				if r.Offset+1 >= end[r.Partition] { // the last record is never compacted away
					delete(end, r.Partition)
				}
			})
		}
		cancel()
		cl.Close()
		for partition := range exchanged[topic].partitions {
			all[topic] = append(all[topic], read[partition]...)
		}
	}
	return all
}

// judge compares what a broker wrote with what was produced.
func (w *writer) judge(read logs) {
	w.t.Helper()
	for _, topic := range []string{"codecs", "stamped", "cut"} {
		want := slices.DeleteFunc(slices.Clone(w.produced[topic]), func(r kgo.Record) bool { return topic == "cut" && r.Offset < cutAt })
		slices.SortStableFunc(want, func(a, b kgo.Record) int { return int(a.Partition - b.Partition) })
		view := asProduced
		if topic == "stamped" {
			view = asStamped
		}
		if diff := cmp.Diff(view.of(want), view.of(read[topic])); diff != "" {
			w.t.Errorf("%s: what was produced (-) is not what is read (+):\n%.2000s", topic, diff)
		}
	}
	last, kept := make(map[string]kgo.Record), make(map[string]kgo.Record)
	for _, r := range w.produced["compacted"] {
		last[string(r.Key)] = r
	}
	for _, r := range read["compacted"] {
		kept[string(r.Key)] = r
	}
	for key, r := range last {
		if k, ok := kept[key]; ok && k.Offset != r.Offset || !ok && r.Value != nil {
			w.t.Errorf("compacted: the last record of %s is at %d and was produced at %d", key, k.Offset, r.Offset)
		}
	}
	if n := len(read["compacted"]); n >= len(w.produced["compacted"]) {
		w.t.Errorf("compacted: all %d records are left", n)
	}
}

// equal compares what is read with what another broker, or another life, gave.
func (w *writer) equal(want logs, view view) {
	w.t.Helper()
	got := w.read()
	for _, topic := range slices.Sorted(maps.Keys(exchanged)) {
		if diff := cmp.Diff(view.of(want[topic]), view.of(got[topic])); diff != "" {
			w.t.Errorf("%s: what the writer gave (-) is not what is read (+):\n%.2000s", topic, diff)
		}
	}
}

// view is how much of a record is compared; each has what those before it have.
type view int

const (
	asStamped  view = iota // what a producer gave, but for the timestamp
	asProduced             // what a producer gave
	asImported             // what the cluster that wrote it made of it
	asWritten              // what only that cluster knows: producers, leader epochs
)

// seen is a record as a client sees it.
type seen struct {
	Partition     int32
	Offset        int64
	Key, Value    []byte
	Headers       []kgo.RecordHeader
	Millis        int64
	Codec         uint8
	TimestampType int8
	ProducerID    int64
	ProducerEpoch int16
	LeaderEpoch   int32
}

func (v view) of(list []kgo.Record) (out []seen) {
	for _, r := range list {
		s := seen{Partition: r.Partition, Offset: r.Offset, Key: r.Key, Value: r.Value, Headers: r.Headers}
		if v >= asProduced {
			s.Millis = r.Timestamp.UnixMilli()
		}
		if v >= asImported {
			s.Codec, s.TimestampType = r.Attrs.CompressionType(), r.Attrs.TimestampType()
		}
		if v >= asWritten {
			s.ProducerID, s.ProducerEpoch, s.LeaderEpoch = r.ProducerID, r.ProducerEpoch, r.LeaderEpoch
		}
		out = append(out, s)
	}
	return out
}

// replaceFiles puts the files of the exchanged topics' partitions in place of
// those of empty ones, all but the topic's id, and with them what the checkpoints
// of the data directory say. Both nodes were stopped in order.
func replaceFiles(t *testing.T, from, into string) {
	t.Helper()
	for topic, e := range exchanged {
		for partition := range e.partitions {
			name := fmt.Sprintf("%s-%d", topic, partition)
			id, err := os.ReadFile(filepath.Join(into, name, "partition.metadata"))
			if err != nil {
				t.Fatal(err)
			}
			target := filepath.Join(into, name)
			if err := os.RemoveAll(target); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(target, os.DirFS(filepath.Join(from, name))); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(target, "partition.metadata"), id, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{"recovery-point-offset-checkpoint", "log-start-offset-checkpoint", "cleaner-offset-checkpoint"} {
		lines := checkpointLines(t, into, name)
		for key := range lines {
			if topic, _, _ := strings.Cut(key, " "); exchanged[topic].partitions > 0 {
				delete(lines, key)
			}
		}
		for key, offset := range checkpointLines(t, from, name) {
			if topic, _, _ := strings.Cut(key, " "); exchanged[topic].partitions > 0 {
				lines[key] = offset
			}
		}
		text := fmt.Sprintf("0\n%d\n", len(lines))
		for key, offset := range lines {
			text += key + " " + offset + "\n"
		}
		if err := os.WriteFile(filepath.Join(into, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// checkpointLines reads one of Kafka's checkpoints of offsets.
func checkpointLines(t *testing.T, data, name string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	lines := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if at := strings.LastIndexByte(line, ' '); at > 0 {
			lines[line[:at]] = strings.TrimSpace(line[at:])
		}
	}
	return lines
}
