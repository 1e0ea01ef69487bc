package controller

import (
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	// fetchesMax bounds the brokers that wait for news; the next one is answered
	// at once, without news, and asks again.
	fetchesMax = 1024
	// fetchBytesMax bounds the entries of one answer; one entry always fits.
	fetchBytesMax = 1 << 20
	// fetchWaitMax bounds what a broker may ask for.
	fetchWaitMax = 30 * time.Second
)

// metadataFetch is a broker's long poll that waits for a commit.
type metadataFetch struct {
	id       conn.RequestID
	last     int64
	deadline clock.Instant
}

// fetch serves the committed log to brokers. Only the active controller does:
// it has applied all that any controller before it may have shown.
func (k *Controller) fetch(c *step.Context, r *conn.Request) {
	var req meta.FetchRequest
	if err := req.ReadFrom(r.Body); err != nil || r.Version != 0 {
		c.Logf(edge.Warn, "controller: metadata fetch from %s: version %d: %v", r.Peer, r.Version, err)
		k.responder.Disconnect(c, r.ID)
		return
	}
	wait := min(millis(int64(req.MaxWaitMillis)), fetchWaitMax)
	if k.active == nil || k.halted || req.LastOffset < k.applied || wait <= 0 || len(k.fetches) >= fetchesMax {
		k.answerFetch(c, r.ID, req.LastOffset)
		return
	}
	k.fetches = append(k.fetches, metadataFetch{r.ID, req.LastOffset, c.Now.Add(wait)})
	k.armFetchTimer(c)
}

// serveFetches answers those who wait for what has just been applied.
func (k *Controller) serveFetches(c *step.Context) {
	waiting := k.fetches[:0]
	for _, f := range k.fetches {
		if f.last >= k.applied {
			waiting = append(waiting, f)
			continue
		}
		k.answerFetch(c, f.id, f.last)
	}
	k.fetches = waiting
}

func (k *Controller) fetchTimer(c *step.Context) {
	waiting := k.fetches[:0]
	for _, f := range k.fetches {
		if c.Now.Before(f.deadline) {
			waiting = append(waiting, f)
			continue
		}
		k.answerFetch(c, f.id, f.last)
	}
	k.fetches = waiting
	k.armFetchTimer(c)
}

func (k *Controller) armFetchTimer(c *step.Context) {
	earliest := clock.Never
	for i := range k.fetches {
		earliest = min(earliest, k.fetches[i].deadline)
	}
	if earliest != clock.Never {
		c.Timers.Set(timer.ID{Owner: step.OwnerController, Kind: timerFetch}, earliest)
	}
}

// endFetches sends everybody to the next controller.
func (k *Controller) endFetches(c *step.Context) {
	for _, f := range k.fetches {
		k.answerFetch(c, f.id, f.last)
	}
	k.fetches = k.fetches[:0]
}

func (k *Controller) answerFetch(c *step.Context, id conn.RequestID, last int64) {
	resp := meta.FetchResponse{Controller: k.quorum.leader, Epoch: k.Term(), Committed: k.applied}
	switch {
	case k.active == nil:
		resp.ErrorCode = kerr.NotController.Code
	case last < k.applied:
		k.fillFetch(&resp, last)
	}
	head := resp.AppendTo(k.responder.ResponseHead(id, c.Out.Head()))
	k.responder.RespondEncoded(c, id, edge.Send{Head: head})
}

func (k *Controller) fillFetch(resp *meta.FetchResponse, last int64) {
	first, err := k.quorum.storage.FirstIndex()
	must(err)
	if last < int64(first)-1 {
		resp.Snapshot = k.image.AppendTo(nil)
		return
	}
	entries, err := k.quorum.storage.Entries(uint64(last)+1, uint64(k.applied)+1, fetchBytesMax)
	must(err)
	for _, e := range entries {
		resp.Batches = append(resp.Batches, meta.FetchedBatch{
			Offset: int64(e.GetIndex()), Epoch: int32(e.GetTerm()), Data: e.GetData(),
		})
	}
}
