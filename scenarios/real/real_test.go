package real

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// Goal: what the real world is told to do happens, and what its clients see is
// judged. Method: the pieces on their own, then a small scenario on processes.

func TestShorten(t *testing.T) {
	s := &scenarios.Scenario{Duration: 12 * time.Minute, Timeline: []scenarios.Event{
		{Fault: "zone_outage", At: 3 * time.Minute, For: 3 * time.Minute},
		{Fault: "kill", At: 7 * time.Minute, RestartAfter: 10 * time.Second},
	}}
	s.Expect.Minimums.Acked = 7200
	s.Workload.Consumers = []scenarios.Consumer{{Pauses: []scenarios.Window{{At: 3 * time.Minute, For: 3 * time.Minute}}}}
	short, note := Shorten(s, Limits{Quiet: 15 * time.Second, Fault: 30 * time.Second})
	if note == "" {
		t.Error("nothing says that time was shortened")
	}
	// 15 s quiet, 30 s outage, 15 s quiet, 10 s kill, 15 s quiet.
	type at struct{ At, For, RestartAfter time.Duration }
	got := []at{{For: short.Duration}, {short.Workload.Consumers[0].Pauses[0].At, short.Workload.Consumers[0].Pauses[0].For, 0}}
	for _, e := range short.Timeline {
		got = append(got, at{e.At, e.For, e.RestartAfter})
	}
	want := []at{{For: 85 * time.Second}, {15 * time.Second, 30 * time.Second, 0}, {15 * time.Second, 30 * time.Second, 0}, {60 * time.Second, 0, 10 * time.Second}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if least := short.Expect.Minimums.Acked; least != 850 {
		t.Errorf("at least %d acknowledged; want 850, the load of 85 s", least)
	}
	if s.Timeline[0].At != 3*time.Minute || s.Workload.Consumers[0].Pauses[0].At != 3*time.Minute {
		t.Error("the scenario itself was changed")
	}
	if same, note := Shorten(short, Limits{Quiet: 15 * time.Second, Fault: 30 * time.Second}); same != short || note != "" {
		t.Error("a short scenario was shortened again")
	}
}

func TestPayload(t *testing.T) {
	at := lin.Partition{Topic: 2, Index: 7}
	b := newPayload(100, 1<<40|5, 3*time.Second, at)
	id, intended, err := readPayload(b, at)
	if err != nil || id != 1<<40|5 || intended != 3*time.Second || len(b) != 100 {
		t.Errorf("read %d, %v, %v of %d bytes", id, intended, err, len(b))
	}
	for i := range b {
		b[i] ^= 1
		if _, _, err := readPayload(b, at); err == nil {
			t.Errorf("a flipped bit in byte %d was not noticed", i)
		}
		b[i] ^= 1
	}
	if _, _, err := readPayload(b, lin.Partition{Topic: 2, Index: 8}); err == nil {
		t.Error("a record in the wrong partition was not noticed")
	}
}

// hello is a request frame with a client id.
func hello(client string) []byte {
	body := append([]byte{0, 18, 0, 0, 0, 0, 0, 1, 0, byte(len(client))}, client...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// echo serves a node that sends back what it gets, until it is told to end the
// connection.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answer(c)
		}
	}()
	return l.Addr().String()
}

func answer(c net.Conn) {
	b := make([]byte, 1024)
	for {
		n, err := c.Read(b)
		switch word := b[:n]; {
		case err != nil, bytes.HasSuffix(word, []byte("close")):
			_ = c.Close()
			return
		case bytes.HasSuffix(word, []byte("reset")):
			reset(c)
			return
		default:
			_, _ = c.Write(word) // the client will notice
		}
	}
}

// readLimit is how long bytes may take that must come.
const readLimit = 10 * time.Second

// proxied is a network with one node behind it.
type proxied struct {
	*network
	t       *testing.T
	address string
}

