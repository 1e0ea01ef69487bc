package log

import (
	"errors"
	"sort"
	"strings"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/broker/record"
)

// FuzzRecovery's goal: no file contents make recovery panic or hang, and after
// an unclean shutdown with no recovery point no batch with a wrong CRC is
// served. Method: a small log of several segments is damaged in a file that the
// input chooses, then recovered, read, appended to and recovered again.
func FuzzRecovery(f *testing.F) {
	for file := byte(0); file < 16; file++ {
		f.Add(file, uint16(7), []byte{0xff}, file%2 == 0)
		f.Add(file, uint16(40), []byte{1, 2, 3, 4, 5, 6, 7, 8}, file%3 == 0)
		f.Add(file, uint16(60000), []byte{}, file%2 == 1)
	}
	f.Fuzz(func(t *testing.T, file byte, at uint16, damage []byte, clean bool) {
		r := newRig(testConfig())
		r.create()
		for i := range 12 {
			o := batchOptions{records: 2, bytes: 60, producer: int64(i%3 + 1), sequence: int32(i/3) * 2}
			if _, err := r.append(o, int32(i/5)); err != nil {
				t.Fatal(err)
			}
			r.settle()
		}
		if clean {
			r.crash("clean")
		} else {
			r.crash("kill")
		}
		r.damage(int(file), int(at), damage)
		r.boot()
		r.settle()
		if r.out.Halt != "" {
			t.Fatalf("recovery halted: %s", r.out.Halt)
		}
		if !r.m.Ready() {
			t.Fatal("recovery did not end")
		}
		l := r.log()
		if l == nil {
			t.Fatal("log is gone")
		}
		if clean {
			r.drain(t) // what is below the recovery point is not checked, as in Kafka
		} else {
			for _, b := range r.readAll(t, l.StartOffset(), 1000) {
				if err := b.CheckCRC(); err != nil {
					t.Fatalf("served after unclean recovery: %v", err)
				}
			}
		}
		end := l.AppendEnd()
		info, err := r.append(batchOptions{bytes: 5}, max(9, l.LatestEpoch()))
		if err != nil || info.BaseOffset != end {
			t.Fatalf("append at %d: %+v %v", end, info, err)
		}
		r.settle()
		r.restart("kill")
		if l := r.log(); l.EndOffset() < 0 || l.EndOffset() > end+1 {
			t.Fatalf("second recovery ends at %d, after %d", l.EndOffset(), end+1)
		}
		r.log().TruncateTo(&r.c, end/2)
		r.collect()
		r.settle()
		if !r.log().Usable() {
			t.Fatal("truncation did not end")
		}
	})
}

// damage overwrites a part of the n-th file, or cuts it off there.
func (r *rig) damage(n, at int, with []byte) {
	var paths []string
	for p, f := range r.disk.entries {
		if f != nil {
			paths = append(paths, p)
		}
	}
	sort.Strings(paths)
	p := paths[n%len(paths)]
	f := r.disk.entries[p]
	data := append([]byte(nil), f.data...)
	at = min(at, len(data))
	if len(with) == 0 {
		data = data[:at]
	} else {
		data = append(data[:at], append(append([]byte(nil), with...), data[min(len(data), at+len(with)):]...)...)
	}
	f.data, f.stable = data, data
}

// drain reads everything as a client would, skipping what is corrupt.
func (r *rig) drain(t *testing.T) {
	l := r.log()
	from := l.StartOffset()
	for n := 0; from < l.EndOffset(); n++ {
		if n > 10000 {
			t.Fatalf("read at %d never ends", from)
		}
		res := l.Read(&r.c, from, 500, l.EndOffset(), true, nil)
		r.collect()
		switch {
		case errors.Is(res.Err, ErrCorrupt):
			from++
		case res.Err != nil:
			t.Fatal(res.Err)
		case res.Loading:
			r.settle()
		default:
			if res.Next <= from {
				t.Fatalf("read at %d gets nowhere", from)
			}
			from = res.Next
		}
	}
}

// FuzzFiles: decoders of the small files never panic, and what they accept is
// written back as something that they read as the same.
func FuzzFiles(f *testing.F) {
	f.Add([]byte("0\n1\nt 0 5\n"))
	f.Add([]byte("0\n2\n0 0\n3 17\n"))
	f.Add([]byte("version: 0\ntopic_id: AQIDAAAAAAAAAAAAAAAAAA\n"))
	f.Add([]byte(`{"version":0,"brokerEpoch":12}`))
	f.Add([]byte("cluster.id=c\nnode.id=3\nversion=1\n"))
	var s producerState
	s.put(producerEntry{id: 5, epoch: 1, txnFirst: -1})
	f.Add(s.encodeSnapshot())
	f.Fuzz(func(t *testing.T, b []byte) {
		decodeCleanShutdown(b)
		if m, err := decodeOffsets(b); err == nil {
			for p, o := range m {
				again, err := decodeOffsets(encodeOffsets([]offsetOf{{p, o}}))
				if err != nil || again[p] != o {
					t.Fatalf("%v %d: %v %v", p, o, again, err)
				}
			}
		}
		if x, err := decodeEpochs(b); err == nil {
			if again, err := decodeEpochs(x.encode()); err != nil || len(again.entries) != len(x.entries) {
				t.Fatalf("%v: %v %v", x, again, err)
			}
		}
		if id, err := decodePartitionMetadata(b); err == nil {
			if again, err := decodePartitionMetadata(encodePartitionMetadata(id)); err != nil || again != id {
				t.Fatalf("%v: %v %v", id, again, err)
			}
		}
		if p, err := ParseMetaProperties(b); err == nil && !strings.ContainsAny(p.ClusterID, "\r\n") {
			if again, err := ParseMetaProperties(p.Encode()); err != nil || again != p {
				t.Fatalf("%+v: %+v %v", p, again, err)
			}
		}
		if x, ok := decodeOffsetIndex(b, 1<<31); ok {
			if string(x.encode()) != string(unpadded(b, offsetEntryBytes)) {
				t.Fatal("offset index changed")
			}
		}
		if x, ok := decodeTimeIndex(b); ok && string(x.encode()) != string(unpadded(b, timeEntryBytes)) {
			t.Fatal("time index changed")
		}
		var s, again producerState
		if s.decodeSnapshot(b) == nil {
			if err := again.decodeSnapshot(s.encodeSnapshot()); err != nil || len(again.entries) != len(s.entries) {
				t.Fatal(err)
			}
		}
		wholeBatches(b, 0, 1<<40)
		_, _, _ = record.Next(b)
	})
}
