package meta

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/security/sasl"
	"pgregory.net/rapid"
)

// writer draws records that fit an image, as a controller would write them.
type writer struct {
	t *rapid.T
	m *Image
}

func (w *writer) int(label string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(w.t, label) }

func (w *writer) ids(label string) []int32 {
	return rapid.Custom(func(t *rapid.T) []int32 {
		switch rapid.IntRange(0, 4).Draw(t, "shape") {
		case 0:
			return nil
		case 1:
			return []int32{}
		}
		return rapid.SliceOfNDistinct(rapid.Int32Range(0, 9), 1, 4, rapid.ID[int32]).Draw(t, "ids")
	}).Draw(w.t, label)
}

func (w *writer) partition(id TopicID, index int) *PartitionRecord {
	return &PartitionRecord{id, int32(index), Partition{
		Replicas: []int32{1, 2, 3}, ISR: w.ids("isr"), ELR: w.ids("elr"), LastKnownELR: w.ids("last"),
		Leader: int32(w.int("leader", -1, 3)), LeaderEpoch: int32(w.int("epoch", 0, 9)), Recovering: w.int("recovering", 0, 1) == 1,
	}}
}

var endpoints = []Endpoint{{"PLAINTEXT", "h", 9092, 0}, {"EXTERNAL", "e.example", 443, 3}}

func (w *writer) record() Record {
	switch w.int("type", 0, 12) {
	case 0:
		return &ClusterRecord{rapid.StringN(0, 5, -1).Draw(w.t, "cluster")}
	case 1, 2:
		return &RegisterBrokerRecord{
			BrokerID: int32(w.int("broker", 0, 5)), BrokerEpoch: int64(w.int("epoch", 0, 1000)), IncarnationID: [16]byte{1},
			Rack: "r", Endpoints: endpoints[:w.int("endpoints", 1, 2)], Fenced: w.int("fenced", 0, 1) == 1,
		}
	case 3:
		if len(w.m.Brokers) > 0 {
			b := rapid.SampledFrom(w.m.Brokers).Draw(w.t, "which")
			return &BrokerRegistrationChangeRecord{b.ID, b.Epoch, Fencing(w.int("fencing", -1, 1)), w.int("shutdown", 0, 1) == 1}
		}
	case 4:
		if len(w.m.Brokers) > 0 {
			b := rapid.SampledFrom(w.m.Brokers).Draw(w.t, "which")
			return &UnregisterBrokerRecord{b.ID, b.Epoch}
		}
	case 5:
		n := w.int("topic", 0, 255)
		id := TopicID{byte(n * 7), byte(n)}
		if name := fmt.Sprintf("t%d", n); w.m.Topic(name) == nil {
			return &TopicRecord{name, id}
		}
	case 6, 7:
		if len(w.m.Topics) > 0 {
			topic := rapid.SampledFrom(w.m.Topics).Draw(w.t, "which")
			if n := len(topic.Partitions); n == 0 || w.int("new", 0, 1) == 0 {
				return w.partition(topic.ID, n)
			}
			return &PartitionChangeRecord{
				TopicID: topic.ID, PartitionID: int32(w.int("index", 0, len(topic.Partitions)-1)), ISR: w.ids("isr"),
				Leader: int32(w.int("leader", -2, 3)), ELR: w.ids("elr"), LastKnownELR: w.ids("last"), AddingReplicas: w.ids("adding"),
				Recovery: Recovery(w.int("recovery", -1, 1)),
			}
		}
	case 8:
		if len(w.m.Topics) > 0 {
			topic := rapid.SampledFrom(w.m.Topics).Draw(w.t, "which")
			if w.int("remove", 0, 3) == 0 {
				return &RemoveTopicRecord{topic.ID}
			}
			return w.config(ResourceTopic, topic.Name)
		}
	case 9:
		return w.config(ResourceBroker, rapid.SampledFrom([]string{"", "1", "2"}).Draw(w.t, "resource"))
	case 10:
		b := binding(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(w.t, "name"), acl.Operation(w.int("operation", 3, 5)))
		if w.m.HasACL(&b) {
			return &RemoveAccessControlEntryRecord{b}
		}
		return &AccessControlEntryRecord{b}
	case 11:
		name := rapid.SampledFrom([]string{"alice", "bob", "carol"}).Draw(w.t, "user")
		mechanism := rapid.SampledFrom([]sasl.ScramMechanism{sasl.SHA256, sasl.SHA512}).Draw(w.t, "mechanism")
		if w.m.ScramCredential(name, mechanism) != nil && w.int("remove", 0, 1) == 0 {
			return &RemoveUserScramCredentialRecord{name, mechanism}
		}
		return &UserScramCredentialRecord{name, mechanism, sasl.ScramCredential{Salt: "salt", StoredKey: "s", ServerKey: "k", Iterations: int32(w.int("iterations", 1, 9))}}
	}
	if w.int("other", 0, 1) == 0 {
		return &ProducerIdsRecord{1, 2, w.m.NextProducerID + 1000}
	}
	return &FeatureLevelRecord{rapid.SampledFrom([]string{"a", "b", "c"}).Draw(w.t, "feature"), int16(w.int("level", 0, 3))}
}

