// Package clientconfig owns the settings of the simulated clients: the property
// names, defaults and cross-checks of Kafka's Java clients (4.4), as typed
// structs. It never performs I/O and knows nothing of how a client behaves.
//
// Properties that the Java clients know but that the simulated ones do not act
// upon are errors, for the reason given in package broker/config.
package clientconfig

import (
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
)

// Acks is the acks property: how many replicas must have a batch before the
// leader answers.
type Acks int16

// The three values of Acks, equal to their wire form.
const (
	AcksAll    Acks = -1
	AcksNone   Acks = 0
	AcksLeader Acks = 1
)

// String is the Kafka spelling: "all", "0" or "1".
func (a Acks) String() string {
	switch a {
	case AcksAll:
		return "all"
	case AcksNone:
		return "0"
	case AcksLeader:
		return "1"
	}
	return "invalid"
}

// Compression is a producer's compression.type; its values are the codec bits
// of a record batch.
type Compression uint8

// The values of Compression.
const (
	CompressionNone Compression = iota
	CompressionGzip
	CompressionSnappy
	CompressionLZ4
	CompressionZstd
)

// String is the Kafka spelling.
func (c Compression) String() string { return nameOf(compressionNames[:], int(c)) }

// Partitioner is partitioner.class by what the class does.
type Partitioner uint8

// The values of Partitioner.
const (
	// PartitionerDefault hashes keys with murmur2 and is uniformly sticky for
	// records without a key (KIP-480, KIP-794). Kafka's default (null).
	PartitionerDefault Partitioner = iota
	// PartitionerRoundRobin ignores keys and takes the partitions in turn.
	PartitionerRoundRobin
)

// String is the Java class name, or empty for the default.
func (p Partitioner) String() string { return nameOf(partitionerNames[:], int(p)) }

// MetadataRecovery is metadata.recovery.strategy (KIP-899, KIP-1102).
type MetadataRecovery uint8

// The values of MetadataRecovery.
const (
	// RecoveryRebootstrap goes back to bootstrap.servers when no known broker
	// has answered for metadata.recovery.rebootstrap.trigger.ms.
	RecoveryRebootstrap MetadataRecovery = iota
	RecoveryNone
)

// String is the Kafka spelling.
func (m MetadataRecovery) String() string { return nameOf(recoveryNames[:], int(m)) }

// OffsetReset is auto.offset.reset. by_duration (KIP-1106) is not supported.
type OffsetReset uint8

// The values of OffsetReset.
const (
	ResetLatest OffsetReset = iota
	ResetEarliest
	// ResetNone stops the consumer with an error.
	ResetNone
)

// String is the Kafka spelling.
func (r OffsetReset) String() string { return nameOf(resetNames[:], int(r)) }

// Isolation is isolation.level; its values are the wire form.
type Isolation int8

// The values of Isolation.
const (
	ReadUncommitted Isolation = 0
	ReadCommitted   Isolation = 1
)

// String is the Kafka spelling.
func (i Isolation) String() string { return nameOf(isolationNames[:], int(i)) }

// Assignor is one entry of partition.assignment.strategy.
type Assignor uint8

// The values of Assignor.
const (
	AssignorRange Assignor = iota
	AssignorRoundRobin
	AssignorSticky
	AssignorCooperativeSticky
)

var assignorProtocols = [...]string{"range", "roundrobin", "sticky", "cooperative-sticky"}

// Protocol is the name that the assignor has in JoinGroup.
func (a Assignor) Protocol() string { return nameOf(assignorProtocols[:], int(a)) }

// String is the Java class name.
func (a Assignor) String() string { return nameOf(assignorNames[:], int(a)) }

// Cooperative reports whether the assignor speaks the cooperative rebalance
// protocol (KIP-429).
func (a Assignor) Cooperative() bool { return a == AssignorCooperativeSticky }

// AssignorsMax bounds partition.assignment.strategy.
const AssignorsMax = 4

// Assignors is partition.assignment.strategy in order of preference. It is an
// array, not a slice, so that a Consumer can be compared and copied.
type Assignors struct {
	List  [AssignorsMax]Assignor
	Count int
}

// All returns the assignors in order of preference.
func (a *Assignors) All() []Assignor { return a.List[:a.Count] }

// Common are the settings that every client has. Times are milliseconds.
type Common struct {
	ClientID   string // empty: the simulator names the client
	ClientRack string // empty: the simulator uses the client's zone

	RequestTimeoutMillis             int64
	RetryBackoffMillis               int64 // first wait; doubles with ±20 % jitter (KIP-580)
	RetryBackoffMaxMillis            int64
	ReconnectBackoffMillis           int64
	ReconnectBackoffMaxMillis        int64
	ConnectionSetupTimeoutMillis     int64
	ConnectionSetupTimeoutMaxMillis  int64
	ConnectionsMaxIdleMillis         int64 // -1 is never
	MetadataMaxAgeMillis             int64
	MetadataRecovery                 MetadataRecovery
	MetadataRebootstrapTriggerMillis int64
}

// Producer holds the effective settings of one producer.
type Producer struct {
	Common

	Acks              Acks
	EnableIdempotence bool
	MaxInFlight       int64 // max.in.flight.requests.per.connection, 1 ..
	Retries           int64 // 0 .. 2^31-1; delivery.timeout.ms usually ends it first

	LingerMillis          int64
	BatchSizeBytes        int64 // 0 sends every record in a batch of its own
	BufferMemoryBytes     int64
	MaxRequestSizeBytes   int64
	MaxBlockMillis        int64
	DeliveryTimeoutMillis int64

	Compression       Compression
	CompressionLevels record.Levels

	Partitioner           Partitioner
	PartitionerIgnoreKeys bool
	PartitionerAdaptive   bool // KIP-794: shorter queues get more batches
}

// Consumer holds the effective settings of one consumer.
type Consumer struct {
	Common

	GroupID         string // empty: no group
	GroupInstanceID string // empty: a dynamic member (KIP-345)

	AutoOffsetReset          OffsetReset
	EnableAutoCommit         bool
	AutoCommitIntervalMillis int64
	Isolation                Isolation

	FetchMinBytes           int64
	FetchMaxBytes           int64
	FetchMaxWaitMillis      int64
	MaxPartitionFetchBytes  int64
	MaxPollRecords          int64
	MaxPollIntervalMillis   int64
	DefaultAPITimeoutMillis int64

	SessionTimeoutMillis    int64
	HeartbeatIntervalMillis int64
	Assignors               Assignors
}

// KV is one override as written.
type KV = config.KV

func nameOf(names []string, index int) string {
	if index >= 0 && index < len(names) {
		return names[index]
	}
	return "invalid"
}

var (
	compressionNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}
	partitionerNames = [...]string{"", "org.apache.kafka.clients.producer.RoundRobinPartitioner"}
	recoveryNames    = [...]string{"rebootstrap", "none"}
	resetNames       = [...]string{"latest", "earliest", "none"}
	isolationNames   = [...]string{"read_uncommitted", "read_committed"}
	assignorNames    = [...]string{
		"org.apache.kafka.clients.consumer.RangeAssignor",
		"org.apache.kafka.clients.consumer.RoundRobinAssignor",
		"org.apache.kafka.clients.consumer.StickyAssignor",
		"org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
	}
)
