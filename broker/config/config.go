// Package config owns the one table of Kafka's topic and broker properties:
// their names, types, bounds, defaults and meaning, and the typed structs that
// the rest of the core reads. Defaults and bounds are those of Kafka 4.4.
//
// It never performs I/O and never reads a clock: text comes in, a struct or one
// clear error comes out. A property that Kafka knows but that this broker does
// not act upon is refused, because a setting that silently does nothing is how
// a test proves the wrong thing.
package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
)

// KV is one override as it was written: a property name and its text. The
// order of a []KV is kept in errors and descriptions.
type KV struct {
	Name  string
	Value string
}

// CleanupPolicy is a set of the two policies of cleanup.policy; at least one is
// always present.
type CleanupPolicy uint8

// The members of a CleanupPolicy; they may be combined.
const (
	CleanupDelete CleanupPolicy = 1 << iota
	CleanupCompact
)

// Has reports whether every policy of q is in p.
func (p CleanupPolicy) Has(q CleanupPolicy) bool { return p&q == q }

// String is the Kafka spelling: "delete", "compact", "compact,delete" or "".
func (p CleanupPolicy) String() string {
	switch p {
	case CleanupDelete:
		return "delete"
	case CleanupCompact:
		return "compact"
	case CleanupDelete | CleanupCompact:
		return "compact,delete"
	}
	return ""
}

// CompressionType is compression.type of a topic. CompressionProducer keeps
// what the producer sent; every other value makes the leader recompress.
type CompressionType uint8

// The values of CompressionType. Those after CompressionProducer are in the
// order of the codec bits of a record batch, so codec = value - 1.
const (
	CompressionProducer CompressionType = iota
	CompressionUncompressed
	CompressionGzip
	CompressionSnappy
	CompressionLZ4
	CompressionZstd
)

var compressionNames = [...]string{"producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"}

// String is the Kafka spelling.
func (c CompressionType) String() string { return nameOf(compressionNames[:], int(c)) }

// TimestampType is message.timestamp.type.
type TimestampType uint8

// The values of TimestampType, equal to the timestamp bit of a record batch.
const (
	CreateTime TimestampType = iota
	LogAppendTime
)

var timestampNames = [...]string{"CreateTime", "LogAppendTime"}

// String is the Kafka spelling.
func (t TimestampType) String() string { return nameOf(timestampNames[:], int(t)) }

// ReplicaSelector is replica.selector.class, by what the class does (KIP-392).
type ReplicaSelector uint8

// The values of ReplicaSelector.
const (
	// SelectLeader sends every consumer to the leader; Kafka's default (null).
	SelectLeader ReplicaSelector = iota
	// SelectRackAware prefers a replica in the consumer's client.rack.
	SelectRackAware
)

var selectorNames = [...]string{"", "org.apache.kafka.common.replica.RackAwareReplicaSelector"}

// String is the Java class name, or empty for the default.
func (s ReplicaSelector) String() string { return nameOf(selectorNames[:], int(s)) }

func nameOf(names []string, index int) string {
	if index < len(names) {
		return names[index]
	}
	return "invalid"
}

// Ratio is a share in parts per million, written as a decimal number from 0 to 1.
type Ratio int64

// String is the shortest decimal number.
func (r Ratio) String() string {
	whole, rest := int64(r)/ratioOne, int64(r)%ratioOne
	if rest == 0 {
		return strconv.FormatInt(whole, 10) + ".0" // as Java prints a double
	}
	return strings.TrimRight(fmt.Sprintf("%d.%06d", whole, rest), "0")
}

const ratioOne = 1_000_000

