package invariant

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/broker/controller"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/sim"
)

// Goal: every invariant fires when its promise is broken, and only then. Method:
// a checker of three brokers and two controllers that hold what the test says; a
// step list that is legal, then the one that is not.

// stage is a checker without processes.
type stage struct {
	*Checker
	l *ledger
}

var stageTopic = meta.TopicID{7}

// newStage has partition t-0 at leader epoch 5: broker 1 leads, 1 and 2 are in
// sync, min.insync.replicas is 2.
func newStage(change func(*Config)) *stage {
	cfg := Config{MinInsyncReplicas: func(string) int { return 2 }}
	for i, name := range []string{"b1", "b2", "b3", "c1", "c2"} {
		cfg.Nodes = append(cfg.Nodes, Node{Host: netsim.HostID(i), Name: name, ID: int32(i + 1), Controller: i >= 3})
	}
	if change != nil {
		change(&cfg)
	}
	s := &stage{Checker: New(cfg, nil)}
	for i := range s.nodes {
		s.nodes[i].life, s.nodes[i].acts = 1, true
	}
	s.metadata(10, stageRegistration(nil))
	s.l = s.named("t", 0)
	return s
}

func stageRegistration(change func(*meta.Partition)) *meta.Partition {
	p := &meta.Partition{Replicas: []int32{1, 2, 3}, ISR: []int32{1, 2}, Leader: 1, LeaderEpoch: 5, PartitionEpoch: 9}
	if change != nil {
		change(p)
	}
	return p
}

func stageImage(offset int64, p *meta.Partition) *meta.Image {
	return &meta.Image{Offset: offset, Epoch: 1, Topics: []*meta.Topic{{Name: "t", ID: stageTopic, Partitions: []*meta.Partition{p}}}}
}

func (s *stage) metadata(offset int64, p *meta.Partition) {
	s.controllerChanged(3, quorumView{controller.Leader, 2, offset, true}, stageImage(offset, p))
}

// at is a replica at an end and a high watermark, everything synced.
func at(role partition.Role, end, hw int64) view {
	return view{role: role, leader: 1, leaderEpoch: 5, partitionEpoch: 9, latestEpoch: 5, isrSize: 2, replicaCount: 3, usable: true,
		hw: hw, end: end, appendEnd: end, flushed: end, maximalISR: []int32{1, 2}}
}

// see lets broker id be as v.
func (s *stage) see(id int32, v view) { s.observe(s.l, id-1, &v) }

// committed brings brokers 1 and 2 to an end of 20, committed up to 20.
func (s *stage) commit() *stage {
	s.see(1, at(partition.Leader, 0, 0))
	s.see(2, at(partition.Follower, 20, 0))
	s.see(1, at(partition.Leader, 20, 20))
	return s
}

func with(v view, change func(*view)) view {
	change(&v)
	return v
}

func (s *stage) expect(t *testing.T, rules ...rule) {
	t.Helper()
	var want, got []string
	for _, r := range rules {
		want = append(want, r.String())
	}
	for _, v := range s.Violations() {
		got = append(got, v.Invariant)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
		for _, v := range s.Violations() {
			t.Log(v)
		}
	}
}

