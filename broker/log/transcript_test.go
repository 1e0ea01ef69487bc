package log

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// Goal: what a log does and what it asks of the disk reads as a story.
// Method: datadriven commands against one Manager on a disk in memory; "ops"
// shows the operations that a command caused, in the order of submission.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		var r *rig
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "new" {
				cfg := testConfig()
				scan(d, "segment-bytes", &cfg.TopicDefaults.SegmentBytes)
				scan(d, "index-interval", &cfg.TopicDefaults.IndexIntervalBytes)
				scan(d, "flush-messages", &cfg.TopicDefaults.FlushMessages)
				scan(d, "retention-ms", &cfg.TopicDefaults.RetentionMillis)
				scan(d, "retention-bytes", &cfg.TopicDefaults.RetentionBytes)
				scan(d, "flush-ms", &cfg.TopicDefaults.FlushMillis)
				if d.HasArg("compact") {
					cfg.TopicDefaults.CleanupPolicy = config.CleanupCompact
				}
				cfg.TopicDefaults.Preallocate = d.HasArg("preallocate")
				r = newRig(cfg)
				r.create()
				if !d.HasArg("hold") {
					r.settle()
				}
				return r.state()
			}
			return r.command(t, d)
		})
	})
}

func scan(d *datadriven.TestData, key string, into *int64) {
	for _, a := range d.CmdArgs {
		if a.Key == key {
			if _, err := fmt.Sscan(a.Vals[0], into); err != nil {
				panic(fmt.Sprintf("%s: %s: %v", d.Pos, key, err))
			}
		}
	}
}

func argument(d *datadriven.TestData, key string) int64 {
	n := int64(0)
	scan(d, key, &n)
	return n
}

func (r *rig) command(t *testing.T, d *datadriven.TestData) string {
	before := len(r.disk.submitted)
	var out string
	switch d.Cmd {
	case "append", "follow":
		out = r.appendCommand(d)
	case "settle", "settle-logs", "checkpoint", "disk":
		r.diskCommand(d)
	case "checkpoint-starts": // as DeleteRecords does
		r.m.CheckpointStarts(&r.c)
		r.collect()
	case "read":
		out = r.readCommand(d)
	case "truncate":
		r.log().TruncateTo(&r.c, argument(d, "to"))
		r.collect()
	case "start-over":
		r.log().TruncateFullyAndStartAt(&r.c, argument(d, "at"))
		r.collect()
	case "advance-start":
		r.log().AdvanceStart(&r.c, argument(d, "to"))
		r.collect()
	case "hw":
		r.log().SetHighWatermark(argument(d, "at"))
	case "assign-epoch":
		r.log().AssignEpoch(&r.c, int32(argument(d, "epoch")), argument(d, "start"))
		r.collect()
	case "epoch-end":
		e, o := r.log().EndOffsetForEpoch(int32(argument(d, "epoch")))
		return fmt.Sprintf("epoch %d ends at %d\n", e, o)
	case "flush":
		r.log().Flush(&r.c)
		r.collect()
	case "time":
		r.advance(time.Duration(argument(d, "s")) * time.Second)
	case "retention":
		r.log().Retention(&r.c)
		r.collect()
	case "delete":
		r.m.Delete(&r.c, thePartition)
		r.collect()
	case "create":
		r.create()
	case "fail":
		r.disk.fail = edge.DiskOpKind(argument(d, "op"))
		return ""
	case "restart":
		for _, how := range []string{"kill", "power", "clean"} {
			if d.HasArg(how) {
				r.restart(how)
			}
		}
	case "pad":
		// What Kafka leaves of a preallocated file when it is killed.
		for _, file := range d.CmdArgs[1:] {
			f := r.disk.entries[file.Key]
			f.data = append(f.data, make([]byte, argument(d, "bytes"))...)
		}
	case "files":
		return r.files(d)
	default:
		t.Fatalf("unknown command %q", d.Cmd)
	}
	for _, line := range r.disk.submitted[before:] {
		if !slices.Contains([]string{"disk", "settle", "settle-logs", "checkpoint", "time", "restart"}, d.Cmd) {
			out += "  " + line + "\n"
		}
	}
	return out + r.state()
}

// diskCommand performs some of what has been asked for.
func (r *rig) diskCommand(d *datadriven.TestData) {
	switch d.Cmd {
	case "settle":
		r.settle()
	case "settle-logs":
		r.settleLogs()
	case "checkpoint": // one of them is written
		r.one(slices.Index(r.disk.queues, r.m.queue))
	case "disk":
		for range max(1, argument(d, "n")) {
			r.one(0)
		}
	}
}