func binding(name string, operation acl.Operation) acl.Binding {
	return acl.Binding{Resource: acl.Resource{Type: acl.Topic, Pattern: acl.Literal, Name: name},
		Principal: "User:alice", Host: "*", Operation: operation, Permission: acl.Allow}
}

func (w *writer) config(kind ConfigResource, resource string) Record {
	return &ConfigRecord{kind, resource, rapid.SampledFrom([]string{"x", "y", "z"}).Draw(w.t, "name"),
		rapid.StringN(0, 3, -1).Draw(w.t, "value"), w.int("remove", 0, 2) == 0}
}

// Goal: an image is the same whether replayed record by record, in batches,
// decoded from the log, or decoded from a snapshot; older images never change;
// a follower that gets any mix of batches and snapshots holds the same.
func TestReplayEqualsSnapshot(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, f := Empty(), NewFollower()
		type kept struct {
			image *Image
			bytes []byte
		}
		var old []kept
		for offset := range rapid.IntRange(1, 25).Draw(rt, "batches") {
			var records []Record
			w := &writer{rt, m}
			for range rapid.IntRange(0, 5).Draw(rt, "records") {
				records = append(records, w.record())
				w.m = m.Preview(records)
			}
			data := AppendRecords(nil, records)
			decoded, err := DecodeRecords(data)
			if err != nil {
				rt.Fatal(err)
			}
			if d := cmp.Diff(records, decoded); d != "" && len(records) > 0 {
				rt.Fatalf("records changed on the way:\n%s", d)
			}
			next := m.Apply(decoded, int64(offset), 3)
			if d := cmp.Diff(m.Apply(records, int64(offset), 3), next); d != "" {
				rt.Fatalf("replay differs:\n%s", d)
			}
			half := rapid.IntRange(0, len(records)).Draw(rt, "half")
			if d := cmp.Diff(next, m.Preview(records[:half]).Preview(records[half:]).At(int64(offset), 3)); d != "" {
				rt.Fatalf("previews in two steps differ:\n%s", d)
			}
			old = append(old, kept{m, m.AppendTo(nil)})
			m = next
			resp := FetchResponse{Epoch: 3, Controller: 1}
			if rapid.IntRange(0, 3).Draw(rt, "snapshot") == 0 {
				resp.Snapshot = m.AppendTo(nil)
			} else {
				resp.Batches = []FetchedBatch{{int64(offset), 3, data}}
			}
			var got FetchResponse
			if err := got.ReadFrom(resp.AppendTo(nil)); err != nil {
				rt.Fatal(err)
			}
			if changed, err := f.Feed(&got); err != nil || !changed {
				rt.Fatalf("feed: %v, %v", changed, err)
			}
			checkImage(rt, m, f.Image())
		}
		for _, k := range old {
			if !bytes.Equal(k.image.AppendTo(nil), k.bytes) {
				rt.Fatalf("the image at offset %d has changed afterwards", k.image.Offset)
			}
		}
	})
}

