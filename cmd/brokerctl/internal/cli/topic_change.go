package cli

import (
	"errors"
	"fmt"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// createFlags describe the topics to create.
type createFlags struct {
	partitions  int32
	replicas    int16
	config      []string
	retention   string
	compaction  bool
	ifNotExists bool
	dry         bool
}

func (f *createFlags) addTo(cmd *cobra.Command) {
	set := cmd.Flags()
	set.SortFlags = false
	set.Int32VarP(&f.partitions, "partitions", "p", -1, "`number` of partitions; -1 is the brokers' num.partitions")
	set.Int16VarP(&f.replicas, "replication-factor", "r", -1, "`number` of replicas; -1 is the brokers' default.replication.factor")
	set.StringVar(&f.retention, "retention", "", "delete records after a `duration` such as 36h or 10d, or disable")
	set.BoolVar(&f.compaction, "compaction", false, "keep the last record of each key; without --retention, for ever")
	set.StringArrayVarP(&f.config, "config", "c", nil, "`key=value` of a topic property; may be repeated")
	set.BoolVar(&f.ifNotExists, "if-not-exists", false, "a topic that exists already is no error")
	set.BoolVar(&f.dry, "dry-run", false, "let the cluster check it and change nothing")
}

// properties joins the flags to Kafka's properties.
func (f *createFlags) properties() (map[string]*string, error) {
	out := map[string]*string{}
	pairs, err := keyValues("--config", f.config)
	if err != nil {
		return nil, err
	}
	policy := policy{compact: f.compaction, remove: !f.compaction}
	if f.retention != "" {
		text, err := retentionText(f.retention, parseMillis)
		if err != nil {
			return nil, problem.Input("--retention: %w", err)
		}
		pairs = append(pairs, [2]string{retentionMillis, text})
		policy.remove = policy.remove || text != "-1"
	}
	if f.compaction {
		pairs = append(pairs, [2]string{cleanupPolicy, policy.String()})
	}
	for _, pair := range pairs {
		if _, twice := out[pair[0]]; twice {
			return nil, problem.Input("%s is given twice", pair[0])
		}
		out[pair[0]] = &pair[1]
	}
	return out, nil
}

func (a *App) topicCreateCommand() *cobra.Command {
	var f createFlags
	cmd := &cobra.Command{
		Use: "create TOPIC...", Short: "Create topics", Args: atLeastOne("TOPIC"), ValidArgsFunction: words(),
		Example: "  brokerctl topic create orders --partitions 6 --replication-factor 3 --retention 10d\n  brokerctl topic create state --compaction -c min.insync.replicas=2",
		RunE: a.connected(func(s *session, args []string) error {
			properties, err := f.properties()
			if err != nil {
				return err
			}
			create := s.admin.CreateTopics
			if f.dry {
				create = s.admin.ValidateCreateTopics
			}
			responses, err := create(s.ctx, f.partitions, f.replicas, properties, args...)
			if err != nil {
				return err
			}
			var results []topicResult
			var failed error
			for _, r := range responses.Sorted() {
				switch {
				case r.Err == nil && r.NumPartitions > 0:
					results = append(results, topicResult{r.Topic, fmt.Sprintf("created with %s and %s", count(r.NumPartitions, "partition"), count(int32(r.ReplicationFactor), "replica"))})
				case r.Err == nil:
					results = append(results, topicResult{r.Topic, "created"})
				case f.ifNotExists && errors.Is(r.Err, kerr.TopicAlreadyExists):
					results = append(results, topicResult{r.Topic, "exists already"})
				case failed == nil:
					failed = s.topicProblem("create topic", r.Topic, r.Err, r.ErrMessage)
				}
			}
			return s.showResults(f.dry, results, failed)
		}),
	}
	f.addTo(cmd)
	return cmd
}

// count writes a number of things.
func count(n int32, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func (a *App) topicDeleteCommand() *cobra.Command {
	var confirm confirmation
	cmd := &cobra.Command{
		Use: "delete TOPIC...", Short: "Delete topics and all their records", Args: atLeastOne("TOPIC"), ValidArgsFunction: a.completeTopics,
		Example: "  brokerctl topic delete orders --confirm orders",
		RunE: a.connected(func(s *session, args []string) error {
			if _, err := s.lookupTopics(args); err != nil {
				return err
			}
			if err := confirm.demand(a, "deleting topic", args); err != nil {
				return err
			}
			responses, err := s.admin.DeleteTopics(s.ctx, args...)
			if err != nil {
				return err
			}
			var results []topicResult
			var failed error
			for _, r := range responses.Sorted() {
				if r.Err == nil {
					results = append(results, topicResult{r.Topic, "deleted"})
				} else if failed == nil {
					failed = s.topicProblem("delete topic", r.Topic, r.Err, r.ErrMessage)
				}
			}
			return s.showResults(false, results, failed)
		}),
	}
	confirm.addTo(cmd)
	return cmd
}

func (a *App) topicAddPartitionsCommand() *cobra.Command {
	var add, total int
	var dry bool
	cmd := &cobra.Command{
		Use: "add-partitions TOPIC...", Short: "Give topics more partitions", Args: atLeastOne("TOPIC"), ValidArgsFunction: a.completeTopics,
		Long:    "Give topics more partitions. There is no way back, and from then on a key may go to\nanother partition than its earlier records.",
		Example: "  brokerctl topic add-partitions orders --num 2\n  brokerctl topic add-partitions orders --total 12",
		RunE: a.connected(func(s *session, args []string) error {
			if (add > 0) == (total > 0) {
				return problem.Input("say how many: either --num to add, or --total to reach")
			}
			topics, err := s.lookupTopics(args)
			if err != nil {
				return err
			}
			var results []topicResult
			for _, topic := range topics {
				have := len(topic.Partitions)
				want := max(total, 0)
				if add > 0 {
					want = have + add
				}
				if want <= have {
					return s.showResults(dry, results, problem.Input("topic %q has %d partitions already, and none can be taken away", topic.Topic, have))
				}
				if err := s.setPartitions(topic.Topic, want, dry); err != nil {
					return s.showResults(dry, results, err)
				}
				results = append(results, topicResult{topic.Topic, fmt.Sprintf("%d partitions, %d before", want, have)})
			}
			return s.showResults(dry, results, nil)
		}),
	}
	cmd.Flags().IntVarP(&add, "num", "n", 0, "`number` of partitions to add")
	cmd.Flags().IntVar(&total, "total", 0, "`number` of partitions to reach")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "let the cluster check it and change nothing")
	return cmd
}

func (s *session) setPartitions(topic string, want int, dry bool) error {
	update := s.admin.UpdatePartitions
	if dry {
		update = s.admin.ValidateUpdatePartitions
	}
	responses, err := update(s.ctx, want, topic)
	if err != nil {
		return err
	}
	for _, r := range responses.Sorted() {
		if r.Err != nil {
			return s.topicProblem("add partitions to topic", r.Topic, r.Err, r.ErrMessage)
		}
	}
	return nil
}

func (a *App) topicAlterConfigCommand() *cobra.Command {
	var f configChange
	cmd := &cobra.Command{
		Use: "alter-config TOPIC...", Short: "Set and unset properties of topics", Args: atLeastOne("TOPIC"), ValidArgsFunction: a.completeTopics,
		Example: "  brokerctl topic alter-config orders --set retention.ms=86400000 --delete max.message.bytes",
		RunE: a.connected(func(s *session, args []string) error {
			changes, err := f.changes()
			if err != nil {
				return err
			}
			if _, err := s.lookupTopics(args); err != nil {
				return err
			}
			slices.Sort(args)
			var results []topicResult
			for _, topic := range args {
				if err := s.alterTopic(topic, changes, f.dry); err != nil {
					return s.showResults(f.dry, results, err)
				}
				results = append(results, topicResult{topic, describeChanges(changes)})
			}
			return s.showResults(f.dry, results, nil)
		}),
	}
	f.addTo(cmd)
	return cmd
}

// alterTopic changes properties of one topic, all or none.
func (s *session) alterTopic(topic string, changes []kadm.AlterConfig, dry bool) error {
	alter := s.admin.AlterTopicConfigs
	if dry {
		alter = s.admin.ValidateAlterTopicConfigs
	}
	responses, err := alter(s.ctx, changes, topic)
	if err != nil {
		return err
	}
	for _, r := range responses {
		if r.Err != nil {
			return s.topicProblem("alter the configuration of topic", topic, r.Err, r.ErrMessage)
		}
	}
	return nil
}
