package api

import "github.com/seed-604ea8f1/windtunnel/broker/meta"

// once finds what a request names more than once. Kafka keeps such lists in a map:
// each is answered once, in the place of its first mention.
type once struct {
	few  []onceKey
	many map[onceKey]int // once few is full
	next int
}

// onceKey is a topic, by name or id, or one of its partitions.
type onceKey struct {
	topic     string
	id        meta.TopicID
	partition int32
}

// fewMax is how many are looked through, which for a few is faster than a map.
const fewMax = 16

// reset forgets everything but the memory.
func (o *once) reset() {
	o.few, o.next = o.few[:0], 0
	clear(o.many)
}

// place returns the number of a key, in the order of first mentions, and whether
// it was there before.
func (o *once) place(key onceKey) (number int, again bool) {
	for i := range o.few {
		if k := &o.few[i]; k.partition == key.partition && k.topic == key.topic && k.id == key.id {
			return i, true
		}
	}
	if len(o.few) < fewMax {
		o.few = append(o.few, key)
	} else {
		if number, again = o.many[key]; again {
			return number, true
		}
		if o.many == nil {
			o.many = make(map[onceKey]int)
		}
		o.many[key] = o.next
	}
	o.next++
	return o.next - 1, false
}
