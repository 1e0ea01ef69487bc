package partition

import "github.com/seed-604ea8f1/windtunnel/broker/meta"

// replicaIndex finds a replica by topic and index without hashing, as long as
// requests keep to one topic: it remembers the topic that was asked for last.
type replicaIndex struct {
	byName map[string]*topicReplicas
	last   *topicReplicas
	topic  *meta.Topic // that Resolve returned last; nil after any change
}

// topicReplicas are this broker's replicas of one topic by their index; nil
// where it has none.
type topicReplicas struct {
	name  string
	parts []*Partition
}

func (x *replicaIndex) get(topic string, index int32) *Partition {
	t := x.last
	if t == nil || t.name != topic {
		if t = x.byName[topic]; t == nil {
			return nil
		}
		x.last = t
	}
	if index < 0 || int(index) >= len(t.parts) {
		return nil
	}
	return t.parts[index]
}

// put takes in a replica; partition counts are bounded by the controller.
func (x *replicaIndex) put(p *Partition) {
	t := x.byName[p.key.Topic]
	if t == nil {
		if x.byName == nil {
			x.byName = make(map[string]*topicReplicas)
		}
		t = &topicReplicas{name: p.key.Topic}
		x.byName[t.name] = t
	}
	for int(p.key.Index) >= len(t.parts) {
		t.parts = append(t.parts, nil)
	}
	t.parts[p.key.Index] = p
}

func (x *replicaIndex) remove(p *Partition) {
	t := x.byName[p.key.Topic]
	t.parts[p.key.Index] = nil
	for n := len(t.parts); n > 0 && t.parts[n-1] == nil; n-- {
		t.parts = t.parts[:n-1]
	}
	if len(t.parts) == 0 {
		delete(x.byName, t.name)
		x.last = nil
	}
}
