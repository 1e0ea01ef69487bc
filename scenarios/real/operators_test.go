package real

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/twmb/franz-go/pkg/kadm"
)

// Faults that come closer together take no claim away: the stretches between them
// are as long as that needs.
func TestShortenKeepsClaims(t *testing.T) {
	text, err := os.ReadFile("../compaction.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenarios.Load(text, "compaction.yaml")
	if err != nil {
		t.Fatal(err)
	}
	short, _ := Shorten(s, DefaultLimits())
	if diff := cmp.Diff(claimsMade(s), claimsMade(short)); diff != "" || !slices.Contains(claimsMade(s), lin.ClaimNoResurrectedKeys) {
		t.Errorf("shortened to %v it makes other claims, or no_resurrected_keys is not among them:\n%s", short.Duration, diff)
	}
}

// A tombstone says who it is as a value does.
func TestRecord(t *testing.T) {
	for _, want := range []identity{
		{1<<40 | 5, 3 * time.Second, lin.Partition{Topic: 2, Index: 7}, lin.Keyed{Key: 9, DueMillis: 3000, Tombstone: true}},
		{1<<40 | 6, time.Millisecond, lin.Partition{Topic: 2, Index: 7}, lin.Keyed{Key: 0, DueMillis: 1}},
		{1<<40 | 7, time.Millisecond, lin.Partition{Topic: 2, Index: 7}, lin.Keyed{Key: -1, DueMillis: 1}},
	} {
		r := newRecord(100, &want)
		got, err := readRecord(r, want.at)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(identity{})); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
		if (r.Value == nil) != want.Tombstone || r.Partition != want.at.Index {
			t.Errorf("%+v is sent as %+v", want, r)
		}
	}
}

