package client

import (
	"encoding/binary"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
)

// produceFrame encodes a Produce request for one topic around its batches,
// which are not copied: s.Body holds them and s.Pieces says where they go. All
// three of s are appended to.
func produceFrame(h *wire.RequestHeader, t *topicMeta, acks int16, timeoutMillis int32, batches []*batch, s *edge.Send) {
	be := binary.BigEndian
	flexible := h.Version >= 9
	head := append(s.Head, 0, 0, 0, 0)
	head = wire.AppendRequestHeader(head, h, flexible)
	if flexible {
		head = append(head, 0) // no transactional id
	} else {
		head = append(head, 0xff, 0xff)
	}
	head = be.AppendUint16(head, uint16(acks))
	head = be.AppendUint32(head, uint32(timeoutMillis))
	switch {
	case h.Version >= 13:
		head = append(append(head, 2), t.id[:]...)
	case flexible:
		head = binary.AppendUvarint(append(head, 2), uint64(len(t.name)+1))
		head = append(head, t.name...)
	default:
		head = be.AppendUint32(head, 1)
		head = be.AppendUint16(head, uint16(len(t.name)))
		head = append(head, t.name...)
	}
	if flexible {
		head = binary.AppendUvarint(head, uint64(len(batches)+1))
	} else {
		head = be.AppendUint32(head, uint32(len(batches)))
	}
	total := 0
	for _, b := range batches {
		head = be.AppendUint32(head, uint32(b.view.Partition))
		if flexible {
			head = binary.AppendUvarint(head, uint64(b.buffer.Len()+1))
		} else {
			head = be.AppendUint32(head, uint32(b.buffer.Len()))
		}
		total += b.buffer.Len()
		s.Body = append(s.Body, b.buffer.Retain().All())
		s.Pieces = append(s.Pieces, int32(len(head)))
		if flexible {
			head = append(head, 0)
		}
	}
	if flexible {
		head = append(head, 0, 0)
	}
	be.PutUint32(head, uint32(len(head)-wire.FrameLengthBytes+total))
	s.Head = head
}
