package load

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Goal: the generator measures what it says it does: latency from the intended
// send, everything that is missing, and load that was not taken.
// Method: a system in memory with known faults, in virtual time.

// memory is a system that acknowledges and delivers after a fixed time.
type memory struct {
	latency time.Duration
	block   time.Duration         // each Send takes this long
	stall   [2]time.Duration      // from when to when nothing is acknowledged, since begin
	lose    func(n int) bool      // the n-th message is acknowledged and not delivered
	fail    func(n int) (is bool) // the n-th message is refused
	mu      sync.Mutex
	begin   time.Time
	readers []func([]byte)
	group   sync.WaitGroup
	n       int
}

func (m *memory) Name() string                                 { return "memory" }
func (m *memory) Prepare(context.Context, []string, int) error { m.begin = time.Now(); return nil }
func (m *memory) Remove(context.Context, []string) error       { return nil }
func (m *memory) Ready(context.Context) error                  { return nil }
func (m *memory) Close()                                       {}
func (m *memory) Consume(_ context.Context, _, _ string, received func([]byte)) (Consumer, error) {
	m.readers = append(m.readers, received)
	return m, nil
}

type memoryProducer struct {
	*memory
	acked func([]byte, error)
}

func (m *memory) Produce(_ string, acked func([]byte, error)) (Producer, error) {
	return &memoryProducer{m, acked}, nil
}

func (p *memoryProducer) Send(_, payload []byte) {
	if p.block > 0 {
		time.Sleep(p.block)
	}
	p.mu.Lock()
	p.n++
	n := p.n
	p.mu.Unlock()
	wait := p.latency
	if now := time.Since(p.begin); now >= p.stall[0] && now < p.stall[1] {
		wait += p.stall[1] - now
	}
	p.group.Go(func() {
		time.Sleep(wait)
		if p.fail != nil && p.fail(n) {
			p.acked(payload, errors.New("refused"))
			return
		}
		if p.lose == nil || !p.lose(n) {
			for _, received := range p.readers {
				received(payload)
			}
		}
		p.acked(payload, nil)
	})
}

func (p *memoryProducer) Flush(context.Context) error { p.group.Wait(); return nil }

