package config

import (
	"fmt"
	"strconv"

	"github.com/seed-604ea8f1/windtunnel/broker/record"
)

// LevelRows are compression.gzip.level, compression.lz4.level and
// compression.zstd.level (KIP-390), which a topic and a producer have alike. levels
// is where they are kept.
func LevelRows[T any](levels func(*T) *record.Levels) []Row[T] {
	row := func(codec record.Codec, def string, lo, hi int64, field func(*T) any, doc string) Row[T] {
		return Row[T]{Property{Name: levelName(codec), Type: TypeInt, Default: def, Min: lo, Max: hi, Effect: true, Doc: doc}, field}
	}
	return []Row[T]{
		row(record.Gzip, "-1", -1, record.GzipLevelMax, func(t *T) any { return (*gzipLevel)(&levels(t).Gzip) },
			"How hard gzip tries: 1 is fastest, 9 smallest, -1 the codec's default."),
		row(record.Lz4, "9", record.Lz4LevelMin, record.Lz4LevelMax, func(t *T) any { return &levels(t).Lz4 },
			"How hard lz4 tries: 9 is its fast compressor, every other level searches longer, 10 and 11 more than 1 to 8, and 12 to 17 most."),
		row(record.Zstd, "3", record.ZstdLevelMin, record.ZstdLevelMax, func(t *T) any { return &levels(t).Zstd },
			"How hard zstd tries: below 3, from 3, from 6 or from 10 on; levels within one of the four are alike."),
	}
}

func levelName(codec record.Codec) string { return "compression." + codec.String() + ".level" }

// gzipLevel has a gap in its bounds.
type gzipLevel int64

// Parse implements Parser.
func (l *gzipLevel) Parse(text string) error {
	level, err := strconv.ParseInt(text, 10, 64)
	if err != nil || record.CheckLevel(record.Gzip, int(level)) != nil || level == 0 {
		return fmt.Errorf("must be in 1 .. %d, or -1 for the codec's default", record.GzipLevelMax)
	}
	*l = gzipLevel(level)
	return nil
}

// String implements Parser.
func (l *gzipLevel) String() string { return strconv.FormatInt(int64(*l), 10) }
