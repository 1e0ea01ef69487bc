package cli

import (
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

type deletedRow struct {
	Topic     string `json:"topic" head:"TOPIC" doc:"name of the topic"`
	Partition int32  `json:"partition" head:"PARTITION" doc:"number of the partition"`
	Before    int64  `json:"startBefore" head:"START BEFORE" doc:"offset of the first record before"`
	After     int64  `json:"start" head:"START" doc:"offset of the first record now"`
	Deleted   int64  `json:"deleted" head:"DELETED" doc:"difference of the two"`
}

type deletedRecords struct {
	Dry        bool         `json:"dryRun" doc:"whether nothing was deleted"`
	Partitions []deletedRow `json:"partitions" doc:"the partitions from which records were deleted"`
}

func (v deletedRecords) Text(t *show.Text) {
	if v.Dry {
		t.Line("nothing was deleted; without --dry-run it would be:")
	}
	t.Table(v.Partitions, "there is nothing before that offset")
}

func (a *App) topicDeleteRecordsCommand() *cobra.Command {
	var confirm confirmation
	var before, partitions string
	var dry bool
	cmd := &cobra.Command{
		Use: "delete-records TOPIC --before OFFSET", Short: "Delete the records before an offset or a time",
		Args: exactly("TOPIC"), ValidArgsFunction: first(a.completeTopics),
		Example: "  brokerctl topic delete-records orders --before @-36h --dry-run\n  brokerctl topic delete-records orders --before end --partitions 0,2 --confirm orders",
		RunE: a.connected(func(s *session, args []string) error {
			if before == "" {
				return problem.Input("say --before: an offset, end, -N from the end or @time")
			}
			bounds, err := s.bounds(args, partitions)
			if err != nil {
				return err
			}
			targets, err := s.resolve(bounds, before)
			if err != nil {
				return err
			}
			if !dry {
				if err := confirm.demand(a, "deleting records of topic", args); err != nil {
					return err
				}
			}
			view, err := s.deleteRecords(bounds, targets, dry)
			if err != nil {
				return err
			}
			return s.show(view)
		}),
	}
	cmd.Flags().StringVar(&before, "before", "", "`offset`: N, end, +N after the start, -N before the end, @time")
	cmd.Flags().StringVarP(&partitions, "partitions", "p", "", "only these `partitions`, such as 0,3,5-7")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would be deleted and delete nothing")
	confirm.addTo(cmd)
	return cmd
}

func (s *session) deleteRecords(bounds []partitionBounds, targets map[topicPartition]int64, dry bool) (*deletedRecords, error) {
	view := &deletedRecords{Dry: dry, Partitions: []deletedRow{}}
	request := kadm.Offsets{}
	starts := map[topicPartition]int64{}
	for _, b := range bounds {
		target := targets[b.topicPartition]
		if target <= b.start {
			continue
		}
		starts[b.topicPartition] = b.start
		request.Add(kadm.Offset{Topic: b.topic, Partition: b.partition, At: target})
		if dry {
			view.Partitions = append(view.Partitions, deletedRow{b.topic, b.partition, b.start, target, target - b.start})
		}
	}
	if dry || len(request) == 0 {
		return view, nil
	}
	responses, err := s.admin.DeleteRecords(s.ctx, request)
	if err != nil {
		return nil, err
	}
	for _, r := range responses.Sorted() {
		if r.Err != nil {
			return nil, s.topicProblem("delete records of topic", r.Topic, r.Err, "")
		}
		start := starts[topicPartition{r.Topic, r.Partition}]
		view.Partitions = append(view.Partitions, deletedRow{r.Topic, r.Partition, start, r.LowWatermark, r.LowWatermark - start})
	}
	return view, nil
}
