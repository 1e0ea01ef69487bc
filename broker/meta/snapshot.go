package meta

import (
	"fmt"
	"hash/crc64"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
)

// snapshotVersion is the first byte of an encoded image. A batch of records
// follows the header; replaying it gives the image, as in Kafka's snapshots.
const snapshotVersion = 1

// Records returns the records that make up the image, in a fixed order.
func (m *Image) Records() []Record {
	var records []Record
	if m.ClusterID != "" {
		records = append(records, &ClusterRecord{m.ClusterID})
	}
	for _, f := range m.Features {
		records = append(records, &FeatureLevelRecord{f.Name, f.Level})
	}
	for _, b := range m.Brokers {
		records = append(records, &RegisterBrokerRecord{
			BrokerID: b.ID, BrokerEpoch: b.Epoch, IncarnationID: b.Incarnation, Rack: b.Rack, Endpoints: b.Endpoints,
			Fenced: b.Fenced, InControlledShutdown: b.InControlledShutdown,
		})
	}
	for _, t := range m.Topics {
		records = append(records, &TopicRecord{t.Name, t.ID})
		for i, p := range t.Partitions {
			records = append(records, &PartitionRecord{t.ID, int32(i), *p})
		}
	}
	for _, rc := range m.TopicConfigs {
		for _, v := range rc.Values {
			records = append(records, &ConfigRecord{Type: ResourceTopic, Resource: rc.Resource, Name: v.Name, Value: v.Value})
		}
	}
	for _, rc := range m.BrokerConfigs {
		for _, v := range rc.Values {
			records = append(records, &ConfigRecord{Type: ResourceBroker, Resource: rc.Resource, Name: v.Name, Value: v.Value})
		}
	}
	for i := range m.ACLs {
		records = append(records, &AccessControlEntryRecord{m.ACLs[i]})
	}
	for _, u := range m.ScramUsers {
		records = append(records, &UserScramCredentialRecord{u.Name, u.Mechanism, u.Credential})
	}
	if m.NextProducerID != 0 {
		records = append(records, &ProducerIdsRecord{BrokerID: -1, BrokerEpoch: -1, NextProducerID: m.NextProducerID})
	}
	return records
}

// AppendTo encodes the image behind dst.
func (m *Image) AppendTo(dst []byte) []byte {
	e := encoder{dst}
	e.u8(snapshotVersion)
	e.i64(m.Offset)
	e.i32(m.Epoch)
	return AppendRecords(e.b, m.Records())
}

// DecodeImage decodes what AppendTo wrote. Nothing that it returns aliases b.
func DecodeImage(b []byte) (image *Image, err error) {
	d := decoder{b: b}
	version, offset, epoch := d.u8(), d.i64(), d.i32()
	if d.err != nil {
		return nil, fmt.Errorf("metadata snapshot: %w", d.err)
	}
	if version != snapshotVersion {
		return nil, fmt.Errorf("metadata snapshot has version %d, known is %d", version, snapshotVersion)
	}
	records, err := DecodeRecords(d.b)
	if err != nil {
		return nil, fmt.Errorf("metadata snapshot: %w", err)
	}
	if err := checkSnapshot(records); err != nil {
		return nil, fmt.Errorf("metadata snapshot: %w", err)
	}
	m := Empty().Preview(records)
	m.Offset, m.Epoch = offset, epoch
	return m, nil
}

