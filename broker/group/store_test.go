package group

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/broker/coordinator"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

func newStore() store { return store{groups: make(map[string]*stored)} }

// Goal: no record, whoever wrote it, harms the coordinator: it is taken or
// refused with an error, and a tombstone undoes what it did. Method: fuzzing
// around records of every type and version.
func FuzzReplay(f *testing.F) {
	offset := kmsg.OffsetCommitKey{Version: keyOffsetCommit, Group: "g", Topic: "t", Partition: 3}
	for version := range int16(5) {
		v := kmsg.OffsetCommitValue{Version: version, Offset: 5, Metadata: "m", TopicID: [16]byte{1}}
		f.Add(offset.AppendTo(nil), v.AppendTo(nil))
	}
	group := kmsg.GroupMetadataKey{Version: keyGroupMetadata, Group: "g"}
	for version := range int16(5) {
		v := kmsg.NewGroupMetadataValue()
		v.Version, v.ProtocolType, v.Generation = version, "consumer", 7
		v.Members = []kmsg.GroupMetadataValueMember{{MemberID: "m", Subscription: []byte("s"), Assignment: []byte("a")}}
		f.Add(group.AppendTo(nil), v.AppendTo(nil))
	}
	f.Add([]byte{0, 3, 0, 1, 'g'}, []byte{0, 0})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if value == nil {
			value = []byte{}
		}
		s := newStore()
		id, err := s.replay(key, value)
		if err == nil && id != "" && s.groups[id] == nil {
			t.Fatalf("a record of %q is taken and leaves nothing", id)
		}
		if _, tomb := s.replay(key, nil); tomb == nil && len(s.groups) > 0 {
			t.Fatalf("the tombstone leaves %v", s.groups)
		}
	})
}

// Goal: what is written is what is read. Method: random offsets through the
// record and back.
func TestOffsetRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := topicPartition{rapid.String().Draw(t, "topic"), rapid.Int32Min(0).Draw(t, "partition")}
		want := committed{
			offset: rapid.Int64Min(0).Draw(t, "offset"), leaderEpoch: rapid.Int32Min(-1).Draw(t, "epoch"),
			metadata: rapid.String().Draw(t, "metadata"), timestamp: rapid.Int64Min(0).Draw(t, "timestamp"), expires: -1,
		}
		switch rapid.IntRange(0, 2).Draw(t, "form") {
		case 1:
			want.topicID[0] = 9
		case 2:
			want.expires, want.leaderEpoch = rapid.Int64Min(0).Draw(t, "expires"), -1
		}
		var records coordinator.Records
		putOffset(&records, "group", at, &want)
		deleteOffset(&records, "group", topicPartition{"other", 1})
		s := newStore()
		replayAll(t, &records, &s)
		got, _ := s.offset("group", at)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(committed{})); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		records.Reset()
		deleteOffset(&records, "group", at)
		replayAll(t, &records, &s)
		if len(s.groups) > 0 {
			t.Fatalf("left: %v", s.groups)
		}
	})
}

func replayAll(t *rapid.T, records *coordinator.Records, s *store) {
	for i := range records.Len() {
		r := records.At(i)
		if _, err := s.replay(r.Key, r.Value); err != nil {
			t.Fatal(err)
		}
	}
}
