package runner

import (
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/sim/client"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
)

// placeOf finds the base offset of a committed batch whose acknowledgement told
// none: a duplicate of one appended long ago. The client cannot know it; the
// prediction of loss must. It looks on the disk of the broker that answered and
// returns -1 if the batch is not there any more, or has new sequences by now.
func (r *run) placeOf(b *client.Batch) int64 {
	host, ok := r.layout.broker(b.Leader)
	if !ok || b.ProducerID < 0 {
		return -1
	}
	d := r.world.Disk(host)
	directory := partitionName(r.ledger.topics[b.Topic].name, b.Partition) + "/"
	place := int64(-1)
	d.Walk(func(f disk.FileInfo) {
		if !strings.HasPrefix(f.Path, directory) || !strings.HasSuffix(f.Path, ".log") {
			return
		}
		data, _ := d.Contents(f.Path)
		for {
			stored, rest, err := record.Next(data)
			if err != nil {
				return // the end, or what is being written
			}
			if stored.ProducerID() == b.ProducerID && stored.ProducerEpoch() == b.Epoch && stored.BaseSequence() == b.Sequence && stored.Count() == b.Count {
				place = stored.BaseOffset()
			}
			data = rest
		}
	})
	return place
}
