package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/placement"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (a *App) reassignCommand() *cobra.Command {
	return group("reassign", "Move replicas between brokers",
		a.shows(a.reassignPlanCommand(), "reassign plan", reassignPlan{}),
		a.shows(a.reassignExecuteCommand(), "reassign execute", reassignPlan{}),
		a.shows(a.reassignStatusCommand(), "reassign status", reassignStatus{}),
		a.shows(a.reassignVerifyCommand(), "reassign verify", reassignVerdict{}),
		a.shows(a.reassignCancelCommand(), "reassign cancel", reassignStatus{}))
}

// move is where the replicas of one partition go.
type move struct {
	Topic     string   `json:"topic" head:"TOPIC" doc:"name of the topic"`
	Partition int32    `json:"partition" head:"PARTITION" doc:"number of the partition"`
	Before    show.IDs `json:"before" head:"BEFORE" doc:"ids of the brokers that have it, the preferred leader first"`
	Replicas  show.IDs `json:"replicas" head:"AFTER" doc:"ids of the brokers that get it"`
}

// reassignPlan is also what kafka-reassign-partitions reads, with before as an
// addition that lets execute --back undo it.
type reassignPlan struct {
	Version    int    `json:"version" doc:"1, as kafka-reassign-partitions wants it"`
	Partitions []move `json:"partitions" doc:"the partitions that move"`
	said       string // what text says above the moves
}

func (v reassignPlan) Text(t *show.Text) {
	if len(v.Partitions) > 0 && v.said != "" {
		t.Line("%s", v.said)
	}
	t.Table(v.Partitions, "nothing has to move")
}

