package runner

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
)

// stuckAfter is how long a group that runs may be given nothing, once everything
// has settled, although acknowledged records are there: more than two sessions and
// any backoff of clients with Kafka's defaults.
const stuckAfter = 2 * time.Minute

// awaitLiveness holds the cluster to what must come about whatever the scenario
// expects, once all has healed and settled: a controller is active, every partition
// has a leader and all its replicas in sync, and every group is given what is there.
// A group that is slow may be behind, but not stand still.
func (r *run) awaitLiveness() {
	give := r.world.Now().Add(drainMax)
	moved, frontier := r.world.Now(), r.ledger.frontiers()
	for {
		now := r.world.Now()
		if f := r.ledger.frontiers(); f != frontier {
			moved, frontier = now, f
		}
		behind := r.behind()
		sick := r.sick()
		switch {
		case sick == "" && behind == "":
			return
		case behind != "" && now.Sub(moved) >= stuckAfter:
			r.stuck = append(r.stuck, fmt.Sprintf("%s, and got nothing for %s after everything had settled", behind, stuckAfter))
			return
		case sick != "" && now >= give:
			r.stuck = append(r.stuck, fmt.Sprintf("%s, %s after everything had settled", sick, drainMax))
			return
		case now >= give:
			return // slow, but on its way
		}
		if !r.until(now.Add(time.Second)) {
			return
		}
	}
}

// behind names a group that is meant to run and has not been given everything that
// the auditor could read; "" if there is none. A group that begins at the end of the
// log is not owed what was there before it, and nobody what retention has removed.
func (r *run) behind() string {
	for g := range r.ledger.groups {
		group := &r.ledger.groups[g]
		if _, running := group.presence.since(r.world.Now()); !running || group.fenced || !group.earliest {
			continue
		}
		static := r.hasStaticMembers(group.name)
		for t := range r.audited {
			if !group.topics[t] {
				continue
			}
			for p := range r.audited[t] {
				if static && int64(p) >= r.scenario.Topics[t].Partitions {
					continue // a returning leader may overlook what was added (KIP-814)
				}
				end := min(r.ledger.part(int32(t), int32(p)).ackedEnd, r.audited[t][p].end)
				at := group.frontier[t][p]
				if leader := r.leaderOf(t, p); leader != nil {
					at = max(at, leader.Log().StartOffset())
				}
				if at < end {
					return fmt.Sprintf("group %s stands at offset %d of %s, which has records up to %d",
						group.name, at, partitionName(r.ledger.topics[t].name, int32(p)), end)
				}
			}
		}
	}
	return ""
}

// fromTheStart tells whether all consumers of a group begin at the first record.
func (r *run) fromTheStart(group string) bool {
	for i := range r.scenario.Workload.Consumers {
		c := &r.scenario.Workload.Consumers[i]
		if c.Group == group && c.Settings.AutoOffsetReset != clientconfig.ResetEarliest {
			return false
		}
	}
	return true
}

// hasStaticMembers tells whether consumers of a group have a group.instance.id.
func (r *run) hasStaticMembers(group string) bool {
	return slices.ContainsFunc(r.scenario.Workload.Consumers, func(c scenarios.Consumer) bool { return c.Group == group && c.InstanceIDs })
}

// sick says what the cluster lacks although every node of it is meant to run; ""
// if it is well, or cannot be.
func (r *run) sick() string {
	if r.disturbed() {
		return ""
	}
	if c, _ := r.view.activeController(); c == nil {
		return "no controller is active"
	}
	h := r.view.health(r.watch.minISROf)
	switch {
	case h.online < h.partitions:
		return fmt.Sprintf("%d partitions have no leader", h.partitions-h.online)
	case h.underReplicated > 0:
		return fmt.Sprintf("%d partitions are short of in-sync replicas", h.underReplicated)
	}
	// A broker that was down when a storm was over has been asked by nobody yet.
	for _, storms := range [...][]storm{r.faults.operate.storms, r.faults.operate.calm} {
		for i := range storms {
			if rest := storms[i].rest(r.world, r.view, &r.faults.operate); rest != "" {
				return "of an admin_storm, " + rest
			}
		}
	}
	return ""
}

// disturbed tells whether something has been done to the cluster that time does not
// heal: a node that stays down, or a disk that holds other bytes than were written.
func (r *run) disturbed() bool {
	return slices.ContainsFunc(r.faults.done, func(s span) bool {
		e := &r.scenario.Timeline[s.event]
		return e.BitFlip > 0 || e.Truncate > 0 || s.to == clock.Never && takesDown(e)
	})
}
