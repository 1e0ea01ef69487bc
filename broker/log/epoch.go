package log

import "sort"

// UndefinedEpoch and UndefinedOffset are Kafka's answers for "not known".
const (
	UndefinedEpoch  int32 = -1
	UndefinedOffset int64 = -1
)

// epochEntry says that a leader epoch's first offset is start.
type epochEntry struct {
	epoch int32
	start int64
}

// epochCache knows at which offset each leader epoch began (KIP-101). Entries
// rise in both fields.
type epochCache struct{ entries []epochEntry }

func (x *epochCache) latest() int32 {
	if len(x.entries) == 0 {
		return UndefinedEpoch
	}
	return x.entries[len(x.entries)-1].epoch
}

// assign notes that epoch began at start and reports whether that changed
// anything. Entries of later epochs or offsets are contradicted and removed.
func (x *epochCache) assign(epoch int32, start int64) bool {
	if n := len(x.entries); n > 0 {
		if last := x.entries[n-1]; last.epoch == epoch && last.start <= start {
			return false
		}
	}
	n := len(x.entries)
	for n > 0 && (x.entries[n-1].epoch >= epoch || x.entries[n-1].start >= start) {
		n--
	}
	x.entries = append(x.entries[:n], epochEntry{epoch, start})
	return true
}

// truncateEnd removes epochs that began at or after offset.
func (x *epochCache) truncateEnd(offset int64) bool {
	n := len(x.entries)
	for n > 0 && x.entries[n-1].start >= offset {
		n--
	}
	changed := n < len(x.entries)
	x.entries = x.entries[:n]
	return changed
}

// truncateStart forgets what lies before offset; the epoch that covers it
// begins there now.
func (x *epochCache) truncateStart(offset int64) bool {
	n := 0
	for n+1 < len(x.entries) && x.entries[n+1].start <= offset {
		n++
	}
	changed := n > 0
	if changed {
		x.entries = append(x.entries[:0], x.entries[n:]...)
	}
	if len(x.entries) > 0 && x.entries[0].start < offset {
		x.entries[0].start = offset
		changed = true
	}
	return changed
}

func (x *epochCache) start(epoch int32) (int64, bool) {
	i := sort.Search(len(x.entries), func(i int) bool { return x.entries[i].epoch >= epoch })
	if i == len(x.entries) || x.entries[i].epoch != epoch {
		return UndefinedOffset, false
	}
	return x.entries[i].start, true
}

// at returns the epoch that offset belongs to.
func (x *epochCache) at(offset int64) int32 {
	i := sort.Search(len(x.entries), func(i int) bool { return x.entries[i].start > offset })
	if i == 0 {
		return UndefinedEpoch
	}
	return x.entries[i-1].epoch
}

// end answers OffsetForLeaderEpoch (KIP-279): the largest epoch at or below the
// one asked for and where it ended; both undefined when the epoch asked for is
// above all that are known. logEnd ends the latest epoch.
func (x *epochCache) end(epoch int32, logEnd int64) (int32, int64) {
	if epoch == UndefinedEpoch {
		return UndefinedEpoch, UndefinedOffset
	}
	if len(x.entries) > 0 && epoch == x.latest() {
		return epoch, logEnd
	}
	higher := sort.Search(len(x.entries), func(i int) bool { return x.entries[i].epoch > epoch })
	switch higher {
	case len(x.entries):
		return UndefinedEpoch, UndefinedOffset
	case 0:
		// All that is known is younger: the epoch asked for ended, at the latest,
		// where the first known one begins.
		return epoch, x.entries[0].start
	}
	return x.entries[higher-1].epoch, x.entries[higher].start
}
