package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// DecompressedBytesMax bounds what one batch may decompress to. A batch of one
// megabyte can claim gigabytes of zeros; Kafka's clients never come near this.
const DecompressedBytesMax = 128 << 20

// The levels of compression.gzip.level, compression.lz4.level and
// compression.zstd.level in Kafka 4 (KIP-390). Gzip has a default of its own beside
// its levels.
const (
	gzipLevelDefault = gzip.DefaultCompression
	gzipLevelMin     = 1
	GzipLevelMax     = 9
	lz4LevelDefault  = 9
	Lz4LevelMin      = 1
	Lz4LevelMax      = 17
	zstdLevelDefault = 3
	ZstdLevelMin     = -131072
	ZstdLevelMax     = 22
)

// Levels are how hard each codec tries; 0 is the codec's default. CheckLevel says
// which there are.
type Levels struct{ Gzip, Lz4, Zstd int64 }

// Of returns a codec's level.
func (l *Levels) Of(codec Codec) int {
	switch codec {
	case Gzip:
		return int(l.Gzip)
	case Lz4:
		return int(l.Lz4)
	case Zstd:
		return int(l.Zstd)
	}
	return 0
}

// xerialHeader opens the snappy framing of Java's clients: a magic, the version
// and the lowest version that can read it. Blocks follow, each after its length.
const xerialHeader = "\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"

// xerialBlockBytes is how much Java's writer puts in one snappy block.
const xerialBlockBytes = 32 << 10

// zstdWindowBytes is smaller than the library's default so that an encoder per
// node stays affordable; a batch is rarely larger.
const zstdWindowBytes = 1 << 20

// CheckLevel says whether a codec accepts a level as compression.<codec>.level
// gives it. 0 stands for the codec's default.
func CheckLevel(codec Codec, level int) error {
	lo, hi := 0, 0
	switch codec {
	case Gzip:
		if level == gzipLevelDefault {
			return nil
		}
		lo, hi = gzipLevelMin, GzipLevelMax
	case Lz4:
		lo, hi = Lz4LevelMin, Lz4LevelMax
	case Zstd:
		lo, hi = ZstdLevelMin, ZstdLevelMax
	}
	if level != 0 && (level < lo || level > hi) {
		return fmt.Errorf("%s has no compression level %d: want %d to %d", codec, level, lo, hi)
	}
	return nil
}

// Effort translates a level that CheckLevel accepts into what the codec's library
// calls one: the efforts of an encoder are fewer than Kafka's levels.
func Effort(codec Codec, level int) int {
	switch codec {
	case Gzip:
		if level == 0 {
			return gzipLevelDefault
		}
		return level
	case Lz4:
		return int(lz4Effort(level))
	case Zstd:
		if level == 0 {
			level = zstdLevelDefault
		}
		return int(zstd.EncoderLevelFromZstd(level))
	}
	return 0
}

// lz4Effort takes Kafka's default of 9 for the fast compressor, as Java does; every
// other level is the high compressor. The library's upper levels search up to 2^17
// candidates a byte, which takes seconds for one repetitive batch; C's level 12 looks
// at far fewer, so they are left alone.
func lz4Effort(level int) lz4.CompressionLevel {
	switch {
	case level == 0 || level == lz4LevelDefault:
		return lz4.Fast
	case level < lz4LevelDefault:
		return lz4.Level1
	case level < 12:
		return lz4.Level2
	}
	return lz4.Level3
}

// compressor keeps one encoder per codec and effort, since a new one costs up to a
// megabyte. The encoders run in the caller's goroutine, and their output depends on
// the input and effort alone.
type compressor struct {
	gzip  [GzipLevelMax + 1]*gzip.Writer // the first is the default's
	lz4   *lz4.Writer
	zstd  [zstd.SpeedBestCompression + 1]*zstd.Encoder
	block []byte
	out   sliceWriter
}

