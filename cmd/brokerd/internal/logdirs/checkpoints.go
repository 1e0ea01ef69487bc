package logdirs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-604ea8f1/windtunnel/broker/log"
)

// checkpoints are the files of a data directory that speak of all its logs. That
// of the high watermarks is no matter: they begin at the log's start, and rise
// once the replicas have shown what they have.
type checkpoints struct {
	dir                      string
	clean                    bool // its node was stopped in order
	recovery, start, cleaned map[log.Partition]int64
}

func readCheckpoints(dir string) (*checkpoints, error) {
	c := &checkpoints{dir: dir}
	_, err := os.Stat(filepath.Join(dir, log.CleanShutdownFile))
	if c.clean = err == nil; err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, f := range c.files() {
		path := filepath.Join(dir, f.name)
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			*f.offsets = make(map[log.Partition]int64)
			continue
		}
		if err != nil {
			return nil, err
		}
		if *f.offsets, err = log.DecodeOffsets(data); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return c, nil
}

type checkpointFile struct {
	name    string
	offsets *map[log.Partition]int64
}

func (c *checkpoints) files() [3]checkpointFile {
	return [...]checkpointFile{{log.RecoveryPointFile, &c.recovery}, {log.StartOffsetFile, &c.start}, {log.CleanerOffsetFile, &c.cleaned}}
}

// imported takes over what the other directory knows of a log.
func (c *checkpoints) imported(p log.Partition, from *checkpoints, copied *partitionCopy) {
	delete(c.recovery, p)
	delete(c.start, p)
	delete(c.cleaned, p)
	if point, ok := from.recovery[p]; ok {
		c.recovery[p] = min(point, copied.done.End)
	}
	if copied.done.Start > copied.first {
		c.start[p] = copied.done.Start
	}
	// A replica of a compacted log has gaps that its own cleaner did not make. A
	// log that is not listed would end at the first one.
	if cleaned, ok := from.cleaned[p]; ok {
		c.cleaned[p] = cleaned
	} else if copied.gaps {
		c.cleaned[p] = copied.first
	}
}

func (c *checkpoints) removeMarker() error {
	if !c.clean {
		return nil
	}
	return errors.Join(os.Rename(c.marker(), c.marker()+temporarySuffix), syncDir(c.dir))
}

func (c *checkpoints) marker() string { return filepath.Join(c.dir, log.CleanShutdownFile) }

// write keeps everything. The directory is one of a node that was stopped in
// order only if the imported logs come from such a one, too.
func (c *checkpoints) write(fromClean bool) error {
	for _, f := range c.files() {
		if err := writeFile(filepath.Join(c.dir, f.name), log.EncodeOffsets(*f.offsets)); err != nil {
			return err
		}
	}
	switch {
	case !c.clean:
		return syncDir(c.dir)
	case fromClean:
		return errors.Join(os.Rename(c.marker()+temporarySuffix, c.marker()), syncDir(c.dir))
	}
	return errors.Join(os.Remove(c.marker()+temporarySuffix), syncDir(c.dir))
}
