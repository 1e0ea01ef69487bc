package wire

import (
	"testing"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// One topic, four partitions, 1 KiB of records each, at the newest version, ours
// beside kmsg's; and the claim that ours do not allocate as a test.

func benchMessages() (*ProduceRequest, *ProduceResponse, *FetchRequest, *FetchResponse) {
	id, records := [16]byte{1, 2, 3}, make([]byte, 1024)
	preq, presp, freq, fresp := new(ProduceRequest), new(ProduceResponse), new(FetchRequest), new(FetchResponse)
	preq.Reset(ProduceVersionMax)
	presp.Reset(ProduceVersionMax)
	freq.Reset(FetchVersionMax)
	fresp.Reset(FetchVersionMax)
	freq.Rack = "zone-a"
	a, b, c, d := preq.AddTopic("", id), presp.AddTopic("", id), freq.AddTopic("", id), fresp.AddTopic("", id)
	for i := range int32(4) {
		a.AddPartition(i, records)
		b.AddPartition(i).BaseOffset = 1000
		c.AddPartition(i).FetchOffset = 1000
		p := d.AddPartition(i)
		p.Records = append(p.Records, records)
	}
	return preq, presp, freq, fresp
}

func benchCodec(b *testing.B, msg codec, k kmsgMessage) {
	body := msg.AppendTo(nil)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		dst := make([]byte, 0, len(body))
		for b.Loop() {
			dst = msg.AppendTo(dst[:0])
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := msg.ReadFrom(body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("append-kmsg", func(b *testing.B) {
		b.ReportAllocs()
		dst := make([]byte, 0, len(body))
		for b.Loop() {
			dst = k.AppendTo(dst[:0])
		}
	})
	b.Run("read-kmsg", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := k.ReadFrom(body); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkProduceRequest(b *testing.B) { m, _, _, _ := benchMessages(); benchCodec(b, m, m.kmsg()) }
func BenchmarkProduceResponse(b *testing.B) {
	_, m, _, _ := benchMessages()
	benchCodec(b, m, m.kmsg())
}
func BenchmarkFetchRequest(b *testing.B)  { _, _, m, _ := benchMessages(); benchCodec(b, m, m.kmsg()) }
func BenchmarkFetchResponse(b *testing.B) { _, _, _, m := benchMessages(); benchCodec(b, m, m.kmsg()) }

func TestHotPathsDoNotAllocate(t *testing.T) {
	preq, presp, freq, fresp := benchMessages()
	for _, version := range []int16{9, 13} {
		for _, m := range []codec{preq, presp, freq, fresp} {
			m.SetVersion(version)
			frame := AppendRequest(nil, 1, "client", m)
			var h RequestHeader
			if n := testing.AllocsPerRun(100, func() {
				body, err := h.Parse(frame[FrameLengthBytes:])
				if err == nil {
					err = m.ReadFrom(body)
				}
				if err != nil {
					t.Fatal(err)
				}
				frame = AppendRequest(frame[:0], 1, "client", m)
			}); n != 0 {
				t.Errorf("key %d version %d: %v allocations", m.Key(), version, n)
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		fresp.Reset(FetchVersionMax)
		topic := fresp.AddTopic("", [16]byte{1})
		for i := range int32(4) {
			p := topic.AddPartition(i)
			p.Records = append(p.Records, nil)
		}
	}); n != 0 {
		t.Errorf("building a response: %v allocations", n)
	}
	response := edge.NewBuffer(fresp.AppendTo(nil))
	if n := testing.AllocsPerRun(100, func() {
		if err := fresp.ReadFrame(response, 0); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("reading a response's frame: %v allocations", n)
	}
	var h RequestHeader
	one, other := AppendRequest(nil, 1, "one client", freq), AppendRequest(nil, 1, "other client", freq)
	if n := testing.AllocsPerRun(100, func() {
		for _, frame := range [][]byte{one, other} {
			if _, err := h.ParseUnnamed(frame[FrameLengthBytes:]); err != nil || h.Key != KeyFetch || h.ClientID != "" {
				t.Fatal(h, err)
			}
		}
	}); n != 0 {
		t.Errorf("headers of two clients: %v allocations", n)
	}
}