// What compaction may not take is missed: the newest record of a key; a tombstone
// whose time is not over; anything that is too young. What it may take is not.
func TestCompactionIsJudged(t *testing.T) {
	s, err := scenarios.Load([]byte(`
name: judged
duration: 20s
cluster: { zones: [a], controllers: { count: 1 }, brokers: { count: 3 } }
topics: { accounts: { partitions: 1, replication.factor: 3, config: { min.insync.replicas: 2, cleanup.policy: compact, min.compaction.lag.ms: 2000, delete.retention.ms: 60000 } } }
workload:
  producers: [{ name: bank, topic: accounts, executor: constant-arrival-rate, rate: 1/s, message_size: 100B, keys: { distribution: uniform, cardinality: 5 }, config: { acks: all } }]
timeline: []
`), "judged.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// Offsets 0 to 4, due a second after each other; 3 is a tombstone.
	keys, at := []int64{1, 2, 1, 3, 1}, lin.Partition{}
	for _, c := range []struct {
		name         string
		gone         []int64
		fetchedAfter time.Duration
		want         string // the kind of what is found
	}{
		{"all is there", nil, time.Minute, ""},
		{"older ones", []int64{0, 2}, time.Minute, ""},
		{"the newest", []int64{1}, time.Minute, lin.NewestRemoved.String()},
		{"a tombstone", []int64{3}, 30 * time.Second, lin.TombstoneRemoved.String()},
		{"an old tombstone", []int64{3}, 2 * time.Minute, ""},
		{"a young one", []int64{2}, 3500 * time.Millisecond, lin.CompactedTooYoung.String()},
	} {
		claims := lin.ComputeClaims(configurationOf(s))
		l := newLedger(s, claims.Asserted())
		l.origin = time.Now()
		var all []identity
		for offset, key := range keys {
			due := time.Duration(offset) * time.Second
			i := identity{lin.BatchID(1<<idShift | (offset + 1)), due, at, lin.Keyed{Key: key, DueMillis: due.Milliseconds(), Tombstone: offset == 3}}
			l.invoked(&i, true)
			l.answered(at, i.id, due, int64(offset), nil, false, false)
			all = append(all, i)
		}
		l.checker.ReaderReset(0, at, 0, l.tick())
		for offset, i := range all {
			if !slices.Contains(c.gone, int64(offset)) {
				l.delivered(&delivery{identity: i, offset: int64(offset), seen: lin.Seen{FetchedMillis: c.fetchedAfter.Milliseconds(), Replica: 1}})
			}
		}
		l.checker.Drained(0, at, int64(len(keys)), l.tick())
		res := l.result(s, claims)
		got := ""
		if len(res.Anomalies) > 0 {
			got = res.Anomalies[0].Kind
		}
		if got != c.want || (res.Verdict == reports.Fail) != (c.want != "") {
			t.Errorf("without %s: %s, found %q, want %q", c.name, res.Verdict, got, c.want)
		}
	}
}

// Who has no name service makes no new connection and keeps the old ones; who has
// another address is not heard on those and can be reached anew.
func TestNames(t *testing.T) {
	ping := request(3, "ping")
	n := newProxied(t)
	old := n.dial("producer-1")
	n.setNameless([]string{"producer-1"}, 1)
	n.write(old, ping)
	if err := n.read(old, len(ping), readLimit); err != nil {
		t.Errorf("a connection that stood was hit: %v", err)
	}
	c, err := net.Dial("tcp", n.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }() // it is being thrown away
	n.write(c, string(hello("producer-1")))
	if err := n.read(c, 1, 50*time.Millisecond); err == nil {
		t.Error("a connection was made without a name")
	}
	n.dial("producer-2")
	n.setNameless([]string{"producer-1"}, -1)
	if err := n.read(c, len(hello("producer-1")), questionTime+readLimit); err != nil {
		t.Errorf("the second question was not answered: %v", err)
	}
	n.move([]string{"broker-1"})
	n.write(old, ping)
	if err := n.read(old, 1, 50*time.Millisecond); err == nil {
		t.Error("the old address was heard")
	}
	n.dial("producer-1")
}

// A replica goes to the zone that it was in, or else to one that has none yet, and
// there to whom has the least to do.
func TestSuccessor(t *testing.T) {
	zones := map[int32]string{2: "b", 3: "c", 4: "b", 5: "d", 6: "a"}
	load := map[int32]int{4: 1, 5: 7, 6: 9}
	leaving := &node{Node: scenarios.Node{ID: 1, Zone: "a"}}
	for _, c := range []struct {
		replicas, alive []int32
		want            int32 // 0 is nobody
	}{
		{[]int32{1, 2, 3}, []int32{2, 3, 4, 5, 6}, 6},
		{[]int32{1, 2, 3}, []int32{2, 3, 4, 5}, 5},
		{[]int32{1, 2, 3}, []int32{2, 3, 4}, 4},
		{[]int32{1, 2}, []int32{2, 3, 5}, 3},
		{[]int32{1, 2, 3}, []int32{2, 3}, 0},
	} {
		var brokers kadm.BrokerDetails
		for _, id := range c.alive {
			zone := zones[id]
			brokers = append(brokers, kadm.BrokerDetail{NodeID: id, Rack: &zone})
		}
		got, found := successorOf(leaving, c.replicas, brokers, load)
		if found != (c.want != 0) || found && got != c.want {
			t.Errorf("of %v, %d takes the replica that 1 has of %v; want %d", c.alive, got, c.replicas, c.want)
		}
	}
}

// TestOperators runs a cluster that changes, with a compacted topic: a broker joins
// and takes a partition, leaders move, names fail and change, a disk comes back old,
// and one of the first brokers goes.
func TestOperators(t *testing.T) {
	brokerd := filepath.Join(t.TempDir(), "brokerd")
	if out, err := exec.Command("go", "build", "-o", brokerd, "../../cmd/brokerd").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s, err := scenarios.Load([]byte(`
name: operators
duration: 25s
cluster:
  zones: [a, b, c]
  controllers: { count: 1 }
  brokers: { per_zone: 1, config: { broker.session.timeout.ms: 3000, broker.heartbeat.interval.ms: 500, log.cleaner.backoff.ms: 200 } }
topics:
  accounts: { partitions: 2, replication.factor: 3, config: { min.insync.replicas: 2, cleanup.policy: compact, min.cleanable.dirty.ratio: 0.01, segment.ms: 1000 } }
workload:
  producers:
    - { name: bank, topic: accounts, executor: constant-arrival-rate, rate: 200/s, message_size: 100B, keys: { distribution: uniform, cardinality: 50 }, tombstones: 10%, config: { acks: all, metadata.max.age.ms: 500 } }
  consumers:
    - { name: table, group: table, topic: accounts, config: { auto.offset.reset: earliest, enable.auto.commit: false, metadata.max.age.ms: 500 } }
timeline:
  - { at: 1s, operator: add_brokers, zones: [a] }
  - { at: 4s, operator: reassign, partition: accounts/0, to: { nodes: [broker-4, broker-2, broker-3] } }
  - { at: 6s, operator: move_leader, partition: accounts/1, to: { node: broker-3 } }
  - { at: 8s, for: 1s, fault: dns, target: { zone: a }, fail: true }
  - { at: 8s, fault: dns, target: { node: broker-2 }, change_ip: true }
  - { at: 12s, for: 1s, fault: stress, target: { node: broker-3 }, cpu: 50% }
  - { at: 14s, for: 4s, fault: kill, target: { node: broker-2 } }
  - { at: 16s, operator: restore_backup, target: { node: broker-2 }, age: 4s }
  - { at: 21s, operator: decommission, target: { node: broker-1 } }
`), "operators.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "cluster")
	res, err := Run(t.Context(), s, Options{Brokerd: brokerd, Dir: dir, Seed: 1, Progress: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	if res.Verdict != reports.Pass || res.Records.Acked != 5000 || res.FaultsInjected != len(s.Timeline) || res.Records.Compacted == 0 {
		t.Errorf("%s: %d acked, %d compacted away, %d of %d faults, %v %v %v", res.Verdict, res.Records.Acked, res.Records.Compacted,
			res.FaultsInjected, len(s.Timeline), res.Reasons, res.Anomalies, res.ClientErrors)
	}
	for _, c := range res.Claims {
		if (c.Name == lin.ClaimNewestKept || c.Name == lin.ClaimCompactionLags) && !c.Held {
			t.Errorf("%s is not made or not held: %s", c.Name, c.Why)
		}
	}
}
