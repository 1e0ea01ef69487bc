package real

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// faults carries out the timeline on processes and proxies.
type faults struct {
	scenario *scenarios.Scenario
	cluster  *cluster
	workload *workload
	ledger   *ledger
	admin    *kgo.Client
	random   *rand.Rand

	mu     sync.Mutex
	orders orders
	done   []reports.Fault
	missed []string // what was not carried out, and why
	notes  []string // what was carried out differently, each once
}

// run lets every event happen at its time, and returns when the last has healed.
func (f *faults) run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range f.scenario.Timeline {
		e := &f.scenario.Timeline[i]
		all.Go(func() {
			if e.Operator == "restore_backup" {
				f.backUp(ctx, e, i)
			}
			if !sleep(ctx, e.At-f.ledger.now()) {
				return
			}
			if err := f.carryOut(ctx, e, i); err != nil && ctx.Err() == nil {
				f.mu.Lock()
				f.missed = append(f.missed, fmt.Sprintf("%s at %v was not carried out: %v", e.Verb(), e.At, err))
				f.mu.Unlock()
			}
		})
	}
	all.Wait()
}

// carryOut makes one event happen and heals it.
func (f *faults) carryOut(ctx context.Context, e *scenarios.Event, index int) error {
	apply, err := f.plan(e, index)
	if err != nil {
		return err
	}
	// What an operator does has begun before it is done.
	defer f.ledger.faultBegins()()
	from := f.ledger.now()
	target, heal, err := apply(ctx)
	if err != nil {
		return err
	}
	if heal != nil {
		sleep(ctx, max(e.For, e.RestartAfter))
		if err := heal(); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = append(f.done, reports.Fault{Name: e.Verb(), Target: target, FromSeconds: from.Seconds(), ToSeconds: f.ledger.now().Seconds()})
	return nil
}

// action begins a fault and returns whom it hit and how it heals; nil heal is an
// instant, or a fault that lasts.
type action func(ctx context.Context) (target string, heal func() error, err error)

func (f *faults) plan(e *scenarios.Event, index int) (action, error) {
	if e.Target.Kind == scenarios.TargetClients && e.Fault == "pause" {
		return nil, errors.New("the clients here are no processes of their own")
	}
	switch e.Verb() {
	case "kill":
		return f.onNodes(e, f.kill), nil
	case "power_loss":
		f.note("A power loss is carried out as kill -9: the kernel keeps what was written and not synced.")
		return f.onNodes(e, f.kill), nil
	case "pause":
		return f.onNodes(e, f.pause), nil
	case "zone_outage":
		switch e.Mode {
		case "network":
			return f.isolate(e), nil
		case "power_loss":
			f.note("A power loss is carried out as kill -9: the kernel keeps what was written and not synced.")
		}
		return f.onNodes(e, f.kill), nil
	case "partition":
		return f.partition(e)
	case "link":
		return f.slowLink(e)
	case "disk":
		if !e.Full || e.Latency > 0 || e.Error > 0 {
			return nil, errors.New("a disk can be full here, but neither slow nor broken: brokerd writes to the machine's own file system")
		}
		f.note("A full disk is a quota of one byte, windtunnel.log.dirs.max.bytes.")
		return f.onNodes(e, f.fill), nil
	case "reset_connections":
		return f.resetConnections(e), nil
	case "dns":
		return f.dns(e), nil
	case "stress":
		f.note("A processor's share is taken by stopping the process for so much of every 20 ms.")
		return f.onNodes(e, func(_ context.Context, nodes []*node) (func() error, error) { return stress(nodes, e.CPU), nil }), nil
	case "restore_backup":
		return f.onNodes(e, func(_ context.Context, nodes []*node) (func() error, error) {
			return nil, f.restoreBackup(nodes, index)
		}), nil
	case "rolling_restart":
		return f.onNodes(e, f.rollingRestart), nil
	case "restart":
		return f.onNodes(e, f.restart), nil
	case "hold_rpc":
		return f.holdRPC(e), nil
	case "add_partitions":
		return f.addPartitions(e), nil
	case "admin_storm":
		return f.storm(e, index), nil
	case "add_brokers":
		return f.addBrokers(index), nil
	case "decommission":
		return f.onNodes(e, f.decommission), nil
	case "reassign":
		return f.reassign(e), nil
	case "move_leader":
		return f.moveLeader(e), nil
	case "clock":
		return nil, errors.New("all processes here have the machine's clock, and brokerd no other")
	}
	return nil, errors.New("this machine has no means to do it")
}

func (f *faults) note(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.notes, text) {
		f.notes = append(f.notes, text)
	}
}