func checkImage(rt *rapid.T, m, followed *Image) {
	back, err := DecodeImage(m.AppendTo(nil))
	if err != nil {
		rt.Fatal(err)
	}
	for _, other := range []*Image{back, followed} {
		if d := cmp.Diff(m, other); d != "" || !m.Equal(other) || m.Hash() != other.Hash() {
			rt.Fatalf("images differ, equal %v, hashes %x %x:\n%s", m.Equal(other), m.Hash(), other.Hash(), d)
		}
	}
	if !slices.IsSortedFunc(m.Topics, func(a, b *Topic) int { return compareTopicName(a, b.Name) }) ||
		!slices.IsSortedFunc(m.Brokers, func(a, b *Broker) int { return compareBroker(a, b.ID) }) {
		rt.Fatal("topics or brokers are out of order")
	}
	for _, topic := range m.Topics {
		if m.Topic(topic.Name) != topic || m.TopicByID(topic.ID) != topic {
			rt.Fatalf("topic %s is not found", topic.Name)
		}
	}
	byHand := &Image{Topics: m.Topics}
	for _, topic := range m.Topics {
		if byHand.TopicByID(topic.ID) != topic {
			rt.Fatalf("topic %s is not found by id without an index", topic.Name)
		}
	}
}

// Goal: Equal and Hash see every field.
func TestEqualSeesEverything(t *testing.T) {
	id := TopicID{1}
	m := Empty().Apply([]Record{
		&ClusterRecord{"c"}, &RegisterBrokerRecord{BrokerID: 1, BrokerEpoch: 1},
		&TopicRecord{"t", id}, &PartitionRecord{TopicID: id, Partition: Partition{Replicas: []int32{1}, ISR: []int32{1}, Leader: 1}},
	}, 1, 1)
	for _, r := range []Record{
		&ClusterRecord{"d"}, &RegisterBrokerRecord{BrokerID: 1, BrokerEpoch: 2}, &RegisterBrokerRecord{BrokerID: 2},
		&BrokerRegistrationChangeRecord{1, 1, FencingFence, false}, &BrokerRegistrationChangeRecord{1, 1, FencingNoChange, true},
		&UnregisterBrokerRecord{1, 1}, &TopicRecord{"u", TopicID{2}}, &RemoveTopicRecord{id},
		&PartitionRecord{TopicID: id, PartitionID: 1}, &ProducerIdsRecord{NextProducerID: 5}, &FeatureLevelRecord{"f", 1},
		&ConfigRecord{ResourceTopic, "t", "a", "b", false}, &ConfigRecord{ResourceBroker, "", "a", "b", false},
		&AccessControlEntryRecord{binding("t", acl.Read)}, &UserScramCredentialRecord{Name: "alice", Mechanism: sasl.SHA256},
		&PartitionChangeRecord{TopicID: id, Leader: NoLeaderChange, Recovery: RecoveryNoChange},
		&PartitionChangeRecord{TopicID: id, Leader: 1, Recovery: RecoveryNoChange},
		&PartitionChangeRecord{TopicID: id, Leader: NoLeaderChange, Recovery: Recovering},
		&PartitionChangeRecord{TopicID: id, Leader: NoLeaderChange, Recovery: RecoveryNoChange, ELR: []int32{2}},
	} {
		n := m.Preview([]Record{r})
		if m.Equal(n) || m.Hash() == n.Hash() {
			t.Errorf("%T %+v is not seen: equal %v", r, r, m.Equal(n))
		}
	}
	if n := m.Apply(nil, 2, 1); m.Equal(n) || m.Hash() == n.Hash() {
		t.Error("the offset is not seen")
	}
}

// Goal: lookups do not allocate.
func TestLookupsDoNotAllocate(t *testing.T) {
	m := Empty().Apply([]Record{
		&RegisterBrokerRecord{BrokerID: 1}, &TopicRecord{"t", TopicID{1}}, &ConfigRecord{ResourceTopic, "t", "a", "b", false},
	}, 1, 1)
	found := 0
	n := testing.AllocsPerRun(100, func() {
		if m.Topic("t") != nil && m.TopicByID(TopicID{1}) != nil && m.Broker(1) != nil && m.Active(1) && len(m.TopicConfig("t")) == 1 {
			found++
		}
	})
	if n != 0 || found == 0 {
		t.Fatalf("%v allocations, %d found", n, found)
	}
}

