package partition

// Traffic counts what clients have written and read since the process began.
// What replicas fetch from each other is not in it.
type Traffic struct {
	MessagesIn uint64 // records appended
	BytesIn    uint64 // of their batches, as stored
	BytesOut   uint64 // of batches sent to consumers
}

// Traffic returns what this broker has served of all partitions, those that it
// holds no more included.
func (m *Manager) Traffic() Traffic { return m.traffic }

// Traffic returns what this replica has served.
func (p *Partition) Traffic() Traffic { return p.traffic }

func (m *Manager) countIn(p *Partition, records int64, bytes int) {
	for _, t := range [...]*Traffic{&m.traffic, &p.traffic} {
		t.MessagesIn += uint64(records)
		t.BytesIn += uint64(bytes)
	}
}

func (m *Manager) countOut(f *Fetch) {
	if f.ReplicaID >= 0 {
		return
	}
	for i := range f.Results {
		r := &f.Results[i]
		if r.Bytes == 0 {
			continue // of a partition that is not here, perhaps
		}
		m.traffic.BytesOut += uint64(r.Bytes)
		r.part.p.traffic.BytesOut += uint64(r.Bytes)
	}
}
