package controller

import (
	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A broker's life, as the controller sees it:
//
//	(none) --register--> fenced --caught up--> unfenced --wants to stop--> controlled shutdown
//	fenced <--session timed out, asks for it-- unfenced
//	fenced <--nothing left to lead, all have seen it-- controlled shutdown --> told to stop
//	any --new incarnation registers--> fenced      any --unregister--> (none)

// registerBroker is BrokerRegistration (62). The broker's epoch is the offset
// of its registration record.
func (t *change) registerBroker(req *kmsg.BrokerRegistrationRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.BrokerRegistrationResponse)
	resp.BrokerEpoch = -1
	switch {
	case req.ClusterID != t.k.cfg.ClusterID:
		resp.ErrorCode = kerr.InconsistentClusterID.Code
		return resp
	case req.BrokerID < 0 || !validListeners(req.Listeners):
		resp.ErrorCode = kerr.InvalidRegistration.Code
		return resp
	}
	for i := range req.Features {
		f := &req.Features[i]
		if level := t.image.FeatureLevel(f.Name); level != 0 && (level < f.MinSupportedVersion || level > f.MaxSupportedVersion) {
			resp.ErrorCode = kerr.UnsupportedVersion.Code
			return resp
		}
	}
	old := t.image.Broker(req.BrokerID)
	if old != nil && old.Incarnation != req.IncarnationID && t.k.alive(old, t.c.Now) {
		resp.ErrorCode = kerr.DuplicateBrokerRegistration.Code
		return resp
	}
	r := &meta.RegisterBrokerRecord{
		BrokerID: req.BrokerID, BrokerEpoch: t.offset, IncarnationID: req.IncarnationID,
		Fenced: true,
	}
	for i := range req.Listeners {
		l := &req.Listeners[i]
		r.Endpoints = append(r.Endpoints, meta.Endpoint{Name: l.Name, Host: l.Host, Port: int32(l.Port), Protocol: l.SecurityProtocol})
	}
	if req.Rack != nil {
		r.Rack = *req.Rack
	}
	switch {
	case old != nil && old.Incarnation == req.IncarnationID:
		// The same process has lost the answer to its first attempt (KAFKA-16952).
		r.BrokerEpoch, r.Fenced, r.InControlledShutdown = old.Epoch, old.Fenced, old.InControlledShutdown
	case old != nil && req.Version >= 3 && req.PreviousBrokerEpoch == old.Epoch:
		t.changePartitions(transition{removed: old.ID, unclean: nobody, added: nobody})
	default:
		// It cannot show the epoch under which it last ran, so it did not stop
		// cleanly, and may have lost records that it had acknowledged (KIP-966).
		// Without a registration there is no telling at all.
		if old != nil {
			t.c.Logf(edge.Warn, "controller: broker %d comes back from an unclean shutdown", old.ID)
		}
		if !t.k.cfg.Broker.Bugs.Has(bugs.TrustUncleanShutdown) {
			t.changePartitions(transition{removed: nobody, unclean: req.BrokerID, added: nobody})
		}
	}
	t.add(r)
	t.k.active.sessions.touch(r.BrokerID, r.BrokerEpoch, t.c.Now)
	resp.BrokerEpoch = r.BrokerEpoch
	return resp
}

// listenersMax bounds the endpoints of one broker.
const listenersMax = 64

// validListeners tells whether a broker can be reached, and by one address
// under each name.
func validListeners(list []kmsg.BrokerRegistrationRequestListener) bool {
	if len(list) == 0 || len(list) > listenersMax {
		return false
	}
	for i := range list {
		if list[i].Port == 0 || list[i].Name == "" {
			return false
		}
		for j := range i {
			if list[j].Name == list[i].Name {
				return false
			}
		}
	}
	return true
}

