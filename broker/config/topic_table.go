package config

import (
	"math"

	"github.com/seed-604ea8f1/windtunnel/broker/record"
)

const (
	maxInt   = math.MaxInt32
	maxShort = math.MaxInt16
	maxLong  = math.MaxInt64
)

const (
	minuteMillis = 60_000
	hourMillis   = 60 * minuteMillis
)

func topicInt(name, def string, lo int64, field func(*Topic) any, doc string) Row[Topic] {
	return Row[Topic]{Property{Name: name, Type: TypeInt, Default: def, Min: lo, Max: maxInt, Effect: true, Doc: doc}, field}
}

func topicLong(name, def string, lo int64, field func(*Topic) any, doc string) Row[Topic] {
	return Row[Topic]{Property{Name: name, Type: TypeLong, Default: def, Min: lo, Max: maxLong, Effect: true, Doc: doc}, field}
}

func topicBool(name, def string, field func(*Topic) any, doc string) Row[Topic] {
	return Row[Topic]{Property{Name: name, Type: TypeBoolean, Default: def, Effect: true, Doc: doc}, field}
}

func topicChoice(name string, kind Type, def string, valid []string, field func(*Topic) any, doc string) Row[Topic] {
	return Row[Topic]{Property{Name: name, Type: kind, Default: def, Valid: valid, Effect: true, Doc: doc}, field}
}

// under names the broker properties that set this topic property's default.
func under(row Row[Topic], synonyms ...Synonym) Row[Topic] {
	row.Synonyms = synonyms
	return row
}

const (
	longMax = "9223372036854775807"
	week    = "604800000"
)