func TestRegistrationRules(t *testing.T) {
	type edit = func(*meta.Partition)
	tests := []struct {
		name   string
		change edit
		want   []rule
	}{
		{"isr grows", func(p *meta.Partition) { p.ISR, p.PartitionEpoch = []int32{1, 2, 3}, 10 }, nil},
		{"elected from the isr", func(p *meta.Partition) { p.Leader, p.ISR, p.LeaderEpoch, p.PartitionEpoch = 2, []int32{2}, 6, 10 }, nil},
		{"leader outside isr", func(p *meta.Partition) { p.ISR, p.PartitionEpoch = []int32{2}, 10 }, []rule{ruleRegistration}},
		{"isr and elr meet", func(p *meta.Partition) { p.ELR, p.PartitionEpoch = []int32{2}, 10 }, []rule{ruleRegistration}},
		{"partition epoch stands", func(p *meta.Partition) { p.ISR = []int32{1} }, []rule{ruleEpochsRise}},
		{"leader epoch falls", func(p *meta.Partition) { p.LeaderEpoch, p.PartitionEpoch = 4, 10 }, []rule{ruleEpochsRise}},
		{"two leaders in an epoch", func(p *meta.Partition) { p.Leader, p.PartitionEpoch = 2, 10 }, []rule{ruleOneLeader, ruleEpochsRise}},
		{"elected from outside", func(p *meta.Partition) {
			p.Leader, p.ISR, p.LeaderEpoch, p.PartitionEpoch = 3, []int32{3}, 6, 10
		}, []rule{ruleCleanElection}},
		{"unclean though off", func(p *meta.Partition) {
			p.Leader, p.ISR, p.LeaderEpoch, p.PartitionEpoch, p.Recovering = 3, []int32{3}, 6, 10, true
		}, []rule{ruleCleanElection}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(nil)
			s.metadata(11, stageRegistration(tt.change))
			s.expect(t, tt.want...)
		})
	}
}

// A reassignment of replicas 1, 2, 3 to 4, 1: from in progress to its end.
func TestReassignmentRules(t *testing.T) {
	tests := []struct {
		name                   string
		replicas, isr          []int32
		leader, epoch, changes int32
		want                   []rule
	}{
		{"complete", []int32{4, 1}, []int32{1, 4}, 1, 6, 1, nil},
		{"complete, and the added one leads", []int32{4, 1}, []int32{1, 4}, 4, 6, 1, nil},
		{"cancelled", []int32{1, 2, 3}, []int32{1}, 1, 6, 1, nil},
		{"several changes in one step", []int32{4, 1}, []int32{1}, 1, 7, 2, nil},
		{"complete without the added one", []int32{4, 1}, []int32{1}, 1, 6, 1, []rule{ruleReassignment}},
		{"somebody else is left", []int32{1, 2}, []int32{1}, 1, 6, 1, []rule{ruleReassignment}},
		{"who leaves is not fenced", []int32{4, 1}, []int32{1, 4}, 1, 5, 1, []rule{ruleReassignment}},
		{"the added one leads from outside", []int32{4, 1}, []int32{4}, 4, 6, 1, []rule{ruleCleanElection, ruleReassignment}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(nil)
			s.metadata(11, stageRegistration(func(p *meta.Partition) {
				p.Replicas, p.AddingReplicas, p.RemovingReplicas, p.PartitionEpoch = []int32{4, 1, 2, 3}, []int32{4}, []int32{2, 3}, 10
			}))
			s.metadata(12, stageRegistration(func(p *meta.Partition) {
				p.Replicas, p.ISR, p.Leader, p.LeaderEpoch, p.PartitionEpoch = tt.replicas, tt.isr, tt.leader, tt.epoch, 10+tt.changes
			}))
			s.expect(t, tt.want...)
		})
	}
}

