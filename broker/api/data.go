package api

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
)

// Data answers the requests for records and offsets. It decodes them into the
// partition manager's own structs, and as its Answerer encodes what became of
// them.
type Data struct {
	Partitions *partition.Manager
	Responder  conn.Responder

	produce     wire.ProduceRequest
	produceResp wire.ProduceResponse
	fetch       wire.FetchRequest
	endpoints   []wire.NodeEndpoint
}

// NewData returns the handlers of Produce, Fetch, ListOffsets and
// OffsetForLeaderEpoch, and makes them the manager's Answerer.
func NewData(partitions *partition.Manager, responder conn.Responder) *Data {
	d := &Data{Partitions: partitions, Responder: responder}
	partitions.SetAnswerer(d)
	return d
}

// endpoint adds the address of a leader that an answer names (KIP-951), once.
func (d *Data) endpoint(image *meta.Image, leader int32) {
	if leader < 0 {
		return
	}
	for i := range d.endpoints {
		if d.endpoints[i].NodeID == leader {
			return
		}
	}
	for _, b := range image.Brokers {
		if b.ID == leader {
			d.endpoints = append(d.endpoints, wire.NodeEndpoint{NodeID: leader, Host: b.Host, Port: b.Port,
				Rack: wire.NullableString{String: b.Rack, Valid: b.Rack != ""}})
		}
	}
}
