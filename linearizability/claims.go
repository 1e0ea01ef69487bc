package linearizability

import "fmt"

// Names of the claims, as scenario files and reports spell them.
const (
	ClaimNoLostAcks             = "no_lost_acks"
	ClaimNoBrokerDuplicates     = "no_broker_duplicates"
	ClaimNoReorder              = "no_reorder"
	ClaimNoDivergentReplicas    = "no_divergent_replicas"
	ClaimHighWatermarkMonotonic = "high_watermark_monotonic"
	ClaimReadCommitted          = "read_committed"
	ClaimNoOffsetRewind         = "no_offset_rewind"
	ClaimSingleOwner            = "single_owner"
	ClaimPermittedAnomalies     = "permitted_anomalies"
	// Where a scenario asks for it:
	ClaimNoPhantomReads = "no_phantom_reads"
	// Of compacted topics only:
	ClaimNewestKept        = "newest_kept"
	ClaimCompactionLags    = "compaction_lags"
	ClaimNoResurrectedKeys = "no_resurrected_keys"
)

// Claim is one promise of the configuration, computed before the run.
type Claim struct {
	Name string `json:"name"`
	Made bool   `json:"made"`
	Why  string `json:"why"` // one sentence, either way
}

// FlushPolicy says what an acknowledgement means on one replica's disk.
type FlushPolicy uint8

const (
	// FlushByOS: unsynced pages die with the power (Kafka's default).
	FlushByOS FlushPolicy = iota
	// FlushBeforeAck: a replica syncs before it counts towards an acknowledgement.
	FlushBeforeAck
)

// ProducerTraits are the settings of one group of producers that matter to claims.
type ProducerTraits struct {
	Acks          int // -1 (all), 0 or 1
	Idempotent    bool
	MaxInFlight   int  // max.in.flight.requests.per.connection, >= 1
	Transactional bool // has a transactional.id, which spans sessions
	// Restarts: the faults or operators restart producers, so that a batch may be
	// sent again by a new session.
	Restarts bool
}

// FaultTraits are the planned faults that matter to claims.
type FaultTraits struct {
	// DiskLosingReplicas is the largest number of replicas of one partition that
	// can lose acknowledged bytes at the same time: lost or emptied disks, and,
	// under FlushByOS, power loss. Killing a process loses nothing.
	DiskLosingReplicas int
	// DisksLost is the part of them that fsync does not protect against: wiped,
	// replaced or corrupted disks, as opposed to unsynced pages.
	DisksLost int
	// UncleanRestarts is the largest number of replicas of one partition that may
	// start again, at the same time, from anything but a clean shutdown: those
	// above, and killed processes. A killed process loses nothing, but the
	// controller cannot tell (KIP-966): none of them is eligible to lead.
	UncleanRestarts int
	// ProducerStateExpires: a producer may pause longer than
	// producer.id.expiration.ms.
	ProducerStateExpires bool
	// PartitionsAdded: an operator adds partitions, which remaps keys.
	PartitionsAdded bool
}

// ConsumerTraits are the settings of the consumers that matter to claims.
type ConsumerTraits struct {
	ReadCommitted bool
	AutoCommit    bool // enable.auto.commit
	// OffsetsExpire: a group may stay empty longer than offsets.retention.minutes.
	OffsetsExpire bool
	// OffsetsReset: an operator uses the reset tool.
	OffsetsReset bool
}

// GroupTraits describe the topic in which groups keep their commits and
// generations, __consumer_offsets. A ReplicationFactor of 0 says that the caller
// knows it to be as durable as the claims about groups need.
type GroupTraits struct {
	ReplicationFactor int
	MinInsyncReplicas int // of the topic: the brokers' default
	UncleanElection   bool
}

// Configuration is what the claims are a function of.
type Configuration struct {
	ReplicationFactor int
	MinInsyncReplicas int
	UncleanElection   bool // unclean.leader.election.enable
	EligibleLeaders   bool // eligible leader replicas (KIP-966)
	// EpochValidation: produce requests are fenced by producer epoch (KIP-360, KIP-890).
	EpochValidation bool
	Flush           FlushPolicy
	RetentionShort  bool // retention may delete what a consumer has not read
	Producers       []ProducerTraits
	Consumers       []ConsumerTraits
	Groups          GroupTraits
	Faults          FaultTraits
	Compaction      CompactionTraits
}

// CompactionTraits describe the compacted topics, the strictest deciding.
type CompactionTraits struct {
	Topics int // how many are compacted; 0 makes no claim about them
	// DeletedToo: a compacted topic has cleanup.policy=compact,delete.
	DeletedToo            bool
	MinLagMillis          int64 // the least min.compaction.lag.ms
	DeleteRetentionMillis int64 // the least delete.retention.ms
	PassMillis            int64 // bound of one pass of a cleaner
	// AwayMillis bounds how long the faults keep a replica from following its leader.
	AwayMillis int64
	// ClocksWrong: a fault sets clocks of brokers or producers, by which age is measured.
	ClocksWrong bool
}

