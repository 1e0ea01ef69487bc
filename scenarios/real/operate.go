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

// ends are the parties of one end of a held request, by the names of the network.
func (f *faults) ends(ctx context.Context, t *scenarios.Target) (out []string, err error) {
	if t.Kind == scenarios.TargetClients {
		for _, want := range t.Clients {
			for _, client := range f.workload.names {
				if client == want || strings.TrimRight(client, "0123456789") == want+"-" {
					out = append(out, client)
				}
			}
		}
	} else {
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
		from, err := f.ends(ctx, &e.From)
		if err != nil {
			return "", nil, err
		}
		to, err := f.ends(ctx, &e.To)
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
