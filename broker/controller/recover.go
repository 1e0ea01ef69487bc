package controller

import (
	"errors"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	pb "go.etcd.io/raft/v3/raftpb"
)

// The empty image is the snapshot that every cluster starts from, at offset 1,
// because raft wants its voters to be in a snapshot.
const (
	firstIndex = 1
	firstTerm  = 1
)

// recovery walks from the newest segment to the oldest until one is complete.
// More than one is there only after a crash while rolling.
//
//	list -> read segment -> read its checkpoint -> open -> cut the torn tail -> start
//	             ^ torn: next older
type recovery struct {
	segments []edge.DirEntry // still to try, oldest first
	newest   string
	segment  *segment
	snapshot []byte
	litter   []string // complete or not, of no use once recovery is over
}

// missing tells whether a failed operation is one that recovery may find to
// have failed: the checkpoint of a segment that was rolled and not completed.
func (v *recovery) missing(r *edge.DiskResult) bool {
	return v != nil && r.Token.Kind == opCheckRead && r.Err == edge.ErrNotFound
}

func (k *Controller) boot(c *step.Context) {
	j := &k.journal
	j.id = base{Index: firstIndex, Term: firstTerm, NodeID: k.cfg.NodeID, ClusterID: k.cfg.ClusterID}
	j.nextFile = firstFile
	j.recover = &recovery{}
	j.submit(c, opIgnored, edge.DiskOp{Kind: edge.OpMkdir, Path: Dir})
	j.submit(c, opListed, edge.DiskOp{Kind: edge.OpList, Path: Dir})
}

func (k *Controller) listed(c *step.Context, r *edge.DiskResult) {
	v := k.journal.recover
	for _, e := range r.Entries {
		if _, ok := parseSegment(e.Name); ok {
			v.segments = append(v.segments, e)
		}
		v.litter = append(v.litter, Dir+"/"+e.Name)
	}
	if len(v.segments) == 0 {
		if len(v.litter) > 0 {
			k.halt(c, "metadata log: %s has files but no segment", Dir)
			return
		}
		k.firstSegment(c)
		return
	}
	k.readNewest(c)
}

func (k *Controller) firstSegment(c *step.Context) {
	j := &k.journal
	j.recover.segment = &segment{base: j.id, hard: firstHardState(), fresh: true}
	j.file, j.path = j.nextFile, segmentPath(firstIndex)
	j.nextFile++
	j.submit(c, opIgnored, edge.DiskOp{Kind: edge.OpSyncDir, Path: "."})
	payload := appendItem(j.id.append(nil), itemFresh, nil)
	j.create(c, frame(0, appendState(payload, j.recover.segment.hard, nil)), opOpened)
}

func firstHardState() *pb.HardState {
	return &pb.HardState{Term: new(uint64(firstTerm)), Vote: new(uint64(0)), Commit: new(uint64(firstIndex))}
}

func (k *Controller) readNewest(c *step.Context) {
	v := k.journal.recover
	newest := v.segments[len(v.segments)-1]
	v.segments = v.segments[:len(v.segments)-1]
	v.newest = Dir + "/" + newest.Name
	if newest.Size > fileBytesMax {
		k.halt(c, "metadata log: %s has %d bytes, the maximum is %d", v.newest, newest.Size, fileBytesMax)
		return
	}
	k.journal.submit(c, opSegmentRead, edge.DiskOp{Kind: edge.OpReadFile, Path: v.newest, Length: newest.Size})
}

// skip goes on with the next older segment.
func (k *Controller) skip(c *step.Context, why string) {
	v := k.journal.recover
	if len(v.segments) > 0 {
		c.Logf(edge.Warn, "metadata log: %s is incomplete (%s): the roll to it was cut short", v.newest, why)
		k.readNewest(c)
		return
	}
	// The very first segment is written before the node takes part in anything.
	if v.newest == segmentPath(firstIndex) && v.segment == nil {
		c.Logf(edge.Warn, "metadata log: %s is incomplete (%s): starting afresh", v.newest, why)
		k.firstSegment(c)
		return
	}
	k.halt(c, "metadata log: %s: %s", v.newest, why)
}

func (k *Controller) segmentRead(c *step.Context, r *edge.DiskResult) {
	v := k.journal.recover
	var file []byte
	if r.Data != nil {
		file = r.Data.Bytes()
	}
	s, err := readSegment(file)
	switch {
	case errors.Is(err, errTorn):
		v.segment = nil
		k.skip(c, err.Error())
		return
	case err != nil:
		k.halt(c, "metadata log: %s is corrupt: %v", v.newest, err)
		return
	case s.base.NodeID != k.cfg.NodeID:
		k.halt(c, "metadata log: %s belongs to node %d, this is node %d", v.newest, s.base.NodeID, k.cfg.NodeID)
		return
	case s.base.ClusterID != k.cfg.ClusterID:
		k.halt(c, "metadata log: %s belongs to cluster %q, this is %q", v.newest, s.base.ClusterID, k.cfg.ClusterID)
		return
	}
	v.segment = s
	if s.base.Index == firstIndex {
		k.openSegment(c)
		return
	}
	path := checkpointPath(s.base.Index, s.base.Term)
	k.journal.submit(c, opCheckRead, edge.DiskOp{Kind: edge.OpReadFile, Path: path, Length: fileBytesMax})
}

func (k *Controller) checkpointRead(c *step.Context, r *edge.DiskResult) {
	v := k.journal.recover
	if r.Err != edge.DiskOK || r.Data == nil {
		k.skip(c, "its checkpoint is missing")
		return
	}
	payload, ok := frameAt(r.Data.Bytes(), 0)
	if !ok {
		k.skip(c, "its checkpoint is damaged")
		return
	}
	image, err := meta.DecodeImage(payload)
	if err != nil {
		k.halt(c, "metadata log: checkpoint of %s: %v", v.newest, err)
		return
	}
	v.snapshot = append([]byte(nil), payload...)
	k.image = image
	k.journal.snapshot = checkpointPath(v.segment.base.Index, v.segment.base.Term)
	k.openSegment(c)
}

// openSegment makes the segment live and cuts off its torn tail before anything
// is written behind it. What recovery has read may be in the page cache only,
// after a kill: file and directory are synced before the node relies on it, and
// before the files that it replaces may go.
func (k *Controller) openSegment(c *step.Context) {
	j := &k.journal
	s := j.recover.segment
	j.id, j.path, j.end = s.base, segmentPath(s.base.Index), s.bytes
	j.file = j.nextFile
	j.nextFile++
	j.submit(c, opIgnored, edge.DiskOp{Kind: edge.OpOpen, File: j.file, Path: j.path})
	j.submit(c, opIgnored, edge.DiskOp{Kind: edge.OpTruncate, File: j.file, Length: j.end})
	j.submit(c, opIgnored, edge.DiskOp{Kind: edge.OpSync, File: j.file})
	j.submit(c, opIgnored, edge.DiskOp{Kind: edge.OpSyncDir, Path: "."})
	j.submit(c, opOpened, edge.DiskOp{Kind: edge.OpSyncDir, Path: Dir})
}

// clean removes what an interrupted roll has left.
func (j *journal) clean(c *step.Context) {
	for _, path := range j.recover.litter {
		if path != j.path && path != j.snapshot {
			j.submit(c, opIgnored, edge.DiskOp{Kind: edge.OpRemove, Path: path})
		}
	}
	j.recover = nil
}
