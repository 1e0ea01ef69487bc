package log

import (
	"fmt"
	"slices"
)

// Names of files, for programs that work on the directory of a node that does
// not run. The first four lie in the data directory, the others in a partition's.
const (
	CleanShutdownFile     = cleanShutdownFile
	RecoveryPointFile     = recoveryPointFile
	StartOffsetFile       = startOffsetFile
	CleanerOffsetFile     = cleanerOffsetFile
	EpochFile             = epochFile
	PartitionMetadataFile = partitionFile
	// SwapSuffix is of segments that a compaction by Kafka was about to put in
	// place.
	SwapSuffix = ".swap"
)

// ParseDir reads the name of a partition's directory.
func ParseDir(name string) (Partition, bool) { return parsePartitionDir(name) }

// DeletedDir is the name of a directory that the next start removes. The two
// numbers are random.
func DeletedDir(p Partition, unique1, unique2 uint64) string { return deletedDir(p, unique1, unique2) }

// IsSegment says whether a name is that of a segment's log, and of which base offset.
func IsSegment(name string) (base int64, ok bool) {
	base, suffix, ok := parseSegmentName(name)
	return base, ok && suffix == logSuffix
}

// SegmentName is the name of such a log.
func SegmentName(base int64) string { return fmt.Sprintf("%020d%s", base, logSuffix) }

// IsIndex says whether a name is that of one of a segment's indexes.
func IsIndex(name string) bool {
	_, suffix, ok := parseSegmentName(name)
	return ok && (suffix == indexSuffix || suffix == timeSuffix)
}

// DecodeOffsets reads one of the data directory's checkpoints of offsets.
func DecodeOffsets(b []byte) (map[Partition]int64, error) { return decodeOffsets(b) }

// EncodeOffsets writes such a checkpoint.
func EncodeOffsets(offsets map[Partition]int64) []byte {
	lines := make([]offsetOf, 0, len(offsets))
	for p, offset := range offsets { //lint:maporder sorted below
		lines = append(lines, offsetOf{p, offset})
	}
	slices.SortFunc(lines, func(a, b offsetOf) int { return a.partition.Compare(b.partition) })
	return encodeOffsets(lines)
}

// EncodeFirstEpoch is the leader-epoch-checkpoint of a log from start to end of
// which all was written in epoch 0.
func EncodeFirstEpoch(start, end int64) []byte {
	var x epochCache
	if start < end {
		x.assign(0, start)
	}
	return x.encode()
}