func newProxied(t *testing.T) *proxied {
	n := newNetwork(1)
	t.Cleanup(n.close)
	address, err := n.serve("broker-1", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	return &proxied{n, t, address}
}

// dial connects a client, whose first request has come back.
func (p *proxied) dial(client string) net.Conn {
	p.t.Helper()
	c, err := net.Dial("tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	p.write(c, string(hello(client)))
	if err := p.read(c, len(hello(client)), readLimit); err != nil {
		p.t.Fatalf("nothing came through: %v", err)
	}
	return c
}

func (p *proxied) write(c net.Conn, text string) {
	p.t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *proxied) read(c net.Conn, bytes int, limit time.Duration) error {
	p.t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		p.t.Fatal(err)
	}
	_, err := io.ReadFull(c, make([]byte, bytes))
	return err
}

func TestNetwork(t *testing.T) {
	ping := request(3, "ping")
	n := newProxied(t)
	cut, free := n.dial("producer-1"), n.dial("producer-2")
	// Answers are cut, questions are not; the other client is not touched.
	oneWay := between([]string{"producer-1"}, []string{"broker-1"}, "to")
	n.setCut(oneWay, 1)
	n.write(cut, ping)
	n.write(free, ping)
	if err := n.read(free, len(ping), readLimit); err != nil {
		t.Errorf("the other client was cut as well: %v", err)
	}
	if err := n.read(cut, len(ping), 50*time.Millisecond); err == nil {
		t.Error("an answer came through the cut")
	}
	n.setCut(oneWay, -1)
	if err := n.read(cut, len(ping), readLimit); err != nil {
		t.Errorf("what was held did not arrive after the heal: %v", err)
	}
	// Delay holds each direction back.
	both := between([]string{"producer-1"}, []string{"broker-1"}, "both")
	heal := n.worsen(both, &weather{latency: 200 * time.Millisecond})
	begin := time.Now()
	n.write(cut, ping)
	if err := n.read(cut, len(ping), readLimit); err != nil || time.Since(begin) < 400*time.Millisecond {
		t.Errorf("an answer after %v (%v); two directions of 200 ms each take 400", time.Since(begin), err)
	}
	heal()
	if w := n.weather[both[0]]; len(w) != 0 {
		t.Errorf("%d faults are left after the heal", len(w))
	}
}

// request is a frame of a kind of request, with a text after its key.
func request(key int16, text string) string {
	frame := binary.BigEndian.AppendUint32(nil, uint32(2+len(text)))
	frame = binary.BigEndian.AppendUint16(frame, uint16(key))
	return string(append(frame, text...))
}

// One kind of request is held, from its first byte on and with all behind it on its
// connection; others, answers, and other clients get through.
func TestHold(t *testing.T) {
	n := newProxied(t)
	long := strings.Repeat("held", 200)
	one, other := n.dial("producer-1"), n.dial("producer-2")
	way := []direction{{"producer-1", "broker-1"}}
	release := n.hold(way, 1)
	n.write(one, request(0, "other"))
	if err := n.read(one, 11, readLimit); err != nil {
		t.Fatalf("another kind of request was held: %v", err)
	}
	n.write(other, request(1, "the same"))
	if err := n.read(other, 14, readLimit); err != nil {
		t.Fatalf("another client was held: %v", err)
	}
	// A request that is under way when the hold begins goes on; it comes in parts.
	n.write(one, request(3, "under way.")[:9])
	if err := n.read(one, 9, readLimit); err != nil {
		t.Fatal(err)
	}
	second := n.hold(way, 3)
	n.write(one, request(3, "under way.")[9:]+request(1, long)[:3])
	if err := n.read(one, 7, readLimit); err != nil {
		t.Fatalf("the rest of a request was held: %v", err)
	}
	n.write(one, request(1, long)[3:]+request(0, "last"))
	if err := n.read(one, 1, 50*time.Millisecond); err == nil {
		t.Fatal("something came of a request that was to be held")
	}
	if got := release(); got != 1 {
		t.Errorf("%d requests were held, want 1", got)
	}
	if err := n.read(one, 806+10, readLimit); err != nil {
		t.Errorf("what was held did not arrive after the release: %v", err)
	}
	if got := second(); got != 0 {
		t.Errorf("%d requests of the other kind were held, want none", got)
	}
}

// How a connection ends is what its client sees: a reset by a fault, or how the
// node ended it.
func TestEndsArePassedOn(t *testing.T) {
	n := newProxied(t)
	hit, broken, closed := n.dial("producer-1"), n.dial("producer-2"), n.dial("producer-3")
	n.reset("producer-1")
	n.write(broken, request(3, "reset"))
	n.write(closed, request(3, "close"))
	for _, c := range []struct {
		conn net.Conn
		want error
	}{{hit, syscall.ECONNRESET}, {broken, syscall.ECONNRESET}, {closed, io.EOF}} {
		if err := n.read(c.conn, 1, readLimit); !errors.Is(err, c.want) {
			t.Errorf("%v instead of %v", err, c.want)
		}
	}
}

// Bandwidth is shared by what a fault covers; jitter and retransmissions add up,
// and a retransmission may be lost as well.
func TestWeather(t *testing.T) {
	n := newNetwork(1)
	defer n.close()
	now := time.Unix(0, 0)
	narrow := &weather{latency: time.Second, bandwidth: 8000}
	for i, want := range []time.Duration{2, 3, 4} {
		if got := n.through(narrow, now, 1000).Sub(now); got != want*time.Second {
			t.Errorf("the kilobyte %d arrives after %v, want %v s", i, got, int64(want))
		}
	}
	if got := n.through(narrow, now.Add(time.Minute), 500).Sub(now.Add(time.Minute)); got != 1500*time.Millisecond {
		t.Errorf("after a rest half a kilobyte arrives after %v", got)
	}
	counts := map[time.Duration]int{}
	for range 10_000 {
		counts[n.through(&weather{loss: 100_000}, now, 1).Sub(now)]++
	}
	if at, once, twice := counts[0], counts[200*time.Millisecond], counts[600*time.Millisecond]; at < 8_800 || at > 9_200 || once < 800 || once > 1_000 || twice < 50 || twice > 130 {
		t.Errorf("of 10,000 with a loss of 10%%, %d, %d and %d were sent once, twice and thrice", at, once, twice)
	}
	for range 100 {
		if got := n.through(&weather{latency: time.Second, jitter: time.Second}, now, 1).Sub(now); got < time.Second || got >= 2*time.Second {
			t.Errorf("a jitter of a second beside a latency of one: %v", got)
		}
	}
}

// TestBothWorlds runs a small scenario on processes: a topic grows, a broker is
// restarted, the leader of an added partition is killed, a disk is full and a follower's fetches are held back.
func TestBothWorlds(t *testing.T) {
	brokerd := filepath.Join(t.TempDir(), "brokerd")
	if out, err := exec.Command("go", "build", "-o", brokerd, "../../cmd/brokerd").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s, err := scenarios.Load([]byte(`
name: both-worlds
duration: 20s
cluster:
  zones: [a, b, c]
  controllers: { count: 1 }
  brokers: { per_zone: 1, config: { broker.session.timeout.ms: 3000, broker.heartbeat.interval.ms: 500 } }
topics:
  orders: { partitions: 3, replication.factor: 3, config: { min.insync.replicas: 2 } }
workload:
  producers:
    - { name: shop, topic: orders, executor: constant-arrival-rate, rate: 200/s, message_size: 100B, config: { acks: all, metadata.max.age.ms: 500 } }
  consumers:
    - { name: billing, group: billing, topic: orders, config: { auto.offset.reset: earliest, enable.auto.commit: false, metadata.max.age.ms: 500 } }
timeline:
  - { at: 1s, operator: add_partitions, topic: orders, partitions: 5 }
  - { at: 2s, operator: restart, target: { leader_of: orders/2 } }
  - { at: 4s, for: 4s, fault: kill, target: { leader_of: orders/4 } }
  - { at: 12s, for: 3s, fault: disk, target: { leader_of: orders/1 }, full: true }
  - { at: 17s, for: 500ms, fault: hold_rpc, api: Fetch, from: { follower_of: orders/0 }, to: { leader_of: orders/0 } }
`), "both-worlds.yaml")
	if err != nil {
		t.Fatal(err)
	}
	options := Options{Brokerd: brokerd, Dir: filepath.Join(t.TempDir(), "cluster"), Seed: 1, Progress: func(string) {}}
	res, err := Run(t.Context(), s, options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), s, options); err == nil || !strings.Contains(err.Error(), "earlier run") {
		t.Errorf("a second run in the folder of the first: %v", err)
	}
	if res.Verdict != reports.Pass || res.Records.Acked != 4000 || res.FaultsInjected != 5 {
		t.Errorf("%s: %d acked, %d faults, %v %v %v", res.Verdict, res.Records.Acked, res.FaultsInjected, res.Reasons, res.Anomalies, res.ClientErrors)
	}
	boots := 0
	for _, n := range res.Nodes {
		boots += n.Boots
	}
	if boots < len(res.Nodes)+3 {
		t.Errorf("%d boots of %d nodes: one was restarted, one killed, and one ought to have halted for its full disk", boots, len(res.Nodes))
	}
	if during := res.Latency.Produce.During; during.Count == 0 || during.Max < 500 {
		t.Errorf("latency during the fault %+v; a killed leader shows", during)
	}
}