func TestReplicaRules(t *testing.T) {
	leader, follower := partition.Leader, partition.Follower
	tests := []struct {
		name string
		id   int32
		v    view
		want []rule
	}{
		{"leader appends", 1, at(leader, 25, 20), nil},
		{"follower lags in its high watermark", 2, at(follower, 20, 5), nil},
		{"outsider is behind", 3, at(follower, 3, 3), nil},
		{"start above high watermark", 3, with(at(follower, 20, 5), func(v *view) { v.start = 6 }), []rule{ruleOffsetOrder}},
		{"high watermark above end", 3, at(follower, 4, 5), []rule{ruleOffsetOrder}},
		{"synced what is not written", 2, with(at(follower, 20, 5), func(v *view) { v.flushed = 21 }), []rule{ruleOffsetOrder}},
		{"high watermark falls", 1, at(leader, 20, 19), []rule{ruleHighWatermarkFalls}},
		{"leader truncates", 1, at(leader, 19, 19), []rule{ruleHighWatermarkFalls, ruleLeaderEndFalls, ruleLeaderHolds, ruleMemberHolds}},
		{"leader epoch goes back", 2, with(at(follower, 20, 5), func(v *view) { v.leaderEpoch = 4 }), []rule{ruleReplicaEpochs}},
		{"partition epoch goes back", 2, with(at(follower, 20, 5), func(v *view) { v.partitionEpoch = 8 }), []rule{ruleReplicaEpochs}},
		{"second leader", 2, at(leader, 20, 20), []rule{ruleOneLeader}},
		{"epoch not recorded", 1, with(at(leader, 20, 20), func(v *view) { v.latestEpoch = 4 }), []rule{ruleEpochRecorded}},
		{"high watermark above a member", 1, at(leader, 25, 21), []rule{ruleBelowISREnds, ruleMemberHolds}},
		{"high watermark above one being added", 1, with(at(leader, 20, 20), func(v *view) { v.maximalISR = []int32{1, 2, 3} }), []rule{ruleBelowISREnds}},
		{"rises below min isr", 1, with(at(leader, 25, 21), func(v *view) { v.isrSize, v.maximalISR = 1, []int32{1} }), []rule{ruleUnderMinISR, ruleMemberHolds}},
		{"member truncates below the committed end", 2, at(follower, 19, 5), []rule{ruleMemberHolds}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(nil).commit()
			s.see(tt.id, tt.v)
			s.expect(t, tt.want...)
		})
	}
}

func TestStableStorage(t *testing.T) {
	for _, each := range []bool{false, true} {
		s := newStage(func(c *Config) { c.FlushBeforeAck = each })
		s.see(1, at(partition.Leader, 0, 0))
		s.see(2, with(at(partition.Follower, 20, 0), func(v *view) { v.flushed = 19 }))
		s.see(1, at(partition.Leader, 20, 20))
		s.Acked("t", 0, 10, 10, true, 0)
		if each {
			s.expect(t, ruleStable, ruleAckReplicated)
		} else {
			s.expect(t)
		}
	}
}

// A new leader must hold what the old one has committed; one that was elected
// uncleanly need not, where that is configured or where writes were lost.
func TestElectionAndTheCommittedPrefix(t *testing.T) {
	elect := func(s *stage, unclean bool, end int64) {
		s.metadata(11, stageRegistration(func(p *meta.Partition) {
			p.Leader, p.ISR, p.LeaderEpoch, p.PartitionEpoch, p.Recovering = 2, []int32{2}, 6, 10, unclean
		}))
		s.see(2, with(at(partition.Leader, end, min(end, 5)), func(v *view) {
			v.leaderEpoch, v.latestEpoch, v.partitionEpoch, v.isrSize, v.maximalISR = 6, 6, 10, 1, []int32{2}
		}))
	}
	s := newStage(nil).commit()
	elect(s, false, 20)
	s.expect(t)

	s = newStage(nil).commit()
	elect(s, false, 19)
	s.expect(t, ruleLeaderHolds, ruleMemberHolds)

	s = newStage(nil).commit()
	elect(s, true, 19) // nothing was lost: nothing is forgiven
	s.expect(t, ruleLeaderHolds, ruleMemberHolds)

	s = newStage(func(c *Config) { c.UncleanElection = func(string) bool { return true } }).commit()
	elect(s, true, 19)
	s.see(1, at(partition.Leader, 30, 30)) // deposed, and does not know it
	s.expect(t)
	if got := s.CommittedEnd("t", 0); got != 5 {
		t.Errorf("committed end %d after the unclean election, want 5", got)
	}

	s = newStage(nil).commit()
	s.Changed(1, 1, sim.Off, "power loss")
	s.nodes[1].life, s.nodes[1].acts = 2, true
	elect(s, true, 19)
	s.expect(t)
}

