package linearizability

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"
)

// Goal: the reference, the streaming checker and the windows mean by "legal" what
// a naive model means. Method: small histories, at most 15 operations, given to
// porcupine with the whole log as state and unknown appends that may happen or
// not. Only what each client sees alone (its position, its high watermarks, who
// was sent what) is checked outside the model.

const naiveOperationsMax = 15

type naiveSlot struct {
	id    BatchID
	index int32
}

type naiveInput struct {
	call call
	must bool
	base int64
}

// naiveModel keeps the log as a slice of slots; appends take any place at the end.
func naiveModel() porcupine.Model {
	model := porcupine.NondeterministicModel{
		Init: func() []any { return []any{[]naiveSlot(nil)} },
		Step: func(state, input, _ any) []any {
			log, in := state.([]naiveSlot), input.(naiveInput)
			switch in.call.kind {
			case invokeCall:
				return naiveAppend(log, in)
			case watermarkCall:
				end := in.call.base
				if in.call.flag && end != int64(len(log)) || end > int64(len(log)) || end < int64(len(log)) && log[end].index != 0 {
					return nil
				}
			case readCall:
				for i := range in.call.count {
					at := in.call.base + int64(i)
					if at >= int64(len(log)) || log[at] != (naiveSlot{in.call.id, in.call.first + i}) {
						return nil
					}
				}
			}
			return []any{log}
		},
		Equal: func(a, b any) bool { return slices.Equal(a.([]naiveSlot), b.([]naiveSlot)) },
	}
	return model.ToModel()
}

func naiveAppend(log []naiveSlot, in naiveInput) []any {
	var next []any
	if !in.must {
		next = append(next, log)
	}
	for _, slot := range log {
		if slot.id.Producer() == in.call.id.Producer() && slot.id >= in.call.id {
			return next // behind its successor
		}
	}
	if in.base < 0 || in.base == int64(len(log)) {
		longer := slices.Clone(log)
		for i := range in.call.count {
			longer = append(longer, naiveSlot{in.call.id, i})
		}
		next = append(next, longer)
	}
	return next
}

// naiveHistory turns calls into operations; false when a client alone can tell
// that they are illegal, or when there are too many operations.
func naiveHistory(history []call) (operations []porcupine.Operation, fits, legal bool) {
	appends := map[BatchID]int{}
	asked := map[int32]int64{}
	readers := map[int32]*referenceReader{}
	legal = true
	for i, x := range history {
		now := int64(i + 1)
		k := readers[x.reader]
		if k == nil {
			k = &referenceReader{position: -1, bound: -1, last: -1, epoch: -1}
			readers[x.reader] = k
		}
		switch x.kind {
		case invokeCall:
			appends[x.id] = len(operations)
			operations = append(operations, porcupine.Operation{Input: naiveInput{call: x, base: -1}, Call: now, Return: forever})
		case ackCall:
			at, known := appends[x.id]
			if !known {
				return nil, true, false
			}
			in := operations[at].Input.(naiveInput)
			if in.base >= 0 && x.base >= 0 && in.base != x.base {
				legal = false
			}
			in.base, in.must = max(in.base, x.base), true
			operations[at].Input = in
			operations[at].Return = min(operations[at].Return, now)
		case failCall:
			if at, known := appends[x.id]; known {
				in := operations[at].Input.(naiveInput)
				in.call.count = 0
				operations[at].Input = in
			}
		case askCall:
			asked[x.reader] = now
		case watermarkCall:
			if x.epoch == k.epoch && x.base < k.last {
				legal = false
			}
			k.epoch, k.last, k.bound = x.epoch, x.base, max(k.bound, x.base)
			o := porcupine.Operation{Input: naiveInput{call: x}, Call: 0, Return: now}
			if x.flag {
				o.Call = asked[x.reader]
			}
			operations = append(operations, o)
		case readCall:
			if k.position >= 0 && k.position != x.base || x.base+int64(x.count) > k.bound && k.bound >= 0 {
				legal = false
			}
			k.position = x.base + int64(x.count)
			operations = append(operations, porcupine.Operation{Input: naiveInput{call: x}, Call: 0, Return: now})
		case resetCall:
			k.position = x.base
		case drainCall:
			if k.position != x.base && x.base > 0 {
				legal = false
			}
			end := x
			end.kind, end.flag = watermarkCall, true
			operations = append(operations, porcupine.Operation{Input: naiveInput{call: end}, Call: now, Return: now + 1})
		}
	}
	// A batch longer in its read than in its append, or torn, fails in the model.
	return operations, len(operations) <= naiveOperationsMax, legal
}

func TestAgreesWithNaiveModel(t *testing.T) {
	model := naiveModel()
	legal, illegal := 0, 0
	for seed := uint64(0); legal+illegal < 4000; seed++ {
		r := rand.New(rand.NewPCG(seed, 6))
		shape := traits{asserted: AssertAll(), steps: 8 + r.IntN(14), producers: 1 + r.IntN(3), readers: 1 + r.IntN(2), batchMax: 1 + r.IntN(3), forget: 3}
		history := generate(r, shape)
		if seed%4 > 0 {
			history, _ = mutate(r, history)
		}
		operations, fits, want := naiveHistory(history)
		if !fits {
			continue
		}
		want = want && porcupine.CheckOperations(model, operations)
		wrong := reference(history, shape.asserted)
		report, window := checkBoth(history, shape.asserted, Config{}, false)
		if (wrong == "") != want || (report.Verdict == Ok) != want || (window.Verdict == Ok) != want {
			t.Fatalf("seed %d: naive %v, reference %q, streaming %s %v %v, windows %s %v %v\n%s", seed, want, wrong,
				report.Verdict, report.Findings.List, report.Inconclusive, window.Verdict, window.Findings, window.Notes, describe(history))
		}
		if want {
			legal++
		} else {
			illegal++
		}
	}
	if legal < 500 || illegal < 1500 {
		t.Errorf("unbalanced: %d legal, %d illegal", legal, illegal)
	}
	t.Logf("%d legal, %d illegal", legal, illegal)
}
