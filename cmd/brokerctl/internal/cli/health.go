package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// findingEntry is one thing that is wrong.
type findingEntry struct {
	Problem string `json:"problem" head:"PROBLEM" doc:"what is wrong: broker unreachable, no controller, no leader, under min.insync.replicas, replica offline or not in sync"`
	Where   string `json:"where" head:"WHERE" doc:"the broker, or topic/partition"`
	Detail  string `json:"detail" head:"DETAIL" doc:"more about it"`
}

type clusterHealth struct {
	Healthy      bool           `json:"healthy" head:"Healthy" doc:"whether nothing was found"`
	Brokers      show.Share     `json:"brokers" head:"Brokers" doc:"brokers that answered, of those that the cluster lists"`
	Controller   int32          `json:"controller" head:"Controller" doc:"id of the controller, -1 when there is none"`
	Leaders      show.Share     `json:"leaders" head:"With leader" doc:"partitions with a leader, of all"`
	InSync       show.Share     `json:"inSync" head:"In sync" doc:"replicas in sync, of all replicas"`
	Preferred    show.Share     `json:"preferredLeaders" head:"Preferred" doc:"partitions led by their first replica, of all; fewer is no fault"`
	Findings     []findingEntry `json:"findings" doc:"what is wrong, the worst first"`
	FindingCount int            `json:"findingCount" doc:"how many there are; findings holds the first 1000"`
}

// findingsMax bounds what is printed; the count is told.
const findingsMax = 1000

func (v clusterHealth) Text(t *show.Text) {
	t.Fields(v)
	if len(v.Findings) > 0 {
		t.Gap()
		t.Table(v.Findings, "")
	}
	if more := v.FindingCount - len(v.Findings); more > 0 {
		t.Line("and %d more", more)
	}
}

func (a *App) clusterHealthCommand() *cobra.Command {
	return &cobra.Command{
		Use: "health", Short: "Check brokers, leaders and replicas; status 1 when something is wrong", Args: exactly(),
		Long: "Check that every broker answers, that there is a controller, that every partition\nhas a leader and all its replicas in sync. The exit status is 1 when something is\nwrong, so it can be waited for: until brokerctl cluster health; do sleep 1; done",
		RunE: a.connected(func(s *session, _ []string) error {
			view, err := s.clusterHealth()
			if err != nil {
				return err
			}
			if err := s.show(view); err != nil {
				return err
			}
			if !view.Healthy {
				return &problem.Problem{Status: problem.StatusRefused, Err: errSaid}
			}
			return nil
		}),
	}
}

func (s *session) clusterHealth() (*clusterHealth, error) {
	metadata, err := s.admin.Metadata(s.ctx)
	if err != nil {
		return nil, err
	}
	view := &clusterHealth{Controller: metadata.Controller, Findings: []findingEntry{}}
	var findings []findingEntry
	for _, b := range metadata.Brokers {
		view.Brokers.Of++
		if err := s.reach(b.NodeID); err != nil {
			findings = append(findings, findingEntry{"broker unreachable", fmt.Sprintf("broker %d", b.NodeID), fmt.Sprintf("%s:%d: %s", b.Host, b.Port, s.client.Reason(err))})
			continue
		}
		view.Brokers.Count++
	}
	minimums, err := s.minimumsInSync(metadata.Topics)
	if err != nil {
		return nil, err
	}
	findings = append(findings, assess(metadata, minimums)...)
	for _, topic := range metadata.Topics {
		for _, p := range topic.Partitions {
			view.Leaders.Of++
			view.Preferred.Of++
			if p.Leader >= 0 {
				view.Leaders.Count++
			}
			if len(p.Replicas) > 0 && p.Leader == p.Replicas[0] {
				view.Preferred.Count++
			}
			view.InSync.Count += int64(len(p.ISR))
			view.InSync.Of += int64(len(p.Replicas))
		}
	}
	view.FindingCount = len(findings)
	view.Healthy = len(findings) == 0
	view.Findings = append(view.Findings, findings[:min(len(findings), findingsMax)]...)
	return view, nil
}

// reach asks one broker for its APIs, which every user may.
func (s *session) reach(id int32) error {
	ctx, cancel := context.WithTimeout(s.ctx, s.client.Timeout())
	defer cancel()
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "brokerctl", "1" // Kafka refuses a client without a name
	_, err := s.client.Broker(int(id)).Request(ctx, req)
	return err
}

// minimumsInSync reads min.insync.replicas of the topics that miss a replica;
// nobody else can be below it.
func (s *session) minimumsInSync(topics kadm.TopicDetails) (map[string]int, error) {
	var names []string
	for _, topic := range topics.Sorted() {
		for _, p := range topic.Partitions {
			if len(p.ISR) < len(p.Replicas) {
				names = append(names, topic.Topic)
				break
			}
		}
	}
	out := map[string]int{}
	if len(names) == 0 {
		return out, nil
	}
	configs, err := s.admin.DescribeTopicConfigs(s.ctx, names...)
	if err != nil {
		return nil, err
	}
	for _, resource := range configs {
		for _, entry := range resource.Configs {
			if minimum, err := strconv.Atoi(entry.MaybeValue()); entry.Key == "min.insync.replicas" && err == nil {
				out[resource.Name] = minimum
			}
		}
	}
	return out, nil
}

// assess finds what is wrong with a cluster from its metadata, the worst first.
// minimums are min.insync.replicas by topic as far as they are known.
func assess(metadata kadm.Metadata, minimums map[string]int) []findingEntry {
	var noLeader, belowMinimum, notInSync []findingEntry
	for _, topic := range metadata.Topics.Sorted() {
		for _, p := range topic.Partitions.Sorted() {
			where := fmt.Sprintf("%s/%d", topic.Topic, p.Partition)
			inSync := fmt.Sprintf("in sync %s of %s", show.IDs(p.ISR), show.IDs(p.Replicas))
			switch minimum := minimums[topic.Topic]; {
			case p.Leader < 0:
				noLeader = append(noLeader, findingEntry{"no leader", where, inSync})
			case len(p.ISR) < minimum:
				belowMinimum = append(belowMinimum, findingEntry{"under min.insync.replicas", where, fmt.Sprintf("%s, %d wanted", inSync, minimum)})
			case len(p.OfflineReplicas) > 0:
				notInSync = append(notInSync, findingEntry{"replica offline", where, "offline " + show.IDs(p.OfflineReplicas).String()})
			case len(p.ISR) < len(p.Replicas):
				notInSync = append(notInSync, findingEntry{"replica not in sync", where, inSync})
			}
		}
	}
	out := append(append(noLeader, belowMinimum...), notInSync...)
	if metadata.Controller < 0 {
		out = append([]findingEntry{{"no controller", "cluster", "no topic is changed, no leader elected"}}, out...)
	}
	return out
}
