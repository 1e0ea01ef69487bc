package linearizability

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// WindowResult is what porcupine and the preparation before it have to say.
type WindowResult struct {
	Verdict    Verdict   `json:"verdict"`
	Operations int       `json:"operations"`
	Windows    int       `json:"windows"`
	Findings   []Finding `json:"findings"`
	Permitted  int       `json:"permitted"` // contradictions of claims that were not made
	Notes      []string  `json:"notes"`     // why the verdict is inconclusive
	// HTML is porcupine's picture of the first failing window, nil when there is none.
	HTML []byte `json:"-"`
}

// pictureOperations is how many operations before and after a failing one are
// drawn. The search over them is exponential at worst, so porcupine is given
// pictureTimeout of real time; the verdict never depends on it.
const (
	pictureBefore  = 14
	pictureAfter   = 6
	pictureTimeout = 2 * time.Second
)

// Check resolves, positions, tightens, cuts and checks. It may be called once.
// Unknown appends are placed where somebody saw them and dropped otherwise; each
// operation gets the position that its answer gives it; call times rise to the
// latest call of a lower position and returns fall to the earliest return of a
// higher one; so on a legal history porcupine never backtracks.
func (r *Recorder) Check() WindowResult {
	result := WindowResult{Notes: r.notes}
	operations := r.resolve()
	result.Operations = len(operations)
	result.Findings = r.faults
	r.checkProducers(operations, &result)
	calls, replies, early, late := tighten(operations)
	if late >= 0 {
		r.disorder(operations, early, late, &result)
	} else {
		r.replay(operations, calls, replies, &result)
	}
	if !r.drained && r.limit == forever {
		result.Notes = append(result.Notes, "the partition was not drained")
	}
	switch {
	case len(result.Findings) > 0:
		result.Verdict = Violation
	case len(result.Notes) > 0:
		result.Verdict = Inconclusive
	}
	return result
}

// resolve decides about unplaced appends and sorts by position.
func (r *Recorder) resolve() []*operation {
	operations := make([]*operation, 0, len(r.operations)+1)
	var unplaced []*operation // acknowledged without an offset and never seen
	for i := range r.operations {
		o := &r.operations[i]
		if o.kind != appendOperation {
			if o.end <= r.limit { // what was seen above it before the truncation is gone with its append
				operations = append(operations, o)
			}
			continue
		}
		switch {
		case o.failed && o.base >= 0 && !o.copied:
			r.fault(FailedAppendPresent, o.base, o.id, o.event, fmt.Sprintf("was at %d and failed for certain", o.base))
		case o.base < 0 && o.acked && o.acksAll && r.limit == forever && !r.config.Compacted:
			unplaced = append(unplaced, o)
		}
		if o.base >= 0 && !r.outside(o.base) && o.base+int64(o.count) <= r.limit {
			operations = append(operations, o)
		}
	}
	if r.drained && r.limit == forever {
		// The drain is a strict report of the end after everything else.
		operations = append(operations, &operation{kind: watermarkOperation, call: r.clock + 1, reply: r.clock + 2, end: r.drainEnd, reader: -1})
	}
	slices.SortStableFunc(operations, func(a, b *operation) int {
		rank := func(o *operation) int {
			if o.kind == appendOperation {
				return 1 // a read of the end comes before the append there
			}
			return 0
		}
		return cmp.Or(cmp.Compare(a.position(), b.position()), cmp.Compare(rank(a), rank(b)), cmp.Compare(a.call, b.call))
	})
	gap := r.expiredGap(operations)
	for _, o := range unplaced {
		if gap < int64(o.count) {
			r.fault(LostAck, -1, o.id, o.event, "was acked and nobody saw it")
		}
	}
	return operations
}

// gap is the offset below which slots may have gone without anybody having seen
// them: the log start, or any that compaction may have come to.
func (r *Recorder) gap() int64 {
	if r.config.Compacted {
		return forever
	}
	return r.logStart
}

