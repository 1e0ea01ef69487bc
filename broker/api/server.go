// Package api owns the meaning of every request: one file per API key, named
// NN_name.go, with the version range in the table below. A handler decodes,
// asks the component that owns the state, and answers; it keeps no state of its
// own beyond requests that wait. A peer's mistake becomes a Kafka error code
// here and nowhere else.
package api

import (
	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/listener"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Key describes one API key that a broker serves on its client listener.
type Key struct {
	Key      int16
	Min, Max int16 // versions advertised and accepted
	handle   func(s *Server, c *step.Context, r *conn.Request)
}

// Keys is the table of the API: what is served, and what ApiVersions says.
// Produce advertises 0 though only 3 and later are accepted: librdkafka would
// otherwise drop compression (KAFKA-18659). JoinGroup starts at 0 again since
// 4.1 (KAFKA-19444). What right each key needs is in access_test.go.
func Keys() []Key { return keys[:] }

var keys []Key

func init() {
	keys = []Key{
		{0, 0, 13, func(s *Server, c *step.Context, r *conn.Request) { s.data.Produce(c, r) }},
		{1, 4, 18, func(s *Server, c *step.Context, r *conn.Request) { s.data.Fetch(c, r) }},
		{2, 1, 11, func(s *Server, c *step.Context, r *conn.Request) { s.data.ListOffsets(c, r) }},
		{3, 0, 13, (*Server).metadata},
		{8, 2, 10, func(s *Server, c *step.Context, r *conn.Request) { s.groups.OffsetCommit(c, r) }},
		{9, 1, 10, func(s *Server, c *step.Context, r *conn.Request) { s.groups.OffsetFetch(c, r) }},
		{10, 0, 6, (*Server).findCoordinator},
		{11, 0, 9, func(s *Server, c *step.Context, r *conn.Request) { s.groups.JoinGroup(c, r) }},
		{12, 0, 4, func(s *Server, c *step.Context, r *conn.Request) { s.groups.Heartbeat(c, r) }},
		{13, 0, 5, func(s *Server, c *step.Context, r *conn.Request) { s.groups.LeaveGroup(c, r) }},
		{14, 0, 5, func(s *Server, c *step.Context, r *conn.Request) { s.groups.SyncGroup(c, r) }},
		{15, 0, 6, func(s *Server, c *step.Context, r *conn.Request) { s.groups.DescribeGroups(c, r) }},
		{16, 0, 5, func(s *Server, c *step.Context, r *conn.Request) { s.groups.ListGroups(c, r) }},
		{17, 0, 1, (*Server).saslHandshake},
		{18, 0, 5, (*Server).apiVersions},
		{19, 2, 7, (*Server).forward},
		{20, 1, 6, (*Server).forward},
		{21, 0, 2, func(s *Server, c *step.Context, r *conn.Request) { s.data.DeleteRecords(c, r) }},
		{22, 0, 5, (*Server).initProducerID},
		{23, 2, 4, func(s *Server, c *step.Context, r *conn.Request) { s.data.OffsetForLeaderEpoch(c, r) }},
		{29, 1, 3, (*Server).describeACLs},
		{30, 1, 3, (*Server).forward},
		{31, 1, 3, (*Server).forward},
		{32, 1, 4, (*Server).describeConfigs},
		{33, 0, 2, (*Server).alterConfigs},
		{35, 1, 5, (*Server).describeLogDirs},
		{36, 0, 2, (*Server).saslAuthenticate},
		{37, 0, 3, (*Server).forward},
		{42, 0, 3, func(s *Server, c *step.Context, r *conn.Request) { s.groups.DeleteGroups(c, r) }},
		{43, 0, 2, (*Server).forward},
		{44, 0, 1, (*Server).incrementalAlterConfigs},
		{45, 0, 1, (*Server).forward},
		{46, 0, 0, (*Server).forward},
		{47, 0, 0, func(s *Server, c *step.Context, r *conn.Request) { s.groups.OffsetDelete(c, r) }},
		{50, 0, 0, (*Server).describeUserScramCredentials},
		{51, 0, 0, (*Server).forward},
		{55, 0, 2, (*Server).forward},
		{57, 0, 2, (*Server).forward},
		{60, 0, 2, (*Server).describeCluster},
		{61, 0, 0, (*Server).describeProducers},
		{64, 0, 0, (*Server).forward},
		{74, 0, 1, (*Server).listConfigResources},
		{75, 0, 0, (*Server).describeTopicPartitions},
	}
	for i := range keys {
		byKey[keys[i].Key] = &keys[i]
	}
}

var byKey [kmsg.MaxKey + 1]*Key

// Self is what a broker says about itself.
type Self struct {
	NodeID    int32
	ClusterID string
	LogDir    string // as DescribeLogDirs names the data directory
	Listeners []listener.Listener
}

// Controllers is what the server tells and asks about controllers.
type Controllers interface {
	Controller() caller.NodeID
	ControllerFailed(id caller.NodeID)
}

// Server answers the requests of a broker's client listener.
type Server struct {
	self        Self
	cfg         config.Broker
	overrides   []config.KV // the node's own properties as configured, for DescribeConfigs
	image       *meta.Image
	responder   conn.Responder
	sender      caller.Sender
	controllers Controllers
	data        *Data
	groups      Groups
	gate        *security.Gate
	producerIDs producerIDs
	forwards    forwards
	logDirs     []logDirsWait     // in the order in which the volume has been asked for
	creating    map[string]uint64 // topics whose automatic creation has been asked for
	nextToken   uint64
	// structureBytesMax bounds what is decoded of a request; see wire.StructureBytesMax.
	structureBytesMax int
}

// Groups is the group coordinator's door: the handlers of its API keys.
type Groups interface {
	OffsetCommit(c *step.Context, r *conn.Request)
	OffsetFetch(c *step.Context, r *conn.Request)
	JoinGroup(c *step.Context, r *conn.Request)
	Heartbeat(c *step.Context, r *conn.Request)
	LeaveGroup(c *step.Context, r *conn.Request)
	SyncGroup(c *step.Context, r *conn.Request)
	DescribeGroups(c *step.Context, r *conn.Request)
	ListGroups(c *step.Context, r *conn.Request)
	DeleteGroups(c *step.Context, r *conn.Request)
	OffsetDelete(c *step.Context, r *conn.Request)
}

// NewServer returns a server that answers through the responder.
func NewServer(self Self, cfg config.Broker, overrides []config.KV, responder conn.Responder, sender caller.Sender,
	controllers Controllers, data *Data, groups Groups,
) *Server {
	return &Server{
		self: self, cfg: cfg, overrides: overrides, image: meta.Empty(), responder: responder, sender: sender,
		controllers: controllers, data: data, groups: groups,
		forwards: newForwards(), creating: make(map[string]uint64), structureBytesMax: wire.StructureBytesMin,
	}
}

// SetInFlightBytes says how much memory is for requests in flight, of which what one
// of them decodes to is a part.
func (s *Server) SetInFlightBytes(n int64) { s.structureBytesMax = wire.StructureBytesMax(n) }

// SetImage makes the server answer from a newer image.
func (s *Server) SetImage(image *meta.Image) {
	s.image = image
	s.gate.SetBindings(image.ACLs)
}

// SetGate names who decides what clients may do; nil lets everybody. The
// partitions and groups have the same.
func (s *Server) SetGate(g *security.Gate) { s.gate, s.data.gate = g, g }

// Handle answers a request now or later. The request must not be used after
// Handle, since an answered request is reused.
func (s *Server) Handle(c *step.Context, r *conn.Request) {
	var k *Key
	if r.Key >= 0 && r.Key <= kmsg.MaxKey {
		k = byKey[r.Key]
	}
	if k == nil {
		c.Logf(edge.Warn, "closing connection of %s: API key %d is not served", r.Peer, r.Key)
		s.responder.Disconnect(c, r.ID)
		return
	}
	if r.Version < k.Min || r.Version > k.Max {
		if r.Key == int16(kmsg.ApiVersions) {
			s.apiVersionsUnsupported(c, r)
			return
		}
		c.Logf(edge.Warn, "closing connection of %s: %s version %d is not in %d..%d",
			r.Peer, kmsg.NameForKey(r.Key), r.Version, k.Min, k.Max)
		s.responder.Disconnect(c, r.ID)
		return
	}
	if r.Key != wire.KeyProduce && len(r.Body) > s.structureBytesMax {
		c.Logf(edge.Warn, "closing connection of %s: %s has %d bytes, at most %d are decoded: ask for less at a time, or raise queued.max.request.bytes to %d times that",
			r.Peer, kmsg.NameForKey(r.Key), len(r.Body), s.structureBytesMax, wire.StructureExpansionMax)
		s.responder.Disconnect(c, r.ID)
		return
	}
	k.handle(s, c, r)
}

// decode reads the request's body; if it cannot be read the connection is
// closed, as Kafka does, and false returned.
func decode(s conn.Responder, c *step.Context, r *conn.Request, into kmsg.Request) bool {
	into.SetVersion(r.Version)
	if err := into.ReadFrom(r.Body); err != nil {
		c.Logf(edge.Warn, "closing connection of %s: %s version %d: %v", r.Peer, kmsg.NameForKey(r.Key), r.Version, err)
		s.Disconnect(c, r.ID)
		return false
	}
	return true
}

// endpoint is where a broker is reached by whoever has asked through one of our
// listeners: under the same name (KIP-103). A broker that has no listener of
// that name does not exist for the client.
func (s *Server) endpoint(b *meta.Broker, asked edge.Listener) (meta.Endpoint, bool) {
	return b.Endpoint(s.self.Listeners[asked].Name)
}