func (a *App) reassignPlanCommand() *cobra.Command {
	var topics []string
	var brokers []int32
	var factor int
	cmd := &cobra.Command{
		Use: "plan [TOPIC...]", Short: "Plan how to spread replicas evenly over brokers and racks", ValidArgsFunction: a.completeTopics,
		Long: `Plan how to spread the replicas of topics (without one named, of all) evenly over
brokers and racks, moving as few as possible. Nothing is changed. The JSON of the
plan is what reassign execute reads, and kafka-reassign-partitions too.`,
		Example: "  brokerctl reassign plan --to 1,2,3 --format json > plan.json\n  brokerctl reassign execute plan.json --wait 10m",
		RunE: a.connected(func(s *session, args []string) error {
			topics = args
			metadata, err := s.admin.Metadata(s.ctx)
			if err != nil {
				return err
			}
			targets, err := targetBrokers(metadata, brokers)
			if err != nil {
				return err
			}
			if _, err := s.lookupTopics(topics); err != nil {
				return err
			}
			if factor < 0 {
				return problem.Input("--replication-factor %d: write a number from 1", factor)
			}
			plan, err := planMoves(metadata.Topics, topics, targets, func(before int) int {
				if factor > 0 {
					return factor
				}
				return before
			}, (*placement.Plan).Rebalance)
			if err != nil {
				return err
			}
			plan.said = "nothing was changed; as JSON this is a plan for brokerctl reassign execute:"
			return s.show(plan)
		}),
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().Int32SliceVar(&brokers, "to", nil, "the brokers to spread over (`id,...`); without it all")
	cmd.Flags().IntVar(&factor, "replication-factor", 0, "`number` of replicas; without it as many as now")
	return cmd
}

// targetBrokers finds the brokers that may get replicas; none named means all.
func targetBrokers(metadata kadm.Metadata, wanted []int32) ([]placement.Broker, error) {
	var out []placement.Broker
	for _, b := range metadata.Brokers {
		if len(wanted) > 0 && !slices.Contains(wanted, b.NodeID) {
			continue
		}
		target := placement.Broker{ID: b.NodeID}
		if b.Rack != nil {
			target.Rack = *b.Rack
		}
		out = append(out, target)
	}
	for _, id := range wanted {
		if !slices.ContainsFunc(out, func(b placement.Broker) bool { return b.ID == id }) {
			return nil, problem.Missing("broker %d does not exist or is down; the cluster has %s", id, show.IDs(metadata.Brokers.NodeIDs()))
		}
	}
	return out, nil
}

// planMoves places the partitions of topics (none named means all that are not
// internal) and gives those that change.
func planMoves(all kadm.TopicDetails, topics []string, brokers []placement.Broker, factor func(before int) int,
	place func(*placement.Plan, placement.Partition, int) ([]int32, error)) (*reassignPlan, error) {
	var moving, others []placement.Partition
	replicas := 0
	for _, topic := range all.Sorted() {
		chosen := slices.Contains(topics, topic.Topic) || len(topics) == 0 && !topic.IsInternal
		for _, p := range topic.Partitions.Sorted() {
			partition := placement.Partition{Topic: topic.Topic, Partition: p.Partition, Replicas: p.Replicas}
			if !chosen {
				others = append(others, partition)
				continue
			}
			moving = append(moving, partition)
			replicas += factor(len(p.Replicas))
		}
	}
	plan := placement.New(brokers, others, len(moving), replicas)
	out := &reassignPlan{Version: 1, Partitions: []move{}}
	for _, partition := range moving {
		after, err := place(plan, partition, factor(len(partition.Replicas)))
		if err != nil {
			return nil, problem.Input("%w", err)
		}
		if !slices.Equal(after, partition.Replicas) {
			out.Partitions = append(out.Partitions, move{partition.Topic, partition.Partition, partition.Replicas, after})
		}
	}
	return out, nil
}

// planBytesMax bounds a plan file.
const planBytesMax = 64 << 20

func readPlan(path string) (*reassignPlan, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, problem.Input("read the plan: %w", err)
	}
	if len(data) > planBytesMax {
		return nil, problem.Input("%s: %d bytes are more than a plan has", path, len(data))
	}
	var file struct {
		Version    int `json:"version"`
		Partitions []struct {
			move
			LogDirs []string `json:"log_dirs"`
		} `json:"partitions"`
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, problem.Input("%s: %w; brokerctl reassign plan --format json writes a plan", path, err)
	}
	plan := &reassignPlan{Version: file.Version, Partitions: []move{}}
	seen := map[topicPartition]bool{}
	for i, p := range file.Partitions {
		at := topicPartition{p.Topic, p.Partition}
		switch {
		case p.Topic == "" || p.Partition < 0 || len(p.Replicas) == 0:
			return nil, problem.Input("%s: partitions[%d] needs topic, partition and replicas", path, i)
		case seen[at]:
			return nil, problem.Input("%s: %s/%d is there twice", path, p.Topic, p.Partition)
		case slices.ContainsFunc(p.LogDirs, func(directory string) bool { return directory != "any" }):
			return nil, problem.Input("%s: %s/%d: log_dirs other than any are not supported", path, p.Topic, p.Partition)
		}
		seen[at] = true
		plan.Partitions = append(plan.Partitions, p.move)
	}
	if len(plan.Partitions) == 0 {
		return nil, problem.Input("%s: the plan moves nothing", path)
	}
	return plan, nil
}

func (a *App) reassignExecuteCommand() *cobra.Command {
	var back, dry bool
	var wait durationFlag
	cmd := &cobra.Command{
		Use: "execute PLAN", Short: "Begin what a plan file says", Args: exactly("PLAN"),
		Example: "  brokerctl reassign execute plan.json --wait 10m\n  brokerctl reassign execute plan.json --back",
		RunE: a.connected(func(s *session, args []string) error {
			plan, err := readPlan(args[0])
			if err != nil {
				return err
			}
			if back {
				for i, m := range plan.Partitions {
					if len(m.Before) == 0 {
						return problem.Input("%s: %s/%d has no before, so there is no way back", args[0], m.Topic, m.Partition)
					}
					plan.Partitions[i].Replicas = m.Before
				}
			}
			if err := s.refreshBefore(plan); err != nil {
				return err
			}
			return s.execute(plan, dry, &wait)
		}),
	}
	cmd.Flags().BoolVar(&back, "back", false, "undo: put replicas where the plan says they were before")
	addExecuteFlags(cmd, &dry, &wait)
	return cmd
}

