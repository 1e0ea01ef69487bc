package linearizability

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// logState is all that the next operation needs of a log: its end and its last
// batch. Because every operation has a position, a read of a batch takes effect
// right after its append, so older batches need not be kept.
type logState struct {
	end   int64
	id    BatchID
	base  int64
	count int32
}

// step is the sequential specification of a log. gap is the log start: below it
// slots may have gone without anybody having seen them.
func (o *operation) step(s logState, gap int64) (logState, bool) {
	switch o.kind {
	case appendOperation:
		if o.base != s.end && !(o.base > s.end && o.base <= gap) {
			return s, false
		}
		return logState{end: o.base + int64(o.count), id: o.id, base: o.base, count: o.count}, true
	case watermarkOperation:
		if o.end == s.end {
			return s, true
		}
		return logState{end: o.end}, o.end > s.end && o.end <= gap
	default:
		at := o.base + int64(o.first)
		end := at + int64(o.count)
		fits := o.id == s.id && o.base == s.base && o.first >= 0 && o.first+o.count <= s.count
		return s, fits && o.end == s.end && o.asked == at && (o.bound < 0 || end <= o.bound)
	}
}

// stepOrder only asks whether positions rise. It draws two operations that are
// far apart in the log but in the wrong order in time.
func (o *operation) stepOrder(s logState) (logState, bool) {
	position := o.position()
	if position < s.end {
		return s, false
	}
	if o.kind == appendOperation {
		position += int64(o.count)
	}
	return logState{end: position}, true
}

// position is where in the one linear order an operation belongs.
func (o *operation) position() int64 {
	if o.kind == appendOperation {
		return o.base
	}
	return o.end
}

func (o *operation) String() string {
	switch o.kind {
	case appendOperation:
		return fmt.Sprintf("append(%s, %d) -> %d", o.id, o.count, o.base)
	case watermarkOperation:
		return fmt.Sprintf("c%d end() -> %d", o.reader, o.end)
	default:
		return fmt.Sprintf("c%d read(%d) -> %s[%d:%d] at %d", o.reader, o.asked, o.id, o.first, o.first+o.count, o.base+int64(o.first))
	}
}

// windowModel is the specification as porcupine wants it.
func windowModel(start logState, gap int64, orderOnly bool) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return start },
		Step: func(state, input, _ any) (bool, any) {
			o := input.(*operation)
			if orderOnly {
				next, ok := o.stepOrder(state.(logState))
				return ok, next
			}
			next, ok := o.step(state.(logState), gap)
			return ok, next
		},
		Hash: func(state any) uint64 { return mix(uint64(state.(logState).end)) },
		DescribeOperation: func(input, _ any) string {
			return input.(*operation).String()
		},
		DescribeState: func(state any) string {
			s := state.(logState)
			return fmt.Sprintf("end %d, last %s at %d", s.end, s.id, s.base)
		},
	}
}
