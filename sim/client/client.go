// Package client owns simulated Kafka clients: a producer, a consumer and an
// administrator with the behaviour, the defaults and the retry rules of the
// Java clients 4.4. Each is an edge.Machine: frames, connections and wake-ups
// come in, frames, dials and wake-ups go out.
//
// A client never performs I/O, never looks at a broker but through its
// connections, and never is kinder than the real one: what a wrong
// configuration loses, doubles or reorders is lost, doubled or reordered here.
// What happens is reported to an observer; whether it was right is decided
// elsewhere.
package client

import (
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
)

// Address is one entry of bootstrap.servers.
type Address struct {
	Host string
	Port int32
}

// Topic names a topic and gives the number by which observers and payloads
// know it, 0 to 65535.
type Topic struct {
	Name  string
	Index int32
}

// TopicPartition names a partition by the index of its topic.
type TopicPartition struct {
	Topic     int32
	Partition int32
}

// Identity is what every client is given.
type Identity struct {
	// Name is the client.id unless the settings have one.
	Name string
	// Rack is the client.rack unless the settings have one.
	Rack      string
	Bootstrap []Address // at least one
	Seed      uint64    // for the client's own jitter; another one for each boot
	Boot      int       // which life of the client this is, from 1
}

// ProducerConfig describes a producer.
type ProducerConfig struct {
	Identity
	// Index is unique over the run, over reboots too: batch ids begin with it.
	// 0 to 2^24-1.
	Index    int32
	Settings clientconfig.Producer
	Topic    Topic
	Load     Load
	Observer ProducerObserver
}

// LoadKind says when records come into being.
type LoadKind uint8

// The kinds of load.
const (
	// ConstantRate is an open model: records are due at exact instants,
	// whatever the cluster does.
	ConstantRate LoadKind = iota
	// RampingRate is the same with a rate that moves along Stages.
	RampingRate
	// ConstantVUs is a closed model: so many records outstanding at a time.
	ConstantVUs
	// SharedIterations sends a number of records as fast as the cluster takes
	// them.
	SharedIterations
)

// Rate is Count records every Per, which divides an hour.
type Rate struct {
	Count int64
	Per   time.Duration
}

// Stage moves the rate in a straight line to Target.
type Stage struct {
	Duration time.Duration
	Target   Rate
}

// Load is what a producer sends, and when.
type Load struct {
	Kind  LoadKind
	Start clock.Instant
	// End is when no further record comes into being; clock.Never is no end.
	End clock.Instant
	// Rate is that of all instances together: of its records, counted from 0,
	// instance k of n takes k, k+n, and so on. RampingRate starts from it.
	Rate   Rate
	Stages []Stage // RampingRate; the last target stays until End

	VUs       int64         // ConstantVUs: records outstanding in this producer
	ThinkTime time.Duration // ConstantVUs: between an outcome and the next record

	Records int64 // SharedIterations: of all instances together
	// Outstanding bounds the batches of this producer that have no outcome yet
	// (SharedIterations); 0 is OutstandingDefault.
	Outstanding int64

	Instance, Instances int64 // 0 and 1 for a lone producer

	// MessageSizeBytes is the size of every value, PayloadHeaderBytes at least.
	MessageSizeBytes int
	Keys             Keys
	// BatchRecords, when not 0, closes every batch at exactly so many records
	// (the last one of a load may have fewer); records without a key then take
	// the partitions in turn, batch by batch, and linger.ms and batch.size have
	// no say.
	BatchRecords int32
}

// OutstandingDefault is Load.Outstanding's.
const OutstandingDefault = 256

// KeyDistribution says how keys are drawn.
type KeyDistribution uint8

// The distributions.
const (
	NoKeys KeyDistribution = iota
	UniformKeys
	ZipfKeys
	SequentialKeys
	HotKey
)

// Keys says how records get their keys, which are the numbers 0 to
// Cardinality-1 as eight bytes, big endian.
type Keys struct {
	Distribution KeyDistribution
	Cardinality  int64
	Exponent     int64 // ZipfKeys, in hundredths: 99 is 0.99
	SharePPM     int64 // HotKey: the share of key 0 in parts per million
	// TombstonesPPM is the share of records that have a key and no value, in parts
	// per million. What identifies such a record stands in a header.
	TombstonesPPM int64
}

// Window is a stretch of time [From, To).
type Window struct {
	From, To clock.Instant
}

// ConsumerConfig describes a consumer.
type ConsumerConfig struct {
	Identity
	Index    int32 // the reader's number in the observer's calls, unique over the run
	Settings clientconfig.Consumer
	Topics   []Topic
	// Assign reads all partitions of the topics without a group's help:
	// assign() instead of subscribe(). Offsets are committed only if the
	// settings name a group.
	Assign bool
	// CommitAfterPoll commits what a poll returned once it has been processed,
	// and waits for the answer: commitSync. Only when enable.auto.commit is off.
	CommitAfterPoll bool
	ProcessingTime  time.Duration // of each record
	Start           clock.Instant
	Stop            clock.Instant // close() is called then; clock.Never is never
	// Stalls are stretches in which the application does not poll; the client's
	// heartbeat goes on as the Java client's thread does. In the order of time.
	Stalls []Window
	// Ends makes the consumer ask for the end of each of its partitions this
	// often (ListOffsets); 0 is never.
	Ends time.Duration
	// Keys has the observer told each record's key (Delivery.Keys).
	Keys     bool
	Observer ConsumerObserver
}

// AdminConfig describes an administrator.
type AdminConfig struct {
	Identity
	Common clientconfig.Common // DefaultCommon unless a scenario says otherwise
	Topics []NewTopic
	// Brokers is how many must serve before the topics are created: what is placed
	// earlier lies on those that were first, all of a partition in two zones perhaps.
	Brokers int
	// Operations are carried out in order, each when its time has come.
	Operations []Operation
	Probe      Probe
	Observer   AdminObserver // may be nil
}

// Probe is a change that an administrator makes again and again to see whether it
// can: a topic's property is set to a value and the override taken back in turn,
// both with IncrementalAlterConfigs. A probe that fails is tried until it succeeds;
// those that fall due meanwhile are left out. Every zero is no probe.
type Probe struct {
	From, To        clock.Instant
	Every           time.Duration
	Topic           string
	Property, Value string
}

// NewTopic is a topic to create.
type NewTopic struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16
	Configs           []clientconfig.KV
	// Assignment gives the replicas of each partition, the preferred leader
	// first; nil leaves it to the controller.
	Assignment [][]int32
}

// DefaultCommon returns the settings that all clients share, at their defaults.
func DefaultCommon() clientconfig.Common { return clientconfig.DefaultProducer().Common }
