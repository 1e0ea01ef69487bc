//go:build jvm

package conformance

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const answerTimeout = 20 * time.Second

// wire is a connection on which one request is asked at a time.
type wire struct {
	conn        net.Conn
	correlation int32
}

func dial(address string) (*wire, error) {
	conn, err := net.DialTimeout("tcp", address, answerTimeout)
	if err != nil {
		return nil, err
	}
	return &wire{conn: conn}, nil
}

func (w *wire) close() { _ = w.conn.Close() }

// errClosed is a connection that the broker ended instead of answering.
var errClosed = errors.New("connection closed")

// frame is a request as it goes over the wire, without its length.
func (w *wire) frame(req kmsg.Request) []byte {
	w.correlation++
	formatter := kmsg.NewRequestFormatter(kmsg.FormatterClientID("oracle"))
	return formatter.AppendRequest(nil, req, w.correlation)[4:]
}

// send writes a frame behind its length.
func (w *wire) send(frame []byte) error {
	_, err := w.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...))
	return err
}

// receive reads the next frame.
func (w *wire) receive() ([]byte, error) {
	if err := w.conn.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		return nil, err
	}
	var length [4]byte
	if _, err := io.ReadFull(w.conn, length[:]); err != nil {
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			return nil, fmt.Errorf("no answer in %v", answerTimeout)
		}
		return nil, errClosed // in order or reset: a client sees no difference
	}
	frame := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(w.conn, frame); err != nil {
		return nil, fmt.Errorf("an answer of %d bytes ends early: %w", len(frame), err)
	}
	return frame, nil
}

// exchange asks a request and decodes the answer to its last byte.
func (w *wire) exchange(req kmsg.Request) (kmsg.Response, error) {
	if err := w.send(w.frame(req)); err != nil {
		return nil, errClosed
	}
	frame, err := w.receive()
	if err != nil {
		return nil, err
	}
	return w.decode(req, frame)
}

func (w *wire) decode(req kmsg.Request, frame []byte) (kmsg.Response, error) {
	if len(frame) < 4 || int32(binary.BigEndian.Uint32(frame)) != w.correlation {
		return nil, fmt.Errorf("answer %x is not to request %d", frame[:min(4, len(frame))], w.correlation)
	}
	body := frame[4:]
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	if _, is := resp.(*kmsg.ApiVersionsResponse); is { // its header is the same in all versions (KIP-511)
		if len(body) >= 2 && int16(binary.BigEndian.Uint16(body)) == 35 {
			resp.SetVersion(0) // what a client of any version can read
		}
	} else if resp.IsFlexible() {
		if len(body) == 0 || body[0] != 0 {
			return nil, fmt.Errorf("the header of %x has tags that nobody defined", body[:min(4, len(body))])
		}
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("decode %x: %w", body, err)
	}
	if again := resp.AppendTo(nil); !bytes.Equal(again, body) {
		return nil, fmt.Errorf("the answer is not in its canonical form:\n%x, which decodes as\n%x", body, again)
	}
	return resp, nil
}

// batch is a record batch of a test: its fields are set before it is sealed.
type batch struct {
	kmsg.RecordBatch
	records  []kmsg.Record
	compress func([]byte) []byte // nil is none; the attributes must say which
}

// batchTime is what records of a test are stamped with: long ago, and round.
const batchTime = 1_700_000_000_000

// newBatch has one record for each value, without a producer.
func newBatch(values ...string) *batch {
	b := &batch{RecordBatch: kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		FirstTimestamp: batchTime, MaxTimestamp: batchTime + int64(len(values)) - 1,
		NumRecords: int32(len(values)), LastOffsetDelta: int32(len(values)) - 1,
	}}
	for i, value := range values {
		b.records = append(b.records, kmsg.Record{OffsetDelta: int32(i), TimestampDelta64: int64(i), Key: fmt.Appendf(nil, "k%d", i), Value: []byte(value)})
	}
	return b
}

// by makes the batch an idempotent producer's.
func (b *batch) by(id int64, epoch int16, sequence int32) *batch {
	b.ProducerID, b.ProducerEpoch, b.FirstSequence = id, epoch, sequence
	return b
}

// seal encodes the records, the length and the CRC.
func (b *batch) seal() []byte {
	b.Records = nil
	for _, r := range b.records {
		r.Length = 0
		r.Length = int32(len(r.AppendTo(nil)) - 1) // a length of 0 takes one byte
		b.Records = r.AppendTo(b.Records)
	}
	if b.compress != nil {
		b.Records = b.compress(b.Records)
	}
	const afterLength, afterCRC = 12, 21
	b.Length = int32(len(b.RecordBatch.AppendTo(nil)) - afterLength)
	raw := b.RecordBatch.AppendTo(nil)
	b.CRC = int32(crc32.Checksum(raw[afterCRC:], crc32.MakeTable(crc32.Castagnoli)))
	return b.RecordBatch.AppendTo(nil)
}
