package linearizability

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Goal: legal histories pass both checkers with nothing left undecided. Method: a
// model cluster with pipelining, retries, unknown outcomes, elections that
// truncate and tell old watermarks, resets and retention.

func randomTraits(r *rand.Rand) traits {
	steps := 30 + r.IntN(170)
	if r.IntN(10) == 0 {
		steps += 400
	}
	return traits{asserted: AssertAll(), steps: steps, forget: 2 + r.IntN(12), producers: 1 + r.IntN(4), readers: 1 + r.IntN(3), batchMax: 1 + r.IntN(6), retention: r.IntN(2) == 0}
}

func checkBoth(history []call, asserted Asserted, config Config, picture bool) (*Report, WindowResult) {
	config.Asserted = asserted
	streaming := NewChecker(config)
	streaming.apply(history)
	recorder := NewRecorder(testPartition, WindowConfig{Asserted: asserted, WindowOperations: 64, NoPicture: !picture})
	recorder.apply(history)
	return streaming.Finish(), recorder.Check()
}

func TestHealthyHistoriesPass(t *testing.T) {
	const histories = 4000
	var acked, delivered, lost int64
	for seed := range uint64(histories) {
		r := rand.New(rand.NewPCG(seed, 1))
		shape := randomTraits(r)
		switch seed % 4 {
		case 1:
			shape.repeats, shape.asserted.NoDuplicates = true, false
		case 2:
			shape.weak, shape.asserted.NoLostAcks = true, false
		}
		history := generate(r, shape)
		if wrong := reference(history, shape.asserted); wrong != "" {
			t.Fatalf("seed %d: the generator is wrong: %s\n%s", seed, wrong, describe(history))
		}
		report, window := checkBoth(history, shape.asserted, Config{}, true)
		if report.Verdict != Ok || report.Unverified != 0 || report.Permitted.Total > 0 && shape.asserted == AssertAll() {
			t.Fatalf("seed %d: %s\n%v\n%v\n%s", seed, report.Summary(), report.Findings.List, report.Inconclusive, describe(history))
		}
		if window.Verdict != Ok {
			t.Fatalf("seed %d: windows %s\n%v\n%v\n%s", seed, window.Verdict, window.Findings, window.Notes, describe(history))
		}
		if shape.weak && !shape.retention {
			want := lostAcks(history)
			if report.Lost != want || report.PermittedLost != want || report.UnannouncedLoss() != want {
				t.Fatalf("seed %d: %s, want %d lost\n%s", seed, report.Summary(), want, describe(history))
			}
			lost += want
		}
		acked += report.Acked
		delivered += report.Delivered
	}
	if acked < histories*10 || delivered < histories*10 || lost < histories/10 {
		t.Fatalf("too little happened: %d acked, %d delivered, %d lost", acked, delivered, lost)
	}
}

// lostAcks counts the acknowledged records that the drain did not see.
func lostAcks(history []call) int64 {
	acked, drained := map[BatchID]bool{}, map[BatchID]bool{}
	for _, c := range history {
		switch {
		case c.kind == ackCall:
			acked[c.id] = true
		case isDrained(c):
			drained[c.id] = true
		}
	}
	var lost int64
	for _, c := range history {
		if c.kind == invokeCall && acked[c.id] && !drained[c.id] {
			lost += int64(c.count)
		}
	}
	return lost
}

// TestSampleHearsEveryCall: a recorder fed by the checker records what one fed
// directly records.
func TestSampleHearsEveryCall(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 7))
		history := generate(r, randomTraits(r))
		checker := NewChecker(Config{Asserted: AssertAll()})
		sample := checker.Sample(testPartition, WindowConfig{})
		checker.apply(history)
		direct := NewRecorder(testPartition, WindowConfig{Asserted: AssertAll()})
		direct.apply(history)
		if !slices.Equal(sample.operations, direct.operations) || sample.clock != direct.clock {
			t.Fatalf("seed %d: %d operations at %d, want %d at %d", seed, len(sample.operations), sample.clock, len(direct.operations), direct.clock)
		}
	}
}

// TestLateBatch: what a producer without idempotence has given up may land behind what
// it sent later; what any other has given up, or what was not given up, may not.
func TestLateBatch(t *testing.T) {
	early, next := NewBatchID(0, 1), NewBatchID(0, 2)
	for _, test := range []struct {
		name    string
		gaveUp  bool
		late    bool
		healthy bool
	}{{"given up", true, true, true}, {"given up by an idempotent producer", true, false, false}, {"in flight", false, false, false}} {
		history := []call{{kind: invokeCall, id: early, count: 1, flag: true}}
		if test.gaveUp {
			history = append(history, call{kind: unknownCall, id: early, flag: test.late})
		}
		history = append(history, call{kind: invokeCall, id: next, count: 1, flag: true}, call{kind: ackCall, id: next, base: 0},
			call{kind: watermarkCall, base: 2, epoch: 1}, call{kind: readCall, id: next, base: 0, count: 1}, call{kind: readCall, id: early, base: 1, count: 1})
		checker := NewChecker(Config{Asserted: AssertAll()})
		checker.apply(history)
		if got := checker.Finish().Findings.Total == 0; got != test.healthy {
			t.Errorf("%s: streaming: healthy %v, want %v", test.name, got, test.healthy)
		}
		recorder := NewRecorder(testPartition, WindowConfig{Asserted: AssertAll()})
		recorder.apply(history)
		if got := len(recorder.Check().Findings) == 0; got != test.healthy {
			t.Errorf("%s: windows: healthy %v, want %v", test.name, got, test.healthy)
		}
	}
}
