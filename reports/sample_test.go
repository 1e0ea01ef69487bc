package reports

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files again")

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// sample is an invented run that fills every part of a report.
func sample() *Result {
	r := &Result{
		Scenario: "zone-failure", Seed: 42, Verdict: Pass,
		Description: "Zone b loses power for 3 minutes under acks=all load, then comes back.",
		File:        "scenarios/zone-failure.yaml", TraceHash: "9f3c2a71e0b45d88", Events: 41_230_112,
		VirtualSeconds: 720, CPUSeconds: 9.8, PeakRSSBytes: 84_213_760,
		Replay:  "simrun scenarios/zone-failure.yaml --seed 42",
		Records: Records{Offered: 3_600_000, Acked: 3_600_000, Delivered: 3_600_210, Redelivered: 210},
		Claims: []Claim{
			{"no_lost_acks", true, true, "acks=all with min.insync.replicas=2 and no unclean election keeps at least 2 copies, and the faults make at most 1 lose bytes at once."},
			{"no_broker_duplicates", true, true, "Every producer is idempotent in one session or transaction id, epochs are validated and producer state outlives every pause."},
			{"no_reorder", true, true, "Every producer is idempotent or keeps one request in flight, so each partition holds its batches in the order sent."},
			{"no_divergent_replicas", true, true, "Replicas agree below the high watermark under every configuration without unclean election."},
			{"no_offset_rewind", true, true, "A committed offset never goes back except by commit, reset or expiry."},
			{"single_owner", true, true, "Each partition has at most one owner per generation or member epoch under every configuration."},
			{"read_committed", false, false, "No consumer reads with isolation.level=read_committed."},
		},
		Thresholds: []Threshold{
			{Name: "produce_unavailability per partition max<=15s", Phase: "during", Measured: "9.84s", Held: true},
			{Name: "produce_errors count==0", Phase: "during", Measured: "0", Held: true},
			{Name: "in_sync_replicas reach 100% within 2m", Phase: "after", Measured: "48s", Held: true},
			{Name: "produce_latency p99<20ms", Phase: "outside", Measured: "7.31ms", Held: true},
			{Name: "e2e_latency p99<50ms", Phase: "outside", Measured: "12.6ms", Held: true},
		},
		FaultsInjected: 1,
		Faults:         []Fault{{Name: "zone_outage", Target: "b-1,b-2,b-controller", Detail: "power_loss", Nodes: []string{"b-1", "b-2", "b-controller"}, FromSeconds: 180, ToSeconds: 360}},
		Elections:      16, ControllerElections: 1, ISRShrinks: 24, ISRExpands: 24, Rebalances: 2, ProduceRetries: 1804,
		Latency: Latency{
			Produce: Phases{
				Before: Quantiles{900_000, 2.31, 3.9, 5.2, 7.31, 11.4}, During: Quantiles{900_000, 2.6, 8_120, 9_420, 9_810.4, 9_842.1},
				After: Quantiles{1_800_000, 2.34, 3.95, 5.61, 8.2, 19.9}, Whole: Quantiles{3_600_000, 2.35, 4.2, 9_102, 9_790, 9_842.1},
			},
			E2E: Phases{
				Before: Quantiles{900_000, 4.3, 6.9, 9.2, 12.6, 31}, During: Quantiles{900_000, 5.1, 8_230, 9_520, 9_910, 10_012},
				After: Quantiles{1_800_000, 4.4, 7, 9.9, 14, 210.5}, Whole: Quantiles{3_600_000, 4.4, 7.4, 9_202, 9_890, 10_012},
			},
		},
		RTOSeconds: 9.9, LagRecoverySeconds: 3.2, PeakLagRecords: 46_120,
	}
	for i := range 24 {
		r.Unavailability = append(r.Unavailability, Unavailability{
			fmt.Sprintf("orders-%d", i), 9.84 - 0.21*float64(i%7), 180.2, 10.1 - 0.2*float64(i%5), 180.4,
		})
	}
	r.Stalls = []Stall{{"group billing not stable", 0, 0}, {"a partition under-replicated", 192.3, 189.1}}
	zones := []string{"a", "b", "c"}
	for i, from := range zones {
		for j, to := range zones {
			r.ZoneTraffic = append(r.ZoneTraffic, ZoneTraffic{from, to, int64(1_240_000_000 + 310_000_000*((i*5+j*3)%4))})
		}
		boots := 1
		if from == "b" {
			boots = 2
		}
		r.Nodes = append(r.Nodes,
			Node{from + "-1", from, "broker", boots, 4, 12}, Node{from + "-2", from, "broker", boots, 4, 12},
			Node{from + "-controller", from, "controller", boots, 0, 0},
			Node{"checkout-" + from, from, "client", 1, 0, 0}, Node{"billing-" + from, from, "client", 1, 0, 0})
	}
	r.Series = sampleSeries()
	r.Histograms = sampleHistograms()
	return r
}

