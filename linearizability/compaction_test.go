package linearizability

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// Goal: what compaction may do passes, what it may not is found, each by its name.
// Method: a model of a partition whose replicas compact on their own, as Kafka's
// cleaner does, is written, read by readers that come and go, and read to its end;
// then faults are planted in the replica or in what readers are given. A judge that
// remembers everything says what is legal, and must agree.

// modelRecord is a record of the model's log.
type modelRecord struct {
	Keyed
	offset  int64
	id      BatchID
	index   int32
	horizon int64 // tombstones: when it may go; 0 before it has been compacted
}

// modelLog is one replica; it never holds a record twice.
type modelLog struct {
	records []modelRecord
	end     int64
}

type compactionModel struct {
	rng      *rand.Rand
	rules    Compaction
	keys     int64
	rare     int64 // keys that are written now and then
	weak     bool  // every third batch is acknowledged by the leader alone (acks=1)
	checker  *Checker
	now      int64
	event    uint64
	sequence [3]uint64
	all      []modelRecord // every record ever written
	replicas [3]modelLog
	leader   int
	acks     []func()
	readers  map[int32]*modelReader
	judge    judge
	feed     func([]modelRecord) []modelRecord // what a planted fault makes of an answer
}

type modelReader struct {
	position int64
	held     func() // hands out an answer that came a while ago
}

var compacted = Partition{0, 0}

const modelSegment = 6 // records

func newCompactionModel(seed uint64) *compactionModel {
	m := &compactionModel{rng: rand.New(rand.NewPCG(seed, 7)), readers: map[int32]*modelReader{}, now: 1_000_000}
	m.rules = Compaction{
		MinLagMillis:          []int64{0, 300, 1200}[m.rng.IntN(3)],
		DeleteRetentionMillis: []int64{200, 900, 4000}[m.rng.IntN(3)],
	}
	m.keys, m.rare = 2+m.rng.Int64N(10), 60
	m.checker = NewChecker(Config{Asserted: AssertAll(), HotRuns: []int{16, 64, 1024}[m.rng.IntN(3)]})
	m.checker.Compacted(compacted, m.rules)
	m.judge = judge{rules: m.rules, values: map[readerKey]judged{}}
	m.feed = func(r []modelRecord) []modelRecord { return r }
	return m
}

func (m *compactionModel) tick() uint64 { m.event++; return m.event }

func (m *compactionModel) write() {
	p := uint32(m.rng.IntN(len(m.sequence)))
	m.sequence[p]++
	id := NewBatchID(p, m.sequence[p])
	var keyed []Keyed
	for range 1 + m.rng.IntN(4) {
		key := m.rng.Int64N(m.keys)
		if m.rare > 0 && m.rng.IntN(6) == 0 {
			key = 100 + m.rng.Int64N(m.rare)
		}
		keyed = append(keyed, Keyed{Key: key, DueMillis: m.now - m.rng.Int64N(20), Tombstone: m.rng.IntN(4) == 0})
	}
	acksAll := !m.weak || m.rng.IntN(3) > 0
	m.checker.Invoke(compacted, id, int32(len(keyed)), acksAll, m.tick())
	m.checker.SentKeys(id, keyed)
	base := m.replicas[0].end
	for i := range keyed {
		r := modelRecord{Keyed: keyed[i], offset: base + int64(i), id: id, index: int32(i)}
		m.all = append(m.all, r)
		for k := range m.replicas {
			m.replicas[k].records = append(m.replicas[k].records, r)
			m.replicas[k].end = r.offset + 1
		}
	}
	m.acks = append(m.acks, func() { m.checker.Acked(compacted, id, base, m.tick()) })
}

func (m *compactionModel) acknowledge(all bool) {
	for len(m.acks) > 0 && (all || m.rng.IntN(3) > 0) {
		m.acks[0]()
		m.acks = m.acks[1:]
	}
}

