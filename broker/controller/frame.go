package controller

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// A segment of the raft log is a sequence of frames, one for each write that
// was synced before raft promised anything on its strength:
//
//	magic    uint32
//	length   uint32  of the payload
//	position uint64  of the frame in the file
//	crc      uint32  CRC-32C of position and payload
//	payload  items: type uint8, length uvarint, that many bytes
//
// The next frame is written only after the previous one has been synced, so a
// crash can damage the last frame alone. That is what tells a torn tail, which
// promised nothing and is cut off, from rot in the middle, where a valid frame
// follows: then the log has lost what it promised, and the node must not vote.
const (
	frameMagic      = 0x57544d31 // "WTM1"
	frameHeadBytes  = 20
	frameBytesMax   = 1 << 30
	itemBase        = 1 // first of a segment: baseItem
	itemHardState   = 2 // raftpb.HardState
	itemEntry       = 3 // raftpb.Entry
	itemFresh       = 4 // empty: the log began with nothing, see quorum.fresh
	itemCaughtUp    = 5 // empty: no longer fresh
	itemsPerFrame   = 1 << 20
	clusterIDLength = 1 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// base names the snapshot on which a segment stands.
type base struct {
	Index, Term uint64
	NodeID      int32
	ClusterID   string
}

// segment is what a segment's frames add up to.
type segment struct {
	base    base
	hard    *pb.HardState
	entries []*pb.Entry // continuous, the first is base.Index+1
	bytes   int64       // length of the valid frames
	fresh   bool
}

func marshal(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("controller: encode a raft message: %v", err))
	}
	return b
}

func appendItem(dst []byte, kind uint8, data []byte) []byte {
	dst = append(dst, kind)
	dst = binary.AppendUvarint(dst, uint64(len(data)))
	return append(dst, data...)
}

func (b *base) append(dst []byte) []byte {
	var data []byte
	data = binary.BigEndian.AppendUint64(data, b.Index)
	data = binary.BigEndian.AppendUint64(data, b.Term)
	data = binary.BigEndian.AppendUint32(data, uint32(b.NodeID))
	data = append(data, b.ClusterID...)
	return appendItem(dst, itemBase, data)
}

func (b *base) decode(data []byte) error {
	if len(data) < 20 || len(data) > 20+clusterIDLength {
		return fmt.Errorf("base of %d bytes", len(data))
	}
	b.Index, b.Term = binary.BigEndian.Uint64(data), binary.BigEndian.Uint64(data[8:])
	b.NodeID = int32(binary.BigEndian.Uint32(data[16:]))
	b.ClusterID = string(data[20:])
	return nil
}

func appendState(dst []byte, hard *pb.HardState, entries []*pb.Entry) []byte {
	if !raft.IsEmptyHardState(hard) {
		dst = appendItem(dst, itemHardState, marshal(hard))
	}
	for _, e := range entries {
		dst = appendItem(dst, itemEntry, marshal(e))
	}
	return dst
}

// frame encloses a payload that will stand at a position.
func frame(position int64, payload []byte) []byte {
	b := make([]byte, frameHeadBytes, frameHeadBytes+len(payload))
	binary.BigEndian.PutUint32(b, frameMagic)
	binary.BigEndian.PutUint32(b[4:], uint32(len(payload)))
	binary.BigEndian.PutUint64(b[8:], uint64(position))
	binary.BigEndian.PutUint32(b[16:], frameCRC(b[8:16], payload))
	return append(b, payload...)
}

func frameCRC(position, payload []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, position), castagnoli, payload)
}

// frameAt returns the payload of the valid frame at a position, if there is one.
func frameAt(file []byte, position int) ([]byte, bool) {
	b := file[position:]
	if len(b) < frameHeadBytes || binary.BigEndian.Uint32(b) != frameMagic ||
		binary.BigEndian.Uint64(b[8:]) != uint64(position) {
		return nil, false
	}
	n := binary.BigEndian.Uint32(b[4:])
	if n > frameBytesMax || int(n) > len(b)-frameHeadBytes {
		return nil, false
	}
	payload := b[frameHeadBytes : frameHeadBytes+int(n)]
	return payload, frameCRC(b[8:16], payload) == binary.BigEndian.Uint32(b[16:])
}

// errTorn says that a segment was never completed: its first frame is damaged.
var errTorn = errors.New("segment has no valid first frame")

// readSegment replays a segment file. Nothing that it returns aliases the file.
// The error is errTorn, or says what is corrupt.
func readSegment(file []byte) (*segment, error) {
	s := &segment{}
	position := 0
	for position < len(file) {
		payload, ok := frameAt(file, position)
		if !ok {
			break
		}
		if err := s.replay(payload, position == 0); err != nil {
			return nil, fmt.Errorf("frame at %d: %w", position, err)
		}
		position += frameHeadBytes + len(payload)
	}
	for p := position + 1; p+frameHeadBytes <= len(file); p++ {
		if _, ok := frameAt(file, p); ok {
			return nil, fmt.Errorf("frame at %d is damaged, but a valid one follows at %d", position, p)
		}
	}
	if position == 0 {
		return nil, errTorn
	}
	s.bytes = int64(position)
	return s, nil
}

func (s *segment) replay(payload []byte, first bool) error {
	for i := 0; len(payload) > 0; i++ {
		kind := payload[0]
		n, used := binary.Uvarint(payload[1:])
		if used <= 0 || n > uint64(len(payload)-1-used) || i >= itemsPerFrame {
			return errors.New("items are cut short")
		}
		data := payload[1+used : 1+used+int(n)]
		payload = payload[1+used+int(n):]
		if (kind == itemBase) != (first && i == 0) {
			return errors.New("base is missing or misplaced")
		}
		if err := s.item(kind, data); err != nil {
			return err
		}
	}
	return nil
}

func (s *segment) item(kind uint8, data []byte) error {
	switch kind {
	case itemBase:
		return s.base.decode(data)
	case itemHardState:
		s.hard = new(pb.HardState)
		return proto.Unmarshal(data, s.hard)
	case itemFresh:
		s.fresh = true
		return nil
	case itemCaughtUp:
		s.fresh = false
		return nil
	case itemEntry:
		e := new(pb.Entry)
		if err := proto.Unmarshal(data, e); err != nil {
			return err
		}
		// A new leader replaces what an old one left uncommitted.
		next := s.base.Index + uint64(len(s.entries)) + 1
		if e.GetIndex() <= s.base.Index || e.GetIndex() > next {
			return fmt.Errorf("entry %d in a log from %d to %d", e.GetIndex(), s.base.Index, next-1)
		}
		s.entries = append(s.entries[:e.GetIndex()-s.base.Index-1], e)
		return nil
	}
	return fmt.Errorf("item of unknown type %d", kind)
}
