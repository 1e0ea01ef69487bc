package record

import (
	"encoding/binary"
	"fmt"
)

// ControlType is the kind of a control record, the second field of its key.
type ControlType int16

// The control records that a partition of a user's topic may hold.
const (
	ControlAbort  ControlType = 0
	ControlCommit ControlType = 1
)

// String is the name that Kafka's dump tool prints.
func (t ControlType) String() string {
	switch t {
	case ControlAbort:
		return "ABORT"
	case ControlCommit:
		return "COMMIT"
	}
	return fmt.Sprintf("CONTROL(%d)", int16(t))
}

// Marker ends a transaction on a partition: it is the one record of a control
// batch, and takes an offset like any other.
type Marker struct {
	ProducerID       int64
	ProducerEpoch    int16
	Type             ControlType
	CoordinatorEpoch int32
	TimestampMs      int64
}

// AppendMarker builds the marker's control batch over dst.
func (b *Builder) AppendMarker(dst []byte, m Marker) Batch {
	var key [4]byte   // version 0, type
	var value [6]byte // version 0, coordinator epoch
	binary.BigEndian.PutUint16(key[2:], uint16(m.Type))
	binary.BigEndian.PutUint32(value[2:], uint32(m.CoordinatorEpoch))
	b.Reset(dst, Options{
		LeaderEpoch:   NoLeaderEpoch,
		ProducerID:    m.ProducerID,
		ProducerEpoch: m.ProducerEpoch,
		BaseSequence:  EmptySequence,
		Transactional: true,
		Control:       true,
	})
	b.Append(m.TimestampMs, key[:], value[:], nil)
	return b.Finish()
}

// ParseMarker reads the type and coordinator epoch of a control record.
func ParseMarker(rec *Record) (t ControlType, coordinatorEpoch int32, err error) {
	if len(rec.Key) < 4 {
		return 0, 0, fmt.Errorf("%w: control record key of %d bytes", ErrInvalid, len(rec.Key))
	}
	if len(rec.Value) < 6 {
		return 0, 0, fmt.Errorf("%w: control record value of %d bytes", ErrInvalid, len(rec.Value))
	}
	t = ControlType(binary.BigEndian.Uint16(rec.Key[2:]))
	return t, int32(binary.BigEndian.Uint32(rec.Value[2:])), nil
}