type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// append compresses plain behind dst. The only failure it has is a codec or level
// that the caller should have refused.
func (c *compressor) append(dst, plain []byte, codec Codec, level int) []byte {
	if err := CheckLevel(codec, level); err != nil {
		panic(err)
	}
	effort := Effort(codec, level)
	switch codec {
	case None:
		return append(dst, plain...)
	case Gzip:
		return c.appendGzip(dst, plain, effort)
	case Snappy:
		return c.appendSnappy(dst, plain)
	case Lz4:
		return c.appendLz4(dst, plain, lz4.CompressionLevel(effort))
	case Zstd:
		return c.appendZstd(dst, plain, zstd.EncoderLevel(effort))
	}
	panic(fmt.Sprintf("compress with %s", codec))
}

func (c *compressor) appendGzip(dst, plain []byte, effort int) []byte {
	c.out.b = dst
	w := &c.gzip[max(effort, 0)]
	if *w == nil {
		fresh, err := gzip.NewWriterLevel(&c.out, effort)
		mustCompress(Gzip, err)
		*w = fresh
	} else {
		(*w).Reset(&c.out)
	}
	_, err := (*w).Write(plain)
	mustCompress(Gzip, err)
	mustCompress(Gzip, (*w).Close())
	return c.takeOut()
}

func (c *compressor) appendSnappy(dst, plain []byte) []byte {
	dst = append(dst, xerialHeader...)
	for len(plain) > 0 {
		n := min(len(plain), xerialBlockBytes)
		if c.block == nil {
			c.block = make([]byte, snappy.MaxEncodedLen(xerialBlockBytes))
		}
		block := snappy.Encode(c.block, plain[:n])
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(block)))
		dst = append(dst, block...)
		plain = plain[n:]
	}
	return dst
}

func (c *compressor) appendLz4(dst, plain []byte, effort lz4.CompressionLevel) []byte {
	c.out.b = dst
	if c.lz4 == nil {
		c.lz4 = lz4.NewWriter(&c.out)
	} else {
		c.lz4.Reset(&c.out)
	}
	// Java reads independent blocks only, and writes 64 KiB ones without checksums.
	mustCompress(Lz4, c.lz4.Apply(
		lz4.BlockSizeOption(lz4.Block64Kb),
		lz4.BlockChecksumOption(false),
		lz4.ChecksumOption(false),
		lz4.ConcurrencyOption(1),
		lz4.CompressionLevelOption(effort)))
	_, err := c.lz4.Write(plain)
	mustCompress(Lz4, err)
	mustCompress(Lz4, c.lz4.Close())
	return c.takeOut()
}

func (c *compressor) appendZstd(dst, plain []byte, effort zstd.EncoderLevel) []byte {
	if c.zstd[effort] == nil {
		e, err := zstd.NewWriter(nil,
			zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderLevel(effort),
			zstd.WithWindowSize(zstdWindowBytes),
			zstd.WithLowerEncoderMem(true),
			zstd.WithEncoderCRC(false),
			zstd.WithZeroFrames(true))
		mustCompress(Zstd, err)
		c.zstd[effort] = e
	}
	return c.zstd[effort].EncodeAll(plain, dst)
}

func (c *compressor) takeOut() []byte {
	b := c.out.b
	c.out.b = nil
	return b
}

// mustCompress guards a write to memory, which cannot fail.
func mustCompress(codec Codec, err error) {
	if err != nil {
		panic(fmt.Sprintf("compress with %s: %v", codec, err))
	}
}

// Scratch holds what reading batches needs again and again: decoders and the
// buffer that they decompress to. The zero value is ready. Whatever a Reader
// yields from a compressed batch aliases it until its next use. A Scratch serves
// one goroutine; a host that checks batches in several gives each its own.
type Scratch struct {
	plain  []byte
	source bytes.Reader
	gzip   *gzip.Reader
	lz4    *lz4.Reader
	zstd   *zstd.Decoder
	packer compressor
	reader Reader
	sum    Summary
}

var errTooMuch = fmt.Errorf("records decompress to more than %d bytes", DecompressedBytesMax)

