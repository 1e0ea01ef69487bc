package cli

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
)

// What has become of a partition that a plan moves.
const (
	moveDone      = "done"
	moveOngoing   = "moving"
	moveElsewhere = "elsewhere" // neither there nor on its way
)

type verifiedMove struct {
	Topic     string   `json:"topic" head:"TOPIC" doc:"name of the topic"`
	Partition int32    `json:"partition" head:"PARTITION" doc:"number of the partition"`
	Planned   show.IDs `json:"planned" head:"PLANNED" doc:"ids of the brokers that the plan gives it"`
	Replicas  show.IDs `json:"replicas" head:"REPLICAS" doc:"ids of the brokers that have it or get it"`
	State     string   `json:"state" head:"STATE" doc:"done, moving, or elsewhere when it is neither there nor on its way"`
}

type reassignVerdict struct {
	Moves []verifiedMove `json:"moves" doc:"the partitions of the plan"`
}

func (v reassignVerdict) Text(t *show.Text) { t.Table(v.Moves, "nothing moves") }

func (a *App) reassignVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "verify PLAN", Short: "Compare what a plan file says with where replicas are", Args: exactly("PLAN"),
		Long: "Compare what a plan file says with where replicas are. The exit status is 1 while\nanything is not where the plan puts it.",
		RunE: a.connected(func(s *session, args []string) error {
			plan, err := readPlan(args[0])
			if err != nil {
				return err
			}
			view, err := s.verify(plan)
			if err != nil {
				return err
			}
			if err := s.show(view); err != nil {
				return err
			}
			if slices.ContainsFunc(view.Moves, func(m verifiedMove) bool { return m.State != moveDone }) {
				return problem.Refused("%w", errSaid)
			}
			return nil
		}),
	}
}

func (s *session) verify(plan *reassignPlan) (*reassignVerdict, error) {
	now, err := s.replicasNow(plan)
	if err != nil {
		return nil, err
	}
	ongoing, err := s.movesInProgress()
	if err != nil {
		return nil, err
	}
	view := &reassignVerdict{Moves: []verifiedMove{}}
	for _, m := range plan.Partitions {
		row := verifiedMove{m.Topic, m.Partition, m.Replicas, now[topicPartition{m.Topic, m.Partition}], moveElsewhere}
		switch {
		case slices.ContainsFunc(ongoing, func(p moveInProgress) bool { return p.Topic == m.Topic && p.Partition == m.Partition }):
			row.State = moveOngoing
		case slices.Equal(row.Replicas, row.Planned):
			row.State = moveDone
		}
		view.Moves = append(view.Moves, row)
	}
	return view, nil
}