// What a crash took is forgiven until the broker acts again: by then the
// controller must have taken it out of the ISR.
func TestLostTail(t *testing.T) {
	s := newStage(nil).commit()
	s.Changed(1, 1, sim.Off, "power loss")
	s.nodes[1].life = 2
	s.see(2, at(partition.Follower, 12, 0)) // recovered, not yet registered
	s.see(1, at(partition.Leader, 20, 20))
	s.Acked("t", 0, 10, 10, true, 0)
	s.expect(t)
	s.nodes[1].acts = true
	s.see(2, at(partition.Follower, 12, 0))
	s.expect(t, ruleMemberHolds)
}

func TestAcksAndGroups(t *testing.T) {
	s := newStage(nil).commit()
	s.Acked("t", 0, 15, 5, true, 0)
	s.Acked("t", 0, -1, 5, true, 0)
	s.GroupCommitted("t", 0, 20, 0)
	s.expect(t)
	s.GroupCommitted("t", 0, 21, 0)
	s.Acked("t", 0, 20, 1, true, 0)
	s.Acked("t", 0, 20, 1, false, 0)
	s.expect(t, ruleGroupOffset, ruleAckCommitted, ruleAckReplicated, ruleAckReplicated)
}

func TestQuorumRules(t *testing.T) {
	s := newStage(nil)
	image := stageImage(11, stageRegistration(func(p *meta.Partition) { p.ISR, p.PartitionEpoch = []int32{1}, 10 }))
	s.controllerChanged(3, quorumView{controller.Leader, 2, 11, true}, image)
	s.brokerImage(&s.nodes[0], stageImage(11, stageRegistration(func(p *meta.Partition) { p.ISR, p.PartitionEpoch = []int32{1}, 10 })))
	s.controllerChanged(4, quorumView{controller.Follower, 2, 11, false}, image)
	s.expect(t)
	s.brokerImage(&s.nodes[1], stageImage(11, stageRegistration(nil)))
	s.brokerImage(&s.nodes[2], stageImage(12, stageRegistration(nil)))
	s.controllerChanged(4, quorumView{controller.Leader, 2, 11, false}, image)
	s.controllerChanged(4, quorumView{controller.Follower, 3, 11, true}, image)
	s.controllerChanged(3, quorumView{controller.Follower, 1, 10, false}, nil)
	s.expect(t, ruleSameImage, ruleCommittedMetadata, ruleOneController, ruleOneController, ruleTermRises, ruleTermRises)
	// A controller that lost its disk may have voted twice.
	s = newStage(nil)
	s.LostTail(4)
	s.controllerChanged(4, quorumView{controller.Leader, 2, 5, false}, stageImage(5, stageRegistration(nil)))
	s.expect(t)
}

func TestBrokerEpochsRise(t *testing.T) {
	s := newStage(nil)
	a, b := stageImage(11, stageRegistration(nil)), stageImage(12, stageRegistration(nil))
	a.NextProducerID, b.NextProducerID = 2000, 1000
	a.Brokers, b.Brokers = []*meta.Broker{{ID: 1, Epoch: 4}}, []*meta.Broker{{ID: 1, Epoch: 3}}
	s.controllerChanged(3, quorumView{controller.Leader, 2, 11, true}, a)
	s.expect(t)
	s.controllerChanged(3, quorumView{controller.Leader, 2, 12, true}, b)
	s.expect(t, ruleEpochsRise, ruleEpochsRise)
}

// fakeEpochs is a log's epoch cache: the first offset of each epoch, from 1.
type fakeEpochs struct {
	starts    []int64
	start, hw int64
}

func (f fakeEpochs) StartOffset() int64   { return f.start }
func (f fakeEpochs) HighWatermark() int64 { return f.hw }
func (f fakeEpochs) EpochAt(o int64) int32 {
	e := int32(-1)
	for i, s := range f.starts {
		if s <= o {
			e = int32(i)
		}
	}
	return e
}
func (f fakeEpochs) EpochStart(e int32) (int64, bool) { return f.starts[e], true }