// Claims is the whole list, in a fixed order.
type Claims []Claim

// ComputeClaims applies the table of conditions. It is called before the run; the
// checkers assert what it makes and nothing else.
func ComputeClaims(c *Configuration) Claims {
	claims := Claims{
		claimNoLostAcks(c), claimNoDuplicates(c), claimNoReorder(c), claimNoDivergence(c),
		claimWatermark(c), claimReadCommitted(c), claimNoRewind(c),
		claimSingleOwner(c),
		{ClaimPermittedAnomalies, true, "G0 is legal, G1c is legal where write-write edges count, and poll-skip and nonmonotonic-poll are legal across a rebalance, so none of them is asserted against."},
	}
	if c.Compaction.Topics > 0 {
		claims = append(claims, claimNewestKept(c), claimCompactionLags(c), claimNoResurrection(c))
	}
	return claims
}

// Made reports whether a claim is in the list and made.
func (c Claims) Made(name string) bool {
	for _, claim := range c {
		if claim.Name == name {
			return claim.Made
		}
	}
	return false
}

// Asserted is what the log checkers may assert.
func (c Claims) Asserted() Asserted {
	return Asserted{
		NoLostAcks: c.Made(ClaimNoLostAcks), NoDuplicates: c.Made(ClaimNoBrokerDuplicates),
		NoReorder: c.Made(ClaimNoReorder), HighWatermarkMonotonic: c.Made(ClaimHighWatermarkMonotonic),
		NewestKept: c.Made(ClaimNewestKept), CompactionLags: c.Made(ClaimCompactionLags),
		NoResurrectedKeys: c.Made(ClaimNoResurrectedKeys),
	}
}

func claimNoLostAcks(c *Configuration) Claim {
	for _, p := range c.Producers {
		if p.Acks != -1 {
			return Claim{ClaimNoLostAcks, false, fmt.Sprintf("A producer uses acks=%d, so a record is acknowledged before the in-sync replicas have it.", p.Acks)}
		}
	}
	stays, why := committedStays(c)
	return Claim{ClaimNoLostAcks, stays, why}
}

// NoPhantomReads is the claim that what was delivered is still there at the end. It
// is not in the list of ComputeClaims: a scenario asks for it. Readers are given
// committed records only, whatever acks the producers asked for (KIP-966).
func NoPhantomReads(c *Configuration) Claim {
	if stays, why := committedStays(c); !stays {
		return Claim{ClaimNoPhantomReads, false, "Records that were delivered may be lost. " + why}
	}
	return Claim{ClaimNoPhantomReads, true, "What was delivered stays in the log, since only committed records are delivered."}
}

// committedStays tells whether no fault takes away what the in-sync replicas have.
func committedStays(c *Configuration) (stays bool, why string) {
	not := func(format string, args ...any) (bool, string) { return false, fmt.Sprintf(format, args...) }
	losing, protection := c.Faults.DiskLosingReplicas, "power loss or disk loss"
	if c.Flush == FlushBeforeAck {
		losing, protection = c.Faults.DisksLost, "disk loss (power loss is covered by fsync before ack)"
	}
	switch {
	case c.UncleanElection:
		return not("Unclean leader election is on, so a replica outside the in-sync set may become leader without acknowledged records.")
	case c.MinInsyncReplicas > c.ReplicationFactor:
		return true, fmt.Sprintf("min.insync.replicas=%d exceeds the replication factor %d, so nothing can be acknowledged.", c.MinInsyncReplicas, c.ReplicationFactor)
	case losing == 0 && c.Flush == FlushBeforeAck:
		return true, "With acks=all every acknowledged record is synced before the ack and no fault destroys a synced disk."
	case c.MinInsyncReplicas < 2:
		return not("min.insync.replicas=%d, so the leader alone may acknowledge a record and then lose it.", c.MinInsyncReplicas)
	case losing >= c.MinInsyncReplicas:
		return not("The faults can make %d replicas of one partition lose bytes at once by %s, and min.insync.replicas=%d guarantees only %d copies.", losing, protection, c.MinInsyncReplicas, c.MinInsyncReplicas)
	case losing > 0 && c.Faults.UncleanRestarts >= c.MinInsyncReplicas:
		return not("The faults can make %d replicas of one partition start again uncleanly at once, and where no other is left (min.insync.replicas=%d) the last leader leads again, which may have lost bytes by %s.", c.Faults.UncleanRestarts, c.MinInsyncReplicas, protection)
	case losing > 0 && !c.EligibleLeaders:
		return not("A replica can lose bytes by %s, and without eligible leader replicas (KIP-966) the last member of the in-sync set may be that one.", protection)
	}
	return true, fmt.Sprintf("acks=all with min.insync.replicas=%d and no unclean election keeps at least %d copies, and the faults make at most %d lose bytes at once.", c.MinInsyncReplicas, c.MinInsyncReplicas, losing)
}