func sampleSeries() (out []SeriesPoint) {
	for s := range int64(720) {
		wave := math.Sin(float64(s)*1.7) + math.Sin(float64(s)*0.31)
		p := SeriesPoint{Second: s, Acked: 5000 + int64(40*wave), Delivered: 5000 + int64(30*wave),
			ProduceP50: 2.3 + 0.1*wave, ProduceP99: 5.2 + 0.4*wave, ProduceMax: 9 + 2*wave, E2EP99: 9.2 + 0.6*wave,
			Lag: 60 + int64(20*wave)}
		switch {
		case s >= 180 && s < 190:
			p.Acked, p.Delivered, p.Lag = 0, 0, 4600*(s-179)
			p.ProduceP50, p.ProduceP99, p.ProduceMax, p.E2EP99 = 0, 0, 0, 0
			p.UnderReplicated = 24
		case s >= 190 && s < 194:
			p.Acked, p.Delivered, p.Lag = 15_000, 16_000, 46_120-11_500*(s-190)
			p.ProduceP50, p.ProduceP99, p.ProduceMax, p.E2EP99 = 4_000, 9_300, 9_842, 10_012
			p.UnderReplicated = 24
		case s >= 194 && s < 408:
			p.UnderReplicated = 24
		}
		out = append(out, p)
	}
	return out
}

// sampleHistograms are made once: nobody changes them.
var sampleHistograms = sync.OnceValue(makeHistograms)

func makeHistograms() (out []NamedHistogram) {
	for k, kind := range []string{"produce", "e2e"} {
		whole := newTestHistogram()
		for i, phase := range []string{"before", "during", "after"} {
			h := newTestHistogram()
			for n := range int64(20_000) {
				// A long tail, longer during the fault.
				q := 1 - (float64(n)+0.5)/20_000
				ms := (2 + 2*float64(k)) * math.Pow(1/q, 0.2+0.05*float64(i%2))
				if i == 1 && n > 16_000 {
					ms = 9_842 * float64(n-16_000) / 4_000
				}
				if err := h.RecordValue(int64(ms * 1e6)); err != nil {
					panic(err)
				}
			}
			whole.Merge(h)
			out = append(out, NamedHistogram{Name: kind + "." + phase, Hist: h})
		}
		intervals := []*hdrhistogram.Histogram{newTestHistogram()}
		for s, h := range []*hdrhistogram.Histogram{out[len(out)-3].Hist, out[len(out)-2].Hist, out[len(out)-1].Hist} {
			h = h.Clone()
			h.SetStartTimeMs(int64(s) * 1000)
			h.SetEndTimeMs(int64(s)*1000 + 1000)
			intervals = append(intervals, h)
		}
		out = append(out, NamedHistogram{Name: kind, Hist: whole, Intervals: slices.Values(intervals)})
	}
	return out
}

func newTestHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1_000, 3_600_000_000_000, 3) }

// failed is the sample with findings, a missed threshold and a permitted loss.
func failed() *Result {
	r := sample()
	r.Verdict, r.Seed = Fail, 0xdeadbeefcafe
	r.Replay = "simrun scenarios/zone-failure.yaml --seed 0xdeadbeefcafe"
	r.Reasons = []string{"Claim no_lost_acks is violated: 3 acknowledged records are gone.", "Threshold produce_latency p99<20ms missed: 31.2ms."}
	r.Claims[0].Held = false
	r.Claims[0].Why = "3 acknowledged records are gone."
	r.Thresholds[3].Held, r.Thresholds[3].Measured, r.Thresholds[3].Why = false, "31.2ms", "worst in the second after the heal"
	r.Records.Lost, r.Records.Duplicated = 3, 1
	r.RPO = RPO{Records: 3, Bytes: 3072, Seconds: 0.0006}
	r.AnomaliesTotal = 14
	for i := range 8 {
		r.Anomalies = append(r.Anomalies, Anomaly{Kind: "lost-ack", Claim: "no_lost_acks", Partition: "orders-3", Offset: int64(42 + i),
			Text:      fmt.Sprintf("lost-ack orders-3@%d: p7#118 acked at %d by a-1 epoch 3 at t=182.300s (event 9131); b-2 epoch 4 served p2#77 at %d to billing-c at t=182.914s (event 9240).", 42+i, 42+i, 42+i),
			AtSeconds: 182.914, Event: 9240})
	}
	return r
}

// permitted is a trap that did what its configuration lets it do.
func permitted() *Result {
	r := sample()
	r.Scenario, r.Description = "acks-1-loss", "A trap: with acks=1 a leader that is cut off acknowledges records that nobody else will ever have."
	r.Claims[0].Made, r.Claims[0].Held, r.Claims[0].Why = false, false, "A producer has acks=1."
	r.Records.Lost = 1_234
	r.RPO = RPO{Records: 1_234, Bytes: 158_000, Seconds: 8.7}
	r.PermittedLoss = &PermittedLoss{Predicted: 1_234, Observed: 1_234, Why: "A producer has acks=1."}
	return r
}

func undecided() *Result {
	r := sample()
	r.Verdict, r.Partial = Inconclusive, true
	r.Reasons = []string{"12 records could not be verified."}
	r.Records.Unverified = 12
	r.Claims[2].Held = false
	return r
}
