package conn

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
)

// Goal: what one connection makes a node hold is bounded in number and in bytes,
// and within the bounds requests are handed out and answered in order. Method: a
// table, frames of chosen sizes, and answers in another order.

func frameOf(correlation int32, size int) *edge.Buffer {
	b := wire.AppendRequestHeader(nil, &wire.RequestHeader{Key: int16(kmsg.Metadata), CorrelationID: correlation}, false)
	return edge.NewBuffer(append(b, make([]byte, max(0, size-len(b)))...))
}

func opened(t *testing.T) (*Table, *step.Context) {
	t.Helper()
	table := NewTable(1 << 30)
	table.Opened(&edge.Event{Conn: 1})
	return table, &step.Context{Out: &edge.Effects{}}
}

// take hands out what has been admitted.
func take(table *Table) (ids []RequestID, correlations []int32) {
	for {
		r, ok := table.Next()
		if !ok {
			return ids, correlations
		}
		ids, correlations = append(ids, r.ID), append(correlations, r.CorrelationID)
	}
}

func TestBytesOfAConnectionAreBounded(t *testing.T) {
	table, c := opened(t)
	const size = 40 << 20
	table.Frame(c, 1, frameOf(1, size))
	table.Frame(c, 1, frameOf(2, size)) // waits: both would be too much
	table.Frame(c, 1, frameOf(3, 100))  // waits behind it
	first, numbers := take(table)
	if len(first) != 1 || numbers[0] != 1 {
		t.Fatalf("admitted %v, want the first only", numbers)
	}
	table.NoResponse(c, first[0])
	if _, numbers = take(table); len(numbers) != 2 || numbers[0] != 2 || numbers[1] != 3 {
		t.Fatalf("admitted %v behind it, want 2 and 3", numbers)
	}
	table.Frame(c, 1, frameOf(4, size))
	table.Frame(c, 1, frameOf(5, size)) // more than may wait
	if len(c.Out.Close) != 1 || table.Has(1) {
		t.Errorf("closed %v: the connection holds more than it may", c.Out.Close)
	}
}

func TestRequestsOfAConnectionAreBounded(t *testing.T) {
	table, c := opened(t)
	for i := range int32(maxInFlightPerConnection + maxWaitingPerConnection) {
		table.Frame(c, 1, frameOf(i, 0))
	}
	ids, _ := take(table)
	if len(ids) != maxInFlightPerConnection || len(c.Out.Close) != 0 {
		t.Fatalf("%d admitted, closed %v", len(ids), c.Out.Close)
	}
	// The last ones are answered first and leave when the first one is.
	for i := len(ids) - 1; i >= 0; i-- {
		resp := kmsg.NewPtrMetadataResponse()
		resp.SetVersion(0)
		table.Respond(c, ids[i], resp)
	}
	if len(c.Out.Sends) != len(ids) {
		t.Errorf("%d answers have left, want %d", len(c.Out.Sends), len(ids))
	}
	for i := range c.Out.Sends {
		if got := int32(c.Out.Sends[i].Head[7]); got != int32(i) {
			t.Errorf("answer %d is to request %d", i, got)
		}
	}
	for i := range int32(maxInFlightPerConnection + 1) {
		table.Frame(c, 1, frameOf(i, 0))
	}
	if len(c.Out.Close) != 1 {
		t.Errorf("closed %v: more requests wait than may", c.Out.Close)
	}
}
