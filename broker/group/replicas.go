package group

import (
	"github.com/seed-604ea8f1/windtunnel/broker/coordinator"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
)

// replicas shows the broker's partitions as a coordinator sees them.
type replicas struct{ *partition.Manager }

// Replica implements coordinator.Log.
func (r replicas) Replica(key log.Partition) (coordinator.Replica, bool) {
	p := r.Get(key)
	if p == nil {
		return coordinator.Replica{}, false
	}
	return coordinator.Replica{
		Leader: p.Role() == partition.Leader, TopicID: p.TopicID(), LeaderEpoch: p.LeaderEpoch(),
		StartOffset: p.StartOffset(), AppendEnd: p.Log().AppendEnd(), HighWatermark: p.HighWatermark(),
	}, true
}
