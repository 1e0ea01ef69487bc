package client

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// thinLog notes what a reader of a compacted log is given, key by key, and what it
// passes over.
type thinLog struct {
	*readLog
	got []thin
}

type thin struct {
	Offset int64
	Batch  uint64
	Index  int32
	Key    int64
	Gone   bool // a tombstone
	Passed int64
}

func (l *thinLog) Delivered(d *Delivery) {
	for i, k := range d.Keys {
		l.got = append(l.got, thin{Offset: d.BaseOffset + int64(i), Batch: d.BatchID, Index: d.FirstIndex + int32(i), Key: k.Number(), Gone: k.Tombstone()})
	}
}

func (l *thinLog) PassedOver(o *PassedOver) { l.got = append(l.got, thin{Passed: o.To}) }

// Goal: a reader knows each record of a compacted log by its batch and index, whether
// it has a value or is a tombstone, and says what its position moves over. Method: a
// log with a thinned batch, an emptied one and one without its end.
func TestConsumerOfCompactedLog(t *testing.T) {
	w := newToy(1, 1)
	log := w.topic("orders", 1).partitions[0]
	add := func(base int64, count, last int32, kept ...int32) {
		var b record.Builder
		o := record.NoProducer(record.None)
		o.BaseOffset, o.BaseTimestamp = base, 1
		b.Reset(nil, o)
		for _, i := range kept {
			var key [keyBytes]byte
			k := Key(base) + Key(i)
			putKey(&key, k)
			value := make([]byte, PayloadHeaderBytes)
			putPayload(value, &payload{batch: uint64(base) + 100, index: uint32(i), count: uint32(count), topic: 5})
			if i%2 == 1 {
				b.AppendAt(i, 1, key[:], nil, []record.Header{{Key: []byte(identityHeader), Value: value}})
			} else {
				b.AppendAt(i, 1, key[:], value, nil)
			}
		}
		log.batches = append(log.batches, b.FinishAt(last))
		log.end = base + int64(last) + 1
	}
	add(0, 6, 5, 1, 2, 4, 5)
	add(6, 4, 3)
	add(10, 5, 4, 0, 1)
	l := &thinLog{readLog: newReadLog(t, nil)}
	testConsumer(w, l.readLog, 1, func(cfg *ConsumerConfig) { cfg.Assign, cfg.Keys, cfg.Observer = true, true, l })
	w.run(clock.Instant(time.Second), func() bool { return len(l.got) > 0 && l.got[len(l.got)-1].Passed == log.end })
	want := []thin{
		{Offset: 1, Batch: 100, Index: 1, Key: 1, Gone: true}, {Offset: 2, Batch: 100, Index: 2, Key: 2},
		{Offset: 4, Batch: 100, Index: 4, Key: 4}, {Offset: 5, Batch: 100, Index: 5, Key: 5, Gone: true},
		{Passed: 10},
		{Offset: 10, Batch: 110, Index: 0, Key: 10}, {Offset: 11, Batch: 110, Index: 1, Key: 11, Gone: true},
		{Passed: 15},
	}
	if diff := cmp.Diff(want, l.got); diff != "" {
		t.Error(diff)
	}
}

// The share of tombstones is as asked for, and keys are what they were without.
func TestTombstones(t *testing.T) {
	s := newKeySource(Keys{Distribution: SequentialKeys, Cardinality: 7, TombstonesPPM: 200_000}, 1)
	tombstones := 0
	for i := range 10_000 {
		k := s.draw()
		if k.Number() != int64(i%7) {
			t.Fatalf("key %d is %d", i, k.Number())
		}
		if k.Tombstone() {
			tombstones++
		}
	}
	if tombstones < 1_800 || tombstones > 2_200 || NoKey.Tombstone() || NoKey.Number() != -1 {
		t.Errorf("%d tombstones of 10,000 with a share of 20%%", tombstones)
	}
}