// onNodes resolves the target when the event begins.
func (f *faults) onNodes(e *scenarios.Event, apply func(context.Context, []*node) (func() error, error)) action {
	return func(ctx context.Context) (string, func() error, error) {
		nodes, err := f.resolve(ctx, &e.Target)
		if err != nil {
			return "", nil, err
		}
		heal, err := apply(ctx, nodes)
		if e.For == 0 && e.RestartAfter == 0 {
			heal = nil // it lasts
		}
		return names(nodes), heal, err
	}
}

func names(nodes []*node) string {
	var out []string
	for _, n := range nodes {
		out = append(out, n.Name)
	}
	return strings.Join(out, ",")
}

func (f *faults) kill(ctx context.Context, nodes []*node) (func() error, error) {
	for _, n := range nodes {
		n.kill()
	}
	for _, n := range nodes {
		if err := n.wait(ctx); err != nil {
			return nil, err
		}
	}
	return func() error {
		var err error
		for _, n := range nodes {
			err = errors.Join(err, f.cluster.start(n))
		}
		return err
	}, nil
}

func (f *faults) pause(_ context.Context, nodes []*node) (func() error, error) {
	for _, n := range nodes {
		n.stand(1)
	}
	return func() error {
		for _, n := range nodes {
			n.stand(-1)
		}
		return nil
	}, nil
}

// fill lets every write of the nodes fail for want of space. A node that halts
// for it finds the same when it starts again.
func (f *faults) fill(_ context.Context, nodes []*node) (func() error, error) {
	bound := func(more ...string) (err error) {
		for _, n := range nodes {
			err = errors.Join(err, n.write(more...))
			n.signal(syscall.SIGHUP)
		}
		return err
	}
	return func() error { return bound() }, bound("windtunnel.log.dirs.max.bytes=1")
}

// stopLimit bounds a controlled shutdown, and syncLimit what follows it.
const (
	stopLimit = time.Minute
	syncLimit = 2 * time.Minute
)

// rollingRestart stops and starts one node after the other, each after all
// replicas are in sync again.
func (f *faults) rollingRestart(ctx context.Context, nodes []*node) (func() error, error) {
	for _, n := range nodes {
		if _, err := f.restart(ctx, []*node{n}); err != nil {
			return nil, err
		}
		if err := f.awaitInSync(ctx, syncLimit); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// restart asks nodes to end, all together, and starts each once it has.
func (f *faults) restart(ctx context.Context, nodes []*node) (func() error, error) {
	for _, n := range nodes {
		n.end(syscall.SIGTERM)
	}
	for _, n := range nodes {
		stop, cancel := context.WithTimeout(ctx, stopLimit)
		err := n.wait(stop)
		cancel()
		if err != nil {
			return nil, err
		}
		if err := f.cluster.start(n); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// awaitInSync waits until every replica of every topic is in sync.
func (f *faults) awaitInSync(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		m, err := f.metadata(ctx)
		if err == nil && inSync(m) {
			return nil
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return fmt.Errorf("not every replica came in sync within %v", limit)
		}
	}
}

func inSync(m *kmsg.MetadataResponse) bool {
	for _, t := range m.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 || len(p.ISR) != len(p.Replicas) {
				return false
			}
		}
	}
	return true
}

func (f *faults) metadata(ctx context.Context) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	for i := range f.scenario.Topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(f.scenario.Topics[i].Name)
		req.Topics = append(req.Topics, t)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return req.RequestWith(ctx, f.admin)
}

