// Package reports owns what a run looks like to people and tools: the terminal
// summary, result.json, JUnit XML, histogram logs and the HTML page. It renders
// a Result; it measures nothing and decides nothing.
package reports

import (
	"iter"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Verdict is a run's outcome.
type Verdict string

// The verdicts, and simrun's exit status for each.
const (
	Pass         Verdict = "pass"         // 0: every claim and threshold held
	Fail         Verdict = "fail"         // 1: a claim or a threshold failed
	Inconclusive Verdict = "inconclusive" // 3: something could not be decided
)

// Result is all that is known about one run. Times named *_seconds are virtual
// seconds since the start of the run unless they say otherwise.
type Result struct {
	Scenario       string   `json:"scenario"`
	Description    string   `json:"description,omitempty"`
	KnownBugs      []string `json:"known_bugs,omitempty"` // rules that the broker was made to break
	File           string   `json:"file,omitempty"`       // as it was named on the command line
	Seed           uint64   `json:"seed"`
	Verdict        Verdict  `json:"verdict"`
	Reasons        []string `json:"reasons,omitempty"` // why the verdict is not pass, one sentence each
	Partial        bool     `json:"partial,omitempty"` // interrupted: figures cover the time up to then
	TraceHash      string   `json:"trace_hash"`
	Events         uint64   `json:"events"`
	VirtualSeconds float64  `json:"virtual_seconds"`
	CPUSeconds     float64  `json:"cpu_seconds"`
	PeakRSSBytes   int64    `json:"peak_rss_bytes"`
	Replay         string   `json:"replay"` // the command that repeats this run

	Records    Records     `json:"records"`
	Claims     []Claim     `json:"claims"`
	Thresholds []Threshold `json:"thresholds"`
	Anomalies  []Anomaly   `json:"anomalies"`
	// AnomaliesTotal counts all of them; Anomalies holds the first ones.
	AnomaliesTotal int            `json:"anomalies_total"`
	PermittedLoss  *PermittedLoss `json:"permitted_loss,omitempty"`

	FaultsInjected      int     `json:"faults_injected"`
	Faults              []Fault `json:"faults"`
	Elections           int     `json:"elections"`            // of partition leaders after the first
	ControllerElections int     `json:"controller_elections"` // of the active controller after the first
	ISRShrinks          int     `json:"isr_shrinks"`
	ISRExpands          int     `json:"isr_expands"`
	Rebalances          int     `json:"rebalances"`
	ProduceRetries      int64   `json:"produce_retries"`
	// FencedMembers counts the static members that stopped because their coordinator
	// had lost, as the configuration permits, the member id that it had given them.
	FencedMembers int   `json:"fenced_members,omitempty"`
	ProduceErrors int64 `json:"produce_errors"` // shown to the application
	// ClientErrors counts what clients were told, by text; of the real world.
	ClientErrors map[string]int64 `json:"client_errors,omitempty"`

	Latency            Latency            `json:"latency"`
	Unavailability     []Unavailability   `json:"unavailability"`
	Stalls             []Stall            `json:"stalls"`
	PartitionLatency   []PartitionLatency `json:"partition_latency,omitempty"`
	RPO                RPO                `json:"rpo"`
	RTOSeconds         float64            `json:"rto_seconds"`          // fault start to everything served again; 0 without a fault, -1 if never
	LagRecoverySeconds float64            `json:"lag_recovery_seconds"` // last heal to lag back at its baseline; -1 if never
	PeakLagRecords     int64              `json:"peak_lag_records"`
	ZoneTraffic        []ZoneTraffic      `json:"zone_traffic"`

	Nodes  []Node        `json:"nodes"`
	Series []SeriesPoint `json:"series"` // one per virtual second

	// Histograms in nanoseconds, by name ("produce.before", ...); written as
	// .hgrm and V2 logs, not into the JSON.
	Histograms []NamedHistogram `json:"-"`
}

// Records counts records by fate.
type Records struct {
	Offered     int64 `json:"offered"`
	Acked       int64 `json:"acked"`
	Delivered   int64 `json:"delivered"`   // deliveries, re-deliveries included
	Lost        int64 `json:"lost"`        // acked, and gone
	Duplicated  int64 `json:"duplicated"`  // at two offsets of a log
	Redelivered int64 `json:"redelivered"` // to the same group after a rewind
	Reordered   int64 `json:"reordered"`
	Unverified  int64 `json:"unverified"` // could not be checked
	Unknown     int64 `json:"unknown"`    // the producer never learned the outcome
	Failed      int64 `json:"failed"`     // certainly not appended
	// Compacted counts the offsets of compacted topics at which the last reading found
	// nothing.
	Compacted int64 `json:"compacted,omitempty"`
}

// Claim is something that the configuration promises, or does not.
type Claim struct {
	Name string `json:"name"`
	Made bool   `json:"made"`
	Held bool   `json:"held"` // meaningful if Made
	Why  string `json:"why"`
}

// Threshold is an expectation of the scenario with what was measured.
type Threshold struct {
	Name     string `json:"name"`     // e.g. produce_latency p99<20ms
	Phase    string `json:"phase"`    // before, during, after, outside, whole
	Measured string `json:"measured"` // with unit
	Held     bool   `json:"held"`
	Why      string `json:"why,omitempty"`
}

// Anomaly is one finding: a sentence, and its parts.
type Anomaly struct {
	Kind      string  `json:"kind"` // lost-write, duplicate, inconsistent-offset, ...
	Claim     string  `json:"claim,omitempty"`
	Partition string  `json:"partition,omitempty"` // topic-index
	Offset    int64   `json:"offset"`
	Text      string  `json:"text"`
	AtSeconds float64 `json:"at_seconds"`
	Event     uint64  `json:"event"`
	// Witnesses are the observations that contradict each other.
	Witnesses []Witness `json:"witnesses,omitempty"`
	// Picture is the file beside this one that shows it, if there is one.
	Picture string `json:"picture,omitempty"`
}

// Witness is one observation of a finding. Event 0 is no longer known.
type Witness struct {
	Action    string  `json:"action"`
	Batch     string  `json:"batch,omitempty"`
	Offset    int64   `json:"offset"`
	Event     uint64  `json:"event"`
	AtSeconds float64 `json:"at_seconds"`
}

// PermittedLoss is acked loss that the configuration allows, predicted from
// inside the cluster and observed from outside.
type PermittedLoss struct {
	Predicted int64 `json:"predicted"`
	Observed  int64 `json:"observed"`
	// Unpredictable: acks=0, whose loss on the way to a broker no election explains.
	Unpredictable bool   `json:"unpredictable,omitempty"`
	Why           string `json:"why"`
}

// Fault is a fault or operation as it was carried out.
type Fault struct {
	Name        string   `json:"name"`   // the verb
	Target      string   `json:"target"` // resolved: names of nodes or zones
	Detail      string   `json:"detail,omitempty"`
	Nodes       []string `json:"nodes,omitempty"` // those it hit
	FromSeconds float64  `json:"from_seconds"`
	ToSeconds   float64  `json:"to_seconds"` // equal to FromSeconds for an instant
}

// Quantiles of a latency, in milliseconds.
type Quantiles struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

// Phases of a run, relative to the first fault and the last heal.
type Phases struct {
	Before Quantiles `json:"before"`
	During Quantiles `json:"during"`
	After  Quantiles `json:"after"`
	Whole  Quantiles `json:"whole"`
}

// Latency is measured from the intended send time.
type Latency struct {
	Produce Phases `json:"produce"` // to the acknowledgement
	E2E     Phases `json:"e2e"`     // to the first delivery
}

// Unavailability of one partition: the longest time in which records were offered
// and none acknowledged, and in which records were there and a group given none.
type Unavailability struct {
	Partition           string  `json:"partition"`
	LongestSeconds      float64 `json:"longest_seconds"`
	FromSeconds         float64 `json:"from_seconds"`
	FetchLongestSeconds float64 `json:"fetch_longest_seconds"`
	FetchFromSeconds    float64 `json:"fetch_from_seconds"`
}

// Stall is the longest time in which something else was not as it should be: a
// group not stable, a partition short of replicas, no administrator served.
type Stall struct {
	What           string  `json:"what"`
	LongestSeconds float64 `json:"longest_seconds"` // 0: it never happened
	FromSeconds    float64 `json:"from_seconds"`
}

// PartitionLatency is measured where a threshold is about single partitions.
type PartitionLatency struct {
	Partition string `json:"partition"`
	Kind      string `json:"kind"` // "produce", "end to end"
	Phases
}

// RPO is acked data that was never delivered.
type RPO struct {
	Records int64   `json:"records"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"` // of acknowledgement time covered
}

// ZoneTraffic is what one zone sent to another, or to itself.
type ZoneTraffic struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Bytes int64  `json:"bytes"`
}

