// Package logdirs works on the data directories of nodes that do not run. It
// takes brokerd's and Apache Kafka's alike, since their files are the same but
// for the metadata, which it leaves alone.
package logdirs

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/host"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
)

// Import puts the logs of topics that one data directory holds in place of the
// empty ones that another holds. Offsets, timestamps and what producers wrote stay.
// What only the cluster that wrote them can know does not: there the topics have
// the ids and configs that they were created with, all counts as written in leader
// epoch 0, and by producers that were not idempotent, since the cluster gives
// their ids to others and would take the first records of those for duplicates.
type Import struct {
	From, Into string   // data directories
	Topics     []string // all that are named must be in both
}

// Imported is what has become of one partition.
type Imported struct {
	Partition  log.Partition
	Start, End int64 // offsets
	Segments   int
	Bytes      int64 // of the segments' logs
	// Cut says why the log ends before its last file does, as after a kill; empty
	// if it does not.
	Cut string
}

// Run imports everything, one partition at a time, and tells of each. What it can
// find wrong beforehand it does before it changes anything.
func (i *Import) Run(tell func(Imported)) (err error) {
	unlock, err := i.lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	partitions, err := i.partitions()
	if err != nil {
		return err
	}
	from, err := readCheckpoints(i.From)
	if err != nil {
		return err
	}
	into, err := readCheckpoints(i.Into)
	if err != nil {
		return err
	}
	// From here on, a crash leaves a directory that its node recovers.
	if err := into.removeMarker(); err != nil {
		return err
	}
	for _, p := range partitions {
		done, failed := i.partition(p, from, into)
		if failed != nil {
			return errors.Join(fmt.Errorf("import %s: %w", p, failed), into.write(false))
		}
		tell(done)
	}
	return into.write(from.clean)
}

// lock takes both directories, so that neither node runs meanwhile.
func (i *Import) lock() (unlock func() error, err error) {
	fromInfo, err := os.Stat(i.From)
	if err != nil {
		return nil, fmt.Errorf("the directory to import from: %w", err)
	}
	intoInfo, err := os.Stat(i.Into)
	if err != nil {
		return nil, fmt.Errorf("the directory to import into: %w", err)
	}
	if os.SameFile(fromInfo, intoInfo) {
		return nil, fmt.Errorf("%s and %s are the same directory", i.From, i.Into)
	}
	first, err := host.LockDirectory(i.From)
	if err != nil {
		return nil, err
	}
	second, err := host.LockDirectory(i.Into)
	if err != nil {
		return nil, errors.Join(err, first())
	}
	return func() error { return errors.Join(second(), first()) }, nil
}

// partitions lists what is to be imported, sorted, if all of it can be.
func (i *Import) partitions() ([]log.Partition, error) {
	list, err := i.find()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, topic := range i.Topics {
		if strings.HasPrefix(topic, "__") {
			errs = append(errs, fmt.Errorf("%s is internal: it speaks of the cluster that wrote it", topic))
		} else if !slices.ContainsFunc(list, func(p log.Partition) bool { return p.Topic == topic }) {
			errs = append(errs, fmt.Errorf("%s has no partition of topic %s", i.From, topic))
		}
	}
	for _, p := range list {
		errs = append(errs, i.empty(p))
	}
	return list, errors.Join(errs...)
}

// find lists the partitions of the topics in the directory to import from.
func (i *Import) find() (list []log.Partition, err error) {
	entries, err := os.ReadDir(i.From)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if p, ok := log.ParseDir(e.Name()); ok && e.IsDir() && slices.Contains(i.Topics, p.Topic) {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, log.Partition.Compare)
	return list, nil
}

// empty fails unless the partition is there to be imported into and holds nothing.
func (i *Import) empty(p log.Partition) error {
	dir := filepath.Join(i.Into, p.String())
	_, err := os.Stat(filepath.Join(dir, log.PartitionMetadataFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has no partition %s: start its node and create the topic with as many partitions as it has in %s", i.Into, p, i.From)
	}
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		base, ok := log.IsSegment(e.Name())
		if !ok {
			continue
		}
		used, err := hasBatch(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		if base > 0 || used {
			return fmt.Errorf("%s is not empty: delete the topic there and create it again, or import into another cluster", dir)
		}
	}
	return nil
}

// partition copies one log and puts it in place of the empty one.
func (i *Import) partition(p log.Partition, from, into *checkpoints) (Imported, error) {
	c := partitionCopy{
		from: filepath.Join(i.From, p.String()), flushed: from.recovery[p], clean: from.clean, start: from.start[p],
		done: Imported{Partition: p},
	}
	target := filepath.Join(i.Into, p.String())
	var err error
	// The names are those of deleted logs: whoever starts on a directory in which
	// the copy was interrupted removes it.
	if c.into, err = deletedDir(i.Into, p); err != nil {
		return c.done, err
	}
	if err := c.run(filepath.Join(target, log.PartitionMetadataFile)); err != nil {
		return c.done, errors.Join(err, os.RemoveAll(c.into))
	}
	gone, err := deletedDir(i.Into, p)
	if err != nil {
		return c.done, err
	}
	if err := os.Rename(target, gone); err != nil {
		return c.done, err
	}
	if err := os.Rename(c.into, target); err != nil {
		return c.done, err
	}
	if err := errors.Join(syncDir(i.Into), os.RemoveAll(gone)); err != nil {
		return c.done, err
	}
	into.imported(p, from, &c)
	return c.done, nil
}

func deletedDir(dir string, p log.Partition) (string, error) {
	var unique [16]byte
	if _, err := rand.Read(unique[:]); err != nil {
		return "", err
	}
	be := binary.BigEndian
	return filepath.Join(dir, log.DeletedDir(p, be.Uint64(unique[:]), be.Uint64(unique[8:]))), nil
}