// clean compacts a replica as Kafka does.
func (m *compactionModel) clean(l *modelLog) {
	bound := (l.end - 1) / modelSegment * modelSegment // the active segment begins here
	for _, r := range m.all {
		if r.offset < bound && m.rules.MinLagMillis > 0 && r.DueMillis > m.now-m.rules.MinLagMillis {
			bound = r.offset / modelSegment * modelSegment
		}
	}
	newest := map[int64]int64{}
	for _, r := range l.records {
		if r.offset < bound {
			newest[r.Key] = r.offset
		}
	}
	l.records = slices.DeleteFunc(l.records, func(r modelRecord) bool {
		return r.offset < bound && (r.offset < newest[r.Key] || r.Tombstone && r.horizon > 0 && m.now > r.horizon)
	})
	for i := range l.records {
		if r := &l.records[i]; r.offset < bound && r.Tombstone && r.horizon == 0 {
			r.horizon = m.now + m.rules.DeleteRetentionMillis
		}
	}
}

func (m *compactionModel) reader(id int32, from int64) *modelReader {
	r := m.readers[id]
	if r == nil || from >= 0 {
		r = &modelReader{position: max(from, 0)}
		m.readers[id] = r
		m.checker.ReaderReset(id, compacted, r.position, m.tick())
		m.judge.reset(id)
	}
	return r
}

// read gives a reader up to limit records of the leader's, or those that came before
// and were not handed out.
func (m *compactionModel) read(id int32, limit int, toEnd bool) {
	r := m.reader(id, -1)
	if r.held != nil {
		r.held()
		r.held = nil
		if !toEnd {
			return
		}
	}
	l := &m.replicas[m.leader]
	seen := Seen{AskedMillis: m.now - m.rng.Int64N(10), FetchedMillis: m.now, Replica: int64(m.leader)}
	m.checker.HighWatermark(id, compacted, l.end, int32(m.leader), false, m.tick())
	var answer []modelRecord
	for i := range l.records {
		if l.records[i].offset >= r.position && len(answer) < limit {
			answer = append(answer, l.records[i])
		}
	}
	answer = m.feed(answer)
	if m.weak && !toEnd && m.rng.IntN(3) == 0 {
		r.held = func() { m.handOut(id, r, answer, seen) }
		return
	}
	m.handOut(id, r, answer, seen)
	if toEnd && r.position < l.end {
		m.judge.passed(id, r.position, l.end, seen, m)
		r.position = l.end
		m.checker.PassedOver(id, compacted, l.end, seen, m.tick())
	}
}

func (m *compactionModel) handOut(id int32, r *modelReader, answer []modelRecord, seen Seen) {
	for i := 0; i < len(answer); {
		n := i + 1
		for n < len(answer) && answer[n].id == answer[i].id && answer[n].index == answer[n-1].index+1 && answer[n].offset == answer[n-1].offset+1 {
			n++
		}
		var keys []Keyed
		for _, a := range answer[i:n] {
			keys = append(keys, a.Keyed)
			m.judge.read(id, a, r.position, seen, m)
			r.position = a.offset + 1
		}
		m.checker.ReadCompacted(id, compacted, answer[i].offset, answer[i].id, answer[i].index, keys, seen, m.tick())
		i = n
	}
}

// live lets the cluster and its readers run.
func (m *compactionModel) live(steps int) {
	for range steps {
		m.now += m.rng.Int64N(40)
		switch m.rng.IntN(12) {
		case 0, 1, 2, 3:
			m.write()
		case 4, 5:
			m.clean(&m.replicas[m.rng.IntN(len(m.replicas))])
		case 6:
			m.reader(int32(m.rng.IntN(3)), 0)
		case 7:
			if m.rng.IntN(4) == 0 {
				m.leader = m.rng.IntN(len(m.replicas))
			}
		default:
			m.read(int32(m.rng.IntN(3)), 1+m.rng.IntN(30), false)
		}
		m.acknowledge(false)
	}
	m.acknowledge(true)
}

const drainer = 9