// expiredGap is the longest stretch below the log start that nobody saw; retention
// may have taken an acknowledged batch from there.
func (r *Recorder) expiredGap(operations []*operation) int64 {
	end, gap := r.config.Start, int64(0)
	for _, o := range operations {
		if o.kind == appendOperation {
			gap = max(gap, min(o.base, r.logStart)-end)
			end = max(end, o.base+int64(o.count))
		}
	}
	return max(gap, r.logStart-end)
}

// checkProducers is the one order that intervals cannot express: a pipelining
// producer's batches overlap in time and must still land in program order.
func (r *Recorder) checkProducers(operations []*operation, result *WindowResult) {
	last := map[uint32]*operation{}
	for _, o := range operations {
		if o.kind != appendOperation || o.copied {
			continue
		}
		before := last[o.id.Producer()]
		if before == nil || before.id <= o.id {
			last[o.id.Producer()] = o
			continue
		}
		if o.late {
			continue
		}
		r.report(result, Finding{Kind: Reorder, Partition: r.name, Offset: o.base, Records: int64(o.count),
			First:  Witness{before.event, before.id, before.base, fmt.Sprintf("is at %d", before.base)},
			Second: Witness{o.event, o.id, o.base, fmt.Sprintf("was sent before it and is at %d", o.base)}})
	}
}

func (r *Recorder) report(result *WindowResult, f Finding) {
	if r.config.Asserted.permits(f.Kind) {
		result.Permitted++
		return
	}
	if len(result.Findings) < findingsMax {
		result.Findings = append(result.Findings, f)
	}
}

// tighten returns the narrowed intervals, or a pair (early, late) where the one
// of the lower position was called after the one of the higher had returned.
func tighten(operations []*operation) (calls, replies []int64, early, late int) {
	n := len(operations)
	calls, replies = make([]int64, n), make([]int64, n)
	latestCall, earliestReply := make([]int, n), make([]int, n)
	for i, o := range operations {
		calls[i], latestCall[i] = o.call, i
		if i > 0 && calls[i-1] > o.call {
			calls[i], latestCall[i] = calls[i-1], latestCall[i-1]
		}
	}
	for i := n - 1; i >= 0; i-- {
		replies[i], earliestReply[i] = operations[i].reply, i
		if i+1 < n && replies[i+1] < operations[i].reply {
			replies[i], earliestReply[i] = replies[i+1], earliestReply[i+1]
		}
	}
	for i := range operations {
		if calls[i] > replies[i] {
			return nil, nil, latestCall[i], earliestReply[i]
		}
	}
	return calls, replies, -1, -1
}

// disorder reports two operations whose positions contradict real time.
func (r *Recorder) disorder(operations []*operation, early, late int, result *WindowResult) {
	low, high := operations[early], operations[late]
	kind := StaleAppend
	if low.kind != appendOperation {
		kind = StaleRead
	}
	r.report(result, Finding{Kind: kind, Partition: r.name, Offset: low.position(),
		First:  Witness{high.event, high.id, high.position(), fmt.Sprintf("%s had returned", high)},
		Second: Witness{low.event, low.id, low.position(), fmt.Sprintf("%s began after that", low)}})
	if r.config.Asserted.permits(kind) {
		return
	}
	var cut []*operation
	for i, o := range operations {
		if near(i, early) || near(i, late) {
			cut = append(cut, o)
		}
	}
	r.picture(cut, logState{end: r.config.Start}, true, result)
}

func near(i, center int) bool { return i >= center-pictureBefore/2 && i <= center+pictureAfter/2 }

// replay runs the specification in the order of positions, cutting windows whose
// start is known from the one before, and has porcupine check each.
func (r *Recorder) replay(operations []*operation, calls, replies []int64, result *WindowResult) {
	start := logState{end: r.config.Start}
	history := make([]porcupine.Operation, 0, r.config.WindowOperations)
	for from := 0; from < len(operations); from += r.config.WindowOperations {
		to := min(from+r.config.WindowOperations, len(operations))
		result.Windows++
		state := start
		for i := from; i < to; i++ {
			next, ok := operations[i].step(state, r.gap())
			if !ok {
				r.broken(operations, i, state, result)
				return
			}
			state = next
		}
		history = ranked(history[:0], operations[from:to], calls[from:to], replies[from:to])
		if !porcupine.CheckOperations(windowModel(start, r.gap(), false), history) {
			result.Notes = append(result.Notes, fmt.Sprintf("porcupine rejects the window at %d that replays", operations[from].position()))
		}
		start = state
	}
}

