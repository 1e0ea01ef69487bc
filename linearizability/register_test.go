package linearizability

import (
	"math/rand/v2"
	"testing"

	"github.com/anishathalye/porcupine"
)

// Goal: the register checkers accept legal histories and reject every illegal one.
// Method: random histories of commits and fetches, legal or corrupted, judged by
// porcupine with a plain register; forgetting is forced by long histories.

type registerOp struct {
	write  bool
	token  OffsetToken
	call   int64
	handle int64
}

type flight struct {
	op      registerOp
	applied bool
	found   OffsetToken
}

// registerHistory simulates a register with overlapping operations and returns
// what porcupine needs, while feeding the checker.
func registerHistory(r *rand.Rand, steps int, corrupt bool, c *OffsetChecker) []porcupine.Operation {
	key := OffsetKey{Group: 1, Partition: testPartition}
	var value, next OffsetToken
	var values []OffsetToken
	var history []porcupine.Operation
	var flights []*flight
	now := int64(0)
	finish := func(i int) {
		f := flights[i]
		flights = append(flights[:i], flights[i+1:]...)
		now++
		o := porcupine.Operation{Input: f.op, Call: f.op.call, Return: now, Output: f.found}
		if f.op.write {
			if r.IntN(6) == 0 {
				c.CommitReturned(key, f.op.token, Inconclusive, uint64(now))
				if !f.applied && r.IntN(2) == 0 {
					f.applied, value = true, f.op.token
				}
				o.Return = int64(steps) * 4
				history = append(history, o)
				return
			}
			if !f.applied {
				value = f.op.token
			}
			c.CommitReturned(key, f.op.token, Ok, uint64(now))
		} else {
			if !f.applied {
				f.found = value
			}
			if corrupt && r.IntN(12) == 0 && len(values) > 0 {
				f.found = values[max(0, len(values)-1-r.IntN(6))]
			}
			o.Output = f.found
			c.FetchReturned(key, f.op.handle, f.found, int64(f.found)-b2i(f.found == 0), uint64(now))
		}
		history = append(history, o)
	}
	for range steps {
		switch n := r.IntN(10); {
		case n < 4 && len(flights) < 4:
			now++
			f := &flight{op: registerOp{call: now}}
			if r.IntN(2) == 0 {
				next++
				f.op.write, f.op.token = true, next
				values = append(values, next)
				c.CommitInvoked(key, next, int64(next), uint64(now))
			} else {
				f.op.handle = c.FetchInvoked(key)
			}
			flights = append(flights, f)
		case n < 7 && len(flights) > 0:
			if f := flights[r.IntN(len(flights))]; !f.applied {
				f.applied = true
				if f.op.write {
					value = f.op.token
				} else {
					f.found = value
				}
			}
		case len(flights) > 0:
			finish(r.IntN(len(flights)))
		}
	}
	for len(flights) > 0 {
		finish(0)
	}
	return history
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func TestOffsetRegisterAgreesWithPorcupine(t *testing.T) {
	model := porcupine.Model{
		Init: func() any { return OffsetToken(0) },
		Step: func(state, input, output any) (bool, any) {
			o := input.(registerOp)
			if o.write {
				return true, o.token
			}
			return output.(OffsetToken) == state.(OffsetToken), state
		},
	}
	legal, illegal := 0, 0
	for seed := range uint64(6000) {
		r := rand.New(rand.NewPCG(seed, 3))
		c := NewOffsetChecker()
		history := registerHistory(r, 10+r.IntN(160), seed%2 == 1, c)
		want := porcupine.CheckOperations(model, history)
		got := c.Finish(0)
		if (got.Verdict == Ok) != want {
			t.Fatalf("seed %d: porcupine says %v, the clusters %s %v", seed, want, got.Verdict, got.Findings.List)
		}
		if want {
			legal++
		} else {
			illegal++
		}
	}
	if legal < 2000 || illegal < 500 {
		t.Fatalf("unbalanced: %d legal, %d illegal", legal, illegal)
	}
}

func TestOffsetRegisterForgets(t *testing.T) {
	c := NewOffsetChecker()
	registerHistory(rand.New(rand.NewPCG(1, 4)), 200_000, false, c)
	kept := len(c.keys[OffsetKey{Group: 1, Partition: testPartition}].clusters)
	if report := c.Finish(0); report.Findings.Total > 0 {
		t.Fatalf("a legal history: %v", report.Findings.List[0])
	}
	// One commit in twelve has an unknown outcome and half of those are never seen.
	if kept > 16_000 {
		t.Errorf("%d clusters kept", kept)
	}
}

// Goal: what a fetch is told must be what was committed, and of nothing nothing.
func TestOffsetIsTheCommittedOne(t *testing.T) {
	key := OffsetKey{Group: 1, Partition: testPartition}
	for _, test := range []struct {
		name   string
		token  OffsetToken
		offset int64
		want   Verdict
	}{
		{"as committed", 7, 40, Ok},
		{"another offset", 7, 41, Violation},
		{"a commit that nobody sent", 8, 40, Violation},
		{"nothing any more", 0, -1, Violation},
	} {
		c := NewOffsetChecker()
		c.CommitInvoked(key, 7, 40, 1)
		c.CommitReturned(key, 7, Ok, 2)
		c.FetchReturned(key, c.FetchInvoked(key), test.token, test.offset, 3)
		if got := c.Finish(4).Verdict; got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	for offset, want := range map[int64]Verdict{-1: Ok, 0: Violation, 40: Violation} {
		c := NewOffsetChecker()
		c.FetchReturned(key, c.FetchInvoked(key), 0, offset, 1)
		if got := c.Finish(2).Verdict; got != want {
			t.Errorf("offset %d before any commit: %s, want %s", offset, got, want)
		}
	}
	// A commit that was refused must not be read, though it is known.
	c := NewOffsetChecker()
	c.CommitInvoked(key, 7, 40, 1)
	c.CommitReturned(key, 7, Violation, 2)
	c.FetchReturned(key, c.FetchInvoked(key), 7, 40, 3)
	if got := c.Finish(4).Verdict; got != Violation {
		t.Errorf("a refused commit was read: %s", got)
	}
	// Nor may it have been read before it was refused.
	c = NewOffsetChecker()
	c.CommitInvoked(key, 7, 40, 1)
	c.FetchReturned(key, c.FetchInvoked(key), 7, 40, 2)
	c.CommitReturned(key, 7, Violation, 3)
	if got := c.Finish(4).Verdict; got != Violation {
		t.Errorf("a commit was refused that had been read: %s", got)
	}
}

func TestMetadataRegister(t *testing.T) {
	kinds := func(observe func(*MetadataChecker)) []Kind {
		c := NewMetadataChecker()
		observe(c)
		var found []Kind
		for _, f := range c.Finish().Findings.List {
			found = append(found, f.Kind)
		}
		return found
	}
	p := testPartition
	for _, test := range []struct {
		name    string
		observe func(*MetadataChecker)
		want    Kind
	}{
		{"rising", func(c *MetadataChecker) {
			c.Observed(1, p, MetadataVersion{1, 1}, 10, 1)
			c.Observed(1, p, MetadataVersion{1, 2}, 11, 2)
			c.Observed(2, p, MetadataVersion{1, 1}, 10, 3)
			c.Observed(1, p, MetadataVersion{2, 3}, 12, 4)
		}, 0},
		{"back", func(c *MetadataChecker) {
			c.Observed(1, p, MetadataVersion{2, 1}, 10, 1)
			c.Observed(1, p, MetadataVersion{1, 9}, 11, 2)
		}, MetadataRegress},
		{"fork", func(c *MetadataChecker) {
			c.Observed(1, p, MetadataVersion{2, 1}, 10, 1)
			c.Observed(2, p, MetadataVersion{2, 1}, 11, 2)
		}, MetadataFork},
	} {
		got := kinds(test.observe)
		if test.want == 0 && len(got) > 0 || test.want != 0 && (len(got) != 1 || got[0] != test.want) {
			t.Errorf("%s: found %v, want %v", test.name, got, test.want)
		}
	}
}

func TestProducerIDs(t *testing.T) {
	for _, test := range []struct {
		name  string
		grant func(*ProducerIDChecker)
		want  int64
	}{
		{"distinct", func(c *ProducerIDChecker) { c.Granted(-1, 1, 0, 1, 2); c.Granted(-1, 2, 0, 3, 4) }, 0},
		{"rising epochs", func(c *ProducerIDChecker) {
			c.Granted(7, 1, 0, 1, 2)
			c.Granted(7, 1, 1, 3, 4)
			c.Granted(7, 2, 0, 5, 6)
		}, 0},
		{"overlapping", func(c *ProducerIDChecker) { c.Granted(7, 1, 1, 1, 3); c.Granted(7, 1, 0, 2, 4) }, 0},
		{"twice", func(c *ProducerIDChecker) { c.Granted(-1, 1, 0, 1, 2); c.Granted(-1, 1, 0, 3, 4) }, 1},
		{"same epoch", func(c *ProducerIDChecker) { c.Granted(7, 1, 1, 1, 2); c.Granted(7, 1, 1, 3, 4) }, 1},
		{"falling epoch", func(c *ProducerIDChecker) { c.Granted(7, 1, 2, 1, 2); c.Granted(7, 1, 1, 3, 4) }, 1},
		{"older id", func(c *ProducerIDChecker) { c.Granted(7, 5, 0, 1, 2); c.Granted(7, 4, 0, 3, 4) }, 1},
	} {
		c := NewProducerIDChecker()
		test.grant(c)
		if got := c.Finish().Findings; got.Total != test.want {
			t.Errorf("%s: %d findings, want %d: %v", test.name, got.Total, test.want, got.List)
		}
	}
}

func TestOwnership(t *testing.T) {
	key := OffsetKey{Group: 2, Partition: testPartition}
	for _, test := range []struct {
		name string
		run  func(*OwnershipChecker)
		want int64
	}{
		{"handed over", func(c *OwnershipChecker) { c.Assigned(key, 1, 1, 1); c.Released(key, 1, 2); c.Assigned(key, 2, 2, 3) }, 0},
		{"kept", func(c *OwnershipChecker) { c.Assigned(key, 1, 1, 1); c.Assigned(key, 1, 2, 3) }, 0},
		{"same generation", func(c *OwnershipChecker) { c.Assigned(key, 1, 1, 1); c.Released(key, 1, 2); c.Assigned(key, 2, 1, 3) }, 1},
		{"overlap", func(c *OwnershipChecker) { c.Assigned(key, 1, 1, 1); c.Assigned(key, 2, 2, 3) }, 1},
		{"commit of the present generation", func(c *OwnershipChecker) {
			c.Assigned(key, 1, 1, 1)
			if c.Superseded(key, 1) {
				c.CommitAccepted(key, 1, 1, 2)
			}
		}, 0},
		{"commit of a zombie", func(c *OwnershipChecker) {
			c.Assigned(key, 1, 1, 1)
			c.Released(key, 1, 2)
			c.Assigned(key, 2, 2, 3)
			if c.Superseded(key, 1) {
				c.CommitAccepted(key, 1, 1, 4)
			}
		}, 1},
		{"old generation", func(c *OwnershipChecker) { c.Assigned(key, 1, 3, 1); c.Released(key, 1, 2); c.Assigned(key, 2, 2, 3) }, 1},
	} {
		c := NewOwnershipChecker()
		test.run(c)
		if got := c.Finish().Findings; got.Total != test.want {
			t.Errorf("%s: %d findings, want %d: %v", test.name, got.Total, test.want, got.List)
		}
	}
}

func BenchmarkOffsetRegister(b *testing.B) {
	c := NewOffsetChecker()
	key := OffsetKey{Group: 1, Partition: testPartition}
	b.ReportAllocs()
	for i := range b.N {
		token := OffsetToken(i + 1)
		c.CommitInvoked(key, token, int64(i), uint64(i))
		handle := c.FetchInvoked(key)
		c.CommitReturned(key, token, Ok, uint64(i))
		c.FetchReturned(key, handle, token, int64(i), uint64(i))
	}
	if report := c.Finish(0); report.Verdict != Ok {
		b.Fatal(report.Findings.List)
	}
}
