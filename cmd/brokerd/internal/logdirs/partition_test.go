package logdirs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
)

// Goal: a log is copied as far as it may be trusted, and what a recovery needs to
// know of it is noted. Method: a directory with segments made of a few batches.

type source struct {
	t    *testing.T
	dir  string
	copy partitionCopy
}

func newSource(t *testing.T) *source {
	s := &source{t: t, dir: t.TempDir()}
	s.copy = partitionCopy{from: s.dir, into: filepath.Join(t.TempDir(), "orders-0")}
	return s
}

// batch is one record of producer 7 in leader epoch 3.
func batch(offset int64, transactional bool) record.Batch {
	o := record.NoProducer(record.None)
	o.BaseOffset, o.LeaderEpoch, o.Transactional = offset, 3, transactional
	o.ProducerID, o.ProducerEpoch, o.BaseSequence = 7, 1, int32(offset)
	var b record.Builder
	b.Reset(nil, o)
	b.Append(1000+offset, nil, []byte("value"), nil)
	return b.Finish()
}

func (s *source) segment(base int64, batches ...record.Batch) {
	s.t.Helper()
	var data []byte
	for _, b := range batches {
		data = append(data, b...)
	}
	if err := os.WriteFile(filepath.Join(s.dir, log.SegmentName(base)), data, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *source) run() error {
	s.t.Helper()
	metadata := filepath.Join(s.t.TempDir(), log.PartitionMetadataFile)
	if err := os.WriteFile(metadata, []byte("version: 0\n"), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return s.copy.run(metadata)
}

// copied are the offsets of a copied segment; its batches must be of nobody, in
// epoch 0.
func (s *source) copied(base int64) (offsets []int64) {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.copy.into, log.SegmentName(base)))
	if err != nil {
		s.t.Fatal(err)
	}
	for len(data) > 0 {
		b, rest, err := record.Next(data)
		if err == nil {
			err = b.CheckCRC()
		}
		if err != nil {
			s.t.Fatal(err)
		}
		if b.LeaderEpoch() != 0 || b.ProducerID() != -1 || b.ProducerEpoch() != -1 || b.BaseSequence() != -1 {
			s.t.Errorf("the batch at %d is of epoch %d, producer %d/%d at %d", b.BaseOffset(), b.LeaderEpoch(), b.ProducerID(), b.ProducerEpoch(), b.BaseSequence())
		}
		offsets, data = append(offsets, b.BaseOffset()), rest
	}
	return offsets
}

func TestCopy(t *testing.T) {
	torn := batch(4, false)[:40]
	damaged := append(record.Batch(nil), batch(1, false)...)
	damaged[len(damaged)-1] ^= 1
	for name, test := range map[string]struct {
		make    func(s *source)
		want    map[int64][]int64 // offsets by segment
		gaps    bool
		cut     string
		refused string
	}{
		"whole": {
			make: func(s *source) { s.segment(0, batch(0, false), batch(1, false)); s.segment(2, batch(2, false)) },
			want: map[int64][]int64{0: {0, 1}, 2: {2}},
		},
		"compacted within": {
			make: func(s *source) { s.segment(0, batch(0, false), batch(2, false)) },
			want: map[int64][]int64{0: {0, 2}}, gaps: true,
		},
		"compacted between": {
			make: func(s *source) { s.segment(0, batch(0, false)); s.segment(5, batch(5, false)) },
			want: map[int64][]int64{0: {0}, 5: {5}}, gaps: true,
		},
		"preallocated": {
			make: func(s *source) { s.segment(0, batch(0, false), make([]byte, 300)) },
			want: map[int64][]int64{0: {0}},
		},
		"torn": {
			make: func(s *source) {
				s.copy.flushed = 1
				s.segment(3, batch(3, false), torn)
				s.segment(4, batch(4, false))
			},
			want: map[int64][]int64{3: {3}}, cut: "bytes are left",
		},
		"torn below the recovery point": {
			make:    func(s *source) { s.copy.flushed = 5; s.segment(3, batch(3, false), torn) },
			refused: "though it was flushed: the log is damaged",
		},
		"torn, though stopped in order": {
			make:    func(s *source) { s.copy.clean = true; s.segment(3, batch(3, false), torn) },
			refused: "the log is damaged",
		},
		"damaged": {
			make: func(s *source) { s.segment(0, batch(0, false), damaged) },
			want: map[int64][]int64{0: {0}}, cut: "crc is",
		},
		"offsets that fall": {
			make: func(s *source) { s.segment(0, batch(0, false), batch(1, false), batch(1, false)) },
			want: map[int64][]int64{0: {0, 1}}, cut: "offsets 1 to 1 after 2",
		},
		"transactional": {
			make:    func(s *source) { s.segment(0, batch(0, false), batch(1, true)) },
			refused: "the batch at offset 1 is part of a transaction",
		},
		"half compacted": {
			make: func(s *source) {
				s.segment(0, batch(0, false))
				err := os.WriteFile(filepath.Join(s.dir, log.SegmentName(0)+log.SwapSuffix), nil, 0o644)
				if err != nil {
					s.t.Fatal(err)
				}
			},
			refused: "was being put in place by a compaction",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSource(t)
			test.make(s)
			err := s.run()
			if test.refused != "" {
				if err == nil || !strings.Contains(err.Error(), test.refused) {
					t.Fatalf("%v; want %q", err, test.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[int64][]int64)
			for base := range int64(10) {
				if _, err := os.Stat(filepath.Join(s.copy.into, log.SegmentName(base))); !errors.Is(err, os.ErrNotExist) {
					got[base] = s.copied(base)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("what should be there (-) is not what is (+):\n%s", diff)
			}
			if s.copy.gaps != test.gaps || (s.copy.done.Cut == "") != (test.cut == "") || !strings.Contains(s.copy.done.Cut, test.cut) {
				t.Errorf("gaps %v, cut %q", s.copy.gaps, s.copy.done.Cut)
			}
		})
	}
}