func TestEpochCaches(t *testing.T) {
	tests := []struct {
		a, b fakeEpochs
		want []rule
	}{
		{fakeEpochs{[]int64{0, 4, 9}, 0, 20}, fakeEpochs{[]int64{0, 4, 9}, 0, 12}, nil},
		{fakeEpochs{[]int64{0, 4, 9}, 0, 20}, fakeEpochs{[]int64{0, 4, 8}, 0, 5}, nil}, // differ above
		{fakeEpochs{[]int64{0, 4}, 6, 20}, fakeEpochs{[]int64{0, 5}, 0, 20}, nil},      // differ below the start
		{fakeEpochs{[]int64{0, 4, 9}, 0, 20}, fakeEpochs{[]int64{0, 4, 8}, 0, 12}, []rule{ruleEpochCaches}},
		{fakeEpochs{[]int64{0, 4, 9}, 0, 20}, fakeEpochs{[]int64{0, 5, 9}, 0, 12}, []rule{ruleEpochCaches}},
	}
	for _, tt := range tests {
		s := newStage(nil)
		s.compareEpochs(s.l, epochSide{"b1", tt.a}, epochSide{"b2", tt.b})
		s.expect(t, tt.want...)
	}
}

func TestOneContent(t *testing.T) {
	s := newStage(nil)
	n := &s.nodes[0]
	s.oneContent(n, s.l, seenBatch{base: 10, epoch: 5, delta: 4, crc: 77, used: true})
	s.oneContent(n, s.l, seenBatch{base: 10, epoch: 5, delta: 4, crc: 77, used: true})
	s.oneContent(n, s.l, seenBatch{base: 10, epoch: 6, delta: 4, crc: 78, used: true}) // the tail of epoch 5 was cut
	s.expect(t)
	s.oneContent(n, s.l, seenBatch{base: 10, epoch: 6, delta: 4, crc: 79, used: true})
	s.oneContent(n, s.l, seenBatch{base: 10, epoch: 6, delta: 3, crc: 78, used: true})
	s.wroteBatches(n, s.l, make([]byte, 70))
	s.expect(t, ruleOneContent, ruleOneContent, ruleOneContent)
}

func TestSequences(t *testing.T) {
	batch := func(producer int64, epoch int16, from, to int32) storedBatch {
		return storedBatch{producer: producer, producerEpoch: epoch, sequence: from, lastSequence: to}
	}
	tests := []struct {
		name   string
		stored []storedBatch
		want   []rule
	}{
		{"contiguous", []storedBatch{batch(1, 0, 7, 9), batch(2, 0, 0, 0), batch(1, 0, 10, 10), batch(1, 1, 0, 3)}, nil},
		{"wraps", []storedBatch{batch(1, 0, 7, math.MaxInt32), batch(1, 0, 0, 3)}, nil},
		{"plain producers and markers", []storedBatch{batch(-1, -1, -1, -1), batch(1, 0, 0, 3), batch(1, 3, -1, -1), batch(1, 0, 4, 4)}, nil},
		{"twice", []storedBatch{batch(1, 0, 0, 3), batch(1, 0, 0, 3)}, []rule{ruleSequences}},
		{"a gap", []storedBatch{batch(1, 0, 0, 3), batch(1, 0, 5, 6)}, []rule{ruleSequences}},
		{"a fenced epoch", []storedBatch{batch(1, 1, 0, 3), batch(1, 0, 4, 6)}, []rule{ruleSequences}},
		{"a new epoch that does not begin at 0", []storedBatch{batch(1, 0, 0, 3), batch(1, 1, 4, 6)}, []rule{ruleSequences}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(nil)
			s.sequences(s.l, &contentSide{name: "b1", stored: tt.stored})
			s.expect(t, tt.want...)
		})
	}
}

