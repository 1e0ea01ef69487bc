package linearizability

import (
	"cmp"
	"fmt"
	"slices"
)

// OffsetKey names one committed offset: a group and a partition.
type OffsetKey struct {
	Group     int32
	Partition Partition
}

// OffsetToken makes each commit's value unique; it travels in the commit's
// metadata. Zero is the value before any commit.
type OffsetToken uint64

// offsetClustersMax bounds the clusters remembered per key: those that began
// before the oldest operation in flight are folded into one number.
const offsetClustersMax = 4096

// offsetSettleAt is the smallest number of clusters worth sweeping.
const offsetSettleAt = 32

// OffsetChecker decides whether each committed offset behaves as a register whose
// writes carry unique values (Gibbons and Korach 1997). A write and the reads of
// its value form a cluster. Let f be the earliest return and s the latest call of
// its operations. If f < s the value must hold during [f, s] (a forward zone),
// else its point may lie anywhere in [s, f] (a backward zone). The history is
// linearizable exactly when no two forward zones overlap, no backward zone lies
// within a forward one, and no read returns before its write is called.
//
// Clusters that no later read may legally return are forgotten, so memory depends
// on what is in flight or in doubt only.
type OffsetChecker struct {
	keys     map[OffsetKey]*offsetRegister
	order    []OffsetKey
	clock    int64
	findings Findings
	reasons  []string
}

// offsetCluster is a write and the reads of its value. Times are calls of the checker.
type offsetCluster struct {
	token      OffsetToken
	called     int64 // of the write
	firstReply int64 // earliest return of any operation
	lastCall   int64 // latest call of any returned operation
	event      uint64
	offset     int64
	seen       bool // some operation of it has returned
	failed     bool
}

type offsetRegister struct {
	key      OffsetKey
	clusters []offsetCluster // in order of the write's call
	index    map[OffsetToken]int
	inFlight map[int64]struct{} // calls of reads and writes that have not returned
	settleAt int                // number of clusters at which to forget some
}

// NewOffsetChecker starts with no commits.
func NewOffsetChecker() *OffsetChecker {
	return &OffsetChecker{keys: map[OffsetKey]*offsetRegister{}}
}

func (c *OffsetChecker) register(key OffsetKey) *offsetRegister {
	r := c.keys[key]
	if r == nil {
		r = &offsetRegister{key: key, index: map[OffsetToken]int{}, inFlight: map[int64]struct{}{}, settleAt: offsetSettleAt}
		// The value before any commit was written before everything else.
		r.clusters = append(r.clusters, offsetCluster{firstReply: 0, lastCall: 0, offset: -1, seen: true})
		r.index[0] = 0
		c.keys[key] = r
		c.order = append(c.order, key)
	}
	return r
}

// CommitInvoked says that an offset commit was sent. The token is unique for its key.
func (c *OffsetChecker) CommitInvoked(key OffsetKey, token OffsetToken, offset int64, event uint64) {
	c.clock++
	r := c.register(key)
	if _, known := r.index[token]; known {
		panic(fmt.Sprintf("commit token %d used twice", token))
	}
	r.index[token] = len(r.clusters)
	r.clusters = append(r.clusters, offsetCluster{token: token, called: c.clock, lastCall: c.clock, firstReply: forever, event: event, offset: offset})
	r.inFlight[c.clock] = struct{}{}
}

// CommitReturned gives its outcome: Ok when it was acknowledged, Violation when it
// certainly failed, Inconclusive when nobody knows.
func (c *OffsetChecker) CommitReturned(key OffsetKey, token OffsetToken, outcome Verdict, event uint64) {
	c.clock++
	r := c.register(key)
	i, known := r.index[token]
	if !known {
		return
	}
	cluster := &r.clusters[i]
	delete(r.inFlight, cluster.called)
	switch outcome {
	case Ok:
		cluster.seen = true
		cluster.firstReply = min(cluster.firstReply, c.clock)
		cluster.event = event
		c.check(r, i, event)
	case Violation:
		cluster.failed = true
		if cluster.seen {
			c.found(r, cluster, cluster, event, "failed for certain and was read")
		}
	}
	c.settle(r)
}

// FetchInvoked says that a committed offset was asked for; it returns the handle
// for FetchReturned.
func (c *OffsetChecker) FetchInvoked(key OffsetKey) int64 {
	c.clock++
	c.register(key).inFlight[c.clock] = struct{}{}
	return c.clock
}

// FetchReturned says which commit the fetch found, 0 for none, and its offset, -1 for
// none.
func (c *OffsetChecker) FetchReturned(key OffsetKey, handle int64, token OffsetToken, offset int64, event uint64) {
	c.clock++
	r := c.register(key)
	delete(r.inFlight, handle)
	i, known := r.index[token]
	if !known {
		c.findings.add(Finding{Kind: OffsetRewind, Partition: key.Partition, Offset: offset, Records: 1,
			First:  Witness{event, 0, offset, fmt.Sprintf("group g%d was told commit %d at offset %d", key.Group, token, offset)},
			Second: Witness{0, 0, offset, "it was never sent or had been replaced for good"}})
		return
	}
	cluster := &r.clusters[i]
	if cluster.failed || cluster.offset != offset {
		c.found(r, cluster, cluster, event, fmt.Sprintf("was read as %d", offset))
	}
	cluster.seen = true
	cluster.firstReply = min(cluster.firstReply, c.clock)
	cluster.lastCall = max(cluster.lastCall, handle)
	c.check(r, i, event)
	c.settle(r)
}

