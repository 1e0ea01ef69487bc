package runner

import (
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/sim/client"
)

// Assigned implements client.ConsumerObserver. A new generation ends every
// older ownership of a partition, whatever its owner believes: the coordinator
// fences the heartbeats and commits of older generations.
func (l *ledger) Assigned(reader, generation int32, _ string, partitions []client.TopicPartition) {
	g := l.readers[reader]
	if g == auditorGroup {
		return
	}
	for _, tp := range partitions {
		c := &l.groups[g].commits[tp.Topic][tp.Partition]
		key := lin.OffsetKey{Group: int32(g), Partition: partitionOf(tp.Topic, tp.Partition)}
		if c.owner >= 0 && (c.gen < generation || c.owner == reader) {
			l.owners.Released(key, c.owner, l.event())
		}
		l.owners.Assigned(key, reader, generation, l.event())
		c.owner, c.gen, c.atAssign = reader, generation, c.floor
	}
	l.rebalances++
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
		c := &l.groups[g].commits[tp.Topic][tp.Partition]
		if c.owner != reader {
			continue // somebody of a later generation has it already
		}
		l.owners.Released(lin.OffsetKey{Group: int32(g), Partition: partitionOf(tp.Topic, tp.Partition)}, reader, l.event())
		c.owner = -1
	}
}

// CommitInvoked implements client.ConsumerObserver.
func (l *ledger) CommitInvoked(m *client.Commit) {
	g := l.readers[m.Reader]
	if g == auditorGroup {
		return
	}
	c := &l.groups[g].commits[m.Topic][m.Partition]
	c.next++
	c.inFlight = append(c.inFlight, inFlightCommit{c.next, m.Reader, m.Offset})
	// Until it is decided, this commit may take effect at any time.
	c.floor = min(c.floor, m.Offset)
}

// Committed implements client.ConsumerObserver.
func (l *ledger) Committed(m *client.Commit, ok bool, code int16) {
	g := l.readers[m.Reader]
	if g == auditorGroup {
		return
	}
	if ok {
		l.inside.GroupCommitted(l.topics[m.Topic].name, m.Partition, m.Offset, m.Now)
	}
	c := &l.groups[g].commits[m.Topic][m.Partition]
	for i := range c.inFlight {
		f := c.inFlight[i]
		if f.reader != m.Reader || f.offset != m.Offset {
			continue
		}
		if !ok && code == 0 {
			return // unknown: it may still take effect, the floor stays below it
		}
		c.inFlight = append(c.inFlight[:i], c.inFlight[i+1:]...)
		if ok && f.number > c.invoked {
			c.invoked, c.floor = f.number, m.Offset
			for _, other := range c.inFlight {
				if other.number > f.number {
					c.floor = min(c.floor, other.offset)
				}
			}
		}
		return
	}
}