func claimNoDuplicates(c *Configuration) Claim {
	not := func(why string) Claim { return Claim{ClaimNoBrokerDuplicates, false, why} }
	for _, p := range c.Producers {
		switch {
		case !p.Idempotent && !p.Transactional:
			return not("A producer is not idempotent, so a retry after a lost answer is appended again.")
		case p.Restarts && !p.Transactional:
			return not("A producer restarts without a transactional id, so its new session cannot be recognised.")
		}
	}
	switch {
	case len(c.Producers) > 0 && !c.EpochValidation:
		return not("Producer epochs are not validated, so a batch of an old session can still be appended.")
	case c.Faults.ProducerStateExpires:
		return not("A producer may pause longer than its state is kept, so that its retry is not recognised.")
	}
	return Claim{ClaimNoBrokerDuplicates, true, "Every producer is idempotent in one session or transaction id, epochs are validated and producer state outlives every pause."}
}

func claimNoReorder(c *Configuration) Claim {
	late := ""
	for _, p := range c.Producers {
		if !p.Idempotent && !p.Transactional {
			late = "; what one without idempotence has given up may still land late"
		}
		if p.Acks == 0 {
			return Claim{ClaimNoReorder, false, "A producer uses acks=0, so it does not wait for what a broken connection may still deliver before it sends on over the next one."}
		}
		if !p.Idempotent && !p.Transactional && p.MaxInFlight != 1 {
			return Claim{ClaimNoReorder, false, fmt.Sprintf("A producer without idempotence has %d requests in flight, so a retry may land behind its successor.", p.MaxInFlight)}
		}
	}
	if c.Faults.ProducerStateExpires {
		for _, p := range c.Producers {
			if (p.Idempotent || p.Transactional) && p.MaxInFlight != 1 {
				return Claim{ClaimNoReorder, false, fmt.Sprintf("A producer's state may be forgotten while it has %d requests in flight, so that the retry of one may be appended behind its successors.", p.MaxInFlight)}
			}
		}
	}
	if c.Faults.PartitionsAdded {
		return Claim{ClaimNoReorder, true, "Every producer is idempotent or keeps one request in flight" + late + "; the order per key is not claimed because partitions are added."}
	}
	return Claim{ClaimNoReorder, true, "Every producer is idempotent or keeps one request in flight, so each partition holds its batches in the order sent" + late + "."}
}

func claimNoDivergence(c *Configuration) Claim {
	if c.UncleanElection {
		return Claim{ClaimNoDivergentReplicas, false, "Unclean leader election is on: replicas agree below the high watermark only once they have reconciled after it, and readers may see what lies between."}
	}
	return Claim{ClaimNoDivergentReplicas, true, "Replicas agree below the high watermark under every configuration without unclean election."}
}

func claimWatermark(c *Configuration) Claim {
	if c.UncleanElection {
		return Claim{ClaimHighWatermarkMonotonic, false, "Unclean leader election is on, so the high watermark may fall with the records that are lost."}
	}
	return Claim{ClaimHighWatermarkMonotonic, true, "Without unclean election no leader tells one consumer of a high watermark, a last stable offset or a log start that goes back within its epoch; a follower's may be behind (KIP-392)."}
}

func claimReadCommitted(c *Configuration) Claim {
	transactional, reading := false, false
	for _, p := range c.Producers {
		transactional = transactional || p.Transactional
	}
	for _, consumer := range c.Consumers {
		if consumer.ReadCommitted && consumer.AutoCommit {
			return Claim{ClaimReadCommitted, false, "A read_committed consumer commits automatically, so its offsets are not tied to what was processed."}
		}
		reading = reading || consumer.ReadCommitted
	}
	switch {
	case !transactional || !reading:
		return Claim{ClaimReadCommitted, false, "No transactional producer is read by a read_committed consumer, so there is nothing to assert."}
	case c.RetentionShort:
		return Claim{ClaimReadCommitted, false, "Retention may delete committed records before they are read."}
	case c.UncleanElection:
		return Claim{ClaimReadCommitted, false, "Unclean leader election is on, so committed records or their markers may be lost."}
	}
	return Claim{ClaimReadCommitted, true, "Transactions are used with read_committed consumers that do not commit automatically, and retention outlives the readers."}
}

