package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/layout"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// formatTail prints a line for each record, with long values cut, as
// heroku kafka:topics:tail does.
const formatTail = "tail"

// The layouts of consume's text formats. Tail's order is Heroku's: topic,
// partition, offset, length, body.
const (
	layoutTail = `%t %p %o %V %v\n`
	layoutWide = `%t %p %o %d{go#2006-01-02T15:04:05.000Z#} %k %V %v %h\n`
)

// tailLengthDefault is how many characters of a value tail prints.
const tailLengthDefault = 80

// consumeFlags say what is read and how it is printed.
type consumeFlags struct {
	offset        string
	partitions    string
	count         int64
	untilEnd      bool
	group         string
	layout        string
	null          string
	cut           int
	readCommitted bool
}

func (f *consumeFlags) addTo(cmd *cobra.Command) {
	set := cmd.Flags()
	set.SortFlags = false
	set.StringVarP(&f.offset, "offset", "o", "start", "where to begin: `offset` start, end, N, +N after the start, -N before the end, @time (2026-01-31, 2026-01-31T15:04:05Z, milliseconds, -36h)")
	set.StringVarP(&f.partitions, "partitions", "p", "", "only these `partitions`, such as 0,3,5-7")
	set.Int64VarP(&f.count, "num", "n", 0, "stop after this `number` of records; 0 is never")
	set.BoolVarP(&f.untilEnd, "until-end", "e", false, "stop at what is the end now")
	set.StringVarP(&f.group, "group", "g", "", "read as a member of this `group` and commit what was printed; --offset counts where it has committed nothing")
	set.StringVarP(&f.layout, "layout", "f", "", "print each record in this `format`, see above")
	set.StringVar(&f.null, "null", "NULL", "what a null key or value prints as (`text`)")
	set.IntVar(&f.cut, "max-length", 0, "cut keys and values after this `number` of characters; 0 is never, and 80 with --format tail")
	set.BoolVar(&f.readCommitted, "read-committed", false, "leave out records of transactions that were aborted or are open")
}

const consumeHelp = `Read records from the start, or from where --offset says, until Ctrl-C, -n or -e.

--format text prints topic, partition, offset, length and value of each record;
tail does the same with long values cut, wide adds time, key and headers, json
prints one object a line and yaml one document each. A tombstone prints as 0 NULL.

-f prints what you like: %t topic, %p partition, %o offset, %k key, %v or %s value,
%K %V %S their lengths, %h headers, %H their number, %T timestamp in milliseconds,
%d{strftime[%F %T]} or %d{go#RFC3339#} timestamp, %e leader epoch, %a{compression},
%x producer id, %i number of the record, %% percent; %k{hex}, %v{base64} and
%h{%k=%v } as in rpk; \n \t \\ \xNN.`

type recordView struct {
	Topic     string       `json:"topic" doc:"name of the topic"`
	Partition int32        `json:"partition" doc:"number of the partition"`
	Offset    int64        `json:"offset" doc:"offset of the record"`
	Timestamp int64        `json:"timestamp" doc:"its time in milliseconds since 1970"`
	Key       *string      `json:"key" doc:"its key, or null; bytes that are no UTF-8 are replaced, so use -f '%k{base64}' for them"`
	Value     *string      `json:"value" doc:"its value, or null for a tombstone; the same holds"`
	Headers   []headerView `json:"headers" doc:"its headers in their order"`
}

type headerView struct {
	Key   string  `json:"key" doc:"name of the header"`
	Value *string `json:"value" doc:"its value, or null"`
}

func (a *App) consumeCommand() *cobra.Command {
	var f consumeFlags
	cmd := &cobra.Command{
		Use: "consume TOPIC...", Aliases: []string{"tail"}, Short: "Read records and print them", Long: consumeHelp,
		Args: atLeastOne("TOPIC"), ValidArgsFunction: a.completeTopics,
		Example: "  brokerctl consume orders --offset end --format tail\n  brokerctl consume orders -o -10 -e -f '%p@%o %k=%v\\n'\n  brokerctl consume orders -o @-1h --format json | jq .value",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.consume(cmd, args, &f)
		},
	}
	a.shows(cmd, "consume", recordView{})
	f.addTo(cmd)
	completeFlag(cmd, "group", a.completeGroups)
	completeFlag(cmd, "offset", words("start", "end", "-10", "@-1h"))
	return cmd
}