func addExecuteFlags(cmd *cobra.Command, dry *bool, wait *durationFlag) {
	cmd.Flags().BoolVar(dry, "dry-run", false, "show what would move and move nothing")
	cmd.Flags().Var(wait, "wait", "wait so long for the moves to end; status 3 when they have not")
}

// refreshBefore replaces what the plan says about the past by the present, and
// drops what is there already.
func (s *session) refreshBefore(plan *reassignPlan) error {
	now, err := s.replicasNow(plan)
	if err != nil {
		return err
	}
	changed := []move{}
	for _, m := range plan.Partitions {
		if replicas := now[topicPartition{m.Topic, m.Partition}]; !slices.Equal(replicas, m.Replicas) {
			m.Before = replicas
			changed = append(changed, m)
		}
	}
	plan.Partitions = changed
	return nil
}

// replicasNow are the brokers that have each partition of a plan.
func (s *session) replicasNow(plan *reassignPlan) (map[topicPartition]show.IDs, error) {
	var topics []string
	for _, m := range plan.Partitions {
		if !slices.Contains(topics, m.Topic) {
			topics = append(topics, m.Topic)
		}
	}
	details, err := s.lookupTopics(topics)
	if err != nil {
		return nil, err
	}
	now := map[topicPartition]show.IDs{}
	for _, d := range details {
		for _, p := range d.Partitions {
			now[topicPartition{d.Topic, p.Partition}] = p.Replicas
		}
	}
	for _, m := range plan.Partitions {
		if _, ok := now[topicPartition{m.Topic, m.Partition}]; !ok {
			return nil, problem.Missing("topic %q has no partition %d", m.Topic, m.Partition)
		}
	}
	return now, nil
}

// execute begins the moves of a plan and may wait for their end.
func (s *session) execute(plan *reassignPlan, dry bool, wait *durationFlag) error {
	plan.said = "begun; brokerctl reassign status shows how far it is:"
	if dry {
		plan.said = "nothing was changed; without --dry-run it would be:"
	}
	if dry || len(plan.Partitions) == 0 {
		return s.show(plan)
	}
	request := kadm.AlterPartitionAssignmentsReq{}
	for _, m := range plan.Partitions {
		request.Assign(m.Topic, m.Partition, m.Replicas)
	}
	if err := s.alterAssignments("move", request); err != nil {
		return err
	}
	if wait.given {
		if err := s.waitForMoves(request, wait.duration); err != nil {
			return err
		}
		plan.said = "done:"
	}
	return s.show(plan)
}

func (s *session) alterAssignments(attempted string, request kadm.AlterPartitionAssignmentsReq) error {
	responses, err := s.admin.AlterPartitionAssignments(s.ctx, request)
	if err != nil {
		return err
	}
	for _, r := range responses.Sorted() {
		if out, ok := problem.FromKafka(r.Err, fmt.Sprintf("%s %s/%d", attempted, r.Topic, r.Partition), r.ErrMessage); ok {
			return out
		}
	}
	return nil
}

// movePollInterval is how often a waiting command looks.
const movePollInterval = 200 * time.Millisecond

func (s *session) waitForMoves(request kadm.AlterPartitionAssignmentsReq, limit time.Duration) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		list, err := s.movesInProgress()
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(m moveInProgress) bool {
			_, ours := request[m.Topic][m.Partition]
			return !ours
		})
		if len(list) == 0 {
			return nil
		}
		select {
		case <-time.After(movePollInterval):
		case <-s.ctx.Done():
			return s.ctx.Err()
		case <-deadline.C:
			return problem.Unreachable("not done after %s: %s still on the way; brokerctl reassign status shows more", limit, count(int32(len(list)), "partition"))
		}
	}
}

type moveInProgress struct {
	Topic     string   `json:"topic" head:"TOPIC" doc:"name of the topic"`
	Partition int32    `json:"partition" head:"PARTITION" doc:"number of the partition"`
	Replicas  show.IDs `json:"replicas" head:"REPLICAS" doc:"ids of the brokers that have it or get it"`
	Adding    show.IDs `json:"adding" head:"ADDING" doc:"ids of those that get it"`
	Removing  show.IDs `json:"removing" head:"REMOVING" doc:"ids of those that lose it"`
}

