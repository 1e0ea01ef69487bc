package meta

import (
	"errors"
	"fmt"
)

// Brokers follow the metadata log with a request of our own, a long poll to the
// active controller. Its layout is private to this project; both sides are here.

// FetchRequest asks for what was committed after LastOffset.
type FetchRequest struct {
	BrokerID      int32
	Incarnation   [16]byte
	LastOffset    int64 // the offset of the image in hand; -1 for none
	MaxWaitMillis int32 // how long the controller may hold an answer without news
}

// FetchResponse answers. Either Snapshot or Batches hold news, or neither.
type FetchResponse struct {
	ErrorCode int16 // Kafka's: NOT_CONTROLLER from all but the active controller
	// Controller is the active controller as far as the answering node knows, -1 if unknown.
	Controller int32
	Epoch      int32 // its term
	Committed  int64 // the offset up to which the answering node has applied
	// Snapshot is an encoded image, when LastOffset is older than the log.
	Snapshot []byte
	Batches  []FetchedBatch
}

// FetchedBatch is one committed batch. Data may be empty: the first entry of a
// controller epoch carries no records.
type FetchedBatch struct {
	Offset int64
	Epoch  int32
	Data   []byte // as of AppendRecords
}

const fetchVersion = 1

// AppendTo encodes the request behind dst.
func (r *FetchRequest) AppendTo(dst []byte) []byte {
	e := encoder{dst}
	e.u8(fetchVersion)
	e.i32(r.BrokerID)
	e.id(r.Incarnation)
	e.i64(r.LastOffset)
	e.i32(r.MaxWaitMillis)
	return e.b
}

// ReadFrom decodes a request.
func (r *FetchRequest) ReadFrom(b []byte) error {
	d := decoder{b: b}
	version := d.u8()
	r.BrokerID, r.Incarnation, r.LastOffset, r.MaxWaitMillis = d.i32(), d.id(), d.i64(), d.i32()
	return d.finish("metadata fetch request", version)
}

// AppendTo encodes the response behind dst.
func (r *FetchResponse) AppendTo(dst []byte) []byte {
	e := encoder{dst}
	e.u8(fetchVersion)
	e.i16(r.ErrorCode)
	e.i32(r.Controller)
	e.i32(r.Epoch)
	e.i64(r.Committed)
	e.blob(r.Snapshot)
	e.uv(uint64(len(r.Batches)))
	for i := range r.Batches {
		b := &r.Batches[i]
		e.i64(b.Offset)
		e.i32(b.Epoch)
		e.blob(b.Data)
	}
	return e.b
}

// ReadFrom decodes a response. Snapshot and Data alias b.
func (r *FetchResponse) ReadFrom(b []byte) error {
	d := decoder{b: b}
	version := d.u8()
	r.ErrorCode, r.Controller, r.Epoch, r.Committed = d.i16(), d.i32(), d.i32(), d.i64()
	r.Snapshot = d.blob()
	n := d.count(13)
	r.Batches = r.Batches[:0]
	for range n {
		r.Batches = append(r.Batches, FetchedBatch{Offset: d.i64(), Epoch: d.i32(), Data: d.blob()})
	}
	return d.finish("metadata fetch response", version)
}

func (d *decoder) finish(what string, version uint8) error {
	switch {
	case d.err != nil:
		return fmt.Errorf("%s: %w", what, d.err)
	case version != fetchVersion:
		return fmt.Errorf("%s has version %d, known is %d", what, version, fetchVersion)
	case len(d.b) != 0:
		return fmt.Errorf("%s: %d bytes too many", what, len(d.b))
	}
	return nil
}

// Follower replays the log on a broker. It never goes back: what is older than
// its image is ignored.
type Follower struct {
	image      *Image
	controller int32
	epoch      int32
}

// NewFollower starts with an empty image.
func NewFollower() *Follower { return &Follower{image: Empty(), controller: -1} }

// Image returns the current image, never nil.
func (f *Follower) Image() *Image { return f.image }

// Controller returns the active controller as last heard of, -1 if unknown, and
// its term.
func (f *Follower) Controller() (id, epoch int32) { return f.controller, f.epoch }

// Request returns the next request to send.
func (f *Follower) Request(brokerID int32, incarnation [16]byte, maxWaitMillis int32) FetchRequest {
	return FetchRequest{BrokerID: brokerID, Incarnation: incarnation, LastOffset: f.image.Offset, MaxWaitMillis: maxWaitMillis}
}

// ErrGap says that a response does not continue where the image ends: it
// answers some other request. The next request asks again.
var ErrGap = errors.New("metadata fetch response leaves a gap")

// Feed applies a response without an error code and tells whether the image
// has changed. After an error the image is what it was before.
func (f *Follower) Feed(r *FetchResponse) (changed bool, err error) {
	if r.Epoch >= f.epoch {
		f.controller, f.epoch = r.Controller, r.Epoch
	}
	next := f.image
	if len(r.Snapshot) > 0 {
		snapshot, err := DecodeImage(r.Snapshot)
		if err != nil {
			return false, err
		}
		if snapshot.Offset > next.Offset {
			next = snapshot
		}
	}
	for i := range r.Batches {
		b := &r.Batches[i]
		if b.Offset <= next.Offset {
			continue
		}
		if b.Offset != next.Offset+1 {
			return false, fmt.Errorf("%w: offset %d after %d", ErrGap, b.Offset, next.Offset)
		}
		var records []Record
		if len(b.Data) > 0 {
			if records, err = DecodeRecords(b.Data); err != nil {
				return false, err
			}
		}
		next = next.Apply(records, b.Offset, b.Epoch)
	}
	changed = next != f.image
	f.image = next
	return changed, nil
}
