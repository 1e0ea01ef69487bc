package runner

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/clock"
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim/client"
)

// Goal: whatever speaks against a run reaches its verdict: no checker's finding, no
// expectation and no doubt is dropped on the way. Method: a run that has gone well
// is given one flaw before it is judged.

// flaw is one, and what must be said of it among the reasons and anomalies.
type flaw struct {
	name     string
	expect   string // of the scenario; empty is none
	plant    func(r *run)
	verdict  reports.Verdict
	wantText string
}

var firstKey = lin.OffsetKey{Group: 0, Partition: lin.Partition{Topic: 0, Index: 0}}

// sendUnseen is a batch that was acknowledged at a place where nothing is.
func sendUnseen(r *run) {
	c, p, id := r.ledger.checker, firstKey.Partition, lin.NewBatchID(99, 1)
	c.Invoke(p, id, 1, true, r.ledger.event())
	c.Acked(p, id, -1, r.ledger.event())
}

// readOther gives the auditor another batch where it has read one before.
func readOther(r *run) {
	c, p, e := r.ledger.checker, firstKey.Partition, r.ledger.event()
	end := r.audited[0][0].end
	for i, reader := range []int32{1000, 1001} {
		id := lin.NewBatchID(99, uint64(i+1))
		c.Invoke(p, id, 1, true, e)
		c.Unknown(p, id, false, e)
		c.HighWatermark(reader, p, end+1, -1, false, e)
		c.ReaderReset(reader, p, end, e)
		c.ReadBatch(reader, p, end, 1, id, 0, e)
	}
}

// moveLogStart takes a partition's first record away, which nothing permits.
func moveLogStart(r *run) {
	leader := r.leaderOf(0, 0)
	leader.Log().AdvanceStart(&step.Context{Out: &edge.Effects{}, Buffers: &edge.Pool{}}, 1)
	r.watch.predictor.leads(leader)
}

// passOver gives a group a batch that lies so many records behind what it has been
// given so far.
func passOver(r *run, records int64) {
	at := r.ledger.groups[0].frontier[0][0]
	r.ledger.passedOver(0, &client.Delivery{BaseOffset: at + records}, at)
}

// cutDelivered announces that the last records of a partition, which were
// delivered, are gone.
func cutDelivered(r *run) {
	r.ledger.checker.Truncated(firstKey.Partition, r.audited[0][0].end-1, 0, r.ledger.event())
}

