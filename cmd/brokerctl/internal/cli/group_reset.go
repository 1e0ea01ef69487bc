package cli

import (
	"errors"
	"strconv"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

type resetRow struct {
	Topic     string `json:"topic" head:"TOPIC" doc:"name of the topic"`
	Partition int32  `json:"partition" head:"PARTITION" doc:"number of the partition"`
	Before    *int64 `json:"before" head:"BEFORE" doc:"committed offset before; null when there was none"`
	After     int64  `json:"after" head:"AFTER" doc:"committed offset afterwards"`
	Lag       int64  `json:"lag" head:"LAG" doc:"records from there to the end"`
}

type offsetReset struct {
	Group      string     `json:"group" doc:"name of the group"`
	Dry        bool       `json:"dryRun" doc:"whether nothing was changed"`
	Partitions []resetRow `json:"partitions" doc:"the partitions whose offsets are set"`
}

func (v offsetReset) Text(t *show.Text) {
	if v.Dry {
		t.Line("nothing was changed; without --dry-run it would be:")
	}
	t.Table(v.Partitions, "no partition")
}

// resetFlags say where the offsets go and of which partitions.
type resetFlags struct {
	earliest, latest bool
	offset           string
	shift            string
	ago              durationFlag
	moment           string
	topics           []string
	dry              bool
}

func (f *resetFlags) addTo(cmd *cobra.Command) {
	set := cmd.Flags()
	set.SortFlags = false
	set.BoolVar(&f.earliest, "to-earliest", false, "to the first record that is there")
	set.BoolVar(&f.latest, "to-latest", false, "to the end, skipping all that is there")
	set.StringVar(&f.offset, "to-offset", "", "to this `offset`, or the nearest that is there")
	set.StringVar(&f.shift, "shift-by", "", "by this `number` of records, forwards or with a minus backwards")
	set.Var(&f.ago, "by-duration", "to the first record that is younger than this, such as 36h")
	set.StringVar(&f.moment, "to-datetime", "", "to the first record at or after this `time`, such as 2026-01-31T15:04:05Z")
	set.StringArrayVar(&f.topics, "topic", nil, "only this `topic[:partitions]`, such as orders or orders:0,2-4; may be repeated")
	set.BoolVar(&f.dry, "dry-run", false, "show what would be set and set nothing")
}

// check wants exactly one target.
func (f *resetFlags) check() error {
	given := 0
	for _, is := range []bool{f.earliest, f.latest, f.offset != "", f.shift != "", f.ago.given, f.moment != ""} {
		if is {
			given++
		}
	}
	if given != 1 {
		return problem.Input("say where to, once: --to-earliest, --to-latest, --to-offset, --shift-by, --by-duration or --to-datetime")
	}
	return nil
}

func (a *App) groupResetOffsetsCommand() *cobra.Command {
	var f resetFlags
	cmd := &cobra.Command{
		Use: "reset-offsets GROUP", Short: "Move the committed offsets of a group that has no members", Args: exactly("GROUP"),
		ValidArgsFunction: first(a.completeGroups),
		Long: `Move the committed offsets of a group that has no members. Without --topic it moves
all topics that the group has committed. With --topic a group that does not exist
yet is created.`,
		Example: "  brokerctl group reset-offsets billing --to-datetime 2026-01-31 --dry-run\n  brokerctl group reset-offsets billing --shift-by -100 --topic orders:0",
		RunE: a.connected(func(s *session, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			view, err := s.resetOffsets(args[0], &f)
			if err != nil {
				return err
			}
			return s.show(view)
		}),
	}
	f.addTo(cmd)
	completeFlag(cmd, "topic", a.completeTopics)
	return cmd
}

func (s *session) resetOffsets(group string, f *resetFlags) (*offsetReset, error) {
	lag, err := s.groupLag(group)
	if err != nil && (problem.StatusOf(err) != problem.StatusMissing || len(f.topics) == 0) {
		return nil, err
	}
	if len(lag.Members) > 0 {
		return nil, problem.Refused("group %q has %s that would overwrite it; brokerctl group describe %s names what to stop first", group, count(int32(len(lag.Members)), "member"), group)
	}
	bounds, err := s.resetBounds(lag, f)
	if err != nil {
		return nil, err
	}
	targets, err := s.resetTargets(bounds, lag, f)
	if err != nil {
		return nil, err
	}
	view := &offsetReset{Group: group, Dry: f.dry, Partitions: []resetRow{}}
	commits := kadm.Offsets{}
	for _, b := range bounds {
		target := targets[b.topicPartition]
		row := resetRow{Topic: b.topic, Partition: b.partition, After: target, Lag: b.end - target}
		if before, ok := committed(lag, b.topicPartition); ok {
			row.Before = &before
		}
		view.Partitions = append(view.Partitions, row)
		commits.Add(kadm.Offset{Topic: b.topic, Partition: b.partition, At: target, LeaderEpoch: -1})
	}
	if f.dry || len(commits) == 0 {
		return view, nil
	}
	if err := s.commit("reset group", group, commits); err != nil {
		return nil, err
	}
	return view, nil
}

// resetBounds are the partitions to move: those of --topic, or all that the
// group has committed.
func (s *session) resetBounds(lag kadm.DescribedGroupLag, f *resetFlags) ([]partitionBounds, error) {
	var out []partitionBounds
	for _, word := range f.topics {
		topic, partitions, _ := strings.Cut(word, ":")
		bounds, err := s.bounds([]string{topic}, partitions)
		if err != nil {
			return nil, err
		}
		out = append(out, bounds...)
	}
	if len(f.topics) > 0 {
		return out, nil
	}
	for _, p := range lag.Lag.Sorted() {
		if p.Commit.At < 0 {
			continue
		}
		if p.End.Err != nil || p.Start.Err != nil {
			return nil, s.topicProblem("read the offsets of topic", p.Topic, errors.Join(p.End.Err, p.Start.Err), "")
		}
		out = append(out, partitionBounds{topicPartition{p.Topic, p.Partition}, p.Start.Offset, p.End.Offset})
	}
	if len(out) == 0 {
		return nil, problem.Input("group %q has committed nothing; say which topic with --topic", lag.Group)
	}
	return out, nil
}

func committed(lag kadm.DescribedGroupLag, p topicPartition) (int64, bool) {
	found, ok := lag.Lag.Lookup(p.topic, p.partition)
	return found.Commit.At, ok && found.Commit.At >= 0
}

func (s *session) resetTargets(bounds []partitionBounds, lag kadm.DescribedGroupLag, f *resetFlags) (map[topicPartition]int64, error) {
	switch {
	case f.earliest:
		return s.resolve(bounds, "start")
	case f.latest:
		return s.resolve(bounds, "end")
	case f.offset != "":
		if _, err := strconv.ParseUint(f.offset, 10, 63); err != nil {
			return nil, problem.Input("--to-offset %q: write a number; the other --to flags and --shift-by are relative", f.offset)
		}
		return s.resolve(bounds, f.offset)
	case f.ago.given:
		return s.resolveMoment(bounds, s.Now().Add(-f.ago.duration))
	case f.moment != "":
		at, err := parseMoment(f.moment, s.Now())
		if err != nil {
			return nil, err
		}
		return s.resolveMoment(bounds, at)
	}
	by, err := strconv.ParseInt(f.shift, 10, 64)
	if err != nil {
		return nil, problem.Input("--shift-by %q: write a number such as 100 or -100", f.shift)
	}
	out := map[topicPartition]int64{}
	for _, b := range bounds {
		from, ok := committed(lag, b.topicPartition)
		if !ok {
			return nil, problem.Input("--shift-by: group %q has committed nothing for %s/%d; use --to-offset", lag.Group, b.topic, b.partition)
		}
		out[b.topicPartition] = min(max(from+by, b.start), b.end)
	}
	return out, nil
}
