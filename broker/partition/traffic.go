package partition

import "github.com/seed-604ea8f1/windtunnel/broker/edge"

// Traffic counts what has been written and read since the process began: by
// clients, where nothing else is said.
type Traffic struct {
	MessagesIn uint64 // records appended
	BytesIn    uint64 // of their batches, as stored
	BytesOut   uint64 // of batches sent to consumers
	Produces   uint64 // parts of produce requests, one for each partition; refused ones too
	Fetches    uint64 // the same of answers to fetches, those of replicas too

	ReplicaBytesIn  uint64 // fetched from leaders
	ReplicaBytesOut uint64 // sent to followers
}

// Plus is the sum of two.
func (t Traffic) Plus(o Traffic) Traffic {
	return Traffic{
		MessagesIn: t.MessagesIn + o.MessagesIn, BytesIn: t.BytesIn + o.BytesIn, BytesOut: t.BytesOut + o.BytesOut,
		Produces: t.Produces + o.Produces, Fetches: t.Fetches + o.Fetches,
		ReplicaBytesIn: t.ReplicaBytesIn + o.ReplicaBytesIn, ReplicaBytesOut: t.ReplicaBytesOut + o.ReplicaBytesOut,
	}
}

// ISRChanges counts the changes of in-sync replicas that this broker has proposed
// as a leader since the process began.
type ISRChanges struct{ Shrinks, Expands uint64 }

// ISRChanges returns how often a replica has left and joined.
func (m *Manager) ISRChanges() ISRChanges { return m.isrChanges }

// Traffic returns what this broker has served of all partitions, those that it
// holds no more included.
func (m *Manager) Traffic() Traffic { return m.traffic }

// Traffic returns what this replica has served.
func (p *Partition) Traffic() Traffic { return p.traffic }

func (m *Manager) countProduce(p *Partition) {
	m.traffic.Produces++
	p.traffic.Produces++
}

func (m *Manager) countIn(p *Partition, records int64, bytes int) {
	for _, t := range [...]*Traffic{&m.traffic, &p.traffic} {
		t.MessagesIn += uint64(records)
		t.BytesIn += uint64(bytes)
	}
}

func (m *Manager) countOut(f *Fetch) {
	for i := range f.Results {
		r := &f.Results[i]
		p := r.part.p
		if p == nil {
			continue // of a partition that is not here
		}
		m.traffic.Fetches++
		p.traffic.Fetches++
		if f.ReplicaID >= 0 {
			m.traffic.ReplicaBytesOut += uint64(r.Bytes)
			p.traffic.ReplicaBytesOut += uint64(r.Bytes)
			continue
		}
		m.traffic.BytesOut += uint64(r.Bytes)
		p.traffic.BytesOut += uint64(r.Bytes)
	}
}

func (m *Manager) countFetched(p *Partition, records []edge.Slice) {
	for i := range records {
		m.traffic.ReplicaBytesIn += uint64(records[i].Len())
		p.traffic.ReplicaBytesIn += uint64(records[i].Len())
	}
}
