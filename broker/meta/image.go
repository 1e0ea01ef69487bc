// Package meta owns the cluster's metadata: the records of the metadata log and
// the immutable image that they add up to. Controllers and brokers hold the
// same image at the same offset. It never decides anything: the controller
// writes records, everybody else replays them.
package meta

import (
	"fmt"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/security/sasl"
)

// TopicID is a topic's id (KIP-516), a version 4 UUID.
type TopicID [16]byte

func (id TopicID) String() string { return fmt.Sprintf("%x", id[:]) }

// NoLeader is the leader of a partition that has none.
const NoLeader = int32(-1)

// Image is the cluster's metadata at one offset of the metadata log. It and
// all that it points to are immutable.
type Image struct {
	Offset  int64     // of the last batch applied (its raft index); -1 when empty
	Epoch   int32     // the controller epoch (raft term) that wrote it
	Topics  []*Topic  // sorted by name
	Brokers []*Broker // sorted by id
	// TopicConfigs and BrokerConfigs hold overrides only, sorted by name.
	TopicConfigs   []ResourceConfig // sorted by resource
	BrokerConfigs  []ResourceConfig // resource "" is the cluster-wide default
	Features       []Feature
	NextProducerID int64
	ClusterID      string
	ACLs           []acl.Binding // sorted by acl.Compare
	ScramUsers     []ScramUser   // sorted by name and mechanism

	topicsByID []*Topic // sorted by id; nil in an image put together by hand
}

// Topic is a topic with its partitions, Partitions[i] having index i.
type Topic struct {
	Name       string
	ID         TopicID
	Partitions []*Partition
}

// Partition is a partition's registration, in the words of KRaft's
// PartitionRegistration. Slices hold broker ids.
type Partition struct {
	Replicas         []int32
	AddingReplicas   []int32
	RemovingReplicas []int32
	ISR              []int32
	ELR              []int32 // eligible leader replicas (KIP-966)
	LastKnownELR     []int32
	Leader           int32
	LeaderEpoch      int32
	PartitionEpoch   int32
	// Recovering: elected uncleanly and not yet recovered (KIP-704).
	Recovering bool
}

// Broker is a broker's registration.
type Broker struct {
	ID                   int32
	Epoch                int64 // the metadata offset of its registration record
	Incarnation          [16]byte
	Rack                 string
	Endpoints            []Endpoint // in the order of its configuration
	Fenced               bool
	InControlledShutdown bool
}

// Endpoint is where a broker is reached under the name of one of its listeners.
type Endpoint struct {
	Name     string
	Host     string
	Port     int32
	Protocol int16 // Kafka's number of the security protocol
}

// Endpoint finds the address of a listener; ok is false if the broker has none
// of that name.
func (b *Broker) Endpoint(listener string) (e Endpoint, ok bool) {
	for i := range b.Endpoints {
		if b.Endpoints[i].Name == listener {
			return b.Endpoints[i], true
		}
	}
	return Endpoint{}, false
}

// ResourceConfig holds the overrides of one topic or broker.
type ResourceConfig struct {
	Resource string
	Values   []ConfigValue // sorted by name
}

// ConfigValue is one override.
type ConfigValue = config.KV

// Feature is a finalised feature level.
type Feature struct {
	Name  string
	Level int16
}

// ScramUser is a user's credential of one mechanism.
type ScramUser struct {
	Name       string
	Mechanism  sasl.ScramMechanism
	Credential sasl.ScramCredential
}
