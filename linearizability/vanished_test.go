package linearizability

import "testing"

// Goal: a record that a reader was given and that is not in the log at the end is a
// phantom read, whoever announced the loss and whether it was acknowledged; one that
// is there again, at its place or another, or that nobody was given, is none.
func TestWhatWasDeliveredAndIsGoneVanished(t *testing.T) {
	lost, other := NewBatchID(1, 1), NewBatchID(2, 1)
	for _, test := range []struct {
		name        string
		acked, read bool
		readAgain   int64 // where, after the cut; -1 nowhere
		vanished    int64
	}{
		{"acknowledged, delivered, gone", true, true, -1, 10},
		{"of unknown outcome, delivered, gone", false, true, -1, 10},
		{"acknowledged, gone", true, false, -1, 0},
		{"back at its place", true, true, 10, 0},
		{"back at another place", true, true, 15, 0},
		{"of unknown outcome, back", false, true, 10, 0},
	} {
		permitted := AssertAll()
		permitted.NoLostAcks = false
		c, p := NewChecker(Config{Asserted: permitted}), testPartition
		c.Invoke(p, NewBatchID(1, 2), 10, true, 1)
		c.Acked(p, NewBatchID(1, 2), 0, 2)
		c.Invoke(p, lost, 10, true, 3)
		if test.acked {
			c.Acked(p, lost, 10, 4)
		}
		c.HighWatermark(1, p, 20, 1, false, 5)
		c.ReadBatch(1, p, 0, 10, NewBatchID(1, 2), 0, 5)
		if test.read {
			c.ReadBatch(1, p, 10, 10, lost, 0, 6)
		}
		c.Truncated(p, 10, testCause, 7)
		if test.readAgain != 10 {
			c.Invoke(p, other, 5, true, 8)
			c.Acked(p, other, 10, 9)
		}
		if test.readAgain >= 0 {
			c.ReaderReset(9, p, test.readAgain, 10)
			c.ReadBatch(9, p, test.readAgain, 10, lost, 0, 11)
		}
		r := c.Finish()
		if r.Vanished != test.vanished || r.Phantoms.Total != min(test.vanished, 1) {
			t.Errorf("%s: %d vanished, want %d: %v", test.name, r.Vanished, test.vanished, r.Phantoms)
			continue
		}
		if test.vanished == 0 {
			continue
		}
		f := r.Phantoms.List[0]
		const want = "phantom-read t0-3@10: 10 records from 10 on were there and were delivered (event 4); it was cut off (event 7)."
		if f.Kind.Claim() != ClaimNoPhantomReads || f.Records != 10 || test.acked && f.String() != want {
			t.Errorf("%s: %s", test.name, f)
		}
	}
}

// Goal: no phantom read is claimed where committed records may be lost, whatever
// the producers' acks; with min.insync.replicas of 2 acks=1 changes nothing.
func TestPhantomReadsAreClaimedOfCommittedRecords(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Configuration)
		made   bool
	}{
		{"as it is", func(*Configuration) {}, true},
		{"acks=1", func(c *Configuration) { c.Producers = []ProducerTraits{{Acks: 1, MaxInFlight: 5}} }, true},
		{"unclean election", func(c *Configuration) { c.UncleanElection = true }, false},
		{"min.insync.replicas=1", func(c *Configuration) { c.MinInsyncReplicas = 1 }, false},
		{"power loss of two", func(c *Configuration) { c.Faults.DiskLosingReplicas = 2 }, false},
		{"power loss of two, synced", func(c *Configuration) { c.Faults.DiskLosingReplicas, c.Flush = 2, FlushBeforeAck }, true},
	} {
		c := Configuration{ReplicationFactor: 3, MinInsyncReplicas: 2, EligibleLeaders: true}
		test.change(&c)
		if claim := NoPhantomReads(&c); claim.Made != test.made || claim.Name != ClaimNoPhantomReads {
			t.Errorf("%s: %+v", test.name, claim)
		}
	}
}
