package meta

// Record is one record of the metadata log. The concrete types below carry the
// names and fields of KRaft's records; the binary layout is our own.
//
// Records are facts, never requests: whoever writes one has decided, and
// replaying it cannot fail for a well-formed log. A record that names something
// unknown is our own bug, and Apply asserts it.
type Record interface {
	recordType() recordType
	encode(e *encoder)
	decode(d *decoder)
}

type recordType uint8

// The numbers are part of the layout on disk: never reuse one.
const (
	typeCluster recordType = iota + 1
	typeRegisterBroker
	typeBrokerRegistrationChange
	typeUnregisterBroker
	typeTopic
	typeRemoveTopic
	typePartition
	typePartitionChange
	typeConfig
	typeProducerIDs
	typeFeatureLevel
	typeAccessControlEntry
	typeRemoveAccessControlEntry
	typeUserScramCredential
	typeRemoveUserScramCredential
)

func newRecord(t recordType) Record {
	switch t {
	case typeCluster:
		return new(ClusterRecord)
	case typeRegisterBroker:
		return new(RegisterBrokerRecord)
	case typeBrokerRegistrationChange:
		return new(BrokerRegistrationChangeRecord)
	case typeUnregisterBroker:
		return new(UnregisterBrokerRecord)
	case typeTopic:
		return new(TopicRecord)
	case typeRemoveTopic:
		return new(RemoveTopicRecord)
	case typePartition:
		return new(PartitionRecord)
	case typePartitionChange:
		return new(PartitionChangeRecord)
	case typeConfig:
		return new(ConfigRecord)
	case typeProducerIDs:
		return new(ProducerIdsRecord)
	case typeFeatureLevel:
		return new(FeatureLevelRecord)
	case typeAccessControlEntry:
		return new(AccessControlEntryRecord)
	case typeRemoveAccessControlEntry:
		return new(RemoveAccessControlEntryRecord)
	case typeUserScramCredential:
		return new(UserScramCredentialRecord)
	case typeRemoveUserScramCredential:
		return new(RemoveUserScramCredentialRecord)
	}
	return nil
}

// ClusterRecord names the cluster. It is the first record of a new cluster.
// Kafka keeps the id in meta.properties only; in the log it lets a broker see
// that it follows the wrong quorum.
type ClusterRecord struct{ ClusterID string }

// RegisterBrokerRecord adds a broker, or replaces its registration. BrokerEpoch
// is the offset of the record itself, except in a snapshot and when the same
// incarnation registers again.
type RegisterBrokerRecord struct {
	BrokerID             int32
	BrokerEpoch          int64
	IncarnationID        [16]byte
	Rack                 string // empty: none
	Endpoints            []Endpoint
	Fenced               bool
	InControlledShutdown bool
}

// Fencing says what a BrokerRegistrationChangeRecord does with the fence.
type Fencing int8

// The values of Fencing, as in Kafka's record.
const (
	FencingUnfence Fencing = iota - 1
	FencingNoChange
	FencingFence
)

// BrokerRegistrationChangeRecord fences or unfences a broker, or marks it as
// being in controlled shutdown (which only a new registration takes back).
type BrokerRegistrationChangeRecord struct {
	BrokerID             int32
	BrokerEpoch          int64
	Fenced               Fencing
	InControlledShutdown bool
}

// UnregisterBrokerRecord removes a broker.
type UnregisterBrokerRecord struct {
	BrokerID    int32
	BrokerEpoch int64
}

// TopicRecord adds a topic without partitions.
type TopicRecord struct {
	Name    string
	TopicID TopicID
}

// RemoveTopicRecord removes a topic, its partitions and its configuration.
type RemoveTopicRecord struct{ TopicID TopicID }

// PartitionRecord adds a partition, or replaces it whole. Partitions of a topic
// are added in the order of their indexes.
type PartitionRecord struct {
	TopicID     TopicID
	PartitionID int32
	Partition   Partition
}

// NoLeaderChange in a PartitionChangeRecord leaves leader and epoch as they are.
const NoLeaderChange = int32(-2)

// Recovery says what a PartitionChangeRecord does with the recovery state.
type Recovery int8

// The values of Recovery (KIP-704).
const (
	RecoveryNoChange Recovery = iota - 1
	Recovered
	Recovering
)

// PartitionChangeRecord changes parts of a partition. A nil slice changes
// nothing, an empty one empties. Each change raises the partition epoch; a
// Leader other than NoLeaderChange raises the leader epoch, even if it is the
// same leader.
type PartitionChangeRecord struct {
	TopicID          TopicID
	PartitionID      int32
	ISR              []int32
	Leader           int32
	Replicas         []int32
	AddingReplicas   []int32
	RemovingReplicas []int32
	ELR              []int32
	LastKnownELR     []int32
	Recovery         Recovery
}

// ConfigResource is the kind of thing that a ConfigRecord configures, with the
// numbers of Kafka's ConfigResource.
type ConfigResource int8

// The resources.
const (
	ResourceTopic  ConfigResource = 2
	ResourceBroker ConfigResource = 4
)

// ConfigRecord sets one override, or removes it when Remove is set. Resource is
// a topic's name, a broker's id in decimal, or "" for all brokers.
type ConfigRecord struct {
	Type     ConfigResource
	Resource string
	Name     string
	Value    string
	Remove   bool
}

// ProducerIdsRecord says that all producer ids below NextProducerID are taken.
type ProducerIdsRecord struct {
	BrokerID       int32
	BrokerEpoch    int64
	NextProducerID int64
}

// FeatureLevelRecord finalises a feature at a level; level 0 removes it.
type FeatureLevelRecord struct {
	Name  string
	Level int16
}

func (*ClusterRecord) recordType() recordType                  { return typeCluster }
func (*RegisterBrokerRecord) recordType() recordType           { return typeRegisterBroker }
func (*BrokerRegistrationChangeRecord) recordType() recordType { return typeBrokerRegistrationChange }
func (*UnregisterBrokerRecord) recordType() recordType         { return typeUnregisterBroker }
func (*TopicRecord) recordType() recordType                    { return typeTopic }
func (*RemoveTopicRecord) recordType() recordType              { return typeRemoveTopic }
func (*PartitionRecord) recordType() recordType                { return typePartition }
func (*PartitionChangeRecord) recordType() recordType          { return typePartitionChange }
func (*ConfigRecord) recordType() recordType                   { return typeConfig }
func (*ProducerIdsRecord) recordType() recordType              { return typeProducerIDs }
func (*FeatureLevelRecord) recordType() recordType             { return typeFeatureLevel }
