package conn

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// Goal: every frame that a table is given is settled once, and not before its
// request has been answered: the host's bound on memory depends on it. Method:
// frames, answers in any order, and connections that are closed, muted and
// unknown, at random; the bytes that are not settled are those of the requests
// that are handled or wait, and in the end none.
func TestEveryFrameIsSettledOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, c := NewTable(1<<20), &step.Context{Out: &edge.Effects{}}
		owed := 0
		var open []RequestID
		given := func() (bytes int) {
			for _, s := range c.Out.Settled {
				bytes += s.Bytes
			}
			c.Out.Reset()
			return bytes
		}
		held := func() (bytes int) {
			for _, p := range table.slots {
				if p != nil {
					bytes += p.Frame.Len()
				}
			}
			for _, cn := range table.conns {
				for _, f := range cn.waiting {
					bytes += f.Len()
				}
			}
			return bytes
		}
		answer := func(i int) {
			id := open[i]
			open = append(open[:i], open[i+1:]...)
			if rapid.Bool().Draw(t, "disconnect") {
				table.Disconnect(c, id)
			} else {
				table.NoResponse(c, id)
			}
		}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			id := edge.ConnID(rapid.IntRange(1, 4).Draw(t, "connection")) // the last one is never opened
			switch rapid.IntRange(0, 15).Draw(t, "what") {
			case 0:
				if id < 4 && !table.Has(id) {
					table.Opened(&edge.Event{Conn: id})
				}
			case 1:
				table.Closed(c, id)
			case 2:
				table.Mute(c, id)
			case 3, 4:
				if len(open) > 0 {
					answer(rapid.IntRange(0, len(open)-1).Draw(t, "request"))
				}
			default:
				frame := frameOf(1, rapid.SampledFrom([]int{0, 100, 1 << 20, 1<<20 + 1}).Draw(t, "bytes"))
				if rapid.IntRange(0, 20).Draw(t, "cut") == 0 {
					frame = edge.NewBuffer(make([]byte, 3))
				}
				owed += frame.Len()
				table.Frame(c, id, frame)
			}
			ids, _ := take(table)
			open = append(open, ids...)
			if owed -= given(); owed != held() {
				t.Fatalf("%d bytes are not settled, %d are held", owed, held())
			}
		}
		for range 4 { // what has waited is admitted by the answers
			for len(open) > 0 {
				answer(0)
				ids, _ := take(table)
				open = append(open, ids...)
			}
		}
		if owed -= given(); owed != 0 {
			t.Fatalf("%d bytes are not settled in the end", owed)
		}
	})
}
