package runner

import (
	"fmt"
	"strconv"
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/scenarios/phase"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/client"
	"github.com/seed-604ea8f1/windtunnel/sim/invariant"
	"github.com/twmb/franz-go/pkg/kerr"
)

// ledger is what the clients have seen. It hands all of it to the checkers, and
// measures latency and unavailability on the way. It is every client's observer.
type ledger struct {
	world   *sim.World
	topics  []topicLedger // by topic index
	groups  []groupLedger // by consumer group's position in groupNames
	readers []int         // reader -> group, or auditorGroup
	checker *lin.Checker
	inside  *invariant.Checker
	owners  *lin.OwnershipChecker
	zombies map[uint64]uint64 // by token: the event in which a superseded generation sent a commit
	offsets *lin.OffsetChecker
	// committed is when each offset was last committed. A group that is empty for
	// offsetsRetention may lose them.
	committed        map[lin.OffsetKey]clock.Instant
	offsetsRetention time.Duration
	reads            []offsetRead
	ids              *lin.ProducerIDChecker
	produce          *latency
	e2e              *latency
	sessions         []int64     // the producer id last seen, by producer index
	keyed            []lin.Keyed // reused
	auditor          int32
	// auditedEnd is how far the auditor has read, by topic and partition.
	auditedEnd [][]int64

	phaseOf func(at clock.Instant) phase.Phase
	faults  faultTimes
	quiet   func() bool // no fault has been in force for a while
	forgot  func() bool // whether coordinators may have lost what they acknowledged
	ackedAt func(b *client.Batch, base int64) (held bool)
	// replaced tells whether a delivered batch stands where one was acknowledged and lost.
	replaced func(d *client.Delivery) bool
	placeOf  func(b *client.Batch) int64 // where a committed batch stands; -1 if that is not known

	offered, failed, unknown, dropped int64
	acked, delivered, redelivered     int64
	ackedBytes                        int64
	retries                           int64
	phantoms                          int64 // records handed out after they had been lost
	fenced                            int   // static members that a coordinator with a shorter memory stopped
	second                            struct{ acked, delivered, errors int64 }
	errors                            tally // shown to the application, by the intended send
	rebalances                        tally
	admin                             stall // of an administrator's changes, if they are probed
	times                             eventTimes
	findings                          []finding
	findingsTotal                     int
}

// auditorGroup marks the reader that belongs to no group.
const auditorGroup = -1

// findingsMax bounds the findings that are kept; the rest is counted.
const findingsMax = 100

// finding is something that the ledger itself has found.
type finding struct {
	kind, claim, partition, text string
	offset                       int64
	at                           float64
	event                        uint64
}

type topicLedger struct {
	name       string
	compacted  bool
	retention  retention
	existing   int               // partitions that there are by now
	partitions []partitionLedger // and those that will be added
}

type partitionLedger struct {
	logStart int64 // of its leader, as the checker was told
	ackedEnd int64 // end of the acknowledged records known by offset
	seenEnd  int64 // end of what any reader was given
	produce  stall
	// The log was last cut here and then: committed records were lost.
	cutFrom int64
	cutAt   clock.Instant
	asked   int  // ends that the auditor has asked for and not been told
	strict  bool // the one that is asked for must cover what was acked before
	// Latencies of this partition, when a threshold asks for them.
	produceLatency, e2eLatency *phase.Latency
}

// groupLedger is what is known of one consumer group.
type groupLedger struct {
	name       string
	topics     []bool          // by topic index: subscribed
	earliest   bool            // all of its members begin at the first record
	frontier   [][]int64       // by topic, partition: end of what was delivered at least once
	fetch      [][]stall       // of what was there to read
	owners     [][]ownerLedger // by topic, partition
	unowned    int             // partitions that no member owns
	stable     stall           // of every partition's having an owner
	presence   presence
	fenced     bool  // members have stopped as the configuration permits
	generation int32 // the last in which partitions were assigned
	// emptySince is since when nobody owns anything, -1 if somebody does; what was committed
	// by expiredBefore may have expired in such a time.
	emptySince, expiredBefore clock.Instant
}

// ownerLedger is who owns a partition.
type ownerLedger struct {
	owner int32 // reader that owns the partition, -1 for none
	gen   int32
}

