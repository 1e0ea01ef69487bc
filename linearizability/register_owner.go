package linearizability

import "fmt"

// OwnershipChecker asserts one owner per (group, partition, generation) and that
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

// Released says that a member gave a partition up, or was expelled.
func (c *OwnershipChecker) Released(key OffsetKey, member int32, event uint64) {
	if before, known := c.owners[key]; known && before.member == member {
		before.held = false
		c.owners[key] = before
	}
}

func (c *OwnershipChecker) found(key OffsetKey, first, second ownership, how string) {
	c.findings.add(Finding{Kind: TwoOwners, Partition: key.Partition, Offset: -1, Records: 1,
		First:  Witness{Event: first.event, Action: fmt.Sprintf("group g%d assigned it to member %d in generation %d", key.Group, first.member, first.generation)},
		Second: Witness{Event: second.event, Action: fmt.Sprintf("it was assigned to member %d in generation %d, %s", second.member, second.generation, how)}})
}

// Finish returns the findings.
func (c *OwnershipChecker) Finish() RegisterReport { return conclude(c.findings, nil) }
