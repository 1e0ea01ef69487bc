package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/layout"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// lineBytesMax bounds a record that is read, at Kafka's own largest request.
	lineBytesMax = 100 << 20
	// readerBuffer is how much of stdin is read at a time.
	readerBuffer = 64 << 10
)

// produceFlags say what is written and how.
type produceFlags struct {
	key, layout string
	keyGiven    bool
	partition   int32
	headers     []string
	tombstone   bool
	acks        choiceFlag
	compression choiceFlag
	quiet       bool
}

func (f *produceFlags) addTo(cmd *cobra.Command) {
	f.acks = choiceFlag{"all", []string{"all", "1", "0"}}
	f.compression = choiceFlag{"snappy", []string{"none", "gzip", "snappy", "lz4", "zstd"}}
	set := cmd.Flags()
	set.SortFlags = false
	set.StringVarP(&f.key, "key", "k", "", "`key` of the records; without it they have none")
	set.Int32VarP(&f.partition, "partition", "p", -1, "`number` of the partition; -1 goes by the key")
	set.StringArrayVarP(&f.headers, "header", "H", nil, "`key=value` of a header; may be repeated")
	set.BoolVarP(&f.tombstone, "tombstone", "Z", false, "write a null value, which deletes the key from a compacted topic")
	set.StringVarP(&f.layout, "layout", "f", `%v\n`, "how stdin is cut into records: `format` of %k %v %h %p %t with \\n \\t \\xNN, such as '%k:%v\\n'")
	set.Var(&f.acks, "acks", "whose receipt to wait for")
	set.Var(&f.compression, "compression", "how batches are compressed")
	set.BoolVarP(&f.quiet, "quiet", "q", false, "do not print where each record went")
}

// producedRow is the receipt of one record.
type producedRow struct {
	Topic     string `json:"topic" doc:"name of the topic"`
	Partition int32  `json:"partition" doc:"number of the partition"`
	Offset    int64  `json:"offset" doc:"offset of the record; -1 with --acks 0"`
	Timestamp int64  `json:"timestamp" doc:"its time in milliseconds since 1970"`
}

func (a *App) produceCommand() *cobra.Command {
	var f produceFlags
	cmd := &cobra.Command{
		Use: "produce TOPIC [VALUE...]", Short: "Write records: each argument, or each line of stdin", Args: atLeastOne("TOPIC"),
		ValidArgsFunction: first(a.completeTopics),
		Long: `Write records to a topic: one for each argument after the topic or, without one,
for each line of stdin. A producer with acks=all and idempotence writes them, so
none is lost or stored twice when a broker fails on the way. Topic, partition and
offset of each record are printed when it is acknowledged; --format json prints one
object a line. The first record that cannot be written ends the command with an error.`,
		Example: "  brokerctl produce orders hello --key 17\n  echo 17:hello | brokerctl produce orders -f '%k:%v\\n'\n  brokerctl produce state --key 17 --tombstone",
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.format == formatTail {
				return problem.Input("--format tail is for consume only")
			}
			if cmd.Flags().Changed("layout") && len(args) > 1 {
				return problem.Input("--layout says how stdin is cut, and the values are given as arguments; leave out one of them")
			}
			f.keyGiven = cmd.Flags().Changed("key")
			return a.produce(cmd, args[0], args[1:], &f)
		},
	}
	a.shows(cmd, "produce", producedRow{})
	f.addTo(cmd)
	return cmd
}

