package log

import (
	"encoding/binary"
	"sort"
)

// offsetEntryBytes and timeEntryBytes are the sizes of Kafka's index entries on disk.
const (
	offsetEntryBytes = 8
	timeEntryBytes   = 12
)

// offsetEntry says that the batch at Position of the segment's file ends with
// the offset base+Relative.
type offsetEntry struct {
	relative uint32
	position uint32
}

// offsetIndex is the sparse offset index of one segment. Entries rise in both
// fields.
type offsetIndex struct{ entries []offsetEntry }

// floor returns the position from which a scan finds the offset: that of the
// last entry at or below it, or the segment's start.
func (x *offsetIndex) floor(base, offset int64) int64 {
	i := sort.Search(len(x.entries), func(i int) bool { return base+int64(x.entries[i].relative) > offset })
	if i == 0 {
		return 0
	}
	return int64(x.entries[i-1].position)
}

func (x *offsetIndex) encode() []byte {
	out := make([]byte, 0, len(x.entries)*offsetEntryBytes)
	for _, e := range x.entries {
		out = binary.BigEndian.AppendUint32(out, e.relative)
		out = binary.BigEndian.AppendUint32(out, e.position)
	}
	return out
}

// unpadded cuts zeros off a file of entries: Kafka preallocates an index to
// segment.index.bytes and cuts it only when the segment is sealed or the process
// ends in order. Neither index has an entry of zeros behind its first one.
func unpadded(b []byte, entryBytes int) []byte {
	end := len(b)
	for end > entryBytes && b[end-1] == 0 {
		end--
	}
	// To the end of the entry in which the last other byte lies.
	return b[:min(len(b), (end+entryBytes-1)/entryBytes*entryBytes)]
}

// decodeOffsetIndex reads a file and says whether it is sane for a segment file
// of size bytes; what is not sane is rebuilt from the log.
func decodeOffsetIndex(b []byte, size int64) (offsetIndex, bool) {
	b = unpadded(b, offsetEntryBytes)
	if len(b)%offsetEntryBytes != 0 {
		return offsetIndex{}, false
	}
	x := offsetIndex{entries: make([]offsetEntry, 0, len(b)/offsetEntryBytes)}
	for ; len(b) > 0; b = b[offsetEntryBytes:] {
		e := offsetEntry{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
		if int64(e.position) >= size || e.relative > 1<<31-1 {
			return offsetIndex{}, false
		}
		if n := len(x.entries); n > 0 && (e.relative <= x.entries[n-1].relative || e.position <= x.entries[n-1].position) {
			return offsetIndex{}, false
		}
		x.entries = append(x.entries, e)
	}
	return x, true
}

// timeEntry says that no record before and including base+relative is younger
// than timestamp (milliseconds), and that the batch ending there holds it.
type timeEntry struct {
	timestamp int64
	relative  uint32
}

// timeIndex is the time index of one segment. Entries rise in both fields.
type timeIndex struct{ entries []timeEntry }

// add appends an entry if it is younger than the last one.
func (x *timeIndex) add(e timeEntry) {
	if n := len(x.entries); e.timestamp < 0 || n > 0 && e.timestamp <= x.entries[n-1].timestamp {
		return
	}
	x.entries = append(x.entries, e)
}

// floor returns the offset from which a scan finds the first record at or after
// the time.
func (x *timeIndex) floor(base, timestamp int64) int64 {
	i := sort.Search(len(x.entries), func(i int) bool { return x.entries[i].timestamp > timestamp })
	if i == 0 {
		return base
	}
	return base + int64(x.entries[i-1].relative)
}

// truncate drops entries at or above an offset.
func (x *timeIndex) truncate(base, offset int64) {
	n := len(x.entries)
	for n > 0 && base+int64(x.entries[n-1].relative) >= offset {
		n--
	}
	x.entries = x.entries[:n]
}

func (x *timeIndex) encode() []byte {
	out := make([]byte, 0, len(x.entries)*timeEntryBytes)
	for _, e := range x.entries {
		out = binary.BigEndian.AppendUint64(out, uint64(e.timestamp))
		out = binary.BigEndian.AppendUint32(out, e.relative)
	}
	return out
}

func decodeTimeIndex(b []byte) (timeIndex, bool) {
	b = unpadded(b, timeEntryBytes)
	if len(b)%timeEntryBytes != 0 {
		return timeIndex{}, false
	}
	x := timeIndex{entries: make([]timeEntry, 0, len(b)/timeEntryBytes)}
	for ; len(b) > 0; b = b[timeEntryBytes:] {
		e := timeEntry{int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint32(b[8:])}
		if e.timestamp < 0 || e.relative > 1<<31-1 {
			return timeIndex{}, false
		}
		if n := len(x.entries); n > 0 && (e.timestamp <= x.entries[n-1].timestamp || e.relative < x.entries[n-1].relative) {
			return timeIndex{}, false
		}
		x.entries = append(x.entries, e)
	}
	return x, true
}
