package logdirs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
)

// partitionCopy copies one partition's log, and looks at each batch of it.
type partitionCopy struct {
	from, into string
	flushed    int64 // the recovery point: below it everything must be whole
	clean      bool  // the node was stopped in order: everything must be
	start      int64 // as its checkpoint says, 0 without a line

	first int64 // base offset of the first segment
	gaps  bool  // offsets are missing inside, as compaction leaves it
	done  Imported
}

// run makes the directory, complete and on stable storage. The topic's id is the
// one that it has where it is imported.
func (c *partitionCopy) run(partitionMetadata string) error {
	if err := os.Mkdir(c.into, 0o755); err != nil {
		return err
	}
	segments, indexes, err := c.list()
	if err != nil {
		return err
	}
	if len(segments) > 0 {
		c.first = segments[0]
		c.done.End = c.first
	}
	for _, base := range segments {
		if err := c.segment(base); err != nil {
			return err
		}
		c.done.Segments++
		if c.done.Cut != "" {
			break
		}
	}
	c.done.Start = max(c.start, c.first)
	// Also those behind a cut: recovery takes away what it does not believe.
	for _, name := range indexes {
		if err := copyFile(filepath.Join(c.from, name), filepath.Join(c.into, name)); err != nil {
			return err
		}
	}
	if err := copyFile(partitionMetadata, filepath.Join(c.into, log.PartitionMetadataFile)); err != nil {
		return err
	}
	epochs := log.EncodeFirstEpoch(c.done.Start, c.done.End)
	return errors.Join(writeFile(filepath.Join(c.into, log.EpochFile), epochs), syncDir(c.into))
}

// list sorts the directory's files: segments by base offset, and their indexes.
// Snapshots are of producers, who are forgotten.
func (c *partitionCopy) list() (segments []int64, indexes []string, err error) {
	entries, err := os.ReadDir(c.from)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		base, segment := log.IsSegment(e.Name())
		switch {
		case strings.HasSuffix(e.Name(), log.SwapSuffix):
			return nil, nil, fmt.Errorf("%s was being put in place by a compaction: start the node that wrote it once more, and stop it in order",
				filepath.Join(c.from, e.Name()))
		case segment:
			segments = append(segments, base)
		case log.IsIndex(e.Name()):
			indexes = append(indexes, e.Name())
		}
	}
	slices.Sort(segments)
	return segments, indexes, nil
}

// segment copies the batches of one segment. The first that is none ends the log
// if its node was killed and had not promised to hold it; else the log is damaged,
// and importing it would hide that.
func (c *partitionCopy) segment(base int64) error {
	name := log.SegmentName(base)
	source, err := os.Open(filepath.Join(c.from, name))
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }() // it was only read
	target, err := os.Create(filepath.Join(c.into, name))
	if err != nil {
		return err
	}
	c.gaps = c.gaps || base > c.done.End
	c.done.End = max(c.done.End, base)
	in, out := bufio.NewReaderSize(source, 1<<20), bufio.NewWriterSize(target, 1<<20)
	position, err := c.batches(in, out)
	c.done.Bytes += position
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = target.Sync()
	}
	if err = errors.Join(err, target.Close()); err == nil {
		return nil
	}
	where := fmt.Sprintf("%s at byte %d", filepath.Join(c.from, name), position)
	if !errors.Is(err, errNoBatch) {
		return fmt.Errorf("%s: %w", where, err)
	}
	if c.clean || c.done.End < c.flushed {
		return fmt.Errorf("%s, offset %d: %w, though it was flushed: the log is damaged", where, c.done.End, err)
	}
	c.done.Cut = fmt.Sprintf("%s: %v", where, err)
	return nil
}

// errNoBatch says that what follows is not a batch of the log.
var errNoBatch = errors.New("no batch")

// batches copies batches until the end of the file and returns how many bytes.
func (c *partitionCopy) batches(in *bufio.Reader, out *bufio.Writer) (position int64, err error) {
	for buffer := []byte(nil); ; {
		batch, err := next(in, &buffer)
		if err == io.EOF {
			return position, nil
		}
		if err == nil {
			err = c.check(batch)
		}
		if err != nil {
			// What was whole is kept.
			return position, errors.Join(err, out.Flush())
		}
		batch.SetLeaderEpoch(0)
		batch.ForgetProducer()
		if _, err := out.Write(batch); err != nil {
			return position, err
		}
		position += int64(len(batch))
		c.gaps = c.gaps || batch.BaseOffset() > c.done.End
		c.done.End = batch.NextOffset()
	}
}

// check says why a batch cannot be taken.
func (c *partitionCopy) check(b record.Batch) error {
	switch {
	case b.Attributes().Transactional() || b.Attributes().Control():
		return fmt.Errorf("the batch at offset %d is part of a transaction, which brokerd does not know yet", b.BaseOffset())
	case b.BaseOffset() < c.done.End || b.LastOffsetDelta() < 0:
		return fmt.Errorf("%w: offsets %d to %d after %d", errNoBatch, b.BaseOffset(), b.LastOffset(), c.done.End)
	}
	if err := b.CheckCRC(); err != nil {
		return fmt.Errorf("%w: %w", errNoBatch, err)
	}
	return nil
}

// batchBytesMax bounds what is taken for the length of a batch; Kafka's largest
// segment is as large.
const batchBytesMax = 1 << 31

// next reads one batch into the buffer, which it makes larger as need be. At the
// end, which may be one of zeros where a file was preallocated, it is io.EOF.
func next(in *bufio.Reader, buffer *[]byte) (record.Batch, error) {
	header, err := in.Peek(record.HeaderBytes)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(header) == 0 || !slices.ContainsFunc(header, func(b byte) bool { return b != 0 }) {
		return nil, io.EOF
	}
	switch _, _, err := record.Next(header); {
	case len(header) < record.HeaderBytes:
		return nil, fmt.Errorf("%w: %d bytes are left", errNoBatch, len(header))
	case err != nil && !errors.Is(err, record.ErrShort):
		return nil, fmt.Errorf("%w: %w", errNoBatch, err)
	}
	size := int64(record.LogOverhead) + int64(record.Batch(header).Length())
	if size > batchBytesMax {
		return nil, fmt.Errorf("%w: it would have %d bytes", errNoBatch, size)
	}
	if *buffer, err = readInto((*buffer)[:0], in, size); err == io.EOF {
		return nil, fmt.Errorf("%w: %d bytes of %d are there", errNoBatch, len(*buffer), size)
	}
	return record.Batch(*buffer), err
}

// readInto appends size bytes. It asks for memory as they come: a length that
// was never written must not take two gigabytes.
func readInto(buffer []byte, in io.Reader, size int64) ([]byte, error) {
	const step = 4 << 20
	for int64(len(buffer)) < size {
		from := len(buffer)
		buffer = append(buffer, make([]byte, min(step, size-int64(from)))...)
		n, err := io.ReadFull(in, buffer[from:])
		if err != nil {
			if err == io.ErrUnexpectedEOF {
				err = io.EOF
			}
			return buffer[:from+n], err
		}
	}
	return buffer, nil
}

// hasBatch says whether a segment holds anything.
func hasBatch(path string) (bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }() // it was only read
	var buffer []byte
	switch _, err := next(bufio.NewReader(file), &buffer); {
	case err == io.EOF:
		return false, nil
	case err == nil || errors.Is(err, errNoBatch):
		return true, nil
	default:
		return false, err
	}
}