// drain reads everything to its end and asks for the verdict.
func (m *compactionModel) drain() *Report {
	m.checker.InvokeRead(drainer, compacted, m.tick())
	m.checker.HighWatermark(drainer, compacted, m.replicas[m.leader].end, -1, true, m.tick())
	m.reader(drainer, 0)
	m.read(drainer, 1<<30, true)
	m.checker.Drained(drainer, compacted, m.replicas[m.leader].end, m.tick())
	return m.checker.Finish()
}

// judge remembers everything, and judges by the definition.
type judge struct {
	rules      Compaction
	values     map[readerKey]judged
	violations []string
	off        bool
}

type judged struct {
	asked, replica int64
}

func (j *judge) reset(reader int32) {
	for k := range j.values {
		if k.reader == reader {
			delete(j.values, k)
		}
	}
}

func (j *judge) read(reader int32, r modelRecord, position int64, seen Seen, m *compactionModel) {
	if r.offset < position {
		j.violations = append(j.violations, "back")
		return
	}
	if r.offset > position {
		j.passed(reader, position, r.offset, seen, m)
	}
	if was := m.all[r.offset]; was.id != r.id || was.index != r.index || was.Key != r.Key || was.Tombstone != r.Tombstone {
		j.violations = append(j.violations, fmt.Sprintf("other record at %d", r.offset))
	}
	if key := (readerKey{reader, r.Key}); r.Tombstone {
		delete(j.values, key)
	} else {
		j.values[key] = judged{seen.AskedMillis, seen.Replica}
	}
}

func (j *judge) passed(reader int32, from, to int64, seen Seen, m *compactionModel) {
	aged := func(r *modelRecord) bool {
		return j.rules.MinLagMillis == 0 || r.DueMillis <= seen.FetchedMillis-j.rules.MinLagMillis
	}
	for o := from; o < to && !j.off; o++ {
		r := &m.all[o]
		later := slices.ContainsFunc(m.all[o+1:], func(l modelRecord) bool { return l.Key == r.Key && aged(&l) })
		over := r.Tombstone && seen.FetchedMillis > r.DueMillis+j.rules.MinLagMillis+j.rules.DeleteRetentionMillis
		if v, read := j.values[readerKey{reader, r.Key}]; over && !later && read && v.replica == seen.Replica && seen.FetchedMillis-v.asked < j.rules.DeleteRetentionMillis {
			over = false
		}
		if !aged(r) || !later && !over {
			j.violations = append(j.violations, fmt.Sprintf("passed over %d", o))
		}
	}
}

func TestCompactionOfHealthyHistories(t *testing.T) {
	compactedRecords := int64(0)
	for seed := range uint64(3000) {
		m := newCompactionModel(seed)
		m.weak = seed%2 == 1
		window := m.checker.Sample(compacted, WindowConfig{})
		m.live(40 + m.rng.IntN(300))
		report := m.drain()
		if seed%10 == 0 { // porcupine knows the order of what is there, and not what may be missing
			if got := window.Check(); got.Verdict != Ok {
				t.Fatalf("seed %d: porcupine: %+v", seed, got)
			}
		}
		if report.Verdict != Ok || len(m.judge.violations) > 0 {
			t.Fatalf("seed %d, %+v: %s %v %v; judge: %v", seed, m.rules, report.Summary(), report.Findings.List, report.Inconclusive, m.judge.violations)
		}
		compactedRecords += report.Compacted
	}
	if compactedRecords < 50_000 {
		t.Errorf("only %d records were passed over: little was compacted", compactedRecords)
	}
}

