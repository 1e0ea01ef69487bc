package real

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Options are what a run needs besides its scenario.
type Options struct {
	Brokerd  string // the program
	Dir      string // for data and logs; empty is a temporary folder, kept when the run fails
	Seed     uint64 // of the load's random choices; processes have their own
	Progress func(text string)
}

const (
	// readyTime is how long the cluster may take to boot and make its topics.
	readyTime = 60 * time.Second
	// warmUp is how long consumers have to join their groups before the load.
	warmUp = 8 * time.Second
	// settleTime is how long everything may take to come to rest after the load,
	// and consumers to catch up.
	settleTime = 45 * time.Second
)

// Run carries the scenario out, as it is: see Shorten. An error means that the
// cluster could not be built; everything that happens then is in the result.
func Run(ctx context.Context, s *scenarios.Scenario, o Options) (*reports.Result, error) {
	dir := o.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "windtunnel-real-"); err != nil {
			return nil, fmt.Errorf("make a folder for the cluster: %w", err)
		}
	} else if err := emptyFolder(dir); err != nil {
		return nil, fmt.Errorf("make a folder for the cluster: %w", err)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	res, err := run(ctx, s, o, dir)
	if o.Dir == "" && err == nil && res.Verdict == reports.Pass {
		return res, os.RemoveAll(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("%w\nlogs and data are in %s", err, dir)
	}
	return res, nil
}

// emptyFolder makes a folder, or takes one that is empty: what an earlier run has
// left would be taken for records of this one.
func emptyFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s holds the cluster of an earlier run: remove it, or name another folder", dir)
	}
	return err
}

func run(ctx context.Context, s *scenarios.Scenario, o Options, dir string) (*reports.Result, error) {
	n := newNetwork(o.Seed)
	defer n.close()
	c, err := newCluster(s, o.Brokerd, dir, n)
	if err != nil {
		return nil, err
	}
	defer c.close()
	o.Progress("starting the cluster")
	if err := c.startAll(); err != nil {
		return nil, err
	}
	claims := lin.ComputeClaims(configurationOf(s))
	l := newLedger(s, claims.Asserted())
	w := &workload{scenario: s, seeds: c.seeds(), ledger: l, seed: o.Seed}
	defer w.close()
	admin, err := w.client("admin")
	if err != nil {
		return nil, err
	}
	f := &faults{scenario: s, cluster: c, workload: w, ledger: l, admin: admin, random: rand.New(rand.NewPCG(o.Seed, 0))}
	if err := f.prepare(ctx); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, c.lastWords())
	}
	l.origin = time.Now().Add(warmUp)
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	w.startConsumers(reading)
	if err := w.startWitness(reading); err != nil {
		return nil, err
	}
	if err := w.startProducers(ctx); err != nil {
		return nil, err
	}
	loaded := make(chan struct{})
	go func() { f.run(ctx); w.producing.Wait(); close(loaded) }()
	watch(l, s.Duration, o.Progress, loaded)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("interrupted: %w", err)
	}
	failures := f.settle(ctx, o.Progress)
	stopReading()
	w.consuming.Wait()
	res := l.result(s, claims)
	f.finish(res, failures)
	return res, nil
}

// settle waits until everything has come to rest, and audits. It returns what
// did not come to pass.
func (f *faults) settle(ctx context.Context, progress func(string)) (failures []string) {
	progress("settling")
	if err := f.awaitInSync(ctx, settleTime); err != nil {
		failures = append(failures, err.Error())
	}
	deadline := time.Now().Add(settleTime)
	for f.workload.lag() > 0 && time.Now().Before(deadline) && sleep(ctx, 100*time.Millisecond) {
	}
	if lag := f.workload.lag(); lag > 0 {
		failures = append(failures, fmt.Sprintf("groups were not given %d records within %v", lag, settleTime))
	}
	progress("auditing")
	if err := f.workload.audit(ctx); err != nil {
		failures = append(failures, "the audit: "+err.Error())
	}
	return failures
}

// watch tells how far the load is, once a second.
func watch(l *ledger, total time.Duration, progress func(string), loaded <-chan struct{}) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-loaded:
			return
		case <-ticker.C:
			l.mu.Lock()
			acked := l.acked
			l.mu.Unlock()
			progress(fmt.Sprintf("%v of %v · %d acked", l.now().Round(time.Second), total, acked))
		}
	}
}

// prepare waits for the brokers and makes the topics.
func (f *faults) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	want := len(f.cluster.brokers())
	for have := 0; have < want; {
		for _, n := range f.cluster.members() {
			if !n.running() {
				return fmt.Errorf("%s has ended", n.Name)
			}
		}
		m, err := f.metadata(ctx)
		if err == nil {
			have = len(m.Brokers)
		}
		if have < want && !sleep(ctx, 200*time.Millisecond) {
			return fmt.Errorf("%d of %d brokers were ready within %v", have, want, readyTime)
		}
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(readyTime / time.Millisecond)
	for i := range f.scenario.Topics {
		t := &f.scenario.Topics[i]
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = t.Name, int32(t.Partitions), int16(t.ReplicationFactor)
		for _, kv := range t.Config {
			c := kmsg.NewCreateTopicsRequestTopicConfig()
			c.Name, c.Value = kv.Name, kmsg.StringPtr(kv.Value)
			topic.Configs = append(topic.Configs, c)
		}
		req.Topics = append(req.Topics, topic)
	}
	resp, err := req.RequestWith(ctx, f.admin)
	if err != nil {
		return fmt.Errorf("create the topics: %w", err)
	}
	for _, t := range resp.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("create topic %s: %w", t.Topic, err)
		}
	}
	return f.awaitInSync(ctx, readyTime)
}

// finish adds what the result needs to know of the cluster.
func (f *faults) finish(res *reports.Result, failures []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	res.Faults, res.FaultsInjected = append(res.Faults, f.done...), len(f.done)
	res.Reasons = append(res.Reasons, append(failures, f.missed...)...)
	if len(failures)+len(f.missed) > 0 && res.Verdict == reports.Pass {
		res.Verdict = reports.Inconclusive
	}
	for _, n := range f.cluster.nodes {
		role := "broker"
		if n.Controller {
			role = "controller"
		}
		res.Nodes = append(res.Nodes, reports.Node{Name: n.Name, Zone: n.Zone, Role: role, Boots: n.boots})
	}
	if len(f.notes) > 0 {
		res.Description = strings.TrimSpace(res.Description + " " + strings.Join(f.notes, " "))
	}
}