var topicTable = NewTable("topic property", []Row[Topic]{
	under(topicChoice("cleanup.policy", TypeList, "delete", []string{"compact", "delete"},
		func(t *Topic) any { return &t.CleanupPolicy },
		"What happens to old segments: delete removes whole segments by age and size, compact keeps the newest record of each key."),
		Synonym{"log.cleanup.policy", 1}),
	under(topicChoice("compression.type", TypeString, "producer", compressionNames[:],
		func(t *Topic) any { return &t.CompressionType },
		"The codec of stored batches; producer keeps each batch as it was sent, anything else makes the leader recompress."),
		Synonym{"compression.type", 1}),
	under(topicLong("delete.retention.ms", "86400000", 0,
		func(t *Topic) any { return &t.DeleteRetentionMillis },
		"How long a compacted topic keeps tombstones after they were first compacted, for readers to see."),
		Synonym{"log.cleaner.delete.retention.ms", 1}),
	under(topicLong("max.compaction.lag.ms", longMax, 1,
		func(t *Topic) any { return &t.MaxCompactionLagMillis },
		"How long a record may go without being compacted (KIP-354)."),
		Synonym{"log.cleaner.max.compaction.lag.ms", 1}),
	under(topicChoice("min.cleanable.dirty.ratio", TypeDouble, "0.5", nil,
		func(t *Topic) any { return &t.MinCleanableDirtyRatio },
		"The share of a log that must not have been compacted yet before it is compacted."),
		Synonym{"log.cleaner.min.cleanable.ratio", 1}),
	under(topicLong("min.compaction.lag.ms", "0", 0,
		func(t *Topic) any { return &t.MinCompactionLagMillis },
		"How long a record stays as it was written."),
		Synonym{"log.cleaner.min.compaction.lag.ms", 1}),
	under(topicLong("file.delete.delay.ms", "60000", 0,
		func(t *Topic) any { return &t.FileDeleteDelayMillis },
		"How long a segment that was removed from the log stays on disk before its files are unlinked."),
		Synonym{"log.segment.delete.delay.ms", 1}),
	under(topicLong("flush.messages", longMax, 1,
		func(t *Topic) any { return &t.FlushMessages },
		"Sync the log after this many records; the default leaves it to the operating system."),
		Synonym{"log.flush.interval.messages", 1}),
	under(topicLong("flush.ms", longMax, 0,
		func(t *Topic) any { return &t.FlushMillis },
		"Sync the log when its oldest unsynced record is this old; the default leaves it to the operating system."),
		Synonym{"log.flush.interval.ms", 1}, Synonym{"log.flush.scheduler.interval.ms", 1}),
	under(topicInt("index.interval.bytes", "4096", 0,
		func(t *Topic) any { return &t.IndexIntervalBytes },
		"How many bytes of log lie between two entries of the offset index."),
		Synonym{"log.index.interval.bytes", 1}),
	under(topicInt("max.message.bytes", "1048588", 0,
		func(t *Topic) any { return &t.MaxMessageBytes },
		"The largest record batch that the topic takes, measured after compression."),
		Synonym{"message.max.bytes", 1}),
	under(topicLong("message.timestamp.after.max.ms", "3600000", 0,
		func(t *Topic) any { return &t.TimestampAfterMaxMillis },
		"How far in the broker's future a producer's timestamp may lie (KIP-937)."),
		Synonym{"log.message.timestamp.after.max.ms", 1}),
	under(topicLong("message.timestamp.before.max.ms", longMax, 0,
		func(t *Topic) any { return &t.TimestampBeforeMaxMillis },
		"How far in the broker's past a producer's timestamp may lie (KIP-937)."),
		Synonym{"log.message.timestamp.before.max.ms", 1}),
	under(topicChoice("message.timestamp.type", TypeString, "CreateTime", timestampNames[:],
		func(t *Topic) any { return &t.MessageTimestampType },
		"Whether records keep the producer's time or get the leader's time of append."),
		Synonym{"log.message.timestamp.type", 1}),
	under(topicInt("min.insync.replicas", "1", 1,
		func(t *Topic) any { return &t.MinInsyncReplicas },
		"How many replicas must be in sync before an acks=all write is accepted and acknowledged."),
		Synonym{"min.insync.replicas", 1}),
	under(topicBool("preallocate", "false",
		func(t *Topic) any { return &t.Preallocate },
		"Reserve a new segment's whole size (segment.bytes) on disk when it is created: a full disk shows then, and what is not used is given back when the segment is sealed."),
		Synonym{"log.preallocate", 1}),
	under(topicLong("retention.bytes", "-1", math.MinInt64,
		func(t *Topic) any { return &t.RetentionBytes },
		"How large a partition may grow before its oldest segments are removed; -1 is no limit."),
		Synonym{"log.retention.bytes", 1}),
	under(topicLong("retention.ms", week, -1,
		func(t *Topic) any { return &t.RetentionMillis },
		"How old a segment's newest record may become before the segment is removed; -1 keeps for ever."),
		Synonym{"log.retention.ms", 1}, Synonym{"log.retention.minutes", minuteMillis}, Synonym{"log.retention.hours", hourMillis}),
	under(topicInt("segment.bytes", "1073741824", 1<<20,
		func(t *Topic) any { return &t.SegmentBytes },
		"The size at which a segment is closed and the next one begun (at least 1 MiB since KIP-1030)."),
		Synonym{"log.segment.bytes", 1}),
	under(topicInt("segment.index.bytes", "10485760", 4,
		func(t *Topic) any { return &t.SegmentIndexBytes },
		"The largest size of an index file; a full index closes its segment."),
		Synonym{"log.index.size.max.bytes", 1}),
	under(topicLong("segment.jitter.ms", "0", 0,
		func(t *Topic) any { return &t.SegmentJitterMillis },
		"The most that is taken at random off segment.ms, so that not all partitions roll at once."),
		Synonym{"log.roll.jitter.ms", 1}, Synonym{"log.roll.jitter.hours", hourMillis}),
	under(topicLong("segment.ms", week, 1,
		func(t *Topic) any { return &t.SegmentMillis },
		"The age at which a segment is closed even if it is not full, so that retention can act on it."),
		Synonym{"log.roll.ms", 1}, Synonym{"log.roll.hours", hourMillis}),
	under(topicBool("unclean.leader.election.enable", "false",
		func(t *Topic) any { return &t.UncleanLeaderElection },
		"Whether a replica outside the in-sync set may become leader when nobody else is left; acknowledged records may be lost."),
		Synonym{"unclean.leader.election.enable", 1}),
}, topicLevelRows(), inertTopicRows())

func topicLevelRows() []Row[Topic] {
	rows := LevelRows(func(t *Topic) *record.Levels { return &t.CompressionLevels })
	for i := range rows {
		rows[i] = under(rows[i], Synonym{rows[i].Name, 1})
	}
	return rows
}

// topicLevelSynonyms are the broker properties that set the topics' levels.
func topicLevelSynonyms() (rows []Row[Broker]) {
	for _, row := range topicLevelRows() {
		row.Doc, row.Property.Synonyms = "Default of the topic property "+row.Name+".", nil
		rows = append(rows, Row[Broker]{Property: row.Property})
	}
	return rows
}