var flaws = []flaw{
	{"none", "{ safety: [no_lost_acks, no_phantom_reads, all_read, single_owner] }", func(*run) {}, reports.Pass, ""},
	{"two owners", "", func(r *run) {
		r.ledger.owners.Assigned(firstKey, 1, 77, 1)
		r.ledger.owners.Assigned(firstKey, 2, 77, 2)
	}, reports.Fail, "two-owners"},
	{"a commit is forgotten", "", func(r *run) {
		key := lin.OffsetKey{Group: 5, Partition: firstKey.Partition}
		for token := lin.OffsetToken(1 << 40); token < 1<<40+2; token++ {
			r.ledger.offsets.CommitInvoked(key, token, int64(token), 1)
			r.ledger.offsets.CommitReturned(key, token, lin.Ok, 2)
		}
		r.ledger.offsets.FetchReturned(key, r.ledger.offsets.FetchInvoked(key), 1<<40, 1<<40, 3)
	}, reports.Fail, "offset-rewind"},
	{"a producer id twice", "", func(r *run) {
		r.ledger.ids.Granted(-1, 1<<40, 0, 1, 1)
		r.ledger.ids.Granted(-1, 1<<40, 0, 2, 2)
	}, reports.Fail, "producer-id-reused"},
	{"metadata forks", "", func(r *run) {
		for value := range uint64(2) {
			r.watch.versions.Observed(int32(1000+value), firstKey.Partition, lin.MetadataVersion{LeaderEpoch: 1000}, value, 1)
		}
	}, reports.Fail, "metadata-fork"},
	{"a corrupt record", "", func(r *run) {
		r.ledger.Corrupt(0, client.TopicPartition{}, 7, "a wrong CRC")
	}, reports.Fail, "corrupt-record"},
	{"a consumer gave up", "", func(r *run) { r.ledger.Stopped(0, 82, "fenced") }, reports.Fail, "consumer-stopped"},
	{"an invariant", "", func(r *run) {
		r.inside.GroupCommitted("orders", 0, 1<<40, r.world.Now())
	}, reports.Fail, "a committed group offset is below the committed end"},
	{"an invariant that only the last sweep sees", "", func(r *run) { r.leaderOf(0, 0).Log().SetHighWatermark(0) }, reports.Fail,
		"the high watermark never falls within a leader's term"},
	{"a replica with another byte", "", func(r *run) {
		host, _ := r.world.Host("broker-1")
		r.world.Disk(host).FlipBit("orders-0/*0.log")
	}, reports.Fail, "replicas are identical below the high watermark"},
	{"a log start that moves for no reason", "", moveLogStart, reports.Fail, "log-start-invalid"},
	{"a group is not given what lies before", "", func(r *run) { passOver(r, 3) }, reports.Fail, "skipped-by-group"},
	{"a group goes on where it stands", "", func(r *run) { passOver(r, 0) }, reports.Pass, ""},
	{"an acknowledged record is nowhere", "", sendUnseen, reports.Fail, "lost-ack"},
	{"two records at one place", "", readOther, reports.Fail, "inconsistent-offset"},
	{"phantoms", "{ safety: [no_phantom_reads] }", cutDelivered, reports.Fail, "the claim no_phantom_reads was violated"},
	{"a phantom handed out late", "{ safety: [no_phantom_reads] }", func(r *run) { r.ledger.phantoms = 1 }, reports.Fail,
		"the claim no_phantom_reads was violated"},
	{"not all read", "{ safety: [all_read] }", func(r *run) { r.ledger.groups[0].frontier[0][0]-- }, reports.Fail,
		"the claim all_read was violated"},
	{"loss that no election explains", "{ loss: predicted }", sendUnseen, reports.Fail, "0 acknowledged records must have been lost by the elections, and 1 were"},
	{"predicted loss that is not there", "{ loss: predicted }", func(r *run) {
		p := &r.watch.predictor.parts[0][0]
		p.missing = append(p.missing, ackedBatch{base: 0, count: 3})
	}, reports.Fail, "3 acknowledged records must have been lost by the elections, and 0 were"},
	{"permitted and predicted loss where none is expected", "", func(r *run) {
		sendUnseen(r)
		r.watch.predictor.parts[0][0].missing = []ackedBatch{{count: 1}}
		r.claims[0].Made = false // no_lost_acks
	}, reports.Fail, "1 acknowledged records were lost, the scenario expects none"},
	{"no loss where some is meant", "{ loss: some }", func(*run) {}, reports.Inconclusive, "no acknowledged record was lost"},
	{"a claim that is not to be had", "{ safety: [no_lost_acks] }", func(r *run) { r.claims[0].Made = false }, reports.Inconclusive, "does not allow to claim"},
	{"too few delivered", "{ minimums: { delivered: 1000000 } }", func(*run) {}, reports.Inconclusive, "records were delivered, the scenario asks for 1000000"},
	{"too few elections", "{ minimums: { elections: 9 } }", func(*run) {}, reports.Inconclusive, "leaders were elected"},
	{"too few rebalances", "{ minimums: { rebalances: 1000 } }", func(*run) {}, reports.Inconclusive, "rebalances were completed"},
	{"nothing compacted", "", func(r *run) { r.scenario.Expect.Minimums.Compacted = 1 }, reports.Inconclusive, "records were compacted away"},
	{"too few faults", "", func(r *run) { r.scenario.Expect.Minimums.Faults = 2 }, reports.Inconclusive, "faults were injected"},
	{"a fault that missed", "", func(r *run) { r.faults.missed = append(r.faults.missed, "kill did nothing") }, reports.Inconclusive, "kill did nothing"},
	{"a stuck cluster", "", func(r *run) { r.stuck = append(r.stuck, "no controller is active") }, reports.Fail, "no controller is active"},
	{"a state that does not last", "", func(r *run) {
		r.sampler.recoveries = append(r.sampler.recoveries, recovery{
			want: scenarios.Recovery{Name: "in_sync_replicas", ReachText: "100%", Within: time.Minute}, reached: clock.Never, missed: clock.Never})
	}, reports.Fail, "in_sync_replicas reaches 100% within 1m0s (after) was never"},
	{"a state that comes too late", "", func(r *run) {
		r.sampler.recoveries = append(r.sampler.recoveries, recovery{
			want:    scenarios.Recovery{Name: "in_sync_replicas", ReachText: "100%", Within: time.Second},
			reached: r.lastHeal().Add(2 * time.Second), missed: clock.Never})
	}, reports.Fail, "was after 2s"},
	{"nothing was measured", `{ thresholds: { e2e_latency: ["p99<1h"] } }`, func(r *run) { r.ledger.e2e = newLatency() }, reports.Fail, "was nothing"},
	{"porcupine alone finds it", "", func(r *run) {
		e := r.ledger.event()
		r.windows[0].ReaderReset(1000, 0, e)
		r.windows[0].ReadBatch(1000, 0, 1, lin.NewBatchID(99, 1), 0, e)
	}, reports.Fail, "porcupine-0.html"},
	{"porcupine cannot decide", "", func(r *run) {
		r.windows = append(r.windows, lin.NewRecorder(firstKey.Partition, lin.WindowConfig{Asserted: r.claims.Asserted()}))
	}, reports.Inconclusive, "porcupine could not decide"},
	{"a partition was not read to its end", "", func(r *run) {
		r.ledger.checker.Invoke(lin.Partition{Topic: 0, Index: 99}, lin.NewBatchID(99, 1), 1, true, r.ledger.event())
	}, reports.Inconclusive, "was not drained"},
	{"nobody was looked at from inside", "", func(r *run) {
		r.inside = (&run{scenario: r.scenario, layout: r.layout, view: r.view, ledger: r.ledger, watch: r.watch, world: r.world}).newInside()
	},
		reports.Inconclusive, "no replica was ever looked at"},
	{"a run that was cut short", "", func(r *run) { r.partial = true }, reports.Inconclusive, "the run was interrupted"},
}

func TestEveryFlawReachesTheVerdict(t *testing.T) {
	for _, f := range flaws {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			expect := f.expect
			if expect == "" {
				expect = "{}"
			}
			s := load(t, safe, "[]", expect)
			s.Duration, s.Settle = 5*time.Second, 5*time.Second
			r, err := newRun(s, Options{Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			r.carryOut()
			f.plant(r)
			out := r.outcome()
			res := out.Result
			said := strings.Join(res.Reasons, "\n")
			for i := range res.Anomalies {
				said += "\n" + res.Anomalies[i].Kind + " " + res.Anomalies[i].Picture
			}
			if res.Verdict != f.verdict || !strings.Contains(said, f.wantText) {
				t.Errorf("%s, want %s and %q:\n%s", res.Verdict, f.verdict, f.wantText, said)
			}
			if f.verdict == reports.Pass && said != "" {
				t.Errorf("a flawless run has something to say: %s", said)
			}
		})
	}
}