// produce checks topic and partition first, since a client retries unknown ones.
func (a *App) produce(cmd *cobra.Command, topic string, values []string, f *produceFlags) error {
	source, err := a.recordSource(topic, values, f)
	if err != nil {
		return err
	}
	s, err := a.open(cmd, f.options(topic)...)
	if err != nil {
		return err
	}
	defer s.client.Close()
	details, err := s.lookupTopics([]string{topic})
	if err != nil {
		return s.client.Explain(err)
	}
	if n := len(details[0].Partitions); f.partition < -1 || int(f.partition) >= n {
		return problem.Missing("topic %q has no partition %d; it has %d, counted from 0", topic, f.partition, n)
	}
	writer := &recordWriter{s: s, topic: topic, quiet: f.quiet, unasked: f.acks.value == "0", out: bufio.NewWriter(a.Stdout)}
	writer.ctx, writer.stop = context.WithCancelCause(s.ctx)
	defer writer.stop(nil)
	writer.silence = time.AfterFunc(s.client.Timeout(), writer.giveUp)
	defer writer.silence.Stop()
	err = writer.writeAll(source)
	if flushErr := writer.out.Flush(); flushErr != nil {
		return fmt.Errorf("print to stdout: %w", flushErr)
	}
	return s.client.Explain(err)
}

