package linearizability

import "fmt"

// MetadataVersion orders the states of one partition's metadata: the leader epoch
// first, then the partition epoch, which also counts ISR changes (KIP-497).
type MetadataVersion struct {
	LeaderEpoch    int32
	PartitionEpoch int32
}

// Less is the order of versions.
func (v MetadataVersion) Less(other MetadataVersion) bool {
	if v.LeaderEpoch != other.LeaderEpoch {
		return v.LeaderEpoch < other.LeaderEpoch
	}
	return v.PartitionEpoch < other.PartitionEpoch
}

// metadataVersionsMax bounds the versions per partition whose value is remembered;
// older ones are only held to "no going back".
const metadataVersionsMax = 256

// MetadataChecker is a versioned register per partition: no observer goes back and
// a version has one value. The value is a hash of leader, ISR and replicas made by
// the caller.
type MetadataChecker struct {
	partitions map[Partition]*metadataRegister
	observers  map[metadataObserver]metadataSighting
	findings   Findings
	reasons    []string
}

type metadataObserver struct {
	observer  int32
	partition Partition
}

type metadataSighting struct {
	version MetadataVersion
	value   uint64
	event   uint64
}

type metadataRegister struct {
	ring []metadataSighting
	next int
}

// NewMetadataChecker starts with nothing seen.
func NewMetadataChecker() *MetadataChecker {
	return &MetadataChecker{partitions: map[Partition]*metadataRegister{}, observers: map[metadataObserver]metadataSighting{}}
}

// Observed says that an observer (a broker or client session) took on a version. A
// client that Kafka allows to go back, for example after a topic was created
// again, is a new observer.
func (c *MetadataChecker) Observed(observer int32, p Partition, version MetadataVersion, value, event uint64) {
	now := metadataSighting{version, value, event}
	key := metadataObserver{observer, p}
	if before, known := c.observers[key]; known && version.Less(before.version) {
		c.found(MetadataRegress, p, before, now, fmt.Sprintf("observer %d", observer))
	}
	c.observers[key] = now
	r := c.partitions[p]
	if r == nil {
		r = &metadataRegister{}
		c.partitions[p] = r
	}
	for i := range r.ring {
		if r.ring[i].version == version {
			if r.ring[i].value != value {
				c.found(MetadataFork, p, r.ring[i], now, fmt.Sprintf("observer %d", observer))
			}
			return
		}
	}
	if len(r.ring) < metadataVersionsMax {
		r.ring = append(r.ring, now)
		return
	}
	r.ring[r.next] = now
	r.next = (r.next + 1) % metadataVersionsMax
}

func (c *MetadataChecker) found(kind Kind, p Partition, first, second metadataSighting, who string) {
	c.findings.add(Finding{Kind: kind, Partition: p, Offset: -1, Records: 1,
		First: Witness{Event: first.event, Action: fmt.Sprintf("epoch %d.%d was seen with value %x", first.version.LeaderEpoch, first.version.PartitionEpoch, first.value)},
		Second: Witness{Event: second.event, Action: fmt.Sprintf("%s saw epoch %d.%d with value %x", who,
			second.version.LeaderEpoch, second.version.PartitionEpoch, second.value)}})
}

// Finish returns the findings.
func (c *MetadataChecker) Finish() RegisterReport { return conclude(c.findings, c.reasons) }

// ProducerIDChecker asserts that a (producer id, epoch) is handed out once and that
// the epochs of a transactional id rise in real time (KIP-360).
type ProducerIDChecker struct {
	epochs       map[int64]producerGrant // latest grant of each id
	transactions map[int32]transactionalGrant
	findings     Findings
}

type producerGrant struct {
	epoch int16
	event uint64
}

type transactionalGrant struct {
	id    int64
	epoch int16
	event uint64
}

// NewProducerIDChecker starts with nothing granted.
func NewProducerIDChecker() *ProducerIDChecker {
	return &ProducerIDChecker{epochs: map[int64]producerGrant{}, transactions: map[int32]transactionalGrant{}}
}

// Granted says that InitProducerId answered with an id and epoch. transactional is
// the caller's number of the transactional id, or -1. invoked is the event at which
// the request was sent: grants that overlap in time may come in either order.
// Memory is one entry per producer id.
func (c *ProducerIDChecker) Granted(transactional int32, id int64, epoch int16, invoked, event uint64) {
	fail := func(first, second string, firstEvent uint64) {
		c.findings.add(Finding{Kind: ProducerIDReused, Partition: Partition{-1, -1}, Offset: -1, Records: 1,
			First: Witness{Event: firstEvent, Action: first}, Second: Witness{Event: event, Action: second}})
	}
	before, known := c.epochs[id]
	switch {
	case known && (transactional < 0 || epoch == before.epoch):
		fail(fmt.Sprintf("producer id %d was handed out with epoch %d", id, before.epoch),
			fmt.Sprintf("it was handed out again with epoch %d", epoch), before.event)
	case known && epoch < before.epoch && before.event < invoked:
		fail(fmt.Sprintf("producer id %d had epoch %d", id, before.epoch),
			fmt.Sprintf("a later request got epoch %d", epoch), before.event)
	}
	if !known || epoch > before.epoch {
		c.epochs[id] = producerGrant{epoch, event}
	}
	if transactional < 0 {
		return
	}
	last, known := c.transactions[transactional]
	if known && last.event < invoked && last.id > id {
		fail(fmt.Sprintf("transactional id %d had producer id %d", transactional, last.id),
			fmt.Sprintf("a later request got the older id %d", id), last.event)
	}
	c.transactions[transactional] = transactionalGrant{id, epoch, event}
}

// Finish returns the findings.
func (c *ProducerIDChecker) Finish() RegisterReport { return conclude(c.findings, nil) }
