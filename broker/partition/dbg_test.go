package partition

import "fmt"

func (w *world) dbg() {
	for _, n := range w.nodes {
		if n.down { continue }
		for _, f := range n.parts.fetchers {
			fmt.Printf("node %d fetcher leader=%d inflight=%v due=%v writing=%d backoff=%v now=%v sess=%d/%d changed=%d parts=%d\n", n.id, f.leader, f.inFlight, f.due, f.writing, f.backoff, w.now, f.sessionID, f.sessionEpoch, len(f.changed), len(f.parts))
		}
		fmt.Printf("   state %+v usable=%v\n", n.partition().fetch, n.partition().log.Usable())
		for _, s := range n.parts.sessions.list {
			fmt.Printf("   session %d epoch %d replica %d parked %v dirty %d\n", s.id, s.epoch, s.replica, s.parked != nil, len(s.dirty))
			for _, sp := range s.all() { fmt.Printf("      %+v\n", *sp) }
		}
	}
}