func (f *produceFlags) options(topic string) []kgo.Opt {
	out := []kgo.Opt{kgo.DefaultProduceTopic(topic), kgo.AllowIdempotentProduceCancellation()}
	switch f.acks.value {
	case "1":
		out = append(out, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	case "0":
		out = append(out, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	}
	if f.partition >= 0 {
		out = append(out, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	codec := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[f.compression.value]
	return append(out, kgo.ProducerBatchCompression(codec))
}

// recordSource gives one record after the other and then io.EOF.
func (a *App) recordSource(topic string, values []string, f *produceFlags) (func() (*kgo.Record, error), error) {
	pairs, err := keyValues("--header", f.headers)
	if err != nil {
		return nil, err
	}
	finish := func(r *kgo.Record) *kgo.Record {
		r.Topic = topic
		if r.Timestamp.IsZero() {
			r.Timestamp = a.Now()
		}
		if f.partition >= 0 {
			r.Partition = f.partition
		}
		if f.keyGiven {
			r.Key = []byte(f.key)
		}
		for _, pair := range pairs {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: pair[0], Value: []byte(pair[1])})
		}
		return r
	}
	switch {
	case f.tombstone && len(values) > 0:
		return nil, problem.Input("--tombstone writes a null value; leave out %q", values[0])
	case f.tombstone && !f.keyGiven:
		return nil, problem.Input("--tombstone deletes a key; say which with --key")
	case f.tombstone:
		return once(finish(&kgo.Record{})), nil
	case len(values) > 0:
		return func() (*kgo.Record, error) {
			if len(values) == 0 {
				return nil, io.EOF
			}
			value := values[0]
			values = values[1:]
			return finish(&kgo.Record{Value: []byte(value)}), nil
		}, nil
	}
	if f.layout == `%v\n` {
		return lines(a.Stdin, finish), nil
	}
	in := io.Reader(bufio.NewReaderSize(a.Stdin, readerBuffer))
	if strings.HasSuffix(f.layout, `\n`) {
		in = &lastLine{in: in}
	}
	reader, err := kgo.NewRecordReader(in, f.layout)
	if err != nil {
		return nil, problem.Input("--layout %q: %w", f.layout, err)
	}
	return func() (*kgo.Record, error) {
		r, err := reader.ReadRecord()
		if err != nil {
			return nil, err
		}
		return finish(r), nil
	}, nil
}

// lastLine adds the line break that the last line of a file may lack, without
// which franz-go would call the last record cut off.
type lastLine struct {
	in    io.Reader
	last  byte
	ended bool
}

func (l *lastLine) Read(p []byte) (int, error) {
	if l.ended {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := l.in.Read(p)
	if n > 0 {
		l.last = p[n-1]
	}
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	l.ended = true
	if n == 0 && l.last != 0 && l.last != '\n' {
		p[0] = '\n'
		return 1, nil
	}
	// What came with the end is given first; the line break follows.
	l.ended = n == 0
	return n, nil
}

func once(record *kgo.Record) func() (*kgo.Record, error) {
	done := false
	return func() (*kgo.Record, error) {
		if done {
			return nil, io.EOF
		}
		done = true
		return record, nil
	}
}

// lines gives each line of a reader as a value, the last one also without a
// line break. franz-go's reader would reject that.
func lines(in io.Reader, finish func(*kgo.Record) *kgo.Record) func() (*kgo.Record, error) {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 0, readerBuffer), lineBytesMax)
	return func() (*kgo.Record, error) {
		if scanner.Scan() {
			return finish(&kgo.Record{Value: []byte(scanner.Text())}), nil
		}
		if err := scanner.Err(); err != nil {
			return nil, fmt.Errorf("a line of more than %d MiB, or stdin failed: %w", lineBytesMax>>20, err)
		}
		return nil, io.EOF
	}
}

// recordWriter sends records and prints where they went.
type recordWriter struct {
	s     *session
	topic string
	quiet bool
	// unasked is --acks 0: no receipt comes.
	unasked bool
	ctx     context.Context
	stop    context.CancelCauseFunc
	out     *bufio.Writer

	// The client tries for ever to write a record, since it may be a part of
	// what is stored already; silence ends the command instead.
	inFlight atomic.Int64
	silence  *time.Timer
}

// send hands a record to the client and begins to listen for silence.
func (w *recordWriter) send(record *kgo.Record) {
	if w.inFlight.Add(1) == 1 {
		w.silence.Reset(w.s.client.Timeout())
	}
	w.s.client.Produce(w.ctx, record, w.acknowledged)
}

// giveUp ends the command when records wait and none was acknowledged for the
// time that a request may take.
func (w *recordWriter) giveUp() {
	if w.inFlight.Load() > 0 {
		w.stop(w.failure(kgo.ErrRecordTimeout))
	}
}

// acknowledged is called for each record when its fate is known. The client
// calls it for one record at a time.
func (w *recordWriter) acknowledged(r *kgo.Record, err error) {
	w.inFlight.Add(-1)
	w.silence.Reset(w.s.client.Timeout())
	receipt := producedRow{r.Topic, r.Partition, r.Offset, r.Timestamp.UnixMilli()}
	if w.unasked {
		receipt.Offset = -1 // nobody told it
	}
	switch {
	case err != nil:
		w.stop(w.failure(err))
		return
	case w.quiet:
		return
	case w.s.format == formatFlag(show.FormatJSON):
		err = json.NewEncoder(w.out).Encode(receipt)
	case w.s.format == formatFlag(show.FormatYAML):
		err = printYAML(w.out, receipt)
	case w.s.format == formatFlag(show.FormatWide):
		_, err = fmt.Fprintf(w.out, "%s %d %d %s\n", receipt.Topic, receipt.Partition, receipt.Offset, show.Instant(receipt.Timestamp))
	default:
		_, err = fmt.Fprintf(w.out, "%s %d %d\n", receipt.Topic, receipt.Partition, receipt.Offset)
	}
	if err != nil {
		w.stop(fmt.Errorf("print to stdout: %w", err))
	}
}

func (w *recordWriter) failure(err error) error {
	switch {
	case errors.Is(err, kgo.ErrRecordTimeout), errors.Is(err, kgo.ErrRecordRetries):
		return problem.Unreachable("write to topic %q: no receipt within %s; brokerctl cluster health says more", w.topic, w.s.client.Timeout())
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return problem.Missing("write to topic %q: it was deleted meanwhile", w.topic)
	}
	return w.s.topicProblem("write to topic", w.topic, err, "")
}

// writeAll sends everything that the source gives. The client's own bound on
// records in flight slows down a source that is faster than the cluster.
func (w *recordWriter) writeAll(source func() (*kgo.Record, error)) error {
	for n := 1; ; n++ {
		record, err := source()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return problem.Input("record %d of stdin: %w", n, err)
		}
		w.send(record)
		if w.ctx.Err() != nil {
			break
		}
	}
	flushErr := w.s.client.Flush(w.ctx)
	if cause := context.Cause(w.ctx); cause != nil {
		return cause
	}
	return flushErr
}

// layoutOf reads a format of records for printing.
func layoutOf(format, null string, cut int) (*layout.Layout, error) {
	l, err := layout.New(format, null, cut)
	if err != nil {
		return nil, problem.Input("--layout: %w; brokerctl consume --help lists the verbs", err)
	}
	return l, nil
}