// heartbeat is BrokerHeartbeat (63).
func (t *change) heartbeat(req *kmsg.BrokerHeartbeatRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.BrokerHeartbeatResponse)
	resp.IsFenced = true
	b := t.image.Broker(req.BrokerID)
	switch {
	case b == nil:
		resp.ErrorCode = kerr.BrokerIDNotRegistered.Code
		return resp
	case b.Epoch != req.BrokerEpoch:
		resp.ErrorCode = kerr.StaleBrokerEpoch.Code
		return resp
	}
	s := t.k.active.sessions.touch(b.ID, b.Epoch, t.c.Now)
	s.offset = req.CurrentMetadataOffset
	// Caught up: it has replayed its own registration, so it knows at least
	// what it is told to lead.
	resp.IsCaughtUp = req.CurrentMetadataOffset >= b.Epoch
	switch {
	case b.Fenced:
		if req.WantShutdown {
			resp.ShouldShutdown = true
		} else if !req.WantFence && resp.IsCaughtUp {
			t.unfence(b)
		}
	case req.WantShutdown:
		resp.ShouldShutdown = t.controlledShutdown(b, s)
	case req.WantFence:
		t.fence(b)
	}
	b = t.image.Broker(b.ID)
	resp.IsFenced = b.Fenced
	t.k.sessionsChanged(t.c)
	return resp
}

func (t *change) fence(b *meta.Broker) {
	t.changePartitions(transition{removed: b.ID, unclean: nobody, added: nobody})
	t.add(&meta.BrokerRegistrationChangeRecord{BrokerID: b.ID, BrokerEpoch: b.Epoch, Fenced: meta.FencingFence})
}

func (t *change) unfence(b *meta.Broker) {
	t.add(&meta.BrokerRegistrationChangeRecord{BrokerID: b.ID, BrokerEpoch: b.Epoch, Fenced: meta.FencingUnfence})
	t.changePartitions(transition{removed: nobody, unclean: nobody, added: b.ID})
}

// controlledShutdown moves leaders away from a broker and tells whether it may
// stop: when it leads nothing and the others have learned of that.
func (t *change) controlledShutdown(b *meta.Broker, s *session) bool {
	if !b.InControlledShutdown {
		t.add(&meta.BrokerRegistrationChangeRecord{
			BrokerID: b.ID, BrokerEpoch: b.Epoch, Fenced: meta.FencingNoChange, InControlledShutdown: true,
		})
		t.changePartitions(transition{removed: b.ID, unclean: nobody, added: nobody})
		s.shutdownOffset = t.offset
	}
	if s.shutdownOffset < 0 { // the previous controller moved the leaders
		s.shutdownOffset = t.offset - 1
	}
	if t.leads(b.ID) || t.lowestActiveOffset() < s.shutdownOffset {
		return false
	}
	t.fence(b)
	return true
}

func (t *change) leads(id int32) bool {
	for _, topic := range t.image.Topics {
		for _, p := range topic.Partitions {
			if p.Leader == id {
				return true
			}
		}
	}
	return false
}

// lowestActiveOffset is how far every active broker has followed the log.
func (t *change) lowestActiveOffset() int64 {
	lowest := t.offset
	for _, b := range t.image.Brokers {
		if s := t.k.active.sessions.get(b.ID); t.image.Active(b.ID) && s != nil {
			lowest = min(lowest, s.offset)
		}
	}
	return lowest
}

// unregisterBroker is UnregisterBroker (64).
func (t *change) unregisterBroker(req *kmsg.UnregisterBrokerRequest) kmsg.Response {
	b := t.image.Broker(req.BrokerID)
	if b == nil {
		return refuse(req, kerr.BrokerIDNotRegistered)
	}
	t.changePartitions(transition{removed: b.ID, unclean: nobody, added: nobody})
	t.add(&meta.UnregisterBrokerRecord{BrokerID: b.ID, BrokerEpoch: b.Epoch})
	return req.ResponseKind()
}

// checkBrokerEpoch keeps requests of an earlier incarnation out.
func (t *change) checkBrokerEpoch(id int32, epoch int64) *kerr.Error {
	b := t.image.Broker(id)
	if b == nil || b.Epoch != epoch {
		return kerr.StaleBrokerEpoch
	}
	return nil
}

// producerIDBlock is how many producer ids a broker gets at a time.
const producerIDBlock = 1000

// allocateProducerIDs is AllocateProducerIds (67).
func (t *change) allocateProducerIDs(req *kmsg.AllocateProducerIDsRequest) kmsg.Response {
	if e := t.checkBrokerEpoch(req.BrokerID, req.BrokerEpoch); e != nil {
		return refuse(req, e)
	}
	resp := req.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
	resp.ProducerIDStart, resp.ProducerIDLen = t.image.NextProducerID, producerIDBlock
	t.add(&meta.ProducerIdsRecord{
		BrokerID: req.BrokerID, BrokerEpoch: req.BrokerEpoch, NextProducerID: t.image.NextProducerID + producerIDBlock,
	})
	return resp
}