func TestSameContents(t *testing.T) {
	batch := func(base, next int64, crc uint32) storedBatch {
		return storedBatch{base: base, next: next, crc: crc, producer: -1}
	}
	whole := []storedBatch{batch(0, 4, 1), batch(4, 6, 2), batch(6, 9, 3)}
	tests := []struct {
		name string
		b    contentSide
		want []rule
	}{
		{"equal", contentSide{mark: 9, stored: whole}, nil},
		{"differs above its high watermark", contentSide{mark: 6, stored: []storedBatch{whole[0], whole[1], batch(6, 9, 4)}}, nil},
		{"starts later", contentSide{start: 4, mark: 9, stored: whole[1:]}, nil},
		{"another batch", contentSide{mark: 9, stored: []storedBatch{whole[0], batch(4, 6, 5), whole[2]}}, []rule{ruleSameContents}},
		{"a wrong CRC", contentSide{mark: 4, stored: []storedBatch{{base: 0, next: 4, crc: 1, producer: -1, bad: true}}}, []rule{ruleSameContents, ruleSameContents}},
		{"a hole", contentSide{mark: 9, stored: whole[:2], flaw: "the files end"}, []rule{ruleSameContents, ruleSameContents}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(nil)
			tt.b.stored = slices.Clone(tt.b.stored)
			s.sameContents(s.l, []contentSide{{mark: 9, stored: slices.Clone(whole)}, tt.b})
			s.expect(t, tt.want...)
		})
	}
}

func TestSameNewest(t *testing.T) {
	value := func(offset int64, key string) storedRecord { return storedRecord{offset: offset, key: key, value: "v"} }
	tombstone := func(offset int64, key string) storedRecord {
		return storedRecord{offset: offset, key: key, tombstone: true}
	}
	whole := []storedRecord{value(0, "a"), value(1, "b"), value(2, "a"), tombstone(3, "b"), value(4, "c")}
	tests := []struct {
		name  string
		start int64
		b     []storedRecord
		want  []rule
	}{
		{"equal", 0, whole, nil},
		{"compacted", 0, whole[2:], nil},
		{"the tombstone gone", 0, []storedRecord{whole[2], whole[4]}, nil},
		{"deleted by retention", 4, whole[4:], nil},
		{"the newest gone", 0, whole[:4], []rule{ruleSameContents}},
		{"the newest gone, an older one kept", 0, []storedRecord{whole[0], whole[3], whole[4]}, []rule{ruleSameContents}},
		{"a value without its tombstone", 0, []storedRecord{whole[1], whole[2], whole[4]}, []rule{ruleSameContents}},
		{"another value", 0, []storedRecord{{offset: 2, key: "a", value: "w"}, whole[3], whole[4]}, []rule{ruleSameContents, ruleSameContents}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(nil)
			s.sameNewest(s.l, []contentSide{{mark: 5, records: whole}, {start: tt.start, mark: 5, records: tt.b}})
			s.expect(t, tt.want...)
		})
	}
}

func TestSealedOnly(t *testing.T) {
	s := newStage(nil)
	s.sealedOnly(&s.nodes[0], s.l, cleanedSegment{base: 0, end: 10, mark: 10})
	s.expect(t)
	s.sealedOnly(&s.nodes[0], s.l, cleanedSegment{base: 0, end: 10, mark: 9})
	s.sealedOnly(&s.nodes[0], s.l, cleanedSegment{base: 0, end: 10, active: true, mark: 10})
	s.expect(t, ruleSealedOnly, ruleSealedOnly)
}

func TestViolationsAreBounded(t *testing.T) {
	s := newStage(nil)
	for range 1000 {
		s.see(3, at(partition.Follower, 4, 5))
	}
	if len(s.Violations()) != violationsPerRule || s.Total() != 1000 {
		t.Errorf("%d violations kept of %d", len(s.Violations()), s.Total())
	}
	for _, name := range Names() {
		if name == "" {
			t.Error("an invariant has no name")
		}
	}
}