// ranked gives porcupine the tightened intervals with distinct times, calls in the
// order of positions, so that the first candidate it tries is the right one.
func ranked(history []porcupine.Operation, operations []*operation, calls, replies []int64) []porcupine.Operation {
	for _, o := range operations {
		history = append(history, porcupine.Operation{ClientId: int(o.kind), Input: o})
	}
	time, call := int64(0), 0
	for reply := range operations {
		// Both lists rise with the position, so merging them ranks the times. A
		// call at the same time as a return comes first: intervals are closed.
		for call < len(operations) && (call <= reply || calls[call] <= replies[reply]) {
			history[call].Call = time
			time++
			call++
		}
		history[reply].Return = time
		time++
	}
	return history
}

// broken reports the first operation that the specification rejects.
func (r *Recorder) broken(operations []*operation, at int, state logState, result *WindowResult) {
	o := operations[at]
	kind, action := InconsistentOffset, fmt.Sprintf("the log ended at %d", state.end)
	if state.id != 0 {
		action += fmt.Sprintf(" with %s at %d", state.id, state.base)
	}
	switch {
	case o.kind == readOperation && (o.id != state.id || o.base != state.base):
	case o.kind == readOperation && o.asked != o.base+int64(o.first):
		kind, action = SkippedRecords, fmt.Sprintf("reader c%d stood at %d", o.reader, o.asked)
	case o.kind == readOperation && o.first+o.count > state.count:
		kind = TornBatch
	case o.kind == readOperation:
		kind, action = ReadAboveHighWatermark, fmt.Sprintf("reader c%d was told no high watermark above %d", o.reader, o.bound)
	case o.position() > state.end:
		kind = HoleBelowHighWatermark
	case o.kind == watermarkOperation:
		kind = SplitByHighWatermark
	}
	r.report(result, Finding{Kind: kind, Partition: r.name, Offset: o.position(), Records: max(1, int64(o.count)),
		First:  Witness{0, state.id, state.end, action},
		Second: Witness{o.event, o.id, o.position(), o.String()}})
	if r.config.Asserted.permits(kind) {
		return
	}
	from := max(0, at-pictureBefore)
	start := logState{end: r.config.Start}
	for i := range from {
		start, _ = operations[i].step(start, r.gap())
	}
	r.picture(operations[from:min(len(operations), at+pictureAfter)], start, false, result)
}

// picture lets porcupine search the operations around a violation with their real
// times, as a second opinion, and draws what it finds.
func (r *Recorder) picture(cut []*operation, start logState, orderOnly bool, result *WindowResult) {
	if r.config.NoPicture {
		return
	}
	history := make([]porcupine.Operation, 0, len(cut))
	var lanes []int64 // when each lane is free again
	sorted := slices.Clone(cut)
	slices.SortStableFunc(sorted, func(a, b *operation) int { return cmp.Compare(a.call, b.call) })
	for _, o := range sorted {
		lane := slices.IndexFunc(lanes, func(free int64) bool { return free < o.call })
		if lane < 0 {
			lane = len(lanes)
			lanes = append(lanes, 0)
		}
		reply := min(o.reply, r.clock+2)
		lanes[lane] = reply
		history = append(history, porcupine.Operation{ClientId: lane, Input: o, Call: o.call, Return: reply})
	}
	model := windowModel(start, r.gap(), orderOnly)
	verdict, info := porcupine.CheckOperationsVerbose(model, history, pictureTimeout)
	if verdict == porcupine.Ok {
		result.Notes = append(result.Notes, "porcupine accepts the operations around the violation: the two checks disagree")
	}
	var html bytes.Buffer
	if err := porcupine.Visualize(model, info, &html); err != nil {
		result.Notes = append(result.Notes, fmt.Sprintf("draw window: %v", err))
		return
	}
	result.HTML = html.Bytes()
}