func (a *App) consume(cmd *cobra.Command, topics []string, f *consumeFlags) error {
	if f.count < 0 || f.cut < 0 {
		return problem.Input("--num %d and --max-length %d: neither may be negative; 0 is no limit", f.count, f.cut)
	}
	printer, err := a.recordPrinter(f)
	if err != nil {
		return err
	}
	s, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer s.client.Close()
	plan, err := s.planConsume(topics, f)
	if err != nil {
		return s.client.Explain(err)
	}
	reader, err := a.open(cmd, plan.options...)
	if err != nil {
		return err
	}
	defer reader.client.Close()
	out := bufio.NewWriter(a.Stdout)
	err = reader.readRecords(plan, f, func(r *kgo.Record) error { return printer(out, r) }, out.Flush)
	if flushErr := out.Flush(); err == nil && flushErr != nil {
		err = fmt.Errorf("print to stdout: %w", flushErr)
	}
	// Ctrl-C is how one leaves a tail.
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return reader.client.Explain(err)
}

// recordPrinter writes one record in the chosen format.
func (a *App) recordPrinter(f *consumeFlags) (func(*bufio.Writer, *kgo.Record) error, error) {
	format, cut := f.layout, f.cut
	switch {
	case format != "":
	case a.format == formatTail:
		format = layoutTail
		if cut == 0 {
			cut = tailLengthDefault
		}
	case a.format == formatFlag(show.FormatWide):
		format = layoutWide
	case a.format == formatFlag(show.FormatJSON):
		return func(out *bufio.Writer, r *kgo.Record) error { return json.NewEncoder(out).Encode(viewRecord(r)) }, nil
	case a.format == formatFlag(show.FormatYAML):
		return func(out *bufio.Writer, r *kgo.Record) error { return printYAML(out, viewRecord(r)) }, nil
	default:
		format = layoutTail
	}
	l, err := layoutOf(format, f.null, cut)
	if err != nil {
		return nil, err
	}
	return func(out *bufio.Writer, r *kgo.Record) error { return printLayout(out, l, r) }, nil
}

func printLayout(out *bufio.Writer, l *layout.Layout, r *kgo.Record) error {
	_, err := out.Write(l.Append(out.AvailableBuffer(), r))
	return err
}

// printYAML writes one document of a stream.
func printYAML(out *bufio.Writer, view any) error {
	data, err := show.Encode(show.FormatYAML, view)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "---\n%s", data)
	return err
}

func viewRecord(r *kgo.Record) recordView {
	view := recordView{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(),
		Key: textOf(r.Key), Value: textOf(r.Value), Headers: []headerView{},
	}
	for _, h := range r.Headers {
		view.Headers = append(view.Headers, headerView{h.Key, textOf(h.Value)})
	}
	return view
}

func textOf(data []byte) *string {
	if data == nil {
		return nil
	}
	return show.Pointer(strings.ToValidUTF8(string(data), "\uFFFD"))
}

// consumePlan is where to read and where to stop.
type consumePlan struct {
	options []kgo.Opt
	// ends are the offsets to reach with --until-end, of the partitions that have
	// not been read to the end yet.
	ends map[topicPartition]int64
}