// Expired says that the coordinator may have forgotten what was committed, since the
// group has needed none of it for long enough: there is no commit from now on, until
// the next.
func (c *OffsetChecker) Expired(key OffsetKey) {
	c.clock++
	r := c.register(key)
	r.clusters = append(r.clusters[:0], offsetCluster{firstReply: c.clock, lastCall: c.clock, offset: -1, seen: true})
	clear(r.index)
	r.index[0] = 0
}

// FetchFailed forgets a fetch that got no answer.
func (c *OffsetChecker) FetchFailed(key OffsetKey, handle int64) {
	delete(c.register(key).inFlight, handle)
}

// check compares the zone of one cluster with all others that are remembered.
func (c *OffsetChecker) check(r *offsetRegister, at int, event uint64) {
	a := &r.clusters[at]
	for i := range r.clusters {
		b := &r.clusters[i]
		if i == at || !b.seen {
			continue
		}
		if a.conflicts(b) {
			c.found(r, a, b, event, fmt.Sprintf("was read while offset %d (commit %d) must have held", b.offset, b.token))
			return
		}
	}
}

// conflicts compares two zones. The one condition covers every case: two forward
// zones that overlap, a backward zone within a forward one, and it is false for
// two backward zones.
func (a *offsetCluster) conflicts(b *offsetCluster) bool {
	return a.firstReply < b.lastCall && b.firstReply < a.lastCall
}

// settle forgets the clusters that no later read may legally return. Let t be the
// oldest call in flight. A later read of cluster b would stretch its zone to at
// least t, and then it conflicts with any a that returned before t and was called
// after b's first return. Once such an a exists, b need not be kept: its token is
// no longer known, and a read of it is reported for that. Nor does anybody else
// need b: a cluster that could still conflict with it is itself forgotten by the
// same rule, with b in the part of a.
func (c *OffsetChecker) settle(r *offsetRegister) {
	if len(r.clusters) < r.settleAt {
		return
	}
	oldest := c.clock + 1
	for call := range r.inFlight {
		oldest = min(oldest, call) // a minimum does not depend on the map's order
	}
	latest, second := -1, int64(-1) // the latest call among those done, and the next
	for i := range r.clusters {
		if b := &r.clusters[i]; b.seen && b.firstReply < oldest {
			if latest < 0 || b.lastCall > r.clusters[latest].lastCall {
				if latest >= 0 {
					second = r.clusters[latest].lastCall
				}
				latest = i
			} else {
				second = max(second, b.lastCall)
			}
		}
	}
	var horizon int64 = -1
	if latest >= 0 {
		horizon = r.clusters[latest].lastCall
	}
	kept := r.clusters[:0]
	for i := range r.clusters {
		b := r.clusters[i]
		other := horizon
		if i == latest {
			other = second
		}
		if b.failed || b.seen && b.firstReply < oldest && b.firstReply < other {
			delete(r.index, b.token)
			continue
		}
		r.index[b.token] = len(kept)
		kept = append(kept, b)
	}
	r.clusters = kept
	r.settleAt = max(offsetSettleAt, 2*len(kept))
	if len(kept) > offsetClustersMax && len(c.reasons) == 0 {
		c.reasons = append(c.reasons, "more commits in doubt than can be remembered")
	}
}

func (c *OffsetChecker) found(r *offsetRegister, a, b *offsetCluster, event uint64, action string) {
	c.findings.add(Finding{Kind: OffsetRewind, Partition: r.key.Partition, Offset: a.offset, Records: 1,
		First:  Witness{b.event, 0, b.offset, fmt.Sprintf("group g%d committed %d (commit %d)", r.key.Group, b.offset, b.token)},
		Second: Witness{event, 0, a.offset, fmt.Sprintf("offset %d (commit %d) %s", a.offset, a.token, action)}})
}

// RegisterReport is what a register checker has to say at the end.
type RegisterReport struct {
	Verdict  Verdict  `json:"verdict"`
	Findings Findings `json:"findings"`
	Reasons  []string `json:"reasons"`
}

func conclude(findings Findings, reasons []string) RegisterReport {
	report := RegisterReport{Findings: findings, Reasons: reasons}
	switch {
	case findings.Total > 0:
		report.Verdict = Violation
	case len(reasons) > 0:
		report.Verdict = Inconclusive
	}
	return report
}

// Finish compares what is left, among it the clusters of unread commits.
func (c *OffsetChecker) Finish(event uint64) RegisterReport {
	slices.SortFunc(c.order, func(a, b OffsetKey) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Partition.key(), b.Partition.key()))
	})
	if c.findings.Total == 0 {
		for _, key := range c.order {
			r := c.keys[key]
			for i := range r.clusters {
				if r.clusters[i].seen {
					c.check(r, i, event)
				}
			}
		}
	}
	return conclude(c.findings, c.reasons)
}