// parties are those of a set of names: nodes, clients, or zones with all of both.
func (f *faults) parties(set []string) (out []string) {
	for _, name := range set {
		for _, n := range f.cluster.nodes {
			if n.Name == name || n.Zone == name {
				out = append(out, partyOf(n.Node))
			}
		}
		for i, client := range f.workload.names {
			if client == name || f.workload.zones[i] == name {
				out = append(out, client)
			}
		}
	}
	return out
}

// between lists the directions from the first set to the second, the other way,
// or both, as an event says.
func between(a, b []string, direct string) (out []direction) {
	for _, x := range a {
		for _, y := range b {
			if direct != "to" {
				out = append(out, direction{x, y})
			}
			if direct != "from" {
				out = append(out, direction{y, x})
			}
		}
	}
	return out
}

func (f *faults) cut(directions []direction, target string) action {
	return func(context.Context) (string, func() error, error) {
		f.cluster.net.setCut(directions, 1)
		return target, func() error { f.cluster.net.setCut(directions, -1); return nil }, nil
	}
}

// isolate cuts a zone off from everybody else.
func (f *faults) isolate(e *scenarios.Event) action {
	inside := f.parties([]string{e.Target.Zone})
	return f.cut(between(inside, f.outside(inside), "both"), e.Target.Zone)
}

func (f *faults) outside(inside []string) []string {
	return slices.DeleteFunc(f.parties(f.scenario.Cluster.Zones), func(p string) bool { return slices.Contains(inside, p) })
}

func (f *faults) partition(e *scenarios.Event) (action, error) {
	zones := f.scenario.Cluster.Zones
	switch {
	case len(e.Between) == 2:
		return f.cut(between(f.parties(e.Between[0]), f.parties(e.Between[1]), e.Direction), fmt.Sprint(e.Between)), nil
	case e.Shape == "isolate":
		return func(ctx context.Context) (string, func() error, error) {
			inside, err := f.hit(ctx, &e.Target)
			if err != nil {
				return "", nil, err
			}
			return f.cut(between(inside, f.outside(inside), e.Direction), strings.Join(inside, ","))(ctx)
		}, nil
	case e.Shape == "bridge" && len(zones) == 3:
		ends := [][]string{{zones[0]}, {zones[2]}}
		return f.cut(between(f.parties(ends[0]), f.parties(ends[1]), "both"), fmt.Sprint(ends)), nil
	case (e.Shape == "halves" || e.Shape == "majority") && len(zones) > 1:
		order := slices.Clone(zones)
		f.random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		small, large := order[:len(order)/2], order[len(order)/2:]
		return f.cut(between(f.parties(small), f.parties(large), e.Direction), fmt.Sprint(small, large)), nil
	}
	return nil, fmt.Errorf("the shape %s over %d zones is not built here", e.Shape, len(zones))
}

func (f *faults) slowLink(e *scenarios.Event) (action, error) {
	if e.Duplicate > 0 || e.Reorder > 0 {
		return nil, errors.New("a proxy of connections sees no packets that it could double or reorder")
	}
	sets := e.Between
	if len(e.Zones) == 2 {
		sets = [][]string{{e.Zones[0]}, {e.Zones[1]}}
	}
	if len(sets) != 2 {
		return nil, errors.New("link needs two sets")
	}
	if e.LostPackets() > 0 {
		f.note("What a link loses arrives 200 ms later, as TCP sends it again.")
	}
	return func(context.Context) (string, func() error, error) {
		var heals []func()
		for _, way := range []string{"to", "from"} { // each has the bandwidth for itself
			w := &weather{latency: e.Latency, jitter: e.Jitter, loss: e.LostPackets(), bandwidth: e.Bandwidth}
			heals = append(heals, f.cluster.net.worsen(between(f.parties(sets[0]), f.parties(sets[1]), way), w))
		}
		return fmt.Sprint(sets), func() error {
			for _, heal := range heals {
				heal()
			}
			return nil
		}, nil
	}, nil
}