type reassignStatus struct {
	Moves []moveInProgress `json:"moves" doc:"the partitions that move, by topic"`
	said  string
}

func (v reassignStatus) Text(t *show.Text) {
	if len(v.Moves) > 0 && v.said != "" {
		t.Line("%s", v.said)
	}
	t.Table(v.Moves, "nothing moves")
}

// movesInProgress asks without kadm, to which no topic named means no answer.
func (s *session) movesInProgress() ([]moveInProgress, error) {
	request := kmsg.NewPtrListPartitionReassignmentsRequest()
	request.TimeoutMillis = int32(s.client.Timeout().Milliseconds())
	ctx, cancel := s.limited()
	defer cancel()
	response, err := request.RequestWith(ctx, s.client)
	if err != nil {
		return nil, err
	}
	if out, ok := problem.FromKafka(kerr.ErrorForCode(response.ErrorCode), "list reassignments", ""); ok {
		return nil, out
	}
	out := []moveInProgress{}
	for _, topic := range response.Topics {
		for _, p := range topic.Partitions {
			out = append(out, moveInProgress{topic.Topic, p.Partition, p.Replicas, p.AddingReplicas, p.RemovingReplicas})
		}
	}
	slices.SortFunc(out, func(a, b moveInProgress) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return out, nil
}

func (a *App) reassignStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show which replicas are moving", Args: exactly(),
		RunE: a.connected(func(s *session, _ []string) error {
			moves, err := s.movesInProgress()
			if err != nil {
				return err
			}
			return s.show(reassignStatus{Moves: moves})
		}),
	}
}

func (a *App) reassignCancelCommand() *cobra.Command {
	return &cobra.Command{
		Use: "cancel [TOPIC...]", Short: "Stop moves; replicas stay where they were", ValidArgsFunction: a.completeTopics,
		Long: "Stop the moves of topics, or without one named all of them. The replicas go back to\nwhere they were.",
		RunE: a.connected(func(s *session, args []string) error {
			if _, err := s.lookupTopics(args); err != nil {
				return err
			}
			moves, err := s.movesInProgress()
			if err != nil {
				return err
			}
			if len(args) > 0 {
				moves = slices.DeleteFunc(moves, func(m moveInProgress) bool { return !slices.Contains(args, m.Topic) })
			}
			request := kadm.AlterPartitionAssignmentsReq{}
			for _, m := range moves {
				request.CancelAssign(m.Topic, m.Partition)
			}
			if len(moves) > 0 {
				if err := s.alterAssignments("cancel the move of", request); err != nil {
					return err
				}
			}
			return s.show(reassignStatus{moves, "stopped:"})
		}),
	}
}

func (a *App) topicReplicationFactorCommand() *cobra.Command {
	var dry bool
	var wait durationFlag
	cmd := &cobra.Command{
		Use: "replication-factor TOPIC N", Short: "Change how many replicas a topic has", Args: exactly("TOPIC", "N"),
		ValidArgsFunction: inOrder(a.completeTopics, words("1", "2", "3")),
		Long: `Change how many replicas a topic has. New ones go to the brokers with the fewest, in
racks that have none yet; leaders stay where they are.`,
		Example: "  brokerctl topic replication-factor orders 3 --dry-run\n  brokerctl topic replication-factor orders 3 --wait 5m",
		RunE: a.connected(func(s *session, args []string) error {
			factor, err := strconv.Atoi(args[1])
			if err != nil || factor < 1 {
				return problem.Input("%q is no number of replicas", args[1])
			}
			if _, err := s.lookupTopics(args[:1]); err != nil {
				return err
			}
			metadata, err := s.admin.Metadata(s.ctx)
			if err != nil {
				return err
			}
			brokers, err := targetBrokers(metadata, nil)
			if err != nil {
				return err
			}
			plan, err := planMoves(metadata.Topics, args[:1], brokers, func(int) int { return factor }, (*placement.Plan).Resize)
			if err != nil {
				return err
			}
			return s.execute(plan, dry, &wait)
		}),
	}
	addExecuteFlags(cmd, &dry, &wait)
	return cmd
}
