package broker

import (
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/controller"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	// metadataWaitMillis is how long the controller may hold a fetch without
	// news, as KRaft's observers ask for.
	metadataWaitMillis = 500
	// metadataTimeout is after how long without an answer another controller is
	// asked: controller.quorum.fetch.timeout.ms.
	metadataTimeout = 2 * time.Second
	metadataBackoff = 20 * time.Millisecond
)

// metadataFetcher follows the metadata log of the active controller: one long
// poll at a time. It is also how a broker learns who the active controller is.
type metadataFetcher struct {
	nodeID      int32
	incarnation [16]byte
	caller      *caller.Caller
	follower    *meta.Follower
	response    meta.FetchResponse
}

func newMetadataFetcher(nodeID int32, incarnation [16]byte, k *caller.Caller) *metadataFetcher {
	return &metadataFetcher{nodeID: nodeID, incarnation: incarnation, caller: k, follower: meta.NewFollower()}
}

func (m *metadataFetcher) image() *meta.Image { return m.follower.Image() }

func (m *metadataFetcher) start(c *step.Context) { m.fetch(c) }

func (m *metadataFetcher) timer(c *step.Context) { m.fetch(c) }

func (m *metadataFetcher) fetch(c *step.Context) {
	req := m.follower.Request(m.nodeID, m.incarnation, metadataWaitMillis)
	m.caller.Send(c, caller.Call{
		To: caller.ActiveController, Channel: caller.ChannelMetadata, Key: controller.KeyMetadataFetch,
		Body: req.AppendTo(nil), Token: edge.Token{Owner: step.OwnerMetadata}, Timeout: metadataTimeout,
	})
}

func (m *metadataFetcher) later(c *step.Context) {
	c.Timers.Set(timer.ID{Owner: step.OwnerMetadata}, c.Now.Add(metadataBackoff))
}

// reply tells whether there is a newer image.
func (m *metadataFetcher) reply(c *step.Context, r *caller.Reply) bool {
	if r.Status != caller.OK {
		m.caller.ControllerFailed(r.From)
		m.later(c)
		return false
	}
	m.response = meta.FetchResponse{Batches: m.response.Batches[:0]}
	if err := m.response.ReadFrom(r.Body); err != nil {
		c.Logf(edge.Error, "metadata fetch from controller %d: %v", r.From, err)
		m.later(c)
		return false
	}
	if m.response.ErrorCode != 0 {
		m.caller.ControllerFailed(r.From)
		if m.response.ErrorCode == kerr.NotController.Code && m.response.Controller >= 0 && m.response.Controller != r.From {
			m.caller.SetActiveController(m.response.Controller)
		}
		m.later(c)
		return false
	}
	m.caller.SetActiveController(r.From)
	changed, err := m.follower.Feed(&m.response)
	if err != nil {
		c.Logf(edge.Error, "metadata from controller %d: %v", r.From, err)
		m.later(c)
		return false
	}
	m.fetch(c)
	return changed
}
