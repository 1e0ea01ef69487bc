package log

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// Kafka's names for what lies in a data directory and in a partition's.
const (
	cleanShutdownFile  = ".kafka_cleanshutdown"
	recoveryPointFile  = "recovery-point-offset-checkpoint"
	highWatermarkFile  = "replication-offset-checkpoint"
	startOffsetFile    = "log-start-offset-checkpoint"
	cleanerOffsetFile  = "cleaner-offset-checkpoint"
	metaPropertiesFile = "meta.properties"
	epochFile          = "leader-epoch-checkpoint"
	partitionFile      = "partition.metadata"
	// metadataDir is the controllers' own; it looks like a partition and is none
	// of ours.
	metadataDir = "__cluster_metadata-0"
)

// checkpointBytesMax bounds what is read of one checkpoint, index or snapshot file.
const checkpointBytesMax = 256 << 20

// offsetMax bounds offsets read from files, so that sums of them do not overflow.
const offsetMax = 1 << 62

// parsePartitionDir reads a directory's name; the topic may hold hyphens.
func parsePartitionDir(name string) (Partition, bool) {
	i := strings.LastIndexByte(name, '-')
	if i <= 0 || name == metadataDir {
		return Partition{}, false
	}
	n, err := strconv.ParseInt(name[i+1:], 10, 32)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != name[i+1:] {
		return Partition{}, false
	}
	return Partition{name[:i], int32(n)}, true
}

// gaps says whether offsets may be missing inside a log. Only compaction takes
// any out, here or at the leader, and a recovery has to know: where it does not
// expect gaps, an offset out of line is damage, since no CRC covers it. What
// tells it is the cleaner's checkpoint, which lists every log that may have some.
type gaps uint8

const (
	gapsNone   gaps = iota
	gapsFound       // the leader's log has one, though the topic is not compacted any more
	gapsListed      // in the checkpoint that is being written
	gapsKnown       // in the one on disk
)

// mayHaveGaps says whether a gap may come into the log now; if it is compacted
// and not listed yet, that is seen to, and the caller tries again later.
func (l *Log) mayHaveGaps(c *step.Context) bool {
	if l.gaps != gapsKnown && (l.gaps != gapsNone || l.cfg.CleanupPolicy.Has(config.CleanupCompact)) {
		l.m.writeCheckpoint(c, checkpointCleaner)
	}
	return l.gaps == gapsKnown
}

// mayCopyGap says whether a gap that the leader's log has may be copied now, as above.
func (l *Log) mayCopyGap(c *step.Context) bool {
	l.gaps = max(l.gaps, gapsFound)
	return l.mayHaveGaps(c)
}

// offsetOf is one line of an offset checkpoint.
type offsetOf struct {
	partition Partition
	offset    int64
}

// encodeOffsets writes Kafka's OffsetCheckpointFile: version 0, count, lines of
// topic, partition, offset.
func encodeOffsets(lines []offsetOf) []byte {
	out := append([]byte("0\n"), strconv.Itoa(len(lines))...)
	out = append(out, '\n')
	for i := range lines {
		l := &lines[i]
		out = append(append(out, l.partition.Topic...), ' ')
		out = strconv.AppendInt(out, int64(l.partition.Index), 10)
		out = strconv.AppendInt(append(out, ' '), l.offset, 10)
		out = append(out, '\n')
	}
	return out
}

func decodeOffsets(b []byte) (map[Partition]int64, error) {
	rows, err := checkpointRows(b, 3)
	if err != nil {
		return nil, err
	}
	out := make(map[Partition]int64, len(rows))
	for _, f := range rows {
		index, err1 := strconv.ParseInt(f[1], 10, 32)
		offset, err2 := strconv.ParseInt(f[2], 10, 64)
		if err1 != nil || err2 != nil || index < 0 || offset < 0 || offset > offsetMax {
			return nil, fmt.Errorf("checkpoint line %q: want topic, partition, offset", strings.Join(f, " "))
		}
		out[Partition{f[0], int32(index)}] = offset
	}
	return out, nil
}

func checkpointRows(b []byte, fields int) ([][]string, error) {
	if len(b) == 0 { // as Kafka makes the file at first
		return nil, nil
	}
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if len(lines) < 2 || lines[0] != "0" {
		return nil, fmt.Errorf("checkpoint starts with %q: want version 0 and a count", lines[0])
	}
	n, err := strconv.Atoi(lines[1])
	if err != nil || n != len(lines)-2 {
		return nil, fmt.Errorf("checkpoint says %q lines and has %d", lines[1], len(lines)-2)
	}
	rows := make([][]string, 0, n)
	for _, l := range lines[2:] {
		f := strings.Fields(l)
		if len(f) != fields {
			return nil, fmt.Errorf("checkpoint line %q: want %d fields", l, fields)
		}
		rows = append(rows, f)
	}
	return rows, nil
}

