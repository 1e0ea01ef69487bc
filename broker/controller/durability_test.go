package controller

import (
	"slices"
	"strconv"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// Goal: whoever is elected without being told to recover has all that was committed,
// whatever operators do and brokers lose (KIP-966), and once all brokers are back somebody
// leads. Method: the reassigner's cluster, and a log of each replica, of which only is
// known how far it agrees with the leader's. A broker that ends uncleanly loses any part
// of it.
func TestCleanElectionsKeepWhatIsCommitted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := &durability{reassigner: newReassigner(t)}
		d.setMinISR(2)
		for range rapid.IntRange(10, 80).Draw(t, "steps") {
			before := d.partition()
			d.act(t)
			d.check(t, before)
		}
		d.heal(t)
		if p := d.partition(); p.Leader < 0 {
			t.Fatalf("nobody leads: %+v", *p)
		}
	})
}

type durability struct {
	*reassigner
	end       [reassignBrokers + 1]int64 // of each broker's log, as far as it is the leader's
	committed int64
	minISR    int
	lives     byte
	allowed   bool // unclean elections, at some time
}

// heal brings all brokers back. Where a cancelled reassignment has left nothing but an
// unclean election, because that was allowed then, it must be so still.
func (d *durability) heal(t *rapid.T) {
	if d.allowed {
		d.configure(uncleanName, "true")
	}
	for _, fence := range []bool{d.allowed, false} {
		for id := int32(1); id <= reassignBrokers; id++ {
			before := d.partition()
			d.beat(id, fence)
			d.check(t, before)
		}
	}
}

const uncleanName = "unclean.leader.election.enable"

func (d *durability) act(t *rapid.T) {
	for id := int32(1); id <= reassignBrokers; id++ {
		if !d.image().Broker(id).Fenced {
			d.beat(id, false) // or their sessions would end
		}
	}
	p := d.partition()
	id := rapid.Int32Range(1, reassignBrokers).Draw(t, "broker")
	switch rapid.SampledFrom([]string{"write", "write", "replicate", "replicate", "commit", "commit", "alter", "alter",
		"fence", "unfence", "unfence", "unclean", "clean", "reassign", "cancel", "minimum", "allow"}).Draw(t, "act") {
	case "write":
		if p.Leader >= 0 {
			d.end[p.Leader]++
		}
	case "replicate":
		if p.Leader >= 0 && d.image().Broker(id) != nil {
			d.end[id] = d.end[p.Leader]
		}
	case "commit":
		d.commit(p)
	case "alter":
		d.alter(t, p)
	case "fence":
		d.beat(id, true)
	case "unfence":
		d.beat(id, false)
	case "unclean":
		d.end[id] = rapid.Int64Range(0, d.end[id]).Draw(t, "left")
		d.restart(id, -1)
	case "clean":
		d.restart(id, d.epoch[id])
	case "minimum":
		d.setMinISR(rapid.IntRange(1, 3).Draw(t, "min.insync.replicas"))
	case "allow":
		allow := rapid.Bool().Draw(t, "unclean elections")
		d.allowed = d.allowed || allow
		d.configure(uncleanName, strconv.FormatBool(allow))
	case "reassign":
		target := rapid.SliceOfNDistinct(rapid.Int32Range(1, reassignBrokers), 1, 4, rapid.ID[int32]).Draw(t, "target")
		d.call(reassignment(kmsg.NewPtrAlterPartitionAssignmentsRequest(), "t", 0, target))
	case "cancel":
		d.call(reassignment(kmsg.NewPtrAlterPartitionAssignmentsRequest(), "t", 0, nil))
	}
}

func (d *durability) image() *meta.Image { return d.w.active().k.Image() }

// commit moves the high watermark as a leader does that has heard of all.
func (d *durability) commit(p *meta.Partition) {
	if p.Leader < 0 || len(p.ISR) < min(d.minISR, len(p.Replicas)) {
		return
	}
	mark := d.end[p.Leader]
	for _, id := range p.ISR {
		mark = min(mark, d.end[id])
	}
	d.committed = max(d.committed, mark)
}

// alter takes replicas out of the ISR, and those that have everything into it.
func (d *durability) alter(t *rapid.T, p *meta.Partition) {
	d.proposeISR(p, func(id int32) bool { return d.end[id] >= d.end[p.Leader] && !rapid.Bool().Draw(t, "lags") })
}

// restart registers the next incarnation of a broker whose session has ended.
func (d *durability) restart(id int32, previous int64) {
	d.beat(id, true)
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version, req.BrokerID, req.ClusterID, req.PreviousBrokerEpoch = 3, id, "toy", previous
	d.lives++
	req.IncarnationID[0], req.IncarnationID[1] = byte(id), d.lives
	l := kmsg.NewBrokerRegistrationRequestListener()
	l.Name, l.Host, l.Port = "PLAINTEXT", "b", 1
	req.Listeners = append(req.Listeners, l)
	d.epoch[id] = d.call(req).(*kmsg.BrokerRegistrationResponse).BrokerEpoch
}

func (d *durability) setMinISR(n int) {
	d.configure(minISRName, strconv.Itoa(n))
	d.minISR = n
}

func (d *durability) configure(name, value string) {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, "t"
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = name, &value
	r.Configs = append(r.Configs, c)
	req.Resources = append(req.Resources, r)
	d.call(req)
}

func (d *durability) check(t *rapid.T, before *meta.Partition) {
	p := d.partition()
	if p.Leader < 0 || p.LeaderEpoch == before.LeaderEpoch {
		return
	}
	if !slices.Contains(p.Replicas, p.Leader) {
		t.Fatalf("no replica leads: %+v", *p)
	}
	if p.Recovering {
		d.committed = min(d.committed, d.end[p.Leader])
	}
	if d.end[p.Leader] < d.committed {
		t.Fatalf("broker %d leads with %d records, %d were committed; logs %v\nbefore %+v\nafter  %+v",
			p.Leader, d.end[p.Leader], d.committed, d.end[1:], *before, *p)
	}
	for id := range d.end {
		d.end[id] = min(d.end[id], d.end[p.Leader])
	}
}
