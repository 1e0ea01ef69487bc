package linearizability

import "fmt"

// reference decides a history by the definition: it keeps every slot and compares
// every pair of operations. Quadratic, unbounded, and written without looking at
// either checker. It returns the first contradiction, or the empty string.
func reference(history []call, asserted Asserted) string {
	ref := &referenceLog{asserted: asserted, batches: map[BatchID]*referenceBatch{}, slots: map[int64]referenceSlot{}, readers: map[int32]*referenceReader{}}
	for i, x := range history {
		ref.observe(i+1, x)
	}
	ref.finish()
	return ref.wrong
}

type referenceSlot struct {
	id    BatchID
	index int32
}

type referenceBatch struct {
	invoked, acked int
	count          int32
	acksAll        bool
	failed, isAck  bool
	places         []int64
}

type referenceReader struct {
	position, from, bound, last int64
	epoch                       int32
	asked                       int
}

// referenceOp is an interval of time with a position: it must not come after an
// operation that had returned before it was called and reached further.
type referenceOp struct {
	call, reply    int
	position, upTo int64
}

type referenceLog struct {
	asserted   Asserted
	batches    map[BatchID]*referenceBatch
	order      []BatchID
	slots      map[int64]referenceSlot
	readers    map[int32]*referenceReader
	operations []referenceOp
	watermarks []int64
	logStart   int64
	now        int
	wrong      string
}

const never = int(1) << 60

func (r *referenceLog) fail(format string, args ...any) {
	if r.wrong == "" {
		r.wrong = fmt.Sprintf("%d: ", r.now) + fmt.Sprintf(format, args...)
	}
}

func (r *referenceLog) reader(id int32) *referenceReader {
	if r.readers[id] == nil {
		r.readers[id] = &referenceReader{position: -1, from: -1, bound: -1, last: -1, epoch: -1}
	}
	return r.readers[id]
}

// placed notes that a batch was found to have its first record at base.
func (r *referenceLog) placed(id BatchID, b *referenceBatch, base int64) {
	for _, place := range b.places {
		if place == base {
			return
		}
	}
	b.places = append(b.places, base)
	if len(b.places) > 1 && r.asserted.NoDuplicates {
		r.fail("%s at %v", id, b.places)
	}
	for i := range b.count {
		slot := referenceSlot{id, i}
		if there, taken := r.slots[base+int64(i)]; taken && there != slot {
			r.fail("slot %d holds %v and %v", base+int64(i), there, slot)
		}
		r.slots[base+int64(i)] = slot
	}
}

func (r *referenceLog) observe(now int, x call) {
	r.now = now
	switch x.kind {
	case invokeCall:
		r.batches[x.id] = &referenceBatch{invoked: now, count: x.count, acksAll: x.flag}
		r.order = append(r.order, x.id)
	case ackCall:
		b := r.batches[x.id]
		if b == nil || b.failed {
			r.fail("ack of %s, unknown or failed", x.id)
			return
		}
		b.isAck = true
		if b.acksAll {
			if b.acked == 0 {
				b.acked = now
			}
			if x.base >= 0 {
				r.placed(x.id, b, x.base)
			}
		}
	case failCall:
		if b := r.batches[x.id]; b != nil {
			b.failed = true
		}
	case askCall:
		r.reader(x.reader).asked = now
	case watermarkCall:
		r.watermark(x)
	case readCall:
		r.read(x)
	case resetCall:
		k := r.reader(x.reader)
		k.position, k.from = x.base, x.base
	case logStartCall:
		r.logStart = max(r.logStart, x.base)
	case drainCall:
		k := r.reader(x.reader)
		if k.position != x.base && x.base > r.logStart {
			r.fail("drain stands at %d, log ends at %d", k.position, x.base)
		}
		r.operations = append(r.operations, referenceOp{now, never, x.base, x.base})
	}
}

func (r *referenceLog) watermark(x call) {
	k := r.reader(x.reader)
	if k.epoch >= 0 && x.epoch == k.epoch && x.base < k.last && r.asserted.HighWatermarkMonotonic {
		r.fail("watermark %d after %d", x.base, k.last)
	}
	if x.epoch >= 0 {
		k.epoch, k.last = x.epoch, x.base
	}
	k.bound = max(k.bound, x.base)
	r.watermarks = append(r.watermarks, x.base)
	o := referenceOp{0, r.now, x.base, x.base}
	if x.flag {
		o.call = k.asked
	}
	r.operations = append(r.operations, o)
}

func (r *referenceLog) read(x call) {
	k := r.reader(x.reader)
	if k.position < 0 {
		k.position, k.from = x.base, x.base
	}
	if x.base != k.position && (x.base < k.position || x.base > r.logStart) {
		r.fail("c%d stands at %d and reads %d", x.reader, k.position, x.base)
	}
	k.position = x.base + int64(x.count)
	if k.bound >= 0 && k.position > k.bound {
		r.fail("c%d reads above %d", x.reader, k.bound)
	}
	b := r.batches[x.id]
	if b == nil || b.failed {
		r.fail("read of %s, unknown or failed", x.id)
		return
	}
	if x.first < 0 || x.first+x.count > b.count || x.base < int64(x.first) {
		r.fail("read of index %d of %s with %d records", x.first+x.count-1, x.id, b.count)
	}
	r.placed(x.id, b, x.base-int64(x.first))
	end := x.base - int64(x.first) + int64(b.count)
	r.operations = append(r.operations, referenceOp{0, r.now, end, end})
}

func (r *referenceLog) finish() {
	var highest int64
	for _, w := range r.watermarks {
		highest = max(highest, w)
	}
	for offset := r.logStart; offset < highest; offset++ {
		if _, written := r.slots[offset]; !written {
			r.fail("hole at %d below %d", offset, highest)
		}
	}
	gap, longest := int64(0), int64(0)
	for offset := int64(0); offset < r.logStart; offset++ {
		if _, written := r.slots[offset]; written {
			gap = 0
		} else {
			gap++
		}
		longest = max(longest, gap)
	}
	for _, id := range r.order {
		b := r.batches[id]
		switch {
		case b.failed && len(b.places) > 0:
			r.fail("%s failed and is in the log", id)
		case b.acked > 0 && len(b.places) == 0 && longest < int64(b.count):
			r.fail("%s was acked and is nowhere", id)
		}
		for i, place := range b.places {
			o := referenceOp{b.invoked, never, place, place + int64(b.count)}
			if b.acked > 0 && i == 0 {
				o.reply = b.acked
			}
			r.operations = append(r.operations, o)
			for _, w := range r.watermarks {
				if place < w && w < place+int64(b.count) {
					r.fail("watermark %d splits %s", w, id)
				}
			}
		}
	}
	for _, a := range r.operations {
		for _, b := range r.operations {
			if a.reply < b.call && a.upTo > b.position {
				r.fail("an operation at %d began after one up to %d had returned", b.position, a.upTo)
			}
		}
	}
	r.finishOrder()
}

func (r *referenceLog) finishOrder() {
	if !r.asserted.NoReorder {
		return
	}
	for _, one := range r.order {
		for _, two := range r.order {
			a, b := r.batches[one], r.batches[two]
			if one < two && one.Producer() == two.Producer() && len(a.places) > 0 && len(b.places) > 0 && a.places[0] > b.places[0] {
				r.fail("%s at %d, %s at %d", one, a.places[0], two, b.places[0])
			}
		}
	}
}
