package cli

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func (a *App) groupCommand() *cobra.Command {
	return group("group", "Look at consumer groups, move and delete them",
		a.shows(a.groupListCommand(), "group list", groupList{}),
		a.shows(a.groupDescribeCommand(), "group describe", groupDescriptions{}),
		a.shows(a.groupResetOffsetsCommand(), "group reset-offsets", offsetReset{}),
		a.shows(a.groupDeleteCommand(), "group delete", groupResults{}))
}

type groupRow struct {
	Name        string `json:"name" head:"GROUP" doc:"name of the group"`
	State       string `json:"state" head:"STATE" doc:"its state in Kafka's words: Stable, Empty, PreparingRebalance, ..."`
	Type        string `json:"type" head:"TYPE" doc:"classic or consumer; empty for old brokers"`
	Members     *int   `json:"members" head:"MEMBERS" doc:"number of members; null when they are not told"`
	Lag         *int64 `json:"lag" head:"LAG" doc:"records between its committed offsets and the ends; null when unknown"`
	Coordinator int32  `json:"coordinator" head:"COORDINATOR" wide:"yes" doc:"id of the broker that looks after it"`
}

type groupList struct {
	Groups []groupRow `json:"groups" doc:"the groups by name"`
}

func (l groupList) Text(t *show.Text) { t.Table(l.Groups, "no group") }

func (a *App) groupListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List groups with their state and lag", Args: exactly(),
		RunE: a.connected(func(s *session, _ []string) error {
			listed, err := s.admin.ListGroups(s.ctx)
			if err = partly(err); err != nil {
				return err
			}
			lags, err := s.lags(listed.Groups())
			if err != nil {
				return err
			}
			view := groupList{Groups: []groupRow{}}
			for _, g := range listed.Sorted() {
				row := groupRow{Name: g.Group, State: g.State, Type: g.GroupType, Coordinator: g.Coordinator}
				if lag, ok := lags[g.Group]; ok && lag.Error() == nil {
					row.Members = show.Pointer(len(lag.Members))
					row.Lag = show.Pointer(lag.Lag.Total())
				}
				view.Groups = append(view.Groups, row)
			}
			return s.show(view)
		}),
	}
}

// lags describes groups and how far they are behind. Asking for no group would
// mean all of them.
func (s *session) lags(groups []string) (kadm.DescribedGroupLags, error) {
	if len(groups) == 0 {
		return nil, nil
	}
	lags, err := s.admin.Lag(s.ctx, groups...)
	if err = partly(err); err != nil {
		return nil, err
	}
	for name, lag := range lags {
		// Kafka calls them dead, others tell a state but no member.
		unknown := lag.State == groupDead || errors.Is(lag.DescribeErr, kerr.GroupIDNotFound)
		if !unknown && (len(lag.Members) > 0 || lag.State == groupEmpty) {
			continue
		}
		other, err := s.lagOfConsumerProtocol(name)
		// Brokers that do not know the new protocol have none of its groups.
		if err == nil && other.DescribeErr == nil {
			lags[name] = other
		}
	}
	return lags, nil
}

// The states that a group without members has: groupDead is also how one is
// described that does not exist.
const (
	groupDead  = "Dead"
	groupEmpty = "Empty"
)

type groupPartition struct {
	Topic     string     `json:"topic" head:"TOPIC" doc:"name of the topic"`
	Partition int32      `json:"partition" head:"PARTITION" doc:"number of the partition"`
	Committed *int64     `json:"committed" head:"COMMITTED" doc:"next offset to read; null when none was committed"`
	End       *int64     `json:"end" head:"END" doc:"high watermark; null when unknown"`
	Lag       *int64     `json:"lag" head:"LAG" doc:"records not read yet; null when unknown"`
	Read      show.Share `json:"read" head:"READ" doc:"records before the committed offset, of those that the partition has"`
	Client    string     `json:"client" head:"CLIENT" doc:"client id of the member that has the partition; empty for none"`
	Host      string     `json:"host" head:"HOST" wide:"yes" doc:"where that member comes from"`
	Member    string     `json:"member" head:"MEMBER" wide:"yes" doc:"its id"`
	Problem   string     `json:"problem" head:"PROBLEM" wide:"yes" doc:"why the lag is unknown; empty when it is known"`
}

type groupDescription struct {
	Name        string           `json:"name" head:"Group" doc:"name of the group"`
	State       string           `json:"state" head:"State" doc:"its state in Kafka's words"`
	Protocol    string           `json:"protocol" head:"Assignor" doc:"how partitions are assigned; empty without members"`
	Coordinator int32            `json:"coordinator" head:"Coordinator" doc:"id of the broker that looks after it"`
	Members     int              `json:"members" head:"Members" doc:"number of members"`
	Lag         int64            `json:"lag" head:"Lag" doc:"records between its committed offsets and the ends"`
	Partitions  []groupPartition `json:"partitions" doc:"the partitions it reads or has committed"`
}

type groupDescriptions struct {
	Groups []groupDescription `json:"groups" doc:"the groups by name"`
}

func (v groupDescriptions) Text(t *show.Text) {
	for _, g := range v.Groups {
		t.Gap()
		t.Fields(g)
		t.Gap()
		t.Table(g.Partitions, "it reads nothing and has committed nothing")
	}
}

func (a *App) groupDescribeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "describe GROUP...", Short: "Show members, committed offsets and lag of groups",
		Args: atLeastOne("GROUP"), ValidArgsFunction: a.completeGroups,
		RunE: a.connected(func(s *session, args []string) error {
			view := groupDescriptions{Groups: []groupDescription{}}
			for _, name := range args {
				lag, err := s.groupLag(name)
				if err != nil {
					return err
				}
				view.Groups = append(view.Groups, describeGroup(lag))
			}
			return s.show(view)
		}),
	}
}

