package real

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// backUp copies the disks of a target as they are an event's age before it. A process
// stands still while its disk is copied, so that the copy is of one moment.
func (f *faults) backUp(ctx context.Context, e *scenarios.Event, index int) {
	if !sleep(ctx, e.At-e.Age-f.ledger.now()) {
		return
	}
	nodes, err := f.resolve(ctx, &e.Target)
	for _, n := range nodes {
		n.stand(1)
		err = errors.Join(err, os.CopyFS(n.backup(index), os.DirFS(n.disk)))
		n.stand(-1)
	}
	if err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.missed = append(f.missed, fmt.Sprintf("the disks for %s at %v were not copied: %v", e.Verb(), e.At, err))
	}
}

// restoreBackup puts the copies in the place of the disks of nodes that are down.
func (f *faults) restoreBackup(nodes []*node, index int) error {
	for _, n := range nodes {
		if n.running() {
			return fmt.Errorf("%s is not down", n.Name)
		}
		err := os.RemoveAll(n.disk)
		if err == nil {
			err = os.Rename(n.backup(index), n.disk)
		}
		if err != nil {
			return fmt.Errorf("restore the disk of %s: %w", n.Name, err)
		}
	}
	return nil
}

// backup is where the copy for an event is.
func (one *node) backup(index int) string {
	return filepath.Join(filepath.Dir(one.disk), fmt.Sprintf("backup-%d", index), one.Name)
}

// stressPeriod is how often a process stands still that has only a share of the
// processor.
const stressPeriod = 20 * time.Millisecond

// stress lets nodes run for what others leave of each period, until it heals.
func stress(nodes []*node, taken scenarios.PPM) (heal func() error) {
	stands := stressPeriod * time.Duration(taken) / 1_000_000
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			for _, n := range nodes {
				n.stand(1)
			}
			sleep(ctx, stands)
			for _, n := range nodes {
				n.stand(-1)
			}
			sleep(ctx, stressPeriod-stands)
		}
	}()
	return func() error {
		stop()
		<-ended
		return nil
	}
}