// planted is a fault of a cleaner or of a reader, and what it is called. plant
// returns false where the history gives no opportunity.
var planted = []struct {
	name  string
	kinds []Kind
	plant func(m *compactionModel) bool
}{
	{"the newest record of a key removed", []Kind{NewestRemoved, CompactedTooYoung}, func(m *compactionModel) bool {
		return m.remove(func(r *modelRecord) bool { return !r.Tombstone && !m.hasLater(r) })
	}},
	{"the only record of a key removed", []Kind{NewestRemoved, CompactedTooYoung}, func(m *compactionModel) bool {
		return m.remove(func(r *modelRecord) bool {
			return !r.Tombstone && !slices.ContainsFunc(m.all, func(o modelRecord) bool { return o.Key == r.Key && o.offset != r.offset })
		})
	}},
	{"a tombstone removed at once", []Kind{TombstoneRemoved, CompactedTooYoung}, func(m *compactionModel) bool {
		return m.remove(func(r *modelRecord) bool {
			return r.Tombstone && !m.hasLater(r) && m.now < r.DueMillis+m.rules.MinLagMillis+m.rules.DeleteRetentionMillis-roundingMillis
		})
	}},
	{"a record removed within min.compaction.lag.ms", []Kind{CompactedTooYoung}, func(m *compactionModel) bool {
		return m.remove(func(r *modelRecord) bool {
			return m.hasLater(r) && r.DueMillis > m.now-m.rules.MinLagMillis+m.rules.MinLagMillis/100+20
		})
	}},
	{"a value back after its tombstone has gone", []Kind{Resurrected}, func(m *compactionModel) bool {
		l := &m.replicas[m.leader]
		for i := len(m.all) - 1; i >= 0; i-- {
			gone := m.all[i]
			if !gone.Tombstone || m.hasLater(&gone) || slices.ContainsFunc(l.records, func(r modelRecord) bool { return r.offset == gone.offset }) {
				continue
			}
			for k := i - 1; k >= 0; k-- {
				if m.all[k].Key == gone.Key && !m.all[k].Tombstone {
					l.records = append(l.records, m.all[k])
					slices.SortFunc(l.records, func(a, b modelRecord) int { return int(a.offset - b.offset) })
					return true
				}
			}
		}
		return false
	}},
	{"two newest records in each other's place", []Kind{InconsistentOffset, DuplicateBatch, Reorder}, func(m *compactionModel) bool {
		return m.swap(func(a, b *modelRecord) { a.offset, b.offset = b.offset, a.offset })
	}},
	{"a record at another offset", []Kind{InconsistentOffset, DuplicateBatch, NewestRemoved}, func(m *compactionModel) bool {
		l := &m.replicas[m.leader]
		for i := range len(l.records) - 1 {
			if l.records[i].offset+1 < l.records[i+1].offset && !m.hasLater(&l.records[i]) && m.old(&l.records[i]) && !l.records[i].Tombstone {
				l.records[i].offset++
				return true
			}
		}
		return false
	}},
	{"a value where a tombstone was", []Kind{InconsistentOffset}, func(m *compactionModel) bool {
		return m.alter(func(r *modelRecord) bool { return r.Tombstone && !m.hasLater(r) }, func(r *modelRecord) { r.Tombstone = false })
	}},
	{"another key", []Kind{InconsistentOffset, NewestRemoved}, func(m *compactionModel) bool {
		return m.alter(func(r *modelRecord) bool { return !m.hasLater(r) }, func(r *modelRecord) { r.Key = (r.Key + 1) % m.keys })
	}},
	{"a reader that goes back", []Kind{NonMonotonicRead}, func(m *compactionModel) bool {
		m.feed = func(r []modelRecord) []modelRecord {
			if n := len(r); n > 3 && r[n/2].id != r[n/2-1].id {
				return append(slices.Clone(r[:n/2]), r[n/2-1:]...)
			}
			return r
		}
		r := m.replicas[m.leader].records
		return len(r) > 3 && r[len(r)/2].id != r[len(r)/2-1].id
	}},
}

func (m *compactionModel) hasLater(r *modelRecord) bool {
	return slices.ContainsFunc(m.all, func(o modelRecord) bool { return o.Key == r.Key && o.offset > r.offset })
}

func (m *compactionModel) old(r *modelRecord) bool {
	return r.DueMillis < m.now-m.rules.MinLagMillis-m.rules.DeleteRetentionMillis-100
}

