package cli

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func (a *App) topicCommand() *cobra.Command {
	return group("topic", "Create, look at, change and delete topics",
		a.shows(a.topicListCommand(), "topic list", topicList{}),
		a.shows(a.topicDescribeCommand(), "topic describe", topicDescriptions{}),
		a.shows(a.topicCreateCommand(), "topic create", topicResults{}),
		a.shows(a.topicDeleteCommand(), "topic delete", topicResults{}),
		a.shows(a.topicAlterConfigCommand(), "topic alter-config", topicResults{}),
		a.shows(a.topicAddPartitionsCommand(), "topic add-partitions", topicResults{}),
		a.shows(a.topicCompactionCommand(), "topic compaction", topicResults{}),
		a.shows(a.topicRetentionCommand(), "topic retention", topicResults{}),
		a.shows(a.topicReplicationFactorCommand(), "topic replication-factor", reassignPlan{}),
		a.shows(a.topicDeleteRecordsCommand(), "topic delete-records", deletedRecords{}))
}

// lookupTopics finds topics by name, or all when none is named. A topic that does
// not exist is an error with the nearest name.
func (s *session) lookupTopics(names []string) ([]kadm.TopicDetail, error) {
	found, err := s.admin.ListTopicsWithInternal(s.ctx, names...)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := found[name].Err; err != nil {
			return nil, s.topicProblem("topic", name, err, "")
		}
	}
	return found.Sorted(), nil
}

// topicProblem says why something failed for a topic.
func (s *session) topicProblem(attempted, name string, err error, brokerWords string) error {
	if errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.InvalidTopicException) {
		// Only for the suggestion: without it the error is still said.
		all, listErr := s.admin.ListTopics(s.ctx)
		if errors.Is(err, kerr.UnknownTopicOrPartition) && listErr == nil {
			return problem.Missing("topic %q does not exist%s", name, nearestOf(name, all.Names(), "brokerctl topic list shows those that do"))
		}
	}
	if sorted, ok := problem.FromKafka(err, fmt.Sprintf("%s %q", attempted, name), brokerWords); ok {
		return sorted
	}
	return err
}

type topicRow struct {
	Name       string      `json:"name" head:"TOPIC" doc:"name of the topic"`
	Partitions int         `json:"partitions" head:"PARTITIONS" doc:"number of partitions"`
	Replicas   int         `json:"replicationFactor" head:"REPLICAS" doc:"replicas of its first partition"`
	InSync     show.Share  `json:"inSync" head:"IN SYNC" doc:"replicas in sync, of all its replicas"`
	Messages   int64       `json:"messages" head:"MESSAGES" doc:"sum of end minus start offsets"`
	PerSecond  *int64      `json:"messagesPerSecond" head:"PER SECOND" doc:"records written per second during --sample; null without it"`
	Size       *show.Bytes `json:"size" head:"SIZE" wide:"yes" doc:"bytes of all its replicas; null when no broker tells"`
	Internal   bool        `json:"internal" head:"INTERNAL" wide:"yes" doc:"whether it belongs to the brokers"`
	ID         string      `json:"id" head:"ID" wide:"yes" doc:"its UUID in Kafka's notation; empty for old brokers"`
}

type topicList struct {
	Topics []topicRow `json:"topics" doc:"the topics by name"`
}

func (l topicList) Text(t *show.Text) {
	t.Table(l.Topics, "no topic; brokerctl topic create NAME makes one")
}

func (a *App) topicListCommand() *cobra.Command {
	var sample sampleFlag
	var internal bool
	cmd := &cobra.Command{
		Use: "list [TOPIC...]", Short: "List topics with partitions, replicas and records", ValidArgsFunction: a.completeTopics,
		Example: "  brokerctl topic list --sample 2s\n  brokerctl topic list --format json | jq -r '.topics[].name'",
		RunE: a.connected(func(s *session, args []string) error {
			topics, err := s.lookupTopics(args)
			if err != nil {
				return err
			}
			if !internal && len(args) == 0 {
				topics = slices.DeleteFunc(topics, func(t kadm.TopicDetail) bool { return t.IsInternal })
			}
			rows, err := s.topicRows(topics, &sample)
			if err != nil {
				return err
			}
			return s.show(topicList{rows})
		}),
	}
	sample.addTo(cmd)
	cmd.Flags().BoolVar(&internal, "internal", false, "list the topics of the brokers too")
	return cmd
}

func (s *session) topicRows(topics []kadm.TopicDetail, sample *sampleFlag) ([]topicRow, error) {
	details := kadm.TopicDetails{}
	for _, t := range topics {
		details[t.Topic] = t
	}
	counts, rate, err := s.messages(details, sample)
	if err != nil {
		return nil, err
	}
	sizes := s.sizes()
	rows := make([]topicRow, 0, len(topics))
	for _, t := range topics {
		row := topicRow{
			Name: t.Topic, Partitions: len(t.Partitions), Replicas: t.Partitions.NumReplicas(), Internal: t.IsInternal,
			Messages: counts[t.Topic], PerSecond: rate.of(t.Topic), Size: sizes.ofTopic(t.Topic),
		}
		if t.ID != (kadm.TopicID{}) {
			// Kafka's notation is not that of the client.
			row.ID = base64.RawURLEncoding.EncodeToString(t.ID[:])
		}
		for _, p := range t.Partitions {
			row.InSync.Count += int64(len(p.ISR))
			row.InSync.Of += int64(len(p.Replicas))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// topicResult is what became of a change to one topic.
type topicResult struct {
	Topic  string `json:"topic" head:"TOPIC" doc:"name of the topic"`
	Result string `json:"result" head:"RESULT" doc:"what was done, in words"`
}

type topicResults struct {
	Dry     bool          `json:"dryRun" doc:"whether nothing was changed"`
	Results []topicResult `json:"results" doc:"what became of each topic"`
}

func (r topicResults) Text(t *show.Text) {
	suffix := ""
	if r.Dry {
		suffix = " (dry run, nothing was changed)"
	}
	for _, result := range r.Results {
		t.Line("%s: %s%s", result.Topic, result.Result, suffix)
	}
}

// showResults prints what was done and then returns the first failure: half of a
// change must not go unsaid.
func (a *App) showResults(dry bool, results []topicResult, failed error) error {
	if len(results) > 0 {
		if err := a.show(topicResults{dry, results}); err != nil {
			return err
		}
	}
	return failed
}