// carryOut runs ten measured seconds of a thousand messages a second.
func carryOut(t *testing.T, m *memory, change func(*Workload)) *Result {
	t.Helper()
	var result *Result
	synctest.Test(t, func(t *testing.T) {
		w := &Workload{Name: "test", Topics: 1, PartitionsPerTopic: 1, KeyDistributor: "KEY_ROUND_ROBIN", MessageSize: 100,
			SubscriptionsPerTopic: 1, ConsumerPerSubscripton: 1, ProducersPerTopic: 2, ProducerRate: 1000,
			TestDurationMinutes: 10.0 / 60, WarmupDurationMinutes: 2.0 / 60}
		if change != nil {
			change(w)
		}
		r, err := (&Run{Workload: w, Target: m, Repeat: 1}).Do(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		result = r
	})
	return result
}

func TestHealthy(t *testing.T) {
	r := carryOut(t, &memory{latency: 5 * time.Millisecond}, nil)
	if !r.OK() || r.Unsent != 0 || r.Acked != 12_000 || r.Received != 12_000 {
		t.Errorf("ok %v, %d unsent, %d acked, %d received; want all 12000 and none unsent", r.OK(), r.Unsent, r.Acked, r.Received)
	}
	if p50, p999 := r.PublishMillis(50), r.PublishMillis(99.9); p50 < 4.9 || p999 > 5.1 {
		t.Errorf("p50 %v, p99.9 %v; want 5 ms, which is all that the system takes", p50, p999)
	}
	if n := r.total.publish.TotalCount(); n != 10_000 {
		t.Errorf("%d latencies; want those of the 10000 that were due after the warm-up", n)
	}
	if rate := r.PublishRate(); rate < 990 || rate > 1010 {
		t.Errorf("%v published a second; want 1000", rate)
	}
}

// A system that stands still for two seconds of ten has delayed a fifth of the
// messages, though hardly any was sent while it stood.
func TestStallIsNotHidden(t *testing.T) {
	m := &memory{latency: time.Millisecond, stall: [2]time.Duration{5 * time.Second, 7 * time.Second}}
	r := carryOut(t, m, nil)
	if p50, p90, p99 := r.PublishMillis(50), r.PublishMillis(90), r.PublishMillis(99); p50 > 2 || p90 < 900 || p99 < 1800 {
		t.Errorf("p50 %v, p90 %v, p99 %v; want 1, about 1000 and about 1900 ms", p50, p90, p99)
	}
}

func TestLossIsFound(t *testing.T) {
	r := carryOut(t, &memory{latency: time.Millisecond, lose: func(n int) bool { return n == 5000 }}, nil)
	if r.OK() || r.Missing != 1 || !strings.Contains(r.remark(), "1 acknowledged and NEVER RECEIVED") {
		t.Errorf("%d missing (%s); want the one that was lost", r.Missing, r.remark())
	}
}

func TestRefusalIsFound(t *testing.T) {
	r := carryOut(t, &memory{latency: time.Millisecond, fail: func(n int) bool { return n%1000 == 0 }}, nil)
	if r.OK() || r.Failed != 12 || r.Missing != 0 {
		t.Errorf("%d failed, %d missing; want 12 and none", r.Failed, r.Missing)
	}
}

func TestOverloadIsTold(t *testing.T) {
	r := carryOut(t, &memory{block: 10 * time.Millisecond}, nil)
	// Two producers of a hundred messages a second each, where a thousand are due.
	if r.OK() || r.Unsent < 9_000 || r.Unsent > 9_800 {
		t.Errorf("ok %v, %d unsent; want about 9600, which is no load that was taken", r.OK(), r.Unsent)
	}
	if p50 := r.PublishMillis(50); p50 < 2_000 {
		t.Errorf("p50 %v ms; want seconds, since messages waited to be sent", p50)
	}
}

// A producer that is 0.3 s behind at the end sends what is due; one that is 1.2 s
// behind has not been given the time for it.
func TestWhoIsHardlyBehindCatchesUp(t *testing.T) {
	for _, c := range []struct {
		block time.Duration
		want  bool
	}{{2050 * time.Microsecond, true}, {2200 * time.Microsecond, false}} {
		r := carryOut(t, &memory{block: c.block}, nil)
		if r.OK() != c.want || (r.Unsent == 0) != c.want || c.want && r.Acked != 12_000 {
			t.Errorf("%v for a message: ok %v, %d unsent, %d acked", c.block, r.OK(), r.Unsent, r.Acked)
		}
	}
}

func TestAsManyAsAreAcknowledged(t *testing.T) {
	r := carryOut(t, &memory{block: time.Millisecond}, func(w *Workload) { w.ProducerRate = 0 })
	if rate := r.PublishRate(); rate < 1900 || rate > 2100 || r.Unsent != 0 {
		t.Errorf("%v a second, %d unsent; want 2000 of two producers and none", rate, r.Unsent)
	}
}

// A real client against a broker in memory, over TCP.
func TestKafka(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SleepOutOfOrder())
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	dir := t.TempDir()
	cmd := Command(nil)
	var out, progress strings.Builder
	cmd.SetOut(&out)
	cmd.SetErr(&progress)
	cmd.SetArgs([]string{"--target", "a=" + cluster.ListenAddrs()[0], "--target", "b=" + cluster.ListenAddrs()[0], "--repeats", "2",
		"--duration", "200ms", "--warmup", "0s", "--out", dir, "--rate", "0", "../workloads/1-topic-100b-20k.yaml"})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	if n := strings.Count(out.String(), "| 1-topic-100b-20k | "); n != 2 {
		t.Errorf("%d rows; want one for each target:\n%s", n, out.String())
	}
	if table, err := os.ReadFile(filepath.Join(dir, "table.md")); err != nil || string(table) != out.String() {
		t.Errorf("table.md holds (%v)\n%s\nwant what was printed:\n%s", err, table, out.String())
	}
	text, err := os.ReadFile(filepath.Join(dir, "1-topic-100b-20k-b-2.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		OK                              bool
		Acked, Received                 int64
		AggregatedPublishLatency99pct   float64
		AggregatedEndToEndLatencyMax    float64
		PublishRate, EndToEndLatencyAvg []float64
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	// How many are acknowledged in that time depends on the machine.
	if !r.OK || r.Acked == 0 || r.Received != r.Acked || r.AggregatedPublishLatency99pct <= 0 || r.AggregatedEndToEndLatencyMax <= 0 ||
		len(r.PublishRate) == 0 || len(r.EndToEndLatencyAvg) != len(r.PublishRate) {
		t.Errorf("result %+v; want all that was acknowledged received, with latencies", r)
	}
	log, err := os.Open(filepath.Join(dir, "1-topic-100b-20k-a-1-publish.hlog"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // it was only read
	h, err := hdrhistogram.NewHistogramLogReader(log).NextIntervalHistogram()
	if err != nil || h == nil || h.TotalCount() == 0 {
		t.Errorf("the histogram log holds %v (%v); want latencies", h, err)
	}
}

func TestMissingBrokerFailsSoon(t *testing.T) {
	k, err := NewKafka("nobody", []string{"127.0.0.1:1"}, &Driver{ReplicationFactor: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Prepare(t.Context(), []string{"x"}, 1); err == nil || !strings.Contains(err.Error(), "no broker of nobody answers at 127.0.0.1:1") {
		t.Errorf("%v; want an error that names the address", err)
	}
}

// A broker that was started a moment before ends what comes until it serves.
func TestPrepareWaitsForABrokerThatStarts(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = door.Close() }) // its purpose is fulfilled
	go func() {
		for refused := 0; ; refused++ {
			outside, err := door.Accept()
			if err != nil {
				return
			}
			if refused < 3 {
				_ = outside.(*net.TCPConn).SetLinger(0) // a reset, as brokerd's
				_ = outside.Close()
				continue
			}
			inside, err := net.Dial("tcp", cluster.ListenAddrs()[0])
			if err != nil {
				_ = outside.Close() // the test fails by itself
				continue
			}
			go func() { _, _ = io.Copy(inside, outside) }() // until either ends
			go func() { _, _ = io.Copy(outside, inside) }()
		}
	}()
	k, err := NewKafka("late", []string{door.Addr().String()}, &Driver{ReplicationFactor: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Prepare(t.Context(), []string{"x"}, 1); err != nil {
		t.Error(err)
	}
}

func TestBadInput(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"messageSise: 100\n", `unknown field "messageSise"`},
		{"messageSize: 8\ntestDurationMinutes: 1\n", "messageSize: 8 is not in 16..16777216"},
		{"messageSize: 100\n", "testDurationMinutes: must be more than 0"},
		{"messageSize: 100\ntestDurationMinutes: 1\nkeyDistributor: ZIPF\n", `keyDistributor: "ZIPF" is none of NO_KEY`},
		{"messageSize: 100\ntestDurationMinutes: 1\nconsumerBacklogSizeGB: 1\n", "consumerBacklogSizeGB: building a backlog first is not carried out"},
	} {
		file := filepath.Join(t.TempDir(), "w.yaml")
		if err := os.WriteFile(file, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadWorkload(file); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v; want an error with the file and %q", c.text, err, c.want)
		}
	}
	for _, c := range []struct {
		driver Driver
		want   string
	}{
		{Driver{ProducerConfig: "lingerms=1"}, "producerConfig: lingerms is not known; did you mean linger.ms?"},
		{Driver{ProducerConfig: "acks=2"}, "producerConfig: acks=2: is none of all, 1, 0"},
		{Driver{ConsumerConfig: "fetch.min.bytes=0"}, "consumerConfig: fetch.min.bytes=0: is no whole number in 1..1073741824"},
		{Driver{CommonConfig: "security.protocol=TLS"}, "security.protocol=TLS is none of PLAINTEXT"},
		{Driver{TopicConfig: "min.insync.replicas"}, `topicConfig: "min.insync.replicas" is not key=value`},
	} {
		if _, err := NewKafka("x", nil, &c.driver); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v; want %q", c.driver, err, c.want)
		}
	}
}

// Goal: driver files that the benchmark ships for Kafka are taken as they are, and
// name what is loaded. Method: the keys of its kafka-latency.yaml.
func TestDriverOfTheBenchmark(t *testing.T) {
	file := filepath.Join(t.TempDir(), "driver.yaml")
	text := `name: Kafka
driverClass: io.openmessaging.benchmark.driver.kafka.KafkaBenchmarkDriver
replicationFactor: 3
reset: false
topicConfig: |
  min.insync.replicas=2
  flush.messages=1
commonConfig: |
  bootstrap.servers=localhost:1,localhost:2
  default.api.timeout.ms=1200000
  request.timeout.ms=1200000
producerConfig: |
  acks=all
  linger.ms=1
  batch.size=131072
consumerConfig: |
  auto.offset.reset=earliest
  enable.auto.commit=false
  max.partition.fetch.bytes=10485760
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	workload := filepath.Join(t.TempDir(), "w.yaml")
	if err := os.WriteFile(workload, []byte("messageSize: 100\ntestDurationMinutes: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	none := func(string) bool { return false }
	c, err := (&flags{driver: file, repeats: 1}).campaign([]string{workload}, nil, none)
	if err != nil {
		t.Fatal(err)
	}
	k := c.Targets[0].(*Kafka)
	if len(c.Targets) != 1 || k.name != "Kafka" || strings.Join(k.seeds, ",") != "localhost:1,localhost:2" || len(k.topicConfig) != 2 {
		t.Errorf("%d targets, the first is %+v", len(c.Targets), k)
	}
	if c, err = (&flags{driver: file, repeats: 1, targets: []string{"a=localhost:9"}}).campaign([]string{workload}, nil, none); err != nil || c.Targets[0].Name() != "a" {
		t.Errorf("a --target is not stronger: %+v, %v", c, err)
	}
	// A flag that cannot be read or used is the caller's mistake, exit status 2.
	for _, args := range [][]string{
		{"--duration", "soon", workload}, {"--no-such-flag", workload}, {},
		{"--duration", "0s", workload}, {"--warmup", "-1s", workload}, {"--pause", "-1s", workload}, {"--rate", "-1", workload}, {"--repeats", "0", workload},
	} {
		cmd := Command(nil)
		cmd.SetArgs(args)
		var bad badInput
		if err := cmd.Execute(); !errors.As(err, &bad) {
			t.Errorf("%v: %v is not the caller's mistake", args, err)
		}
	}
}
