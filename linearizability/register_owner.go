package linearizability

import (
	"fmt"
	"maps"
)

// OwnershipChecker asserts one owner per (group, partition, generation), that only the
// present generation commits, and that
// the intervals during which members own a partition are disjoint. The caller
// reports what members were told and what they gave up; a member that the
// coordinator expelled loses its partitions at that moment, whatever it believes,
// because its heartbeats and commits are fenced by then.
type OwnershipChecker struct {
	owners   map[OffsetKey]ownership
	findings Findings
}

type ownership struct {
	member     int32
	generation int32
	event      uint64
	held       bool
}

// NewOwnershipChecker starts with nothing owned.
func NewOwnershipChecker() *OwnershipChecker {
	return &OwnershipChecker{owners: map[OffsetKey]ownership{}}
}

// Assigned says that a member starts to own a partition in a generation (classic)
// or member epoch (KIP-848).
func (c *OwnershipChecker) Assigned(key OffsetKey, member, generation int32, event uint64) {
	before, known := c.owners[key]
	now := ownership{member, generation, event, true}
	switch {
	case known && before.member != member && before.generation == generation:
		c.found(key, before, now, "in the same generation")
	case known && before.member != member && before.held:
		c.found(key, before, now, "before the first gave it up")
	case known && generation < before.generation:
		c.found(key, before, now, "in an older generation")
	}
	c.owners[key] = now
}

// Forgotten says that the coordinator has forgotten a group, which nobody is in: its
// generations begin anew.
func (c *OwnershipChecker) Forgotten(group int32) {
	maps.DeleteFunc(c.owners, func(key OffsetKey, _ ownership) bool { return key.Group == group })
}

// Released says that a member gave a partition up, or was expelled.
func (c *OwnershipChecker) Released(key OffsetKey, member int32, event uint64) {
	if before, known := c.owners[key]; known && before.member == member {
		before.held = false
		c.owners[key] = before
	}
}

// Superseded tells whether a partition has been assigned in a later generation: a
// commit that is sent now for the earlier one must be refused. -1 is a consumer
// without a generation.
func (c *OwnershipChecker) Superseded(key OffsetKey, generation int32) bool {
	now, known := c.owners[key]
	return known && generation >= 0 && generation < now.generation
}

// CommitAccepted says that a commit was accepted although its generation had been
// superseded when it was sent, at the event.
func (c *OwnershipChecker) CommitAccepted(key OffsetKey, member, generation int32, event uint64) {
	now := c.owners[key]
	c.findings.add(Finding{Kind: ZombieCommit, Partition: key.Partition, Offset: -1, Records: 1,
		First:  Witness{Event: now.event, Action: fmt.Sprintf("group g%d assigned it to member %d in generation %d", key.Group, now.member, now.generation)},
		Second: Witness{Event: event, Action: fmt.Sprintf("member %d sent a commit for generation %d, and it was accepted", member, generation)}})
}

func (c *OwnershipChecker) found(key OffsetKey, first, second ownership, how string) {
	c.findings.add(Finding{Kind: TwoOwners, Partition: key.Partition, Offset: -1, Records: 1,
		First:  Witness{Event: first.event, Action: fmt.Sprintf("group g%d assigned it to member %d in generation %d", key.Group, first.member, first.generation)},
		Second: Witness{Event: second.event, Action: fmt.Sprintf("it was assigned to member %d in generation %d, %s", second.member, second.generation, how)}})
}

// Finish returns the findings.
func (c *OwnershipChecker) Finish() RegisterReport { return conclude(c.findings, nil) }