// settleLogs performs everything but the writing of checkpoints.
func (r *rig) settleLogs() {
	for i := r.logQueue(); i >= 0; i = r.logQueue() {
		r.one(i)
	}
}

// logQueue is a busy queue that is not the checkpoints', or -1.
func (r *rig) logQueue() int {
	return slices.IndexFunc(r.disk.queues, func(q edge.QueueID) bool { return q != r.m.queue })
}

func (r *rig) appendCommand(d *datadriven.TestData) (out string) {
	for range max(1, argument(d, "n")) {
		o := batchOptions{
			records: int(argument(d, "records")), bytes: int(argument(d, "bytes")), producer: argument(d, "producer"),
			epoch: int16(argument(d, "producer-epoch")), sequence: int32(argument(d, "sequence")),
			base: argument(d, "base"), leader: int32(argument(d, "epoch")), timestamp: argument(d, "timestamp"),
		}
		if d.Cmd == "follow" {
			if err := r.appendFollower(o); err != nil {
				return fmt.Sprintf("error: %v\n", err)
			}
			continue
		}
		info, err := r.append(o, o.leader)
		if err != nil {
			out += fmt.Sprintf("error: %v", err)
			if errors.Is(err, ErrDuplicate) {
				out += fmt.Sprintf(" (%d to %d)", info.BaseOffset, info.LastOffset)
			}
			return out + "\n"
		}
		out += fmt.Sprintf("%d to %d\n", info.BaseOffset, info.LastOffset)
	}
	return out
}

func (r *rig) readCommand(d *datadriven.TestData) string {
	l := r.log()
	limit := l.EndOffset()
	scan(d, "limit", &limit)
	res := l.Read(&r.c, argument(d, "from"), int(argument(d, "max")), limit, d.HasArg("min-one"), nil)
	r.collect()
	if res.Err != nil {
		return fmt.Sprintf("error: %v\n", res.Err)
	}
	if res.Loading {
		return "loading\n"
	}
	return fmt.Sprintf("%d bytes in %d slices, next %d\n", res.Bytes, len(res.Slices), res.Next)
}

// state shows the log's offsets and the changes since the last command.
func (r *rig) state() string {
	var b strings.Builder
	for _, c := range r.changes {
		fmt.Fprintf(&b, "change: %s\n", c.Kind)
	}
	r.changes = r.changes[:0]
	if r.out.Halt != "" {
		fmt.Fprintf(&b, "HALT: %s\n", r.out.Halt)
	}
	l := r.log()
	if l == nil {
		return b.String() + "no log\n"
	}
	fmt.Fprintf(&b, "start %d flushed %d hw %d end %d append %d segments", l.start, l.flushed, l.highWatermark, l.end, l.appendEnd)
	for _, s := range l.segments {
		fmt.Fprintf(&b, " %d", s.base)
	}
	if !l.Usable() {
		b.WriteString(" REBUILDING")
	}
	return b.String() + "\n"
}

func (r *rig) files(d *datadriven.TestData) string {
	var lines []string
	for p, f := range r.disk.entries {
		if f == nil {
			lines = append(lines, p+"/")
			continue
		}
		line := fmt.Sprintf("%s %d", p, len(f.data))
		if d.HasArg("text") && !strings.Contains(p, "/0") {
			line += " " + strings.ReplaceAll(string(f.data), "\n", "|")
		}
		lines = append(lines, line)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n") + "\n"
}

// describe is an operation as a transcript shows it.
func describe(op *edge.DiskOp) string {
	n := 0
	for _, s := range op.Data {
		n += s.Len()
	}
	line := fmt.Sprintf("%s %s", op.Kind, op.Path)
	switch op.Kind {
	case edge.OpWrite:
		line = fmt.Sprintf("write at %d, %d bytes in %d slices", op.Offset, n, len(op.Data))
	case edge.OpRead:
		line = fmt.Sprintf("read at %d, %d bytes", op.Offset, op.Length)
	case edge.OpTruncate, edge.OpAllocate:
		line = fmt.Sprintf("%s to %d", op.Kind, op.Length)
	case edge.OpReplaceFile:
		line += fmt.Sprintf(", %d bytes", n)
	case edge.OpRename:
		line += " to " + op.NewPath
	}
	return strings.TrimSpace(line)
}

func (d *memDisk) pendingOps() (out []string) {
	for _, q := range d.queues {
		for i := range d.pending[q] {
			out = append(out, describe(&d.pending[q][i]))
		}
	}
	return out
}