func newLedger(s *scenarios.Scenario, w *sim.World, claims lin.Claims) *ledger {
	l := &ledger{
		world: w, produce: newLatency(), e2e: newLatency(),
		checker: lin.NewChecker(lin.Config{Asserted: claims.Asserted()}),
		owners:  lin.NewOwnershipChecker(), zombies: map[uint64]uint64{}, offsets: lin.NewOffsetChecker(), committed: map[lin.OffsetKey]clock.Instant{},
		offsetsRetention: offsetsRetention(s), ids: lin.NewProducerIDChecker(),
	}
	for i := range s.Topics {
		t := topicLedger{name: s.Topics[i].Name, compacted: s.Topics[i].Compacted(), retention: retentionOf(s, &s.Topics[i]), existing: int(s.Topics[i].Partitions),
			partitions: make([]partitionLedger, s.PartitionsAtEnd(&s.Topics[i]))}
		l.topics = append(l.topics, t)
		for p := range t.partitions {
			if t.compacted {
				l.checker.Compacted(partitionOf(int32(i), int32(p)), CompactionOf(s, &s.Topics[i]))
			}
		}
	}
	return l
}

// addReader registers a reader and returns its number.
func (l *ledger) addReader(group string, topics []int) int32 {
	index := auditorGroup
	if group != "" {
		index = l.group(group)
		for _, t := range topics {
			if g := &l.groups[index]; !g.topics[t] {
				g.topics[t] = true
				g.unowned += l.topics[t].existing
			}
		}
	}
	l.readers = append(l.readers, index)
	return int32(len(l.readers) - 1)
}

func (l *ledger) group(name string) int {
	for i := range l.groups {
		if l.groups[i].name == name {
			return i
		}
	}
	g := groupLedger{name: name, topics: make([]bool, len(l.topics))}
	for i := range l.topics {
		n := len(l.topics[i].partitions)
		g.frontier = append(g.frontier, make([]int64, n))
		g.fetch = append(g.fetch, make([]stall, n))
		owners := make([]ownerLedger, n)
		for p := range owners {
			owners[p].owner = -1
		}
		g.owners = append(g.owners, owners)
	}
	l.groups = append(l.groups, g)
	return len(l.groups) - 1
}

// grown takes in that a topic has so many partitions now: they have no owners yet.
func (l *ledger) grown(topic string, count int) {
	for t := range l.topics {
		more := count - l.topics[t].existing
		if l.topics[t].name != topic || more <= 0 {
			continue
		}
		l.topics[t].existing = count
		for i := range l.groups {
			if g := &l.groups[i]; g.topics[t] {
				g.unowned += more
				g.settled(l.world.Now(), l.faults)
			}
		}
	}
}

// event is the number of the present event, for the checkers.
func (l *ledger) event() uint64 {
	event := l.world.Trace().Events()
	l.times.note(event, l.world.Now())
	return event
}

func (l *ledger) part(topic, index int32) *partitionLedger {
	return &l.topics[topic].partitions[index]
}

func partitionOf(topic, index int32) lin.Partition { return lin.Partition{Topic: topic, Index: index} }

// name is the partition as users call it.
func (l *ledger) name(p lin.Partition) string {
	if p.Topic < 0 || int(p.Topic) >= len(l.topics) {
		return ""
	}
	return partitionName(l.topics[p.Topic].name, p.Index)
}

func partitionName(topic string, index int32) string { return topic + "-" + strconv.Itoa(int(index)) }

func (l *ledger) found(kind, claim string, p lin.Partition, offset int64, format string, args ...any) {
	l.findingsTotal++
	if len(l.findings) < findingsMax {
		l.findings = append(l.findings, finding{
			kind: kind, claim: claim, partition: l.name(p), offset: offset, text: fmt.Sprintf(format, args...),
			at: seconds(l.world.Now()), event: l.event(),
		})
	}
}

// Invoked implements client.ProducerObserver.
func (l *ledger) Invoked(b *client.Batch) {
	p := partitionOf(b.Topic, b.Partition)
	l.checker.Invoke(p, lin.BatchID(b.ID), b.Count, b.Acks == -1, l.event())
	if l.topics[b.Topic].compacted {
		l.checker.SentKeys(lin.BatchID(b.ID), l.keyedOf(b.Keys, b.Intended))
	}
	l.offered += int64(b.Count)
	if b.ProducerID < 0 {
		return
	}
	for int(b.Producer) >= len(l.sessions) {
		l.sessions = append(l.sessions, -1)
	}
	// A producer without a transactional id bumps its epoch by itself (KIP-360).
	if s := &l.sessions[b.Producer]; *s != b.ProducerID {
		*s = b.ProducerID
		l.ids.Granted(-1, b.ProducerID, b.Epoch, l.event(), l.event())
	}
}

