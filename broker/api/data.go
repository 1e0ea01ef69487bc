package api

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/listener"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
)

// Data answers the requests for records and offsets. It decodes them into the
// partition manager's own structs, and as its Answerer encodes what became of
// them.
type Data struct {
	Partitions *partition.Manager
	Responder  Requests

	listeners   []listener.Listener
	gate        *security.Gate
	produce     wire.ProduceRequest
	produceResp wire.ProduceResponse
	fetch       wire.FetchRequest
	endpoints   []wire.NodeEndpoint
	asked       once
}

// Requests is what Data needs of the table of requests.
type Requests interface {
	conn.Responder
	Listener(id conn.RequestID) edge.Listener
}

// NewData returns the handlers of Produce, Fetch, ListOffsets and
// OffsetForLeaderEpoch, and makes them the manager's Answerer.
func NewData(partitions *partition.Manager, responder Requests, listeners []listener.Listener) *Data {
	d := &Data{Partitions: partitions, Responder: responder, listeners: listeners}
	partitions.SetAnswerer(d)
	return d
}

// endpoint adds the address of a leader that an answer names (KIP-951), once: the
// one of the listener by which the request came.
func (d *Data) endpoint(id conn.RequestID, leader int32) {
	if leader < 0 {
		return
	}
	for i := range d.endpoints {
		if d.endpoints[i].NodeID == leader {
			return
		}
	}
	b := d.Partitions.Image().Broker(leader)
	if b == nil {
		return
	}
	if e, ok := b.Endpoint(d.listeners[d.Responder.Listener(id)].Name); ok {
		d.endpoints = append(d.endpoints, wire.NodeEndpoint{NodeID: leader, Host: e.Host, Port: e.Port,
			Rack: wire.NullableString{String: b.Rack, Valid: b.Rack != ""}})
	}
}
