package log

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/record"
)

// Goal: with the longest delete.retention.ms tombstones stay for ever. Method: one
// tombstone, and compaction after compaction of what is written behind it.
func TestTombstonesForEver(t *testing.T) {
	x := newCompacted()
	x.cfg.TopicDefaults.DeleteRetentionMillis = math.MaxInt64
	x.log().SetConfig(x.cfg.TopicDefaults)
	put := func(key string, value []byte) {
		var b record.Builder
		b.Reset(nil, record.NoProducer(record.None))
		b.Append(int64(x.c.Wall), []byte(key), value, nil)
		x.values = append(x.values, keyed{key, string(value)})
		x.appendBatch(t, b.Finish())
	}
	put("k", []byte("v"))
	put("k", nil)
	for round := range 4 {
		for i := range 20 {
			put(fmt.Sprint("other", i), fmt.Append(nil, round))
		}
		x.log().SetHighWatermark(x.log().EndOffset())
		x.advance(2 * time.Minute)
	}
	offsets := x.offsets(t)
	if slices.Contains(offsets, 0) {
		t.Error("nothing has been compacted")
	}
	if !slices.Contains(offsets, 1) {
		t.Errorf("the tombstone at 1 has gone: %v are left", offsets)
	}
}
