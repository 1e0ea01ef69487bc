package runner

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/clock"
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/sim/client"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Assigned implements client.ConsumerObserver. A new generation ends every
// older ownership of a partition, whatever its owner believes: the coordinator
// fences the heartbeats and commits of older generations.
func (l *ledger) Assigned(reader, generation int32, _ string, partitions []client.TopicPartition) {
	g := l.readers[reader]
	if g == auditorGroup {
		return
	}
	l.occupied(g, len(partitions) > 0)
	if generation < l.groups[g].generation && l.forgotten(g) {
		l.owners.Forgotten(int32(g))
	}
	l.groups[g].generation = generation
	for _, tp := range partitions {
		c := &l.groups[g].owners[tp.Topic][tp.Partition]
		key := lin.OffsetKey{Group: int32(g), Partition: partitionOf(tp.Topic, tp.Partition)}
		if c.owner >= 0 && (c.gen < generation || c.owner == reader) {
			l.owners.Released(key, c.owner, l.event())
		}
		l.owners.Assigned(key, reader, generation, l.event())
		if c.owner < 0 {
			l.groups[g].unowned--
		}
		c.owner, c.gen = reader, generation
	}
	l.rebalances.add(l.phaseOf(l.world.Now()), 1)
	l.groups[g].settled(l.world.Now(), l.faults)
}

// expired tells whether a committed offset may have been forgotten: the group has been
// empty for offsets.retention.minutes since.
func (l *ledger) expired(key lin.OffsetKey) bool {
	return l.committed[key] <= l.groups[key.Group].expiredBefore
}

// occupied takes in that members are given partitions, if any: so long has the group
// been empty.
func (l *ledger) occupied(g int, given bool) {
	group, now := &l.groups[g], l.world.Now()
	if group.emptySince < 0 {
		return
	}
	if now.Sub(group.emptySince) >= l.offsetsRetention {
		group.expiredBefore = group.emptySince
	}
	if given {
		group.emptySince = -1
	}
}

// vacated takes in that nobody owns anything, if so.
func (l *ledger) vacated(g int) {
	for _, parts := range l.groups[g].owners {
		if slices.ContainsFunc(parts, func(o ownerLedger) bool { return o.owner >= 0 }) {
			return
		}
	}
	if l.groups[g].emptySince < 0 {
		l.groups[g].emptySince = l.world.Now()
	}
}

// forgotten tells whether a coordinator may have forgotten a group: nobody is in it, and
// it keeps no offsets. One of the same name begins with the first generation.
func (l *ledger) forgotten(g int) bool {
	for t := range l.groups[g].owners {
		for p := range l.groups[g].owners[t] {
			key := lin.OffsetKey{Group: int32(g), Partition: partitionOf(int32(t), int32(p))}
			if _, known := l.committed[key]; l.groups[g].owners[t][p].owner >= 0 || known && !l.expired(key) {
				return false
			}
		}
	}
	return true
}

// Revoked implements client.ConsumerObserver.
func (l *ledger) Revoked(reader, _ int32, _ string, partitions []client.TopicPartition) {
	l.released(reader, partitions)
}

// Lost implements client.ConsumerObserver.
func (l *ledger) Lost(reader, _ int32, _ string, partitions []client.TopicPartition) {
	l.released(reader, partitions)
}

func (l *ledger) released(reader int32, partitions []client.TopicPartition) {
	g := l.readers[reader]
	if g == auditorGroup {
		return
	}
	for _, tp := range partitions {
		c := &l.groups[g].owners[tp.Topic][tp.Partition]
		if c.owner != reader {
			continue // somebody of a later generation has it already
		}
		l.owners.Released(lin.OffsetKey{Group: int32(g), Partition: partitionOf(tp.Topic, tp.Partition)}, reader, l.event())
		c.owner = -1
		l.groups[g].unowned++
	}
	l.vacated(g)
	l.groups[g].settled(l.world.Now(), l.faults)
}

// settled takes in whether every partition has an owner now.
func (g *groupLedger) settled(now clock.Instant, f faultTimes) {
	if g.unowned > 0 {
		g.stable.want(now)
		return
	}
	g.present(&g.stable, now)
	g.stable.done(now, f)
}

// present takes the time out of a stall in which the scenario had the group
// stopped.
func (g *groupLedger) present(s *stall, now clock.Instant) {
	if from, _ := g.presence.since(now); s.wanting {
		s.since = max(s.since, from)
	}
}

// read takes in that the group was given records. What else is there it wants from
// now on.
func (g *groupLedger) read(d *client.Delivery, ackedEnd int64, f faultTimes) {
	s := &g.fetch[d.Topic][d.Partition]
	g.present(s, d.Now)
	s.done(d.Now, f)
	if g.frontier[d.Topic][d.Partition] < ackedEnd {
		s.want(d.Now)
	}
}

// close ends the measurement of the stalls of everything, at the end of a run. A
// group that is meant to be stopped then wants nothing.
func (l *ledger) close(now clock.Instant) {
	for t := range l.topics {
		for p := range l.topics[t].partitions {
			l.topics[t].partitions[p].produce.close(now, l.faults)
		}
	}
	for i := range l.groups {
		g := &l.groups[i]
		if _, running := g.presence.since(now); !running {
			continue
		}
		g.present(&g.stable, now)
		g.stable.close(now, l.faults)
		for t := range g.fetch {
			for p := range g.fetch[t] {
				g.present(&g.fetch[t][p], now)
				g.fetch[t][p].close(now, l.faults)
			}
		}
	}
	l.admin.close(now, l.faults)
}

