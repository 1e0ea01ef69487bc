package group

import (
	"cmp"
	"maps"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// store is what a shard's log adds up to. Only replay changes it, and only what
// is below the high watermark gets here, so that a committed offset that was
// shown once is never taken back.
type store struct {
	groups map[string]*stored
}

// stored is one group in the log. Metadata and offsets come independently: a
// simple group has no metadata, a group that never commits no offsets.
type stored struct {
	metadata *kmsg.GroupMetadataValue
	offsets  map[topicPartition]committed
}

type topicPartition struct {
	topic     string
	partition int32
}

func (a topicPartition) compare(b topicPartition) int {
	return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
}

// committed is one committed offset.
type committed struct {
	offset      int64
	leaderEpoch int32 // -1 if the client did not tell
	metadata    string
	topicID     meta.TopicID // zero if the client did not tell
	timestamp   int64        // wall clock of the commit, in milliseconds
	expires     int64        // the commit's own expiry (versions 2 to 4), or -1
}

// Versions of the keys in __consumer_offsets.
const (
	keyOffsetCommitOld int16 = 0
	keyOffsetCommit    int16 = 1
	keyGroupMetadata   int16 = 2
)

// replay applies one record; it returns the group whose metadata or offsets
// have changed, or "". Keys of other types are those of newer protocols, which
// this coordinator never writes.
func (s *store) replay(key, value []byte) (string, error) {
	if len(key) < 2 {
		return "", errShortKey
	}
	switch version := int16(key[0])<<8 | int16(key[1]); version {
	case keyOffsetCommitOld, keyOffsetCommit:
		var k kmsg.OffsetCommitKey
		if err := k.ReadFrom(key); err != nil {
			return "", err
		}
		return k.Group, s.replayOffset(&k, value)
	case keyGroupMetadata:
		var k kmsg.GroupMetadataKey
		if err := k.ReadFrom(key); err != nil {
			return "", err
		}
		return k.Group, s.replayMetadata(&k, value)
	}
	return "", nil
}

func (s *store) replayOffset(k *kmsg.OffsetCommitKey, value []byte) error {
	at := topicPartition{k.Topic, k.Partition}
	if value == nil {
		// A tombstone may outlive what it deleted.
		if g := s.groups[k.Group]; g != nil {
			delete(g.offsets, at)
			s.tidy(k.Group, g)
		}
		return nil
	}
	var v kmsg.OffsetCommitValue
	if err := v.ReadFrom(value); err != nil {
		return err
	}
	c := committed{
		offset: v.Offset, leaderEpoch: -1, metadata: v.Metadata, topicID: v.TopicID,
		timestamp: v.CommitTimestamp, expires: -1,
	}
	if v.Version >= 3 {
		c.leaderEpoch = v.LeaderEpoch
	}
	if v.Version == 1 {
		c.expires = v.ExpireTimestamp
	}
	// Offsets may come before the metadata of their group, if a compaction has
	// taken the older metadata (KAFKA-20254).
	s.group(k.Group).offsets[at] = c
	return nil
}

func (s *store) replayMetadata(k *kmsg.GroupMetadataKey, value []byte) error {
	if value == nil {
		if g := s.groups[k.Group]; g != nil {
			g.metadata = nil
			s.tidy(k.Group, g)
		}
		return nil
	}
	// The bytes alias a batch that is reused.
	v := kmsg.NewGroupMetadataValue()
	if err := v.ReadFrom(slices.Clone(value)); err != nil {
		return err
	}
	s.group(k.Group).metadata = &v
	return nil
}

func (s *store) group(id string) *stored {
	g := s.groups[id]
	if g == nil {
		g = &stored{offsets: make(map[topicPartition]committed)}
		s.groups[id] = g
	}
	return g
}

func (s *store) tidy(id string, g *stored) {
	if g.metadata == nil && len(g.offsets) == 0 {
		delete(s.groups, id)
	}
}

// offset returns a committed offset; false if there is none.
func (s *store) offset(id string, at topicPartition) (committed, bool) {
	g := s.groups[id]
	if g == nil {
		return committed{}, false
	}
	c, ok := g.offsets[at]
	return c, ok
}

// partitions returns what a group has committed, sorted by topic and partition.
func (s *store) partitions(id string) []topicPartition {
	g := s.groups[id]
	if g == nil {
		return nil
	}
	//lint:maporder a key is compared in all its fields, so the comparison is never a tie
	return slices.SortedFunc(maps.Keys(g.offsets), topicPartition.compare)
}
