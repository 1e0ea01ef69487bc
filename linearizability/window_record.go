package linearizability

import "fmt"

// WindowConfig bounds a recorder.
type WindowConfig struct {
	Asserted Asserted
	// Start is the offset from which the log is recorded, known to be the end of a
	// batch and committed; 0 for a whole log.
	Start int64
	// OperationsMax bounds the recorded operations (about 100 bytes each); default
	// 200,000. When reached, the offsets above the last one recorded are ignored:
	// what was recorded stays exact. Start another recorder there.
	OperationsMax int
	// WindowOperations is how many operations porcupine gets at a time; default 256.
	WindowOperations int
	// NoPicture skips the search and the HTML around a violation.
	NoPicture bool
	// Compacted: offsets may be missing, which porcupine is not asked about.
	Compacted bool
}

const (
	operationsMaxDefault    = 200_000
	windowOperationsDefault = 256
)

// Recorder keeps what clients saw of one sampled partition and lets porcupine
// check it. It takes the same calls as the streaming checker and shares no code
// with it, so that each checks the other. One goroutine.
type Recorder struct {
	name       Partition
	config     WindowConfig
	clock      int64 // calls so far: the real-time order
	limit      int64 // offsets at or above it are ignored
	cut        bool  // by a truncation
	operations []operation
	batches    map[BatchID]int32 // index of the batch's first append
	readers    map[int32]*windowReader
	logStart   int64
	watermark  int64 // highest told
	drained    bool
	drainEnd   int64
	faults     []Finding // contradictions with no place in a linear order
	notes      []string
}

type operationKind uint8

const (
	appendOperation operationKind = iota
	watermarkOperation
	readOperation
)

// operation is an append, a report of the log's end, or a read of one run.
type operation struct {
	kind   operationKind
	call   int64
	reply  int64 // forever when nothing bounds it
	event  uint64
	id     BatchID
	base   int64 // of the batch's first record; -1 for an append nobody placed
	count  int32 // of the whole batch for an append, of the run for a read
	first  int32 // index in the batch of a read's first record
	reader int32
	// asked is where the reader stood; bound the highest watermark it was told, or -1.
	asked, bound int64
	// end is the watermark, or the end of the batch that a read found.
	end     int64
	acked   bool
	acksAll bool
	failed  bool
	copied  bool // a further place of a batch that was placed already
	late    bool // an append that was given up and may land behind later ones
}

type windowReader struct {
	position  int64 // -1: not set
	from      int64
	bound     int64
	watermark int64 // the last of a leader, in its epoch
	epoch     int32
	invokedAt int64 // call time of the outstanding strict read, -1 if none
}

const forever = int64(1) << 60

// NewRecorder records one partition.
func NewRecorder(name Partition, config WindowConfig) *Recorder {
	if config.OperationsMax <= 0 {
		config.OperationsMax = operationsMaxDefault
	}
	if config.WindowOperations <= 0 {
		config.WindowOperations = windowOperationsDefault
	}
	return &Recorder{
		name: name, config: config, limit: forever, logStart: config.Start,
		batches: map[BatchID]int32{}, readers: map[int32]*windowReader{},
	}
}

// Full says that the bound was reached and up to which offset the record is exact.
func (r *Recorder) Full() (limit int64, full bool) { return r.limit, r.limit != forever }

func (r *Recorder) tick() int64 { r.clock++; return r.clock }

func (r *Recorder) add(o operation) int32 {
	r.operations = append(r.operations, o)
	if len(r.operations) >= r.config.OperationsMax && r.limit == forever {
		r.limit = r.config.Start
		for i := range r.operations {
			if o := &r.operations[i]; o.kind == appendOperation && o.base >= 0 {
				r.limit = max(r.limit, o.base+int64(o.count))
			}
		}
	}
	return int32(len(r.operations) - 1)
}

func (r *Recorder) outside(offset int64) bool { return offset < r.config.Start || offset > r.limit }

