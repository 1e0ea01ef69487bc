package linearizability

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Goal: no stack of corruptions of a legal history passes either checker. Method:
// one to four mutations each; the reference decides whether what came out is
// still legal (then both must accept it); otherwise both must call it a violation.

// mutationsDefault histories run by default; MUTATIONS sets another number.
const mutationsDefault = 10_100

type mutation struct {
	name  string
	apply func(r *rand.Rand, history []call) ([]call, bool)
}

var mutations = []mutation{
	{"dropped record", mutateDrop},
	{"lost tail", mutateTail},
	{"doubled batch", mutateDouble},
	{"swapped offsets", mutateSwap},
	{"altered id", mutateID},
	{"altered index", mutateIndex},
	{"lowered high watermark", mutateWatermark},
	{"ack at wrong offset", mutateAck},
	{"phantom", mutatePhantom},
	{"split batch", mutateSplit},
}

func where(history []call, wanted func(call) bool) []int {
	var found []int
	for i, c := range history {
		if wanted(c) {
			found = append(found, i)
		}
	}
	return found
}

func pick(r *rand.Rand, history []call, wanted func(call) bool) int {
	if found := where(history, wanted); len(found) > 0 {
		return found[r.IntN(len(found))]
	}
	return -1
}

func isRead(c call) bool    { return c.kind == readCall }
func isDrained(c call) bool { return c.kind == readCall && c.reader == drainReader }
func isAck(c call) bool     { return c.kind == ackCall && c.base >= 0 }
func isStrict(c call) bool  { return c.kind == watermarkCall && c.flag && c.base > 0 }

// mutateDrop makes a reader miss one run, or one record of it.
func mutateDrop(r *rand.Rand, history []call) ([]call, bool) {
	i := pick(r, history, isDrained)
	if r.IntN(3) == 0 {
		// A consumer misses it: only if it reads on can anybody tell.
		i = pick(r, history, func(c call) bool {
			return isRead(c) && slices.ContainsFunc(history, func(d call) bool { return isRead(d) && d.reader == c.reader && d.base == c.base+int64(c.count) })
		})
	}
	if i < 0 {
		return history, false
	}
	if history[i].count > 1 && r.IntN(2) == 0 {
		history[i].count--
		return history, true
	}
	return slices.Delete(history, i, i+1), true
}

// mutateTail ends the log early: the last acknowledged batches are gone.
func mutateTail(r *rand.Rand, history []call) ([]call, bool) {
	i := pick(r, history, isDrained)
	if i < 0 {
		return history, false
	}
	end := history[i].base
	endAt(history, end)
	return slices.DeleteFunc(history, func(c call) bool { return isDrained(c) && c.base >= end }), true
}

// endAt sets what the drain was told of the log's end.
func endAt(history []call, end int64) {
	for i := range history {
		c := &history[i]
		if c.reader == drainReader && (c.kind == watermarkCall || c.kind == drainCall) {
			c.base = end
		}
	}
}

// mutateDouble gives a batch a second place at the end of the log.
func mutateDouble(r *rand.Rand, history []call) ([]call, bool) {
	i := pick(r, history, isDrained)
	if i < 0 {
		return history, false
	}
	again := history[i]
	again.base = history[len(history)-1].base
	endAt(history, again.base+int64(again.count))
	return slices.Insert(history, len(history)-1, again), true
}

// mutateSwap exchanges two batches in the acks or in what a reader saw.
func mutateSwap(r *rand.Rand, history []call) ([]call, bool) {
	kind := isAck
	if r.IntN(2) == 0 {
		kind = isRead
	}
	found := where(history, kind)
	if len(found) < 2 {
		return history, false
	}
	a, b := &history[found[r.IntN(len(found))]], &history[found[r.IntN(len(found))]]
	if a.id == b.id {
		return history, false
	}
	a.id, b.id = b.id, a.id
	return history, true
}

func mutateID(r *rand.Rand, history []call) ([]call, bool) {
	i := pick(r, history, isRead)
	if i < 0 {
		return history, false
	}
	history[i].id ^= BatchID(1) << r.IntN(6)
	return history, history[i].id.Sequence() != 0
}

func mutateIndex(r *rand.Rand, history []call) ([]call, bool) {
	i := pick(r, history, isRead)
	if i < 0 {
		return history, false
	}
	history[i].first += int32(1 + r.IntN(3))
	return history, true
}

// mutateWatermark lowers a strict read, which may no longer tell the end.
func mutateWatermark(r *rand.Rand, history []call) ([]call, bool) {
	i := pick(r, history, isStrict)
	if i < 0 {
		return history, false
	}
	history[i].base = r.Int64N(history[i].base)
	return history, true
}

