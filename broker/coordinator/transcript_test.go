package coordinator

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
)

// Goal: the order in which a shard's state and its clients learn of things.
// Method: transcripts against two partitions whose fate the script decides.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		w := newWorld(2)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			w.lines = w.lines[:0]
			shard := 0
			if len(d.CmdArgs) > 0 {
				shard, _ = strconv.Atoi(d.CmdArgs[0].Key)
			}
			w.run(t, d, w.replicas[shard])
			if len(w.lines) == 0 {
				return "ok"
			}
			return strings.Join(w.lines, "\n")
		})
	})
}

func (w *world) run(t *testing.T, d *datadriven.TestData, p *fakeReplica) {
	number := func(name string, otherwise int64) int64 {
		for _, a := range d.CmdArgs {
			if a.Key == name {
				n, err := strconv.ParseInt(a.Vals[0], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
		return otherwise
	}
	switch d.Cmd {
	case "lead": // the state of the log as the election finds it
		p.rep.Leader, p.rep.TopicID = true, w.topic
		p.cold, p.corrupt = d.HasArg("cold"), d.HasArg("corrupt")
		p.rep.HighWatermark = number("mark", p.rep.AppendEnd)
		p.rep.StartOffset = number("start", p.rep.StartOffset)
		p.end = number("written", p.rep.AppendEnd)
		w.apply()
	case "follow":
		p.rep.Leader, p.waiting = false, nil
		w.apply()
	case "recreate":
		w.topic = meta.TopicID{w.topic[0] + 1}
		*p = fakeReplica{key: p.key, rep: Replica{Leader: true, TopicID: w.topic}}
		w.apply()
	case "epoch":
		p.rep.LeaderEpoch++
		w.apply()
	case "start":
		p.rep.StartOffset = number("at", 0)
		w.settle()
	case "warm": // the disk has delivered
		for _, token := range p.readers {
			w.results = append(w.results, partition.InternalResult{Kind: partition.InternalLoaded, Token: token, BaseOffset: -1})
		}
		p.readers = nil
		w.settle()
	case "written":
		p.end = p.rep.AppendEnd
		w.settle()
	case "commit", "doubt":
		p.rep.HighWatermark = p.rep.AppendEnd
		for _, res := range p.waiting {
			res.Error = int16(number("code", 0))
			w.results = append(w.results, res)
		}
		p.waiting = nil
		w.settle()
	case "refuse":
		w.refuse = int16(number("code", 0))
	case "write":
		w.records.Reset()
		for _, line := range strings.Split(d.Input, "\n") {
			if key, value, ok := strings.Cut(line, "="); ok {
				w.records.Put(text(key), text(value))
			} else {
				w.records.Delete(text(key))
			}
		}
		w.r.Write(w.context(), p.key.Index, &w.records, d.CmdArgs[1].Key)
		w.settle()
	case "stray": // a result for nobody
		w.results = append(w.results,
			partition.InternalResult{Kind: partition.InternalAppended, Token: edge.Token{Owner: owner, Kind: tokenWrite, A: 0, B: 999}},
			partition.InternalResult{Kind: partition.InternalAppended, Token: edge.Token{Owner: owner, Kind: tokenWrite, A: 77, B: 1}})
		w.settle()
	case "advance":
		pause, err := time.ParseDuration(d.CmdArgs[1].Key)
		if err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(pause)
		for {
			id, due := w.timers.Pop(w.now)
			if !due {
				break
			}
			if !w.r.Timer(w.context(), id) {
				t.Fatalf("timer %v is nobody's", id)
			}
		}
		w.settle()
	case "show":
		w.show()
	default:
		t.Fatalf("unknown command %q", d.Cmd)
	}
}