// Goal: a follower never goes back and never skips.
func TestFollowerGuards(t *testing.T) {
	f := NewFollower()
	one := AppendRecords(nil, []Record{&ClusterRecord{"c"}})
	if _, err := f.Feed(&FetchResponse{Snapshot: Empty().Apply(nil, 5, 1).AppendTo(nil)}); err != nil {
		t.Fatal(err)
	}
	before := f.Image()
	for _, r := range []FetchResponse{
		{Snapshot: Empty().Apply([]Record{&ClusterRecord{"old"}}, 4, 1).AppendTo(nil)},
		{Batches: []FetchedBatch{{5, 1, one}}},
	} {
		if changed, err := f.Feed(&r); changed || err != nil || f.Image() != before {
			t.Fatalf("%+v was taken: %v, %v", r, changed, err)
		}
	}
	for _, r := range []FetchResponse{
		{Batches: []FetchedBatch{{7, 1, one}}},
		{Batches: []FetchedBatch{{6, 1, one}, {8, 1, one}}},
		{Batches: []FetchedBatch{{6, 1, one[:3]}}},
		{Snapshot: []byte{9}},
	} {
		if _, err := f.Feed(&r); err == nil || f.Image() != before {
			t.Fatalf("%+v: %v, image at %d", r, err, f.Image().Offset)
		}
	}
	if changed, err := f.Feed(&FetchResponse{Batches: []FetchedBatch{{6, 1, one}, {7, 2, nil}}}); !changed || err != nil {
		t.Fatal(err)
	}
	if m := f.Image(); m.Offset != 7 || m.Epoch != 2 || m.ClusterID != "c" {
		t.Fatalf("%+v", m)
	}
}

func seeds() [][]byte {
	id := TopicID{1}
	records := []Record{
		&ClusterRecord{"c"}, &RegisterBrokerRecord{BrokerID: 1}, &BrokerRegistrationChangeRecord{BrokerID: 1},
		&TopicRecord{"t", id}, &PartitionRecord{TopicID: id, Partition: Partition{Replicas: []int32{1}, ISR: []int32{}}},
		&PartitionChangeRecord{TopicID: id, ISR: []int32{1}}, &ConfigRecord{ResourceTopic, "t", "a", "b", false},
		&ProducerIdsRecord{NextProducerID: 9}, &FeatureLevelRecord{"f", 1}, &RemoveTopicRecord{id}, &UnregisterBrokerRecord{BrokerID: 1},
		&AccessControlEntryRecord{binding("t", acl.Read)}, &UserScramCredentialRecord{Name: "alice", Mechanism: sasl.SHA256},
		&RemoveAccessControlEntryRecord{binding("t", acl.Read)}, &RemoveUserScramCredentialRecord{"alice", sasl.SHA256},
	}
	m := Empty().Apply(append(records[:9:9], records[11:13]...), 1, 1)
	req, resp := FetchRequest{BrokerID: 1}, FetchResponse{Snapshot: m.AppendTo(nil), Batches: []FetchedBatch{{1, 1, []byte{1}}}}
	return [][]byte{AppendRecords(nil, records), m.AppendTo(nil), req.AppendTo(nil), resp.AppendTo(nil)}
}

// Goal: no bytes crash a decoder, and what decodes encodes to the same again.
func FuzzDecode(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if records, err := DecodeRecords(b); err == nil {
			again, err := DecodeRecords(AppendRecords(nil, records))
			if err != nil || !cmp.Equal(records, again) {
				t.Fatalf("records do not survive: %v\n%s", err, cmp.Diff(records, again))
			}
		}
		if m, err := DecodeImage(b); err == nil {
			again, err := DecodeImage(m.AppendTo(nil))
			if err != nil || !m.Equal(again) {
				t.Fatalf("image does not survive: %v", err)
			}
		}
		var req FetchRequest
		if err := req.ReadFrom(b); err == nil && !bytes.Equal(req.AppendTo(nil), b) {
			t.Fatalf("request %x encodes to %x", b, req.AppendTo(nil))
		}
		var resp FetchResponse
		if err := resp.ReadFrom(b); err == nil {
			var again FetchResponse
			if err := again.ReadFrom(resp.AppendTo(nil)); err != nil || !cmp.Equal(resp, again) {
				t.Fatalf("response does not survive: %v", err)
			}
		}
	})
}
