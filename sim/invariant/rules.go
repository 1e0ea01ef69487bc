package invariant

// rule names an invariant.
type rule uint8

// The invariants. Their texts stand where they are checked.
const (
	ruleOneLeader rule = iota
	ruleRegistration
	ruleEpochsRise
	ruleCleanElection
	ruleReassignment
	ruleReplicaEpochs
	ruleOffsetOrder
	ruleHighWatermarkFalls
	ruleLeaderEndFalls
	ruleEpochRecorded
	ruleBelowISREnds
	ruleUnderMinISR
	ruleStable
	ruleLeaderHolds
	ruleMemberHolds
	ruleOneContent
	ruleEpochCaches
	ruleSameContents
	ruleSequences
	ruleSealedOnly
	ruleAckCommitted
	ruleAckReplicated
	ruleGroupOffset
	ruleOneController
	ruleTermRises
	ruleSameImage
	ruleCommittedMetadata
	ruleCount
)

var ruleNames = [ruleCount]string{
	ruleOneLeader:          "one leader per leader epoch",
	ruleRegistration:       "partition registration is well formed",
	ruleEpochsRise:         "epochs in the metadata rise",
	ruleCleanElection:      "leaders are elected from the ISR or the eligible replicas",
	ruleReassignment:       "a reassignment ends with its whole target in sync, or is cancelled, and fences who leaves",
	ruleReplicaEpochs:      "a replica's epochs rise",
	ruleOffsetOrder:        "log start <= high watermark <= log end",
	ruleHighWatermarkFalls: "the high watermark never falls within a leader's term",
	ruleLeaderEndFalls:     "a leader's log is never truncated",
	ruleEpochRecorded:      "a leader has recorded its epoch before it is used",
	ruleBelowISREnds:       "the high watermark is below every in-sync replica's log end",
	ruleUnderMinISR:        "the high watermark stands still below min.insync.replicas",
	ruleStable:             "what is committed is on stable storage",
	ruleLeaderHolds:        "an elected leader holds the committed prefix",
	ruleMemberHolds:        "an in-sync replica holds the committed prefix",
	ruleOneContent:         "one content per offset and leader epoch",
	ruleEpochCaches:        "replicas agree on leader epochs below the high watermark",
	ruleSameContents:       "replicas are identical below the high watermark",
	ruleSequences:          "producers' epochs and sequences are contiguous in the log",
	ruleSealedOnly:         "compaction takes sealed segments below the high watermark only",
	ruleAckCommitted:       "what was acked with acks=all is committed",
	ruleAckReplicated:      "what was acked is on enough replicas",
	ruleGroupOffset:        "a committed group offset is below the committed end",
	ruleOneController:      "one controller leader per term",
	ruleTermRises:          "a controller's term and log never go back",
	ruleSameImage:          "equal metadata offset, equal image",
	ruleCommittedMetadata:  "brokers act upon committed metadata only",
}

func (r rule) String() string { return ruleNames[r] }

// Names returns the names of all invariants, for reports.
func Names() []string { return ruleNames[:] }