func (r *Recorder) reader(id int32) *windowReader {
	reader := r.readers[id]
	if reader == nil {
		reader = &windowReader{position: -1, from: -1, bound: -1, watermark: -1, epoch: -1, invokedAt: -1}
		r.readers[id] = reader
	}
	return reader
}

// Invoke is Checker.Invoke.
func (r *Recorder) Invoke(id BatchID, count int32, acksAll bool, event uint64) {
	now := r.tick()
	if r.limit == forever {
		r.batches[id] = r.add(operation{kind: appendOperation, call: now, reply: forever, event: event,
			id: id, base: -1, count: count, acksAll: acksAll})
	}
}

// Acked is Checker.Acked.
func (r *Recorder) Acked(id BatchID, base int64, event uint64) {
	now := r.tick()
	i, known := r.batches[id]
	if !known {
		if r.limit == forever {
			r.fault(PhantomRecord, base, id, event, fmt.Sprintf("was acked at %d and never sent", base))
		}
		return
	}
	o := &r.operations[i]
	if o.failed {
		r.fault(FailedAppendPresent, base, id, event, "was acked after it had failed for certain")
		return
	}
	o.acked = true
	if !o.acksAll {
		return
	}
	o.reply = now
	o.event = event
	switch {
	case base < 0:
	case o.base < 0 || o.base == base:
		o.base = base
	default:
		r.copy(i, base, event)
	}
}

// copy records a further place of a batch, which is a violation where duplicates
// are excluded and an append of its own where they are not.
func (r *Recorder) copy(i int32, base int64, event uint64) {
	original := r.operations[i]
	switch {
	case r.cut && base >= r.limit:
		return // this place is lost: another attempt, earlier or later, has the other
	case r.cut && original.base >= r.limit:
		// That one is lost, with its acknowledgement: the batch stands here now.
		o := &r.operations[i]
		o.base, o.reply, o.acked, o.copied = base, forever, false, true
		return
	}
	for _, o := range r.operations {
		if o.copied && o.id == original.id && o.base == base {
			return
		}
	}
	if r.config.Asserted.NoDuplicates {
		r.fault(DuplicateBatch, base, original.id, event, fmt.Sprintf("was at %d and at %d", original.base, base))
	}
	original.copied, original.base, original.reply, original.acked = true, base, forever, false
	r.add(original)
}

// Failed is Checker.Failed.
func (r *Recorder) Failed(id BatchID, event uint64) {
	r.tick()
	if i, known := r.batches[id]; known {
		r.operations[i].failed = true
		r.operations[i].event = event
	}
}

// Unknown is Checker.Unknown. The append may take effect at any later time.
func (r *Recorder) Unknown(id BatchID, late bool, _ uint64) {
	r.tick()
	if i, known := r.batches[id]; known {
		r.operations[i].late = late
	}
}

// Gone is Checker.Gone: an append that nobody placed is dropped anyway.
func (r *Recorder) Gone(id BatchID, event uint64) {
	r.tick()
	if i, known := r.batches[id]; known && r.operations[i].base < 0 {
		r.operations[i].acked = r.operations[i].acked && r.operations[i].acksAll
	}
}

// InvokeRead is Checker.InvokeRead.
func (r *Recorder) InvokeRead(reader int32, event uint64) { r.reader(reader).invokedAt = r.tick() }

// HighWatermark is Checker.HighWatermark. A report that is not strict may be old:
// it is legal at any time after the log was that long, so it has no call time.
func (r *Recorder) HighWatermark(reader int32, watermark int64, epoch int32, strict bool, event uint64) {
	now := r.tick()
	seen := r.reader(reader)
	if epoch >= 0 && epoch == seen.epoch && watermark < seen.watermark && r.config.Asserted.HighWatermarkMonotonic {
		r.fault(HighWatermarkRegress, watermark, 0, event, fmt.Sprintf("reader c%d was told %d after %d in epoch %d", reader, watermark, seen.watermark, epoch))
	}
	if epoch >= 0 {
		seen.epoch, seen.watermark = epoch, watermark
	}
	seen.bound = max(seen.bound, watermark)
	r.watermark = max(r.watermark, watermark)
	call := int64(0)
	if strict {
		if seen.invokedAt < 0 {
			r.notes = append(r.notes, "a strict read was not announced by InvokeRead")
			return
		}
		call, seen.invokedAt = seen.invokedAt, -1
	}
	if !r.outside(watermark) {
		r.add(operation{kind: watermarkOperation, call: call, reply: now, event: event, reader: reader, end: watermark})
	}
}