// checkSnapshot refuses what Apply would call a bug: bytes from outside must
// not crash us.
func checkSnapshot(records []Record) error {
	topics := make(map[TopicID]int32)
	names := make(map[string]struct{})
	bindings := make(map[acl.Binding]struct{})
	nextProducerID := int64(0)
	for _, r := range records {
		switch r := r.(type) {
		case *TopicRecord:
			_, name := names[r.Name]
			if _, id := topics[r.TopicID]; id || name {
				return fmt.Errorf("topic %q appears twice", r.Name)
			}
			names[r.Name], topics[r.TopicID] = struct{}{}, 0
		case *PartitionRecord:
			n, ok := topics[r.TopicID]
			if !ok || n != r.PartitionID {
				return fmt.Errorf("partition %d of topic id %s is out of order", r.PartitionID, r.TopicID)
			}
			topics[r.TopicID]++
		case *ProducerIdsRecord:
			if r.NextProducerID < nextProducerID {
				return fmt.Errorf("next producer id %d goes back", r.NextProducerID)
			}
			nextProducerID = r.NextProducerID
		case *AccessControlEntryRecord:
			if _, ok := bindings[r.Binding]; ok {
				return fmt.Errorf("ACL %v appears twice", &r.Binding)
			}
			bindings[r.Binding] = struct{}{}
		case *ConfigRecord, *RegisterBrokerRecord, *ClusterRecord, *FeatureLevelRecord, *UserScramCredentialRecord:
		default:
			return fmt.Errorf("a record of type %T has no place in a snapshot", r)
		}
	}
	return nil
}

// Equal tells whether two images hold the same state at the same offset.
// Empty and nil slices are the same.
func (m *Image) Equal(o *Image) bool {
	if m == nil || o == nil {
		return m == o
	}
	return m.Offset == o.Offset && m.Epoch == o.Epoch && m.ClusterID == o.ClusterID &&
		m.NextProducerID == o.NextProducerID &&
		slices.Equal(m.Features, o.Features) &&
		slices.EqualFunc(m.Brokers, o.Brokers, equalBroker) &&
		slices.Equal(m.ACLs, o.ACLs) && slices.Equal(m.ScramUsers, o.ScramUsers) &&
		slices.EqualFunc(m.Topics, o.Topics, equalTopic) &&
		slices.EqualFunc(m.TopicConfigs, o.TopicConfigs, equalResource) &&
		slices.EqualFunc(m.BrokerConfigs, o.BrokerConfigs, equalResource)
}

func equalBroker(a, b *Broker) bool {
	return a == b || a.ID == b.ID && a.Epoch == b.Epoch && a.Incarnation == b.Incarnation && a.Rack == b.Rack &&
		slices.Equal(a.Endpoints, b.Endpoints) && a.Fenced == b.Fenced && a.InControlledShutdown == b.InControlledShutdown
}

func equalTopic(a, b *Topic) bool {
	return a == b || a.Name == b.Name && a.ID == b.ID &&
		slices.EqualFunc(a.Partitions, b.Partitions, (*Partition).Equal)
}

// Equal compares two partitions, taking nil and empty slices for the same.
func (p *Partition) Equal(o *Partition) bool {
	return p == o || slices.Equal(p.Replicas, o.Replicas) && slices.Equal(p.AddingReplicas, o.AddingReplicas) &&
		slices.Equal(p.RemovingReplicas, o.RemovingReplicas) && slices.Equal(p.ISR, o.ISR) &&
		slices.Equal(p.ELR, o.ELR) && slices.Equal(p.LastKnownELR, o.LastKnownELR) &&
		p.Leader == o.Leader && p.LeaderEpoch == o.LeaderEpoch && p.PartitionEpoch == o.PartitionEpoch &&
		p.Recovering == o.Recovering
}

func equalResource(a, b ResourceConfig) bool {
	return a.Resource == b.Resource && slices.Equal(a.Values, b.Values)
}

var hashTable = crc64.MakeTable(crc64.ECMA)

// Hash is a digest of the state, offset and epoch: equal images have equal
// hashes. It encodes the whole image, so it is for checks, not for hot paths.
func (m *Image) Hash() uint64 { return crc64.Checksum(m.canonical(), hashTable) }

// canonical is AppendTo with empty slices written as nil ones.
func (m *Image) canonical() []byte {
	e := encoder{}
	e.i64(m.Offset)
	e.i32(m.Epoch)
	records := m.Records()
	for _, r := range records {
		if p, ok := r.(*PartitionRecord); ok {
			for _, s := range []*[]int32{&p.Partition.Replicas, &p.Partition.AddingReplicas, &p.Partition.RemovingReplicas,
				&p.Partition.ISR, &p.Partition.ELR, &p.Partition.LastKnownELR} {
				if len(*s) == 0 {
					*s = nil
				}
			}
		}
	}
	return AppendRecords(e.b, records)
}
