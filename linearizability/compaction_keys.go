package linearizability

import (
	"slices"
	"sort"
)

const maxTick = ^uint64(0)

// keyedBatch is a batch whose place is not known yet.
type keyedBatch struct {
	records []Keyed
	tick    uint64 // of its invocation
}

// placed is a record at its place.
type placed struct {
	Keyed
	offset int64
	id     BatchID
	index  int32  // in its batch
	event  uint64 // when it was placed
	tick   uint64 // when it was sent
}

// newestRecord is the newest record of a key.
type newestRecord struct {
	placed
	before      int64 // the one before it that min.compaction.lag.ms protects, -1 for none
	beforeUntil int64
	missed      Kind // what it would be if nothing explains it; 0: nobody has missed it
	missedBy    int32
	missedEvent uint64
	missedTick  uint64
	valueAt     int64 // Resurrected: of the value that was read
}

type readerKey struct {
	reader int32
	key    int64
}

// valueRead is the last value of a key that a reader was given.
type valueRead struct {
	offset     int64
	asked      int64
	replica    int64
	generation uint32
}

// keyOffset is a record that must be there. The list of them, in the order of
// offsets, answers what a reader has missed between two offsets; entries whose
// record has been followed by another stay until there are too many.
type keyOffset struct {
	offset, key int64
}

// keyState is what is known of the keys of one compacted partition.
type keyState struct {
	rules  Compaction
	newest map[int64]newestRecord
	order  []keyOffset
	values map[readerKey]valueRead
	young  youngRecords
	// suspicions wait for an explanation.
	suspicions []suspicion
}

func newKeyState(rules Compaction) *keyState {
	return &keyState{
		rules: rules, newest: map[int64]newestRecord{}, values: map[readerKey]valueRead{},
		young: youngRecords{width: max(1, (rules.MinLagMillis+youngBuckets/2-1)/(youngBuckets/2))},
	}
}

// tombstoneUntil is how long a tombstone must stay: until it can have been compacted,
// and delete.retention.ms from then on.
func (k *keyState) tombstoneUntil(dueMillis int64) int64 {
	return dueMillis + k.rules.MinLagMillis + k.rules.DeleteRetentionMillis
}

// at is the place in order of the first record from an offset on.
func (k *keyState) at(offset int64) int {
	return sort.Search(len(k.order), func(i int) bool { return k.order[i].offset >= offset })
}

const orderMin = 64

// insert adds a record to the order, most often at its end.
func (k *keyState) insert(offset, key int64) {
	if len(k.order) >= orderMin+4*len(k.newest) { // two of each key may be current
		k.order = slices.DeleteFunc(k.order, func(o keyOffset) bool {
			n, known := k.newest[o.key]
			return !known || n.offset != o.offset && n.before != o.offset
		})
	}
	k.order = slices.Insert(k.order, k.at(offset), keyOffset{offset, key})
}

// cut forgets what stood from an offset on. What was the newest before is not known
// any more, until somebody reads it.
func (k *keyState) cut(from int64) {
	k.order = k.order[:k.at(from)]
	for key, n := range k.newest { // in any order: each is judged by itself
		if n.offset >= from {
			delete(k.newest, key)
		}
	}
	k.suspicions = slices.DeleteFunc(k.suspicions, func(s suspicion) bool { return s.finding.Offset >= from })
	k.young.cut(from)
}

// youngBuckets is how finely the age of records is known: half of them span
// min.compaction.lag.ms.
const youngBuckets = 256

// youngRecords knows the lowest offset of the records that were due in each short
// span of time, of late.
type youngRecords struct {
	width   int64 // of a bucket, milliseconds
	buckets [youngBuckets]youngBucket
}

type youngBucket struct {
	start  int64 // milliseconds; the bucket is used if used is set
	lowest int64
	used   bool
}

func (y *youngRecords) add(due, offset int64) {
	b := &y.buckets[due/y.width%youngBuckets]
	start := due / y.width * y.width
	switch {
	case !b.used || b.start < start:
		*b = youngBucket{start: start, lowest: offset, used: true}
	case b.start == start:
		b.lowest = min(b.lowest, offset)
	}
}

// from is the lowest offset of a record that was due after an instant; those of its
// bucket are given the benefit of the doubt.
func (y *youngRecords) from(millis int64) int64 {
	lowest := maxOffset
	for i := range y.buckets {
		if b := &y.buckets[i]; b.used && b.start > millis {
			lowest = min(lowest, b.lowest)
		}
	}
	return lowest
}

func (y *youngRecords) cut(from int64) {
	for i := range y.buckets {
		if y.buckets[i].lowest >= from {
			y.buckets[i].used = false
		}
	}
}