func (s *session) planConsume(topics []string, f *consumeFlags) (*consumePlan, error) {
	bounds, err := s.bounds(topics, f.partitions)
	if err != nil {
		return nil, err
	}
	starts, err := s.resolve(bounds, f.offset)
	if err != nil {
		return nil, err
	}
	if f.readCommitted {
		if err := s.endAtStable(bounds, topics); err != nil {
			return nil, err
		}
	}
	plan := &consumePlan{options: []kgo.Opt{kgo.KeepControlRecords(), kgo.FetchMaxWait(time.Second)}}
	if f.readCommitted {
		plan.options = append(plan.options, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	if f.group != "" {
		if f.partitions != "" {
			return nil, problem.Input("--group assigns the partitions itself; leave out --partitions")
		}
		if err := s.startGroup(bounds, starts, f); err != nil {
			return nil, err
		}
		plan.options = append(plan.options, kgo.ConsumeTopics(topics...), kgo.ConsumerGroup(f.group), kgo.AutoCommitMarks())
	} else {
		assigned := map[string]map[int32]kgo.Offset{}
		for _, b := range bounds {
			if assigned[b.topic] == nil {
				assigned[b.topic] = map[int32]kgo.Offset{}
			}
			assigned[b.topic][b.partition] = kgo.NewOffset().At(starts[b.topicPartition])
		}
		plan.options = append(plan.options, kgo.ConsumePartitions(assigned))
	}
	if f.untilEnd {
		plan.ends = map[topicPartition]int64{}
		for _, b := range bounds {
			if starts[b.topicPartition] < b.end {
				plan.ends[b.topicPartition] = b.end
			}
		}
	}
	return plan, nil
}

// endAtStable moves the ends to where open transactions begin.
func (s *session) endAtStable(bounds []partitionBounds, topics []string) error {
	stable, err := s.admin.ListCommittedOffsets(s.ctx, topics...)
	if err != nil {
		return err
	}
	for i, b := range bounds {
		if found, ok := stable.Lookup(b.topic, b.partition); ok && found.Err == nil {
			bounds[i].end = found.Offset
		}
	}
	return nil
}

// startGroup commits the offsets of --offset for the partitions where the group
// has committed nothing, so that all its members begin there. A group that has
// members may not be told so; it goes on by itself.
func (s *session) startGroup(bounds []partitionBounds, starts map[topicPartition]int64, f *consumeFlags) error {
	lag, err := s.groupLag(f.group)
	if err != nil && problem.StatusOf(err) != problem.StatusMissing {
		return err
	}
	if len(lag.Members) > 0 {
		return nil
	}
	commits := kadm.Offsets{}
	for _, b := range bounds {
		if before, ok := committed(lag, b.topicPartition); ok {
			starts[b.topicPartition] = max(before, b.start)
			continue
		}
		commits.Add(kadm.Offset{Topic: b.topic, Partition: b.partition, At: starts[b.topicPartition], LeaderEpoch: -1})
	}
	if len(commits) == 0 {
		return nil
	}
	return s.commit("begin group", f.group, commits)
}

// readRecords prints until it is told to stop, -n records are printed, or all
// ends are reached. Control records are not printed, but an end may be one.
func (s *session) readRecords(plan *consumePlan, f *consumeFlags, print func(*kgo.Record) error, flush func() error) error {
	printed := int64(0)
	for f.count == 0 || printed < f.count {
		if f.untilEnd && len(plan.ends) == 0 {
			break
		}
		fetches, err := s.poll(f)
		if err != nil {
			return err
		}
		if fetches == nil {
			s.note("brokerctl: nothing came for %s before the end was reached; the last offsets may hold no record", s.client.Timeout())
			break
		}
		for iterator := fetches.RecordIter(); !iterator.Done() && (f.count == 0 || printed < f.count); {
			record := iterator.Next()
			at := topicPartition{record.Topic, record.Partition}
			end, open := plan.ends[at]
			if open && record.Offset >= end-1 {
				delete(plan.ends, at)
			}
			if record.Attrs.IsControl() || f.untilEnd && (!open || record.Offset >= end) {
				continue
			}
			if err := print(record); err != nil {
				return fmt.Errorf("print to stdout: %w", err)
			}
			printed++
			if f.group != "" {
				s.client.MarkCommitRecords(record)
			}
		}
		// What has come is shown at once: a tail is watched.
		if err := flush(); err != nil {
			return fmt.Errorf("print to stdout: %w", err)
		}
	}
	if f.group == "" {
		return nil
	}
	if err := s.client.CommitMarkedOffsets(s.ctx); err != nil {
		return s.groupProblem("commit for group", f.group, err)
	}
	return nil
}

// poll waits for records. It gives nil when --until-end waits in vain: the last
// records before an end may have been compacted away.
func (s *session) poll(f *consumeFlags) (kgo.Fetches, error) {
	ctx, cancel := s.ctx, func() {}
	if f.untilEnd {
		ctx, cancel = s.limited()
	}
	defer cancel()
	fetches := s.client.PollFetches(ctx)
	failures := fetches.Errors()
	if len(failures) == 0 {
		return fetches, nil
	}
	failed := failures[0]
	switch {
	case f.untilEnd && s.ctx.Err() == nil && errors.Is(failed.Err, context.DeadlineExceeded):
		return nil, nil
	case errors.Is(failed.Err, context.Canceled):
		return nil, failed.Err
	}
	return nil, s.topicProblem("read topic", failed.Topic, failed.Err, "")
}