// records returns a batch's records section, decompressed if need be.
func (s *Scratch) records(b Batch) ([]byte, error) {
	codec, payload := b.Attributes().Codec(), b.Payload()
	var err error
	switch codec {
	case None:
		return payload, nil
	case Gzip:
		err = s.readGzip(payload)
	case Snappy:
		err = s.readSnappy(payload)
	case Lz4:
		err = s.readLz4(payload)
	case Zstd:
		err = s.readZstd(payload)
	default:
		return nil, fmt.Errorf("%w: unknown %s in attributes", ErrInvalid, codec)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: decompress %d bytes with %s: %w", ErrCorrupt, len(payload), codec, err)
	}
	return s.plain, nil
}

func (s *Scratch) readGzip(payload []byte) error {
	s.source.Reset(payload)
	var err error
	if s.gzip == nil {
		s.gzip, err = gzip.NewReader(&s.source)
	} else {
		err = s.gzip.Reset(&s.source)
	}
	if err != nil {
		return err
	}
	return s.drain(s.gzip)
}

func (s *Scratch) readLz4(payload []byte) error {
	s.source.Reset(payload)
	if s.lz4 == nil {
		s.lz4 = lz4.NewReader(&s.source)
	} else {
		s.lz4.Reset(&s.source)
	}
	return s.drain(s.lz4)
}

func (s *Scratch) readZstd(payload []byte) error {
	if s.zstd == nil {
		d, err := zstd.NewReader(nil,
			zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(DecompressedBytesMax))
		if err != nil {
			return err
		}
		s.zstd = d
	}
	plain, err := s.zstd.DecodeAll(payload, s.plain[:0])
	if plain != nil {
		s.plain = plain
	}
	return err
}

// readSnappy takes both framings: Java's, and the bare block of librdkafka and
// others.
func (s *Scratch) readSnappy(payload []byte) error {
	s.plain = s.plain[:0]
	const magicBytes = 8
	if len(payload) < len(xerialHeader) || string(payload[:magicBytes]) != xerialHeader[:magicBytes] {
		return s.readSnappyBlock(payload)
	}
	rest := payload[len(xerialHeader):]
	for len(rest) > 0 {
		if len(rest) < 4 {
			return io.ErrUnexpectedEOF
		}
		n := binary.BigEndian.Uint32(rest)
		rest = rest[4:]
		if uint64(n) > uint64(len(rest)) {
			return fmt.Errorf("block of %d bytes with %d left: %w", n, len(rest), io.ErrUnexpectedEOF)
		}
		if err := s.readSnappyBlock(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func (s *Scratch) readSnappyBlock(block []byte) error {
	n, err := snappy.DecodedLen(block)
	if err != nil {
		return err
	}
	have := len(s.plain)
	if n > DecompressedBytesMax-have {
		return errTooMuch
	}
	// A snappy copy makes at most 64 bytes out of 3, so a length beyond that
	// ratio is a lie that we need not allocate for.
	if n > (len(block)+1)*snappyRatioMax {
		return errors.New("block claims an impossible length")
	}
	s.grow(n)
	out := s.plain[have : have+n]
	got, err := snappy.DecodeStrict(out, block)
	if err != nil {
		return err
	}
	if n > 0 && &got[0] != &out[0] {
		copy(out, got)
	}
	s.plain = s.plain[:have+n]
	return nil
}

const snappyRatioMax = 32

// drain reads r to its end into the plain buffer, up to the maximum.
func (s *Scratch) drain(r io.Reader) error {
	s.plain = s.plain[:0]
	for {
		if len(s.plain) == cap(s.plain) {
			s.grow(max(len(s.plain), drainBytesMin))
		}
		n, err := r.Read(s.plain[len(s.plain):cap(s.plain)])
		s.plain = s.plain[:len(s.plain)+n]
		if len(s.plain) > DecompressedBytesMax {
			return errTooMuch
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

const drainBytesMin = 16 << 10

// grow makes room for n more bytes, keeping what is there.
func (s *Scratch) grow(n int) {
	if cap(s.plain)-len(s.plain) >= n {
		return
	}
	bigger := make([]byte, len(s.plain), max(len(s.plain)+n, 2*cap(s.plain)))
	copy(bigger, s.plain)
	s.plain = bigger
}