// Acked implements client.ProducerObserver.
func (l *ledger) Acked(b *client.Batch, base int64) {
	p := l.part(b.Topic, b.Partition)
	told := base
	if base < 0 && b.Acks == -1 {
		base = l.placeOf(b)
	}
	switch held := l.ackedAt(b, base); {
	case !held:
		l.checker.AckedInVain(partitionOf(b.Topic, b.Partition), lin.BatchID(b.ID), base, 0, l.event())
	default:
		l.checker.Acked(partitionOf(b.Topic, b.Partition), lin.BatchID(b.ID), told, l.event())
		p.ackedEnd = max(p.ackedEnd, base+int64(b.Count))
	}
	l.acked += int64(b.Count)
	l.ackedBytes += int64(b.Bytes)
	l.second.acked += int64(b.Count)
	oldest := b.Intended[0].At
	for _, due := range b.Intended {
		d := b.Now.Sub(due.At)
		l.produce.record(l.phaseOf(due.At), d, due.Count)
		if p.produceLatency != nil {
			p.produceLatency.Record(l.phaseOf(due.At), d, due.Count)
		}
		oldest = min(oldest, due.At)
	}
	p.produce.want(oldest)
	p.produce.done(b.Now, l.faults)
	for i := range l.groups {
		if g := &l.groups[i]; g.topics[b.Topic] && g.frontier[b.Topic][b.Partition] < p.ackedEnd {
			g.fetch[b.Topic][b.Partition].want(b.Now)
		}
	}
	l.inside.Acked(l.topics[b.Topic].name, b.Partition, base, b.Count, b.Acks == -1, b.Now)
}

// Failed implements client.ProducerObserver.
func (l *ledger) Failed(b *client.Batch, _ int16, _ string, definite bool) {
	l.second.errors += int64(b.Count)
	for _, due := range b.Intended {
		l.errors.add(l.phaseOf(due.At), int64(due.Count))
		l.part(b.Topic, b.Partition).produce.want(due.At)
	}
	if definite {
		l.failed += int64(b.Count)
	} else {
		l.unknown += int64(b.Count)
	}
	l.gaveUp(b, definite)
}

// gaveUp ends a batch that is not acknowledged.
func (l *ledger) gaveUp(b *client.Batch, definite bool) {
	p := partitionOf(b.Topic, b.Partition)
	if definite {
		l.checker.Failed(p, lin.BatchID(b.ID), l.event())
		return
	}
	l.checker.Unknown(p, lin.BatchID(b.ID), b.ProducerID < 0, l.event())
}

// Dropped implements client.ProducerObserver.
func (l *ledger) Dropped(count int, _ string) {
	l.dropped += int64(count)
	l.errors.add(l.phaseOf(l.world.Now()), int64(count))
	l.second.errors += int64(count)
}

// Retried implements client.ProducerObserver.
func (l *ledger) Retried(b *client.Batch, _ int16) { l.retries++ }

// Split implements client.ProducerObserver. The batch is over, and no application is
// told: its records are offered again under other ids.
func (l *ledger) Split(b *client.Batch, definite bool) {
	l.offered -= int64(b.Count)
	l.gaveUp(b, definite)
}

// Delivered implements client.ConsumerObserver.
func (l *ledger) Delivered(d *client.Delivery) {
	if p := l.part(d.Topic, d.Partition); d.Fetched < p.cutAt && d.BaseOffset+int64(d.Count) > p.cutFrom {
		// Read before the log was cut behind it, and handed out now: a phantom
		// that the loss announced there explains. It is counted as delivered.
		l.delivered += int64(d.Count)
		l.phantoms += int64(d.Count)
		return
	}
	if l.replaced(d) {
		l.checker.AnotherAttempt(partitionOf(d.Topic, d.Partition), lin.BatchID(d.BatchID))
	}
	if l.topics[d.Topic].compacted {
		l.checker.ReadCompacted(d.Reader, partitionOf(d.Topic, d.Partition), d.BaseOffset, lin.BatchID(d.BatchID), d.FirstIndex,
			l.keyedOf(d.Keys, d.Intended), seenIn(&d.FetchAnswer), l.event())
	} else {
		l.checker.ReadBatch(d.Reader, partitionOf(d.Topic, d.Partition), d.BaseOffset, d.Count, lin.BatchID(d.BatchID), d.FirstIndex, l.event())
	}
	p := l.part(d.Topic, d.Partition)
	end := d.BaseOffset + int64(d.Count)
	p.seenEnd = max(p.seenEnd, end)
	g := l.readers[d.Reader]
	if g == auditorGroup {
		return
	}
	frontier := &l.groups[g].frontier[d.Topic][d.Partition]
	l.delivered += int64(d.Count)
	l.second.delivered += int64(d.Count)
	l.redelivered += min(max(*frontier-d.BaseOffset, 0), int64(d.Count))
	if end <= *frontier {
		return
	}
	l.passedOver(g, d, *frontier)
	again := max(*frontier-d.BaseOffset, 0) // delivered before
	for _, due := range d.Intended {
		skip := min(again, int64(due.Count))
		if again -= skip; skip < int64(due.Count) {
			l.e2e.record(l.phaseOf(due.At), d.Now.Sub(due.At), due.Count-int32(skip))
			if p.e2eLatency != nil {
				p.e2eLatency.Record(l.phaseOf(due.At), d.Now.Sub(due.At), due.Count-int32(skip))
			}
		}
	}
	*frontier = end
	l.groups[g].read(d, p.ackedEnd, l.faults)
}