func (x *epochCache) encode() []byte {
	out := append([]byte("0\n"), strconv.Itoa(len(x.entries))...)
	out = append(out, '\n')
	for _, e := range x.entries {
		out = strconv.AppendInt(out, int64(e.epoch), 10)
		out = strconv.AppendInt(append(out, ' '), e.start, 10)
		out = append(out, '\n')
	}
	return out
}

func decodeEpochs(b []byte) (epochCache, error) {
	rows, err := checkpointRows(b, 2)
	if err != nil {
		return epochCache{}, err
	}
	var x epochCache
	for _, f := range rows {
		epoch, err1 := strconv.ParseInt(f[0], 10, 32)
		start, err2 := strconv.ParseInt(f[1], 10, 64)
		if err1 != nil || err2 != nil || epoch < 0 || start < 0 || start > offsetMax {
			return epochCache{}, fmt.Errorf("epoch line %q: want epoch and start offset", strings.Join(f, " "))
		}
		if n := len(x.entries); n > 0 && (int32(epoch) <= x.entries[n-1].epoch || start < x.entries[n-1].start) {
			return epochCache{}, fmt.Errorf("epoch line %q does not rise", strings.Join(f, " "))
		}
		x.entries = append(x.entries, epochEntry{int32(epoch), start})
	}
	return x, nil
}

// encodePartitionMetadata writes Kafka's partition.metadata: the topic id as
// Kafka's Uuid prints it.
func encodePartitionMetadata(id meta.TopicID) []byte {
	return []byte("version: 0\ntopic_id: " + base64.RawURLEncoding.EncodeToString(id[:]) + "\n")
}

func decodePartitionMetadata(b []byte) (id meta.TopicID, err error) {
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "version":
			if value != "0" {
				return id, fmt.Errorf("partition.metadata has version %q, want 0", value)
			}
		case "topic_id":
			raw, err := base64.RawURLEncoding.DecodeString(value)
			if err != nil || len(raw) != len(id) {
				return id, fmt.Errorf("partition.metadata: topic id %q is no uuid", value)
			}
			copy(id[:], raw)
			return id, nil
		}
	}
	return id, fmt.Errorf("partition.metadata has no topic_id")
}

// cleanShutdown is Kafka's JSON in .kafka_cleanshutdown (KIP-966).
type cleanShutdown struct {
	Version     int   `json:"version"`
	BrokerEpoch int64 `json:"brokerEpoch"`
}

func encodeCleanShutdown(epoch int64) []byte {
	return []byte(`{"version":0,"brokerEpoch":` + strconv.FormatInt(epoch, 10) + `}`)
}

// decodeCleanShutdown returns -1 for a file that cannot be read, as Kafka does:
// the shutdown was clean, the epoch is not known.
func decodeCleanShutdown(b []byte) int64 {
	s := cleanShutdown{BrokerEpoch: -1}
	if json.Unmarshal(b, &s) != nil || s.Version != 0 {
		return -1
	}
	return s.BrokerEpoch
}

// MetaProperties is what Kafka keeps in meta.properties (version 1).
type MetaProperties struct {
	ClusterID   string
	NodeID      int32
	DirectoryID [16]byte // KIP-858
}

// Encode writes the file as Java's Properties would, keys in name order.
func (p *MetaProperties) Encode() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "cluster.id=%s\ndirectory.id=%s\nnode.id=%d\nversion=1\n",
		p.ClusterID, base64.RawURLEncoding.EncodeToString(p.DirectoryID[:]), p.NodeID)
	return out.Bytes()
}

// ParseMetaProperties reads meta.properties.
func ParseMetaProperties(b []byte) (MetaProperties, error) {
	p := MetaProperties{NodeID: -1}
	for _, line := range strings.Split(string(b), "\n") {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		switch key {
		case "version":
			if value != "1" {
				return p, fmt.Errorf("meta.properties has version %q, want 1", value)
			}
		case "cluster.id":
			p.ClusterID = value
		case "node.id":
			n, err := strconv.ParseInt(value, 10, 32)
			if err != nil || n < 0 {
				return p, fmt.Errorf("meta.properties: node.id %q is no number from 0 up", value)
			}
			p.NodeID = int32(n)
		case "directory.id":
			raw, err := base64.RawURLEncoding.DecodeString(value)
			if err != nil || len(raw) != len(p.DirectoryID) {
				return p, fmt.Errorf("meta.properties: directory.id %q is no uuid", value)
			}
			copy(p.DirectoryID[:], raw)
		}
	}
	if p.NodeID < 0 {
		return p, fmt.Errorf("meta.properties has no node.id")
	}
	return p, nil
}