// saboteur breaks a real broker's log at one moment, behind the broker's back,
// before the checker looks.
type saboteur struct {
	k    *cluster
	act  func(k *cluster, h netsim.HostID, e *edge.Effects) bool
	done bool
}

func (s *saboteur) Stepped(now clock.Instant, h netsim.HostID, _ *edge.Event, e *edge.Effects) {
	if !s.done && now > clock.Instant(20*time.Second) && h >= 3 && h < clientHost {
		s.done = s.act(s.k, h, e)
	}
}

func (s *saboteur) Changed(clock.Instant, netsim.HostID, sim.State, string) {}

// Goal: faults planted in running brokers are found through their accessors.
func TestSabotageIsFound(t *testing.T) {
	leads := func(k *cluster, h netsim.HostID) *partition.Partition {
		for _, p := range k.checker.node(h).Partitions().Partitions() {
			if p.Role() == partition.Leader && p.HighWatermark() > 50 {
				return p
			}
		}
		return nil
	}
	tests := []struct {
		name string
		want rule
		act  func(k *cluster, h netsim.HostID, e *edge.Effects) bool
	}{
		{"high watermark lowered", ruleHighWatermarkFalls, func(k *cluster, h netsim.HostID, _ *edge.Effects) bool {
			p := leads(k, h)
			if p != nil {
				p.Log().SetHighWatermark(p.HighWatermark() - 20)
			}
			return p != nil
		}},
		{"high watermark ahead of followers", ruleBelowISREnds, func(k *cluster, h netsim.HostID, _ *edge.Effects) bool {
			for _, p := range k.checker.node(h).Partitions().Partitions() {
				if p.Role() == partition.Leader && p.EndOffset() > p.HighWatermark() && p.HighWatermark() > 50 {
					p.Log().SetHighWatermark(p.EndOffset())
					return true
				}
			}
			return false
		}},
		{"another batch at the same offset", ruleOneContent, func(k *cluster, h netsim.HostID, e *edge.Effects) bool {
			for i := range e.Disk {
				op := &e.Disk[i]
				f := k.checker.nodes[h].files[op.File]
				if op.Kind != edge.OpWrite || f.l == nil {
					continue
				}
				p := k.checker.node(h).Partitions().Get(f.key)
				if p == nil || p.Role() != partition.Follower {
					continue
				}
				b := append([]byte(nil), op.Data[0].Bytes()...)
				b[20] ^= 1 // in the CRC
				op.Data[0].Buffer.Release()
				op.Data[0] = edge.NewBuffer(b).All()
				return true
			}
			return false
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newCluster(plan{seed: 3, minISR: 2, observers: func(k *cluster) []sim.Observer {
				return []sim.Observer{&saboteur{k: k, act: tt.act}}
			}})
			k.run(25 * time.Second)
			k.end()
			v := k.checker.Violations()
			if len(v) == 0 || v[0].Invariant != tt.want.String() {
				t.Errorf("got %v, want first %q", v, tt.want)
			}
		})
	}
}

// Goal: what is on disk is compared: a flipped bit behind the brokers' backs is
// found, and forgiven if the checker is told of it.
func TestFlippedBit(t *testing.T) {
	for _, told := range []bool{false, true} {
		k := newCluster(plan{seed: 4, minISR: 2})
		k.run(20 * time.Second)
		if n := k.end(); n == 0 || k.checker.Total() != 0 {
			t.Fatalf("%d batches compared, %v", n, k.checker.Violations())
		}
		if _, ok := k.world.Disk(4).FlipBit("t-0/*0.log"); !ok {
			t.Fatal("no bit was flipped")
		}
		if told {
			k.checker.Corrupted(4)
		}
		k.end()
		if got := k.checker.perRule[ruleSameContents] > 0; got == told {
			t.Errorf("told %t: %v", told, k.checker.Violations())
		}
	}
}