// ReadBatch is Checker.ReadBatch.
func (r *Recorder) ReadBatch(reader int32, base int64, count int32, id BatchID, first int32, event uint64) {
	now := r.tick()
	seen := r.reader(reader)
	if seen.position < 0 {
		seen.position, seen.from = base, base
	}
	if r.config.Compacted {
		seen.position = max(seen.position, base)
	}
	if seen.position < r.logStart && base > seen.position {
		seen.position = min(base, r.logStart)
	}
	o := operation{kind: readOperation, call: 0, reply: now, event: event, id: id, base: base - int64(first),
		count: count, first: first, reader: reader, asked: seen.position, bound: seen.bound}
	seen.position = base + int64(count)
	i, known := r.batches[id]
	if !known {
		if base >= r.config.Start && base+int64(count) <= r.limit {
			r.fault(PhantomRecord, base, id, event, fmt.Sprintf("was seen at %d and never sent", base))
		}
		return
	}
	batch := &r.operations[i]
	if first < 0 || first+count > batch.count || o.base < 0 {
		r.fault(TornBatch, base, id, event, fmt.Sprintf("showed the records %d to %d at %d and was sent with %d", first, first+count-1, base, batch.count))
		return
	}
	switch {
	case batch.failed:
		r.fault(FailedAppendPresent, base, id, event, fmt.Sprintf("was seen at %d after it had failed for certain", base))
	case batch.base < 0:
		batch.base = o.base
	case batch.base != o.base:
		r.copy(i, o.base, event)
	}
	o.end = o.base + int64(r.operations[i].count)
	if !r.outside(o.base) && o.end <= r.limit {
		r.add(o)
	}
}

// PassedOver is Checker.PassedOver.
func (r *Recorder) PassedOver(reader int32, to int64) {
	seen := r.reader(reader)
	seen.position = max(seen.position, to)
}

// ReaderReset is Checker.ReaderReset.
func (r *Recorder) ReaderReset(reader int32, to int64, event uint64) {
	r.tick()
	seen := r.reader(reader)
	seen.position, seen.from = to, to
}

// LogStart is Checker.LogStart.
func (r *Recorder) LogStart(offset int64, reason LogStartReason, event uint64) {
	r.tick()
	if offset < r.logStart && r.config.Start == 0 || reason == 0 {
		r.fault(LogStartInvalid, offset, 0, event, fmt.Sprintf("the log start moved from %d to %d", r.logStart, offset))
		return
	}
	r.logStart = max(r.logStart, offset)
}

// Truncated ends the recording: what was lost has no place in one linear order.
func (r *Recorder) Truncated(from int64, event uint64) {
	r.tick()
	r.limit, r.cut = min(r.limit, from), true
}

// Drained is Checker.Drained.
func (r *Recorder) Drained(reader int32, end int64, event uint64) {
	r.tick()
	seen := r.reader(reader)
	r.drained, r.drainEnd = true, end
	if seen.from > r.logStart {
		r.notes = append(r.notes, "the drain did not start at the log start")
	}
	if seen.position != end && end > r.logStart && r.limit == forever {
		r.fault(SkippedRecords, seen.position, 0, event, fmt.Sprintf("the drain ended at %d and the log at %d", seen.position, end))
	}
}

func (r *Recorder) fault(kind Kind, offset int64, id BatchID, event uint64, action string) {
	if r.config.Asserted.permits(kind) || len(r.faults) >= findingsMax {
		return
	}
	r.faults = append(r.faults, Finding{Kind: kind, Partition: r.name, Offset: offset, Records: 1,
		First: Witness{event, id, offset, action}})
}