func claimNewestKept(c *Configuration) Claim {
	if kept := claimNoLostAcks(c); !kept.Made {
		return Claim{ClaimNewestKept, false, "Acknowledged records may be lost, and with them the newest one of a key. " + kept.Why}
	}
	retention := ""
	if c.Compaction.DeletedToo {
		retention = " and until retention deletes its segment"
	}
	return Claim{ClaimNewestKept, true, "Compaction removes a record only if its key has a later one; the newest stays" + retention + ", but for a tombstone whose time is over."}
}

func claimCompactionLags(c *Configuration) Claim {
	x := &c.Compaction
	not := func(why string) Claim { return Claim{ClaimCompactionLags, false, why} }
	switch {
	case x.ClocksWrong:
		return not("Clocks are set wrong, and the age of records and tombstones is measured by them.")
	case c.UncleanElection:
		return not("Unclean leader election is on, so a record may be given another place, and another age.")
	}
	return Claim{ClaimCompactionLags, true, fmt.Sprintf("No record goes within its topic's min.compaction.lag.ms (%d ms at least), and no tombstone within delete.retention.ms (%d ms at least) after that.", x.MinLagMillis, x.DeleteRetentionMillis)}
}

// claimNoResurrection is Kafka's promise about tombstones. A replica that is away
// for longer than they stay may keep a value whose tombstone it never gets.
func claimNoResurrection(c *Configuration) Claim {
	x := &c.Compaction
	not := func(format string, args ...any) Claim {
		return Claim{ClaimNoResurrectedKeys, false, fmt.Sprintf(format, args...)}
	}
	switch {
	case x.ClocksWrong:
		return not("Clocks are set wrong, and the time of tombstones is measured by them.")
	case c.UncleanElection:
		return not("Unclean leader election is on, so a tombstone may be lost when its values are not.")
	case !claimNoLostAcks(c).Made:
		return not("Acknowledged records may be lost, tombstones among them.")
	case x.DeleteRetentionMillis <= x.AwayMillis:
		return not("The faults can keep a replica away for %d ms, and delete.retention.ms=%d lets a tombstone go meanwhile, whose values that replica then keeps.", x.AwayMillis, x.DeleteRetentionMillis)
	case x.DeleteRetentionMillis <= x.PassMillis:
		return not("One pass of a cleaner may take %d ms, and delete.retention.ms=%d counts from its beginning.", x.PassMillis, x.DeleteRetentionMillis)
	}
	return Claim{ClaimNoResurrectedKeys, true, fmt.Sprintf("A reader that was given a value sees its tombstone for delete.retention.ms (%d ms at least) less the %d ms that a pass of a cleaner may take, and no replica is away for longer than %d ms.", x.DeleteRetentionMillis, x.PassMillis, x.AwayMillis)}
}

// groupsForget says why a coordinator may find less in __consumer_offsets than it
// had acknowledged: then a group goes back to older commits and generations.
func groupsForget(c *Configuration) (why string) {
	g, losing := &c.Groups, c.Faults.DiskLosingReplicas
	if c.Flush == FlushBeforeAck {
		losing = c.Faults.DisksLost
	}
	switch {
	case g.ReplicationFactor == 0:
		return ""
	case g.UncleanElection:
		return "Unclean leader election is on for __consumer_offsets"
	case losing > 0 && g.MinInsyncReplicas < 2:
		return fmt.Sprintf("The faults can make %d replicas of __consumer_offsets lose bytes at once, and its min.insync.replicas=%d guarantees no second copy", losing, g.MinInsyncReplicas)
	case losing > 0 && losing >= g.MinInsyncReplicas:
		return fmt.Sprintf("The faults can make %d replicas of __consumer_offsets lose bytes at once, and its min.insync.replicas=%d guarantees only %d copies", losing, g.MinInsyncReplicas, g.MinInsyncReplicas)
	}
	return ""
}

func claimSingleOwner(c *Configuration) Claim {
	if why := groupsForget(c); why != "" {
		return Claim{ClaimSingleOwner, false, why + ", so a group may go through a generation twice."}
	}
	return Claim{ClaimSingleOwner, true, "Each partition has at most one owner per generation or member epoch, as long as the coordinator forgets nothing."}
}

func claimNoRewind(c *Configuration) Claim {
	if why := groupsForget(c); why != "" {
		return Claim{ClaimNoOffsetRewind, false, why + ", so a commit may be lost."}
	}
	var allowed string
	for _, consumer := range c.Consumers {
		if consumer.OffsetsReset {
			allowed = " or by the reset tool that the scenario uses"
		}
		if consumer.OffsetsExpire {
			allowed += " or by expiry after the group emptied"
		}
	}
	return Claim{ClaimNoOffsetRewind, true, fmt.Sprintf("A committed offset goes back only by a commit%s.", allowed)}
}