// passedOver holds a group to what was there before a delivery that it has not been
// given before: its members begin at what others have committed after they were given
// it, or at the first record. Who begins at the end of a log may pass over what is
// there, and so may everybody where retention has deleted, a cleaner has compacted, or
// records were lost.
func (l *ledger) passedOver(group int, d *client.Delivery, frontier int64) {
	p, g := l.part(d.Topic, d.Partition), &l.groups[group]
	from := max(frontier, p.logStart)
	if !g.earliest || l.topics[d.Topic].compacted || p.cutAt > 0 || d.BaseOffset <= from {
		return
	}
	l.found("skipped-by-group", "", partitionOf(d.Topic, d.Partition), from,
		"group %s was given offset %d by reader %d, and nobody in it what lies from %d on", g.name, d.BaseOffset, d.Reader, from)
}

// A committed offset is a register: each attempt to commit writes a value that
// only it has (the token in the commit's metadata), each fetch reads one.

func (l *ledger) offsetKey(group int, tp client.TopicPartition) lin.OffsetKey {
	return lin.OffsetKey{Group: int32(group), Partition: partitionOf(tp.Topic, tp.Partition)}
}

// CommitInvoked implements client.ConsumerObserver.
func (l *ledger) CommitInvoked(m *client.Commit) {
	g := l.readers[m.Reader]
	if g == auditorGroup {
		return
	}
	key := l.offsetKey(g, client.TopicPartition{Topic: m.Topic, Partition: m.Partition})
	l.committed[key] = l.world.Now()
	l.offsets.CommitInvoked(key, lin.OffsetToken(m.Token), m.Offset, l.event())
	if l.owners.Superseded(key, m.Generation) {
		l.zombies[m.Token] = l.event()
	}
}

// Committed implements client.ConsumerObserver.
func (l *ledger) Committed(m *client.Commit, ok bool, code int16) {
	g := l.readers[m.Reader]
	if g == auditorGroup {
		return
	}
	key := l.offsetKey(g, client.TopicPartition{Topic: m.Topic, Partition: m.Partition})
	if sent, zombie := l.zombies[m.Token]; zombie {
		delete(l.zombies, m.Token)
		if ok {
			l.owners.CommitAccepted(key, m.Reader, m.Generation, sent)
		}
	}
	outcome := lin.Inconclusive
	switch {
	case ok:
		outcome = lin.Ok
		l.inside.GroupCommitted(l.topics[m.Topic].name, m.Partition, m.Offset, m.Now)
	case refusedForGood(code):
		outcome = lin.Violation
	}
	l.offsets.CommitReturned(key, lin.OffsetToken(m.Token), outcome, l.event())
}

// refusedForGood tells the errors with which a coordinator refuses a commit
// before it writes anything. After all others the commit may still land.
func refusedForGood(code int16) bool {
	switch code {
	case kerr.UnknownMemberID.Code, kerr.IllegalGeneration.Code, kerr.RebalanceInProgress.Code, kerr.FencedInstanceID.Code,
		kerr.CoordinatorLoadInProgress.Code, kerr.OffsetMetadataTooLarge.Code, kerr.InvalidGroupID.Code:
		return true
	}
	return false
}

// offsetRead is a committed offset that is being fetched.
type offsetRead struct {
	reader int32
	tp     client.TopicPartition
	handle int64
}

// restarted takes in that a consumer has a new process: what the old one asked for
// is not answered any more, and what it owned it has given up.
func (l *ledger) restarted(reader int32) {
	var owned []client.TopicPartition
	for t, parts := range l.groups[l.readers[reader]].owners {
		for p := range parts {
			if parts[p].owner == reader {
				owned = append(owned, client.TopicPartition{Topic: int32(t), Partition: int32(p)})
			}
		}
	}
	l.released(reader, owned)
	l.reads = slices.DeleteFunc(l.reads, func(r offsetRead) bool {
		if r.reader == reader {
			l.offsets.FetchFailed(l.offsetKey(l.readers[reader], r.tp), r.handle)
		}
		return r.reader == reader
	})
}

// FetchInvoked implements client.ConsumerObserver.
func (l *ledger) FetchInvoked(reader int32, tp client.TopicPartition) {
	if g := l.readers[reader]; g != auditorGroup {
		l.reads = append(l.reads, offsetRead{reader, tp, l.offsets.FetchInvoked(l.offsetKey(g, tp))})
	}
}

// FetchAnswered implements client.ConsumerObserver.
func (l *ledger) FetchAnswered(reader int32, tp client.TopicPartition, offset int64, token uint64, ok bool) {
	g := l.readers[reader]
	i := slices.IndexFunc(l.reads, func(r offsetRead) bool { return r.reader == reader && r.tp == tp })
	if g == auditorGroup || i < 0 {
		return
	}
	key, handle := l.offsetKey(g, tp), l.reads[i].handle
	l.reads = slices.Delete(l.reads, i, i+1)
	if !ok {
		l.offsets.FetchFailed(key, handle)
		return
	}
	if token == 0 && l.expired(key) {
		l.offsets.Expired(key)
	}
	l.offsets.FetchReturned(key, handle, lin.OffsetToken(token), offset, l.event())
}
