package host

import (
	"sync"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// diskWorkers is how many operations are under way at a time. Each queue has
// one at most; the others are for syncs and cold reads of other queues.
const diskWorkers = 16

// disk performs operations: those of one queue in order, different queues side
// by side.
type disk struct {
	files *files
	// done takes results, and the buffers that have been written.
	done func(results []arrival, wrote []edge.Slice)

	// Of the turn: queues that have got something since the last
	// kick.
	touched []*diskQueue

	mu      sync.Mutex
	ready   sync.Cond
	queues  map[edge.QueueID]*diskQueue
	runable []*diskQueue
	closed  bool
	workers sync.WaitGroup
}

// diskQueue is one ordered queue. It is active while it is in runable or a
// worker performs what it has taken of it.
type diskQueue struct {
	id     edge.QueueID
	fresh  []edge.DiskOp // of the turn, until the kick
	ops    []edge.DiskOp
	active bool
}

func newDisk(f *files, done func(results []arrival, wrote []edge.Slice)) *disk {
	d := &disk{files: f, done: done, queues: make(map[edge.QueueID]*diskQueue)}
	d.ready.L = &d.mu
	for range diskWorkers {
		d.workers.Go(d.work)
	}
	return d
}

// submit queues an operation. Nothing begins before kick.
func (d *disk) submit(op *edge.DiskOp) {
	q := d.queue(op.Queue)
	if len(q.fresh) == 0 {
		d.touched = append(d.touched, q)
	}
	q.fresh = append(q.fresh, *op)
	*op = edge.DiskOp{}
}

// queue finds a queue. The map has no other user than the turn.
func (d *disk) queue(id edge.QueueID) *diskQueue {
	q := d.queues[id]
	if q == nil {
		q = &diskQueue{id: id}
		d.queues[id] = q
	}
	return q
}

// kick starts what has been submitted.
func (d *disk) kick() {
	if len(d.touched) == 0 {
		return
	}
	d.mu.Lock()
	for i, q := range d.touched {
		q.ops = append(q.ops, q.fresh...)
		clear(q.fresh)
		q.fresh = q.fresh[:0]
		if !q.active {
			q.active = true
			d.runable = append(d.runable, q)
			d.ready.Signal()
		}
		d.touched[i] = nil
	}
	d.mu.Unlock()
	d.touched = d.touched[:0]
}

// close lets the workers finish what has been submitted, and closes all files.
func (d *disk) close() {
	d.kick()
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.ready.Broadcast()
	d.workers.Wait()
	d.files.closeAll()
}

// work is a worker: it takes one queue after another, each with all that waits
// in it.
func (d *disk) work() {
	var ops []edge.DiskOp
	var w diskRound
	for {
		d.mu.Lock()
		for len(d.runable) == 0 {
			if d.closed {
				d.mu.Unlock()
				return
			}
			d.ready.Wait()
		}
		q := d.runable[0]
		d.runable[0] = nil
		d.runable = d.runable[1:]
		q.ops, ops = ops[:0], q.ops
		d.mu.Unlock()

		w.perform(d.files, ops)
		d.done(w.results, w.wrote)
		clear(ops)

		d.mu.Lock()
		if len(q.ops) > 0 {
			d.runable = append(d.runable, q) // this worker is awake to take one
		} else {
			q.active = false
		}
		d.mu.Unlock()
	}
}

// diskRound is what a worker has done of one queue.
type diskRound struct {
	results []arrival
	wrote   []edge.Slice
}

// perform carries out operations in order. Of several syncs of one file with
// nothing but writes to it between them the last one does for all: whoever
// waits for an earlier one gets it later, and all together sooner (group
// commit).
func (w *diskRound) perform(files *files, ops []edge.DiskOp) {
	clear(w.results)
	clear(w.wrote)
	w.results, w.wrote = w.results[:0], w.wrote[:0]
	deferred := 0 // first result that waits for the sync to come
	for i := range ops {
		op := &ops[i]
		r := edge.DiskResult{Token: op.Token, Op: op.Kind}
		switch {
		case op.Kind == edge.OpSync && laterSync(ops[i:]):
		case op.Kind == edge.OpSync:
			r.Err = files.sync(op)
			for j := deferred; j < len(w.results); j++ {
				if d := &w.results[j].event.Disk; d.Op == edge.OpSync {
					d.Err = r.Err
				}
			}
			deferred = len(w.results) + 1
		default:
			files.perform(op, &r)
		}
		if op.Kind != edge.OpSync && op.Kind != edge.OpWrite {
			deferred = len(w.results) + 1
		}
		w.results = append(w.results, arrival{event: edge.Event{Kind: edge.EventDisk, Disk: r}})
		w.wrote = append(w.wrote, op.Data...)
	}
}

// laterSync tells whether the sync that ops begin with is followed by another
// of the same file, with only writes to that file between them.
func laterSync(ops []edge.DiskOp) bool {
	for i := 1; i < len(ops) && ops[i].File == ops[0].File; i++ {
		switch ops[i].Kind {
		case edge.OpSync:
			return true
		case edge.OpWrite:
		default:
			return false
		}
	}
	return false
}