// groupLag describes one group; one that does not exist is an error with the
// nearest name.
func (s *session) groupLag(name string) (kadm.DescribedGroupLag, error) {
	var lag kadm.DescribedGroupLag
	err := s.withCoordinator(func() error {
		lags, err := s.lags([]string{name})
		lag = lags[name]
		return cmp.Or(err, lag.Error())
	})
	if err != nil {
		return lag, s.groupProblem("describe group", name, err)
	}
	// A group that nobody has heard of is described as dead.
	if lag.State == groupDead {
		return lag, s.groupProblem("describe group", name, kerr.GroupIDNotFound)
	}
	return lag, nil
}

// coordinatorPollInterval is how often a command looks whether a coordinator has
// come up.
const coordinatorPollInterval = 100 * time.Millisecond

// withCoordinator repeats a request while the coordinator of a group comes up:
// the first group of a cluster creates __consumer_offsets, and after an election
// a coordinator reads it again. The client does not wait for that by itself.
func (s *session) withCoordinator(request func() error) error {
	ctx, cancel := s.limited()
	defer cancel()
	for {
		err := request()
		cause := problem.Cause(err)
		if !errors.Is(cause, kerr.CoordinatorNotAvailable) && !errors.Is(cause, kerr.CoordinatorLoadInProgress) && !errors.Is(cause, kerr.NotCoordinator) {
			return err
		}
		select {
		case <-time.After(coordinatorPollInterval):
		case <-ctx.Done():
			return err
		}
	}
}

// commit writes offsets for a group that has no members.
func (s *session) commit(attempted, group string, offsets kadm.Offsets) error {
	err := s.withCoordinator(func() error {
		responses, err := s.admin.CommitOffsets(s.ctx, group, offsets)
		return cmp.Or(err, responses.Error())
	})
	if errors.Is(err, kerr.UnknownMemberID) {
		err = kerr.NonEmptyGroup
	}
	if err != nil {
		return s.groupProblem(attempted, group, err)
	}
	return nil
}

// groupProblem says why something failed for a group.
func (s *session) groupProblem(attempted, name string, err error) error {
	if errors.Is(err, kerr.GroupIDNotFound) {
		// Only for the suggestion: without it the error is still said.
		if all, listErr := s.admin.ListGroups(s.ctx); listErr == nil {
			return problem.Missing("group %q does not exist%s", name, nearestOf(name, all.Groups(), "brokerctl group list shows those that do"))
		}
	}
	if sorted, ok := problem.FromKafka(err, fmt.Sprintf("%s %q", attempted, name), ""); ok {
		return sorted
	}
	return err
}

func describeGroup(lag kadm.DescribedGroupLag) groupDescription {
	d := groupDescription{
		Name: lag.Group, State: lag.State, Protocol: lag.Protocol, Coordinator: lag.Coordinator.NodeID,
		Members: len(lag.Members), Lag: lag.Lag.Total(), Partitions: []groupPartition{},
	}
	for _, p := range lag.Lag.Sorted() {
		row := groupPartition{Topic: p.Topic, Partition: p.Partition}
		if p.Commit.At >= 0 {
			row.Committed = show.Pointer(p.Commit.At)
		}
		if p.End.Err == nil {
			row.End = show.Pointer(p.End.Offset)
		}
		if p.Err == nil {
			row.Lag = show.Pointer(p.Lag)
		} else {
			row.Problem = p.Err.Error()
		}
		if p.Start.Err == nil && p.End.Err == nil {
			row.Read = show.Share{Count: max(p.Commit.At-p.Start.Offset, 0), Of: p.End.Offset - p.Start.Offset}
		}
		if p.Member != nil {
			row.Client, row.Host, row.Member = p.Member.ClientID, p.Member.ClientHost, p.Member.MemberID
		}
		d.Partitions = append(d.Partitions, row)
	}
	return d
}

type groupResult struct {
	Group  string `json:"group" doc:"name of the group"`
	Result string `json:"result" doc:"what was done, in words"`
}

type groupResults struct {
	Results []groupResult `json:"results" doc:"what became of each group"`
}

func (r groupResults) Text(t *show.Text) {
	for _, result := range r.Results {
		t.Line("%s: %s", result.Group, result.Result)
	}
}

func (a *App) groupDeleteCommand() *cobra.Command {
	var confirm confirmation
	cmd := &cobra.Command{
		Use: "delete GROUP...", Short: "Delete groups and the offsets they have committed",
		Args: atLeastOne("GROUP"), ValidArgsFunction: a.completeGroups,
		Example: "  brokerctl group delete billing --confirm billing",
		RunE: a.connected(func(s *session, args []string) error {
			for _, name := range args {
				if _, err := s.groupLag(name); err != nil {
					return err
				}
			}
			if err := confirm.demand(a, "deleting group", args); err != nil {
				return err
			}
			responses, err := s.admin.DeleteGroups(s.ctx, args...)
			if err != nil {
				return err
			}
			var view groupResults
			var failed error
			for _, r := range responses.Sorted() {
				if r.Err == nil {
					view.Results = append(view.Results, groupResult{r.Group, "deleted"})
				} else if failed == nil {
					failed = s.groupProblem("delete group", r.Group, r.Err)
				}
			}
			if len(view.Results) > 0 {
				if err := s.show(view); err != nil {
					return err
				}
			}
			return failed
		}),
	}
	confirm.addTo(cmd)
	return cmd
}
