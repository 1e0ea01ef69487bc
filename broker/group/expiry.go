package group

import (
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// expireRecordsMax bounds the tombstones of one batch.
const expireRecordsMax = 1000

func (m *Manager) setExpiryTimer(c *step.Context, index int32) {
	c.Timers.Set(expiryTimer(index), c.Now.Add(clock.Span(m.cfg.OffsetsRetentionCheckIntervalMillis, time.Millisecond)))
}

// expire removes offsets that nobody has needed for offsets.retention.minutes
// (KIP-211), and groups that have nothing left.
func (m *Manager) expire(c *step.Context, index int32) {
	s := m.shards[index]
	if s == nil || m.runtime.Check(index) != errNone {
		return
	}
	m.setExpiryTimer(c, index)
	for _, g := range s.sorted() {
		// A group with members keeps its offsets however old they are, and so
		// does one in a rebalance (KAFKA-13636). A commit in flight would be
		// buried under a tombstone that was meant for its predecessor.
		active := g.state != Empty && !(g.state == Stable && m.cfg.Bugs.Has(bugs.ExpireActiveGroups))
		if active || len(g.pending) > 0 || g.writes > 0 {
			continue
		}
		m.expireGroup(c, s, g)
	}
}

func (m *Manager) expireGroup(c *step.Context, s *shard, g *group) {
	partitions := s.store.partitions(g.id)
	left := len(partitions)
	m.records.Reset()
	for _, at := range partitions {
		entry, _ := s.store.offset(g.id, at)
		if !m.expired(g, &entry, int64(c.Wall)) {
			continue
		}
		deleteOffset(&m.records, g.id, at)
		left--
		if m.records.Len() == expireRecordsMax {
			m.write(c, s, g, op{kind: opExpire})
		}
	}
	stored := s.store.groups[g.id]
	if left == 0 && stored != nil && stored.metadata != nil {
		deleteMetadata(&m.records, g.id)
	}
	switch {
	case m.records.Len() > 0:
		c.Logf(edge.Info, "group %s: %d offsets expire, %d stay", g.id, len(partitions)-left, left)
		m.write(c, s, g, op{kind: opExpire})
	case stored == nil && g.writes == 0:
		m.forget(c, g) // the log has never heard of it
	}
}

// expired: since when an offset is not needed depends on whether the group ever
// had members: since the last one left, or since the commit.
func (m *Manager) expired(g *group, entry *committed, now int64) bool {
	if entry.expires >= 0 {
		return now >= entry.expires
	}
	since := entry.timestamp
	if g.protocolType != "" && g.since != unknownSince && !m.cfg.Bugs.Has(bugs.ExpireActiveGroups) {
		since = int64(g.since)
	}
	return now-since >= m.cfg.OffsetsRetentionMinutes*time.Minute.Milliseconds()
}

// expireDecided forgets a group that the log has forgotten, unless somebody has
// come meanwhile.
func (m *Manager) expireDecided(c *step.Context, index int32, g *group) {
	s := m.shards[index]
	if g == nil || s == nil || s.store.groups[g.id] != nil {
		return
	}
	if g.state == Empty && len(g.pending) == 0 && g.writes == 0 {
		m.forget(c, g)
	}
}

// topicsDeleted forgets what was committed for topics that are no more: a topic
// of the same name is another one.
func (m *Manager) topicsDeleted(c *step.Context, old, image *meta.Image) {
	var gone map[string]bool
	for _, t := range old.Topics {
		if now := image.Topic(t.Name); now == nil || now.ID != t.ID {
			if gone == nil {
				gone = make(map[string]bool)
			}
			gone[t.Name] = true
		}
	}
	if len(gone) == 0 {
		return
	}
	var buf [64]int32
	for _, index := range m.runtime.Shards(buf[:0]) {
		if s := m.shards[index]; s != nil && m.runtime.Check(index) == errNone {
			m.deleteTopics(c, s, gone)
		}
	}
}

func (m *Manager) deleteTopics(c *step.Context, s *shard, gone map[string]bool) {
	for _, g := range s.sorted() {
		m.records.Reset()
		for _, at := range s.store.partitions(g.id) {
			if !gone[at.topic] {
				continue
			}
			deleteOffset(&m.records, g.id, at)
			if m.records.Len() == expireRecordsMax {
				m.write(c, s, g, op{kind: opExpire})
			}
		}
		if m.records.Len() > 0 {
			m.write(c, s, g, op{kind: opExpire})
		}
	}
}

// sweepCommit forgets what was committed for a topic that has been deleted while
// the commit was in flight, so that deleteTopics could not see it.
func (m *Manager) sweepCommit(c *step.Context, s *shard, g *group, resp *kmsg.OffsetCommitResponse) {
	m.records.Reset()
	for i := range resp.Topics {
		t := &resp.Topics[i]
		now := m.image.Topic(t.Topic)
		if now != nil && !anotherTopic(now.ID, t.TopicID) {
			continue
		}
		for k := range t.Partitions {
			at := topicPartition{t.Topic, t.Partitions[k].Partition}
			if entry, ok := s.store.offset(g.id, at); ok && (now == nil || anotherTopic(now.ID, entry.topicID)) {
				deleteOffset(&m.records, g.id, at)
			}
		}
	}
	if m.records.Len() > 0 {
		m.write(c, s, g, op{kind: opExpire})
	}
}