// Node is one node of the cluster, for the picture.
type Node struct {
	Name     string `json:"name"`
	Zone     string `json:"zone"`
	Role     string `json:"role"` // broker, controller, client
	Boots    int    `json:"boots"`
	Leaders  int    `json:"leaders"` // at the end
	Replicas int    `json:"replicas"`
}

// SeriesPoint is one virtual second.
type SeriesPoint struct {
	Second          int64   `json:"second"`
	Acked           int64   `json:"acked"`
	Delivered       int64   `json:"delivered"`
	ProduceP50      float64 `json:"produce_p50_ms"`
	ProduceP99      float64 `json:"produce_p99_ms"`
	ProduceMax      float64 `json:"produce_max_ms"`
	E2EP99          float64 `json:"e2e_p99_ms"`
	Lag             int64   `json:"lag"`
	WorstLag        int64   `json:"worst_partition_lag"`
	UnderReplicated int     `json:"under_replicated"`
	Errors          int64   `json:"errors"`
}

// Intervals hands out histograms with their start and end, in the order of time.
// Each is valid until the next: a day of them would not fit into memory.
type Intervals = iter.Seq[*hdrhistogram.Histogram]

// NamedHistogram is a histogram of nanoseconds.
type NamedHistogram struct {
	Name string
	Hist *hdrhistogram.Histogram
	// Intervals are those of the V2 log, one a virtual second; nil is one for all.
	Intervals Intervals
}
