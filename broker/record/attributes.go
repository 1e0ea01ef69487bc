package record

import "fmt"

// Attributes are the flag bits of a batch: codec (0 to 2), timestamp type (3),
// transactional (4), control (5), delete horizon (6). The others are unused.
type Attributes int16

const (
	attrCodecMask     Attributes = 0x07
	attrLogAppendTime Attributes = 1 << 3
	attrTransactional Attributes = 1 << 4
	attrControl       Attributes = 1 << 5
	attrDeleteHorizon Attributes = 1 << 6
)

// Codec says how the records section is compressed. It may be an unknown one.
func (a Attributes) Codec() Codec { return Codec(a & attrCodecMask) }

// LogAppendTime says that every record bears the time of the append, not the
// producer's.
func (a Attributes) LogAppendTime() bool { return a&attrLogAppendTime != 0 }

// Transactional says that the batch belongs to a transaction.
func (a Attributes) Transactional() bool { return a&attrTransactional != 0 }

// Control says that the batch holds a marker, which consumers never see.
func (a Attributes) Control() bool { return a&attrControl != 0 }

// HasDeleteHorizon says that the base timestamp is the time after which the
// cleaner may drop the batch's tombstones or marker (KIP-534).
func (a Attributes) HasDeleteHorizon() bool { return a&attrDeleteHorizon != 0 }

// Codec is how a batch's records are compressed.
type Codec uint8

// The codecs, by their number in Attributes.
const (
	None Codec = iota
	Gzip
	Snappy
	Lz4
	Zstd
)

// Codecs lists every codec that Kafka knows, in the order of their numbers.
func Codecs() [5]Codec { return [5]Codec{None, Gzip, Snappy, Lz4, Zstd} }

// Known says whether Kafka gives the number a meaning.
func (c Codec) Known() bool { return c <= Zstd }

// String is the name used by compression.type.
func (c Codec) String() string {
	switch c {
	case None:
		return "none"
	case Gzip:
		return "gzip"
	case Snappy:
		return "snappy"
	case Lz4:
		return "lz4"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("codec(%d)", uint8(c))
}

// ParseCodec reads a name as compression.type gives it. The values "producer"
// and "uncompressed" are the config's own and not codecs.
func ParseCodec(name string) (Codec, error) {
	for _, c := range Codecs() {
		if c.String() == name {
			return c, nil
		}
	}
	return None, fmt.Errorf("unknown codec %q: want none, gzip, snappy, lz4 or zstd", name)
}
