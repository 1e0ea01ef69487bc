package controller

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	pb "go.etcd.io/raft/v3/raftpb"
)

// journal is the raft log on disk. One segment is live at any time; it stands
// on a snapshot and holds everything after it, so that recovery reads exactly
// one of each:
//
//	00000000000000004097.raft                     entries after offset 4097
//	00000000000000004097-0000000003.checkpoint    the image at 4097, term 3
//
// The first segment stands on offset 1, which is the empty image and has no
// checkpoint file. A new pair is complete and synced before the old one goes.
type journal struct {
	id       base
	file     edge.FileID // of the live segment
	nextFile edge.FileID
	path     string // of the live segment
	snapshot string // path of the checkpoint that it stands on, or empty
	end      int64  // where the next frame goes
	recover  *recovery
	fresh    bool // as the live segment says, see quorum.fresh

	// While rolling: what becomes live when it is complete.
	next     *journal
	nextData []byte // first frame of the next segment
}

// The operations that somebody waits for, as Token.Kind.
const (
	opIgnored     uint8 = iota + 1 // only its failure matters
	opListed                       // boot: the directory
	opSegmentRead                  // boot: a segment
	opCheckRead                    // boot: a checkpoint
	opOpened                       // boot: the live segment is clean
	opAppended                     // a Ready is synced
	opCheckpoint                   // roll: the checkpoint is in place
	opRolled                       // roll: the next segment is in place
)

const (
	segmentSuffix    = ".raft"
	checkpointSuffix = ".checkpoint"
	// fileBytesMax bounds what recovery reads of one file.
	fileBytesMax = 1 << 30
)

func segmentPath(index uint64) string {
	return fmt.Sprintf("%s/%020d%s", Dir, index, segmentSuffix)
}

func checkpointPath(index, term uint64) string {
	return fmt.Sprintf("%s/%020d-%010d%s", Dir, index, term, checkpointSuffix)
}

// parseSegment returns the index in a segment's name.
func parseSegment(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	index, err := strconv.ParseUint(digits, 10, 64)
	return index, err == nil
}

func (j *journal) submit(c *step.Context, kind uint8, op edge.DiskOp) {
	op.Queue = Queue
	op.Token = edge.Token{Owner: step.OwnerController, Kind: kind, A: uint32(op.Kind)}
	c.Out.Disk = append(c.Out.Disk, op)
}

func bytesOf(b []byte) []edge.Slice { return []edge.Slice{edge.NewBuffer(b).All()} }

// append writes one frame behind the live segment. opAppended follows.
func (j *journal) append(c *step.Context, fresh bool, hard *pb.HardState, entries []*pb.Entry, broken bugs.Set) {
	var payload []byte
	if j.fresh && !fresh {
		payload = appendItem(payload, itemCaughtUp, nil)
		j.fresh = false
	}
	b := frame(j.end, appendState(payload, hard, entries))
	written := opIgnored
	if broken.Has(bugs.QuorumWithoutFlush) {
		written = opAppended
	}
	j.submit(c, written, edge.DiskOp{Kind: edge.OpWrite, File: j.file, Offset: j.end, Data: bytesOf(b)})
	if written == opIgnored {
		j.submit(c, opAppended, edge.DiskOp{Kind: edge.OpSync, File: j.file})
	}
	j.end += int64(len(b))
}

// create makes a segment with its first frame. The result of the last
// operation has the kind done.
func (j *journal) create(c *step.Context, first []byte, done uint8) {
	j.submit(c, opIgnored, edge.DiskOp{Kind: edge.OpOpen, File: j.file, Path: j.path})
	// A torn segment of the same name may be there from before a crash.
	j.submit(c, opIgnored, edge.DiskOp{Kind: edge.OpTruncate, File: j.file})
	j.submit(c, opIgnored, edge.DiskOp{Kind: edge.OpWrite, File: j.file, Data: bytesOf(first)})
	j.submit(c, opIgnored, edge.DiskOp{Kind: edge.OpSync, File: j.file})
	j.submit(c, done, edge.DiskOp{Kind: edge.OpSyncDir, Path: Dir})
	j.end = int64(len(first))
}

// roll starts a new segment on a snapshot: first the checkpoint, then the
// segment with all that comes after it, then the old pair goes. opRolled ends it.
func (j *journal) roll(c *step.Context, fresh bool, snap *pb.Snapshot, hard *pb.HardState, entries []*pb.Entry) {
	index, term := snap.GetMetadata().GetIndex(), snap.GetMetadata().GetTerm()
	id := j.id
	id.Index, id.Term = index, term
	j.next = &journal{
		id: id, file: j.nextFile, nextFile: j.nextFile + 1, path: segmentPath(index), snapshot: checkpointPath(index, term),
		fresh: fresh,
	}
	payload := id.append(nil)
	if fresh {
		payload = appendItem(payload, itemFresh, nil)
	}
	j.nextData = frame(0, appendState(payload, hard, entries))
	j.submit(c, opCheckpoint, edge.DiskOp{
		Kind: edge.OpReplaceFile, Path: j.next.snapshot, Data: bytesOf(frame(0, snap.GetData())),
	})
}

func (j *journal) checkpointDone(c *step.Context) {
	j.next.create(c, j.nextData, opRolled)
	j.nextData = nil
}

func (j *journal) rolled(c *step.Context) {
	old := *j
	*j = *old.next
	j.submit(c, opIgnored, edge.DiskOp{Kind: edge.OpClose, File: old.file})
	j.submit(c, opIgnored, edge.DiskOp{Kind: edge.OpRemove, Path: old.path})
	if old.snapshot != "" {
		j.submit(c, opIgnored, edge.DiskOp{Kind: edge.OpRemove, Path: old.snapshot})
	}
}

// disk dispatches a result. Every failure ends the process: a node that cannot
// write its promises down must not make any.
func (k *Controller) disk(c *step.Context, r *edge.DiskResult) {
	if k.halted {
		return
	}
	if r.Err != edge.DiskOK && k.journal.recover.missing(r) {
		r = &edge.DiskResult{Token: r.Token, Op: r.Op, Err: edge.ErrNotFound}
	} else if r.Err != edge.DiskOK {
		k.halt(c, "metadata log: %s: %s", r.Op, r.Err)
		return
	}
	switch r.Token.Kind {
	case opIgnored:
	case opListed:
		k.listed(c, r)
	case opSegmentRead:
		k.segmentRead(c, r)
	case opCheckRead:
		k.checkpointRead(c, r)
	case opOpened:
		k.start(c)
	case opAppended:
		k.persisted(c)
	case opCheckpoint:
		k.journal.checkpointDone(c)
	case opRolled:
		k.journal.rolled(c)
		k.persisted(c)
	default:
		panic(fmt.Sprintf("controller: disk result of kind %d", r.Token.Kind))
	}
}

func (k *Controller) halt(c *step.Context, format string, args ...any) {
	k.halted = true
	c.Halt(format, args...)
}