func mutateAck(r *rand.Rand, history []call) ([]call, bool) {
	i := pick(r, history, isAck)
	if i < 0 {
		return history, false
	}
	if shift := 1 + r.Int64N(5); r.IntN(2) == 0 && history[i].base >= shift {
		history[i].base -= shift
	} else {
		history[i].base += shift
	}
	return history, true
}

// mutatePhantom shows a batch that nobody sent, in the log or at its end.
func mutatePhantom(r *rand.Rand, history []call) ([]call, bool) {
	fresh := NewBatchID(uint32(1+r.IntN(8)), 1<<20+r.Uint64N(1000))
	if i := pick(r, history, isRead); i >= 0 && r.IntN(2) == 0 {
		history[i].id = fresh
		return history, true
	}
	end := history[len(history)-1].base
	endAt(history, end+1)
	return slices.Insert(history, len(history)-1, call{kind: readCall, reader: drainReader, id: fresh, base: end, count: 1}), true
}

// mutateSplit tears a batch: its records are no longer in consecutive slots.
func mutateSplit(r *rand.Rand, history []call) ([]call, bool) {
	i := pick(r, history, func(c call) bool { return isRead(c) && c.count > 1 })
	if i < 0 {
		return history, false
	}
	tail := history[i]
	cut := int32(1 + r.IntN(int(tail.count)-1))
	history[i].count = cut
	tail.first += cut
	tail.count -= cut
	if next := i + 1; next < len(history) && isRead(history[next]) && history[next].reader == tail.reader && history[next].id != tail.id {
		// The next batch slips in between the two halves.
		history[next].base = tail.base + int64(cut)
		tail.base = history[next].base + int64(history[next].count)
		return slices.Insert(history, next+1, tail), true
	}
	tail.base += int64(cut) + 1 // the second half lies one slot further
	return slices.Insert(history, i+1, tail), true
}

func mutate(r *rand.Rand, history []call) ([]call, []string) {
	var names []string
	for wanted := 1 + r.IntN(4); wanted > 0; {
		m := mutations[r.IntN(len(mutations))]
		mutated, changed := m.apply(r, history)
		history = mutated
		if changed {
			names = append(names, m.name)
		}
		wanted--
	}
	return history, names
}

func TestMutatedHistoriesAreFound(t *testing.T) {
	wanted := mutationsDefault
	if text := os.Getenv("MUTATIONS"); text != "" {
		wanted, _ = strconv.Atoi(text)
	}
	mutated, harmless, pictures := 0, 0, 0
	stacked := map[string]int{}
	for seed := uint64(0); mutated < wanted; seed++ {
		r := rand.New(rand.NewPCG(seed, 2))
		shape := randomTraits(r)
		healthy := generate(r, shape)
		history, names := mutate(r, slices.Clone(healthy))
		if len(names) == 0 || slices.Equal(history, healthy) {
			continue
		}
		mutated++
		wrong := reference(history, shape.asserted)
		picture := wrong != "" && seed%400 == 0
		report, window := checkBoth(history, shape.asserted, Config{}, picture)
		fail := func(what string) {
			t.Fatalf("seed %d, %s: %s; reference %q\nstreaming %s %v %v\nwindows %s %v %v\n%s", seed, strings.Join(names, " + "), what, wrong,
				report.Verdict, report.Findings.List, report.Inconclusive, window.Verdict, window.Findings, window.Notes, describe(history))
		}
		if wrong == "" {
			harmless++
			if report.Verdict != Ok || window.Verdict != Ok {
				fail("a legal history was rejected")
			}
			continue
		}
		if report.Verdict != Violation {
			fail("missed by the streaming checker")
		}
		if window.Verdict != Violation {
			fail("missed by the windows")
		}
		if picture {
			if slices.ContainsFunc(window.Notes, func(note string) bool { return strings.HasPrefix(note, "porcupine") }) {
				fail("porcupine disagrees with the replay")
			}
			if len(window.HTML) > 0 {
				pictures++
			}
		}
		for _, name := range names {
			stacked[name]++
		}
	}
	if harmless*20 > mutated {
		t.Errorf("%d of %d mutated histories were still legal, want below 5%%", harmless, mutated)
	}
	for _, m := range mutations {
		if stacked[m.name] < mutated/50 {
			t.Errorf("%s happened only %d times", m.name, stacked[m.name])
		}
	}
	if pictures == 0 {
		t.Error("no violation was drawn")
	}
	t.Logf("%d mutated, %d of them still legal, %d drawn, %v", mutated, harmless, pictures, stacked)
}