// Topic holds the effective settings of one topic. Times are milliseconds,
// sizes bytes. It is a plain comparable value: copy it freely.
type Topic struct {
	CleanupPolicy CleanupPolicy

	RetentionMillis int64 // -1 keeps for ever
	RetentionBytes  int64 // per partition; -1 is no limit

	SegmentBytes        int64 // 1 MiB .. 2^31-1
	SegmentMillis       int64 // 1 ..
	SegmentJitterMillis int64 // 0 .. ; taken off SegmentMillis at random
	SegmentIndexBytes   int64 // 4 .. 2^31-1, per index file
	IndexIntervalBytes  int64 // 0 .. ; an index entry at most every so many bytes

	MaxMessageBytes       int64 // largest record batch, after compression
	MinInsyncReplicas     int64 // 1 ..
	CompressionType       CompressionType
	CompressionLevels     record.Levels
	UncleanLeaderElection bool

	MessageTimestampType     TimestampType
	TimestampBeforeMaxMillis int64 // how far a CreateTime may lie in the past
	TimestampAfterMaxMillis  int64 // how far a CreateTime may lie in the future

	FlushMessages int64 // 1 .. ; MaxInt64 leaves it to the operating system
	FlushMillis   int64 // 0 .. ; MaxInt64 leaves it to the operating system

	// Compaction, where CleanupPolicy has it.
	MinCleanableDirtyRatio Ratio
	MinCompactionLagMillis int64 // how long a record stays as it was written
	MaxCompactionLagMillis int64 // after how long it must have been compacted
	DeleteRetentionMillis  int64 // how long tombstones stay for readers to see

	FileDeleteDelayMillis int64 // from ".deleted" to unlink
	Preallocate           bool  // whether a new segment's file has its whole size
}

// Broker holds the effective settings of one node, broker and controller alike.
// Times are milliseconds unless the name says otherwise, sizes are bytes.
type Broker struct {
	// TopicDefaults are what a topic without overrides gets: Kafka's defaults
	// changed by the broker's synonyms (log.retention.hours and the like).
	TopicDefaults Topic

	Authorization Authorization

	// Bugs are rules that this broker breaks on purpose. No property sets them: only
	// a scenario can (known_bugs).
	Bugs bugs.Set

	// Registration and the controller's view of this broker.
	BrokerRack                          string // empty when unset
	SessionTimeoutMillis                int64  // broker.session.timeout.ms
	HeartbeatIntervalMillis             int64  // broker.heartbeat.interval.ms
	ControlledShutdownEnable            bool
	AutoLeaderRebalanceEnable           bool
	LeaderImbalanceCheckIntervalSeconds int64
	UncleanElectionIntervalMillis       int64

	// The controller quorum.
	ControllerQuorumFetchTimeoutMillis    int64
	ControllerQuorumElectionTimeoutMillis int64
	ControllerQuorumRequestTimeoutMillis  int64
	MetadataSnapshotBytesMax              int64 // metadata.log.max.record.bytes.between.snapshots
	ControllerSocketTimeoutMillis         int64 // AlterPartition and the like

	// Replication.
	ReplicaLagTimeMaxMillis                      int64
	ReplicaFetchWaitMaxMillis                    int64
	ReplicaFetchMinBytes                         int64
	ReplicaFetchMaxBytes                         int64 // per partition
	ReplicaFetchResponseMaxBytes                 int64
	ReplicaFetchBackoffMillis                    int64
	ReplicaSocketTimeoutMillis                   int64 // a follower's Fetch
	ReplicaHighWatermarkCheckpointIntervalMillis int64
	ReplicaSelector                              ReplicaSelector
	LogFlushOffsetCheckpointIntervalMillis       int64
	LogFlushStartOffsetCheckpointIntervalMillis  int64
	LogRetentionCheckIntervalMillis              int64
	LogInitialTaskDelayMillis                    int64
	LogCleanerBackoffMillis                      int64
	LogCleanerDedupeBufferBytes                  int64 // bounds the map of keys
	ProducerIDExpirationMillis                   int64
	ProducerIDExpirationCheckIntervalMillis      int64
	FetchMaxBytes                                int64
	MaxIncrementalFetchSessionCacheSlots         int64
	MaxRequestPartitionSizeLimit                 int64 // DescribeTopicPartitions
	SocketRequestMaxBytes                        int64
	RequestTimeoutMillis                         int64
	ConnectionsMaxIdleMillis                     int64

	// Topics.
	AutoCreateTopicsEnable   bool
	DeleteTopicEnable        bool
	NumPartitions            int64
	DefaultReplicationFactor int64

	// Classic groups and committed offsets.
	GroupInitialRebalanceDelayMillis    int64
	GroupMinSessionTimeoutMillis        int64
	GroupMaxSessionTimeoutMillis        int64
	GroupMaxSize                        int64
	OffsetMetadataMaxBytes              int64
	OffsetsCommitTimeoutMillis          int64
	OffsetsTopicPartitions              int64
	OffsetsTopicReplicationFactor       int64
	OffsetsTopicSegmentBytes            int64
	OffsetsRetentionMinutes             int64
	OffsetsRetentionCheckIntervalMillis int64
}