func (m *compactionModel) remove(which func(*modelRecord) bool) bool {
	l := &m.replicas[m.leader]
	var at []int
	for i := range l.records {
		if which(&l.records[i]) {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return false
	}
	i := at[m.rng.IntN(len(at))]
	l.records = slices.Delete(l.records, i, i+1)
	return true
}

func (m *compactionModel) alter(which func(*modelRecord) bool, how func(*modelRecord)) bool {
	l := &m.replicas[m.leader]
	for i := range l.records {
		if which(&l.records[i]) {
			how(&l.records[i])
			return true
		}
	}
	return false
}

func (m *compactionModel) swap(how func(a, b *modelRecord)) bool {
	l := &m.replicas[m.leader]
	for i := range len(l.records) - 1 {
		a, b := &l.records[i], &l.records[i+1]
		if !m.hasLater(a) && !m.hasLater(b) && a.id != b.id {
			how(a, b)
			*a, *b = *b, *a
			return true
		}
	}
	return false
}

func TestCompactionPlantedFaults(t *testing.T) {
	for _, fault := range planted {
		found := 0
		for seed := range uint64(400) {
			m := newCompactionModel(seed)
			m.live(60 + m.rng.IntN(200))
			if !fault.plant(m) {
				continue
			}
			report := m.drain()
			if report.Verdict != Violation {
				// Where a reader has been away for delete.retention.ms nothing is claimed.
				if len(m.judge.violations) == 0 {
					continue
				}
				t.Fatalf("%s, seed %d, %+v: %s; judge: %v", fault.name, seed, m.rules, report.Summary(), m.judge.violations)
			}
			if !slices.ContainsFunc(report.Findings.List, func(f Finding) bool { return slices.Contains(fault.kinds, f.Kind) }) {
				t.Fatalf("%s, seed %d: found as %v", fault.name, seed, report.Findings.List)
			}
			found++
		}
		t.Logf("%s: %d histories", fault.name, found)
		if found < 20 {
			t.Errorf("%s: planted in %d histories only", fault.name, found)
		}
	}
}

// Stacked faults, at any time: the checker finds nothing that the judge does not,
// and misses nothing that the judge finds about a record that is its key's newest.
func TestCompactionAgainstJudge(t *testing.T) {
	both, missed := 0, 0
	for seed := range uint64(4000) {
		m := newCompactionModel(seed)
		for range 1 + m.rng.IntN(3) {
			m.live(40 + m.rng.IntN(100))
			if f := &planted[m.rng.IntN(len(planted))]; f.name != "a reader that goes back" {
				f.plant(m)
			}
		}
		report := m.drain()
		switch sick := len(m.judge.violations) > 0; {
		case report.Findings.Total > 0 && !sick:
			t.Fatalf("seed %d, %+v: the checker found %v, the judge nothing", seed, m.rules, report.Findings.List)
		case report.Findings.Total > 0:
			both++
		case sick:
			missed++
		}
	}
	// What is forgotten between a protected record and the newest one may be missed,
	// and what is repaired by a later write before anybody looks.
	t.Logf("%d found by both, %d by the judge alone", both, missed)
	if both < 1000 || missed > both/20 {
		t.Errorf("%d found by both, %d by the judge alone", both, missed)
	}
}

// Memory is bounded by the keys, whatever the number of records.
func TestCompactionMemory(t *testing.T) {
	m := newCompactionModel(1)
	m.keys, m.rare, m.judge.off = 50, 0, true
	for range 60 {
		m.live(200)
		m.clean(&m.replicas[m.leader])
		for i := range m.replicas {
			m.replicas[i].records = slices.Clone(m.replicas[m.leader].records)
		}
	}
	k := m.checker.partition(compacted).keys
	if len(m.all) < 5_000 {
		t.Fatalf("%d records", len(m.all))
	}
	if len(k.newest) > 50 || len(k.order) > orderMin+4*50+1 || len(k.values) > 50*4 || len(m.checker.keyed) > 10 {
		t.Errorf("%d records of 50 keys: %d newest, %d in order, %d values, %d pending", len(m.all), len(k.newest), len(k.order), len(k.values), len(m.checker.keyed))
	}
}