// HighWatermark implements client.ConsumerObserver.
func (l *ledger) HighWatermark(reader int32, p client.TopicPartition, highWatermark int64, leaderEpoch int32) {
	if highWatermark >= 0 {
		l.checker.HighWatermark(reader, partitionOf(p.Topic, p.Partition), highWatermark, leaderEpoch, false, l.event())
	}
}

// ListInvoked implements client.ConsumerObserver.
func (l *ledger) ListInvoked(reader int32, p client.TopicPartition, _ clock.Instant) {
	part := l.part(p.Topic, p.Partition)
	part.asked++
	if part.strict = part.asked == 1 && l.quiet(); part.strict {
		l.checker.InvokeRead(reader, partitionOf(p.Topic, p.Partition), l.event())
	}
}

// ListedEnd implements client.ConsumerObserver. It is held to be strict, that is
// to cover all that had been acknowledged before it was asked for, while no fault
// has lasted for a while: a leader that is cut off answers until it learns of
// its successor, as Kafka knows no lease. KIP-207 binds the successor only.
func (l *ledger) ListedEnd(e *client.ListedEnd) {
	part := l.part(e.Topic, e.Partition)
	strict := part.strict && l.quiet()
	part.asked, part.strict = 0, false
	l.checker.HighWatermark(e.Reader, partitionOf(e.Topic, e.Partition), e.Offset, -1, strict, l.event())
}

// Position implements client.ConsumerObserver.
func (l *ledger) Position(reader int32, tp client.TopicPartition, offset int64, _ client.PositionReason) {
	l.checker.ReaderReset(reader, partitionOf(tp.Topic, tp.Partition), offset, l.event())
}

// Corrupt implements client.ConsumerObserver.
func (l *ledger) Corrupt(reader int32, tp client.TopicPartition, offset int64, what string) {
	l.found("corrupt-record", "", partitionOf(tp.Topic, tp.Partition), offset, "reader %d got %s", reader, what)
}

// Stopped implements client.ConsumerObserver. A static member stops when it is
// fenced (KIP-345), which is nobody's fault in one case only: its coordinator has
// lost what it had acknowledged, and knows the instance by a former member id.
func (l *ledger) Stopped(reader int32, code int16, reason string) {
	if code == kerr.FencedInstanceID.Code && l.forgot() {
		l.fenced++
		l.groups[l.readers[reader]].fenced = true
		return
	}
	l.found("consumer-stopped", "", lin.Partition{}, -1, "reader %d gave up with error %d: %s", reader, code, reason)
}

// lag is what the groups have still to read of what is known to be there: of all
// partitions, and of the one that is worst.
func (l *ledger) lag() (total, worst int64) {
	for g := range l.groups {
		for t := range l.topics {
			if !l.groups[g].topics[t] {
				continue
			}
			for p := range l.topics[t].partitions {
				lag := max(0, l.topics[t].partitions[p].ackedEnd-l.groups[g].frontier[t][p])
				total, worst = total+lag, max(worst, lag)
			}
		}
	}
	return total, worst
}

// frontiers sums up how far all groups have come: it changes with every record that
// a group is given for the first time.
func (l *ledger) frontiers() (sum int64) {
	for g := range l.groups {
		for t := range l.groups[g].frontier {
			for _, at := range l.groups[g].frontier[t] {
				sum += at
			}
		}
	}
	return sum
}

// truncated says that records from offset on are gone: lag counts from there.
func (l *ledger) truncated(topic, index int32, offset int64) {
	p := l.part(topic, index)
	p.cutFrom, p.cutAt = offset, l.world.Now()
	for g := range l.groups {
		f := &l.groups[g].frontier[topic][index]
		*f = min(*f, offset)
		if p.ackedEnd <= *f {
			l.groups[g].fetch[topic][index].wanting = false // what there was to read is gone
		}
	}
}

// auditorEnd is the auditor's position.
func (l *ledger) auditorEnd(topic, partition int) int64 { return l.auditedEnd[topic][partition] }
