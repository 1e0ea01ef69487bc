package real

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// hit are the parties whom a fault of the network hits, by the names of the network:
// nodes, clients, or a zone with all of both.
func (f *faults) hit(ctx context.Context, t *scenarios.Target) (out []string, err error) {
	switch t.Kind {
	case scenarios.TargetZone:
		out = f.parties([]string{t.Zone})
	case scenarios.TargetClients:
		for _, want := range t.Clients {
			for _, client := range f.workload.names {
				if client == want || strings.TrimRight(client, "0123456789") == want+"-" {
					out = append(out, client)
				}
			}
		}
	default:
		nodes, err := f.resolve(ctx, t)
		if err != nil {
			return nil, err
		}
		for _, n := range nodes {
			out = append(out, partyOf(n.Node))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s is nobody", t.Text)
	}
	return out, nil
}

// holdRPC keeps one kind of request back between two ends that are found when it
// begins. A proxy knows it by the API key in the frame's header.
func (f *faults) holdRPC(e *scenarios.Event) action {
	return func(ctx context.Context) (string, func() error, error) {
		from, err := f.hit(ctx, &e.From)
		if err != nil {
			return "", nil, err
		}
		to, err := f.hit(ctx, &e.To)
		if err != nil {
			return "", nil, err
		}
		release := f.cluster.net.hold(between(from, to, "from"), e.APIKey())
		return fmt.Sprintf("%s %s → %s", e.API, strings.Join(from, ","), strings.Join(to, ",")), func() error {
			if release() == 0 {
				return fmt.Errorf("no %s came from %s to %s in %v", e.API, e.From.Text, e.To.Text, e.For)
			}
			return nil
		}, nil
	}
}

// dns lets lookups fail for a while, or gives parties other addresses.
func (f *faults) dns(e *scenarios.Event) action {
	return func(ctx context.Context) (string, func() error, error) {
		parties, err := f.hit(ctx, &e.Target)
		if err != nil {
			return "", nil, err
		}
		target := strings.Join(parties, ",")
		if e.ChangeIP {
			f.cluster.net.move(parties)
			return target, nil, nil
		}
		f.note("A name that is not looked up is a connection that opens, and is reset after ten seconds in which nothing passes.")
		f.cluster.net.setNameless(parties, 1)
		return target, func() error { f.cluster.net.setNameless(parties, -1); return nil }, nil
	}
}

// resetConnections ends every connection of the parties.
func (f *faults) resetConnections(e *scenarios.Event) action {
	return func(ctx context.Context) (string, func() error, error) {
		parties, err := f.hit(ctx, &e.Target)
		for _, p := range parties {
			f.cluster.net.reset(p)
		}
		return strings.Join(parties, ","), nil, err
	}
}

// growLimit bounds how long added partitions may take to have leaders.
const growLimit = time.Minute

// addPartitions lets a topic grow, and waits until it has.
func (f *faults) addPartitions(e *scenarios.Event) action {
	return func(ctx context.Context) (string, func() error, error) {
		ctx, cancel := context.WithTimeout(ctx, growLimit)
		defer cancel()
		req := kmsg.NewPtrCreatePartitionsRequest()
		req.TimeoutMillis = int32(growLimit / time.Millisecond)
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = e.Topic, int32(e.Partitions)
		req.Topics = append(req.Topics, t)
		resp, err := req.RequestWith(ctx, f.admin)
		if err != nil {
			return "", nil, fmt.Errorf("ask for %d partitions of %s: %w", e.Partitions, e.Topic, err)
		}
		for _, t := range resp.Topics {
			// A second attempt is refused where the answer to the first was lost.
			if err := kerr.ErrorForCode(t.ErrorCode); err != nil && err != kerr.InvalidPartitions { //nolint:errorlint // franz-go's own values
				return "", nil, fmt.Errorf("ask for %d partitions of %s: %w", e.Partitions, e.Topic, err)
			}
		}
		for {
			m, err := f.metadata(ctx)
			if err == nil && led(m, e.Topic, int(e.Partitions)) {
				return fmt.Sprintf("%s to %d", e.Topic, e.Partitions), nil, nil
			}
			if !sleep(ctx, 100*time.Millisecond) {
				return "", nil, fmt.Errorf("%s had not %d partitions with leaders within %v", e.Topic, e.Partitions, growLimit)
			}
		}
	}
}

// led tells whether a topic has so many partitions, each with a leader.
func led(m *kmsg.MetadataResponse, topic string, count int) bool {
	leaders := 0
	for _, t := range m.Topics {
		if t.Topic == nil || *t.Topic != topic {
			continue
		}
		for _, p := range t.Partitions {
			if p.Leader >= 0 {
				leaders++
			}
		}
	}
	return leaders >= count
}
