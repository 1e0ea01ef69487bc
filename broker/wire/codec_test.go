package wire

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// Goal: our four codecs and kmsg's agree on every byte at every version, and no
// bytes make ours panic or allocate beyond what they hold. Method: rapid draws
// messages with every field set, kmsg encodes the same; the same property is a
// fuzz target; and raw bytes that ours accepts must be what kmsg reads too.

// codec is what this package's four messages have in common.
type codec interface {
	Reply
	SetVersion(int16)
}

// checkAgainstKmsg holds msg and its kmsg twin to the same bytes, and decodes
// those bytes, with tags of the future added, into used, which must then be msg.
// What was decoded before must not show through.
func checkAgainstKmsg(t *rapid.T, msg, used codec, twin kmsgMessage) {
	want, got := twin.AppendTo(nil), msg.AppendTo(nil)
	if !bytes.Equal(want, got) {
		d := cmp.Diff(want, got)
		t.Fatalf("version %d: bytes differ from kmsg's (-want +got):\n%s", msg.GetVersion(), d)
	}
	if msg.IsFlexible() != twin.IsFlexible() {
		t.Fatalf("version %d: flexible is %v, kmsg says %v", msg.GetVersion(), msg.IsFlexible(), twin.IsFlexible())
	}
	addUnknownTags(twin, []byte("future"))
	for _, b := range [][]byte{want, twin.AppendTo(nil)} {
		used.SetVersion(msg.GetVersion())
		if err := used.ReadFrom(b); err != nil {
			t.Fatalf("version %d: %v", msg.GetVersion(), err)
		}
		if d := cmp.Diff(msg, used, emptyIsNil, recordsJoined, nullOrEqual); d != "" {
			t.Fatalf("version %d: decoded (-want +got):\n%s", msg.GetVersion(), d)
		}
		if again := used.AppendTo(nil); !bytes.Equal(again, want) {
			t.Fatalf("version %d: re-encoded differently", msg.GetVersion())
		}
	}
	// Every proper prefix fails, with an error of the documented kind.
	cut := rapid.IntRange(0, max(len(want)-1, 0)).Draw(t, "cut")
	if err := used.ReadFrom(want[:cut]); !errors.Is(err, ErrMalformed) {
		t.Fatalf("version %d: %d of %d bytes: %v", msg.GetVersion(), cut, len(want), err)
	}
}

// How decoding may differ: a reused slice is empty where a new one is nil (the
// bytes encoded again tell null and empty apart), and records come in one piece.
var (
	emptyIsNil = cmp.FilterPath(func(p cmp.Path) bool {
		t := p.Last().Type()
		return t != reflect.TypeFor[[][]byte]() && t != reflect.TypeFor[[]byte]()
	}, cmpopts.EquateEmpty())
	recordsJoined = cmp.Comparer(func(a, b [][]byte) bool { return bytes.Equal(bytes.Join(a, nil), bytes.Join(b, nil)) })
	nullOrEqual   = cmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) })
)

func produceRequestProperty(version func(*rapid.T) int16) func(*rapid.T) {
	var used ProduceRequest
	return func(t *rapid.T) { m := drawProduceRequest(t, version(t)); checkAgainstKmsg(t, m, &used, m.kmsg()) }
}

func produceResponseProperty(version func(*rapid.T) int16) func(*rapid.T) {
	var used ProduceResponse
	return func(t *rapid.T) { m := drawProduceResponse(t, version(t)); checkAgainstKmsg(t, m, &used, m.kmsg()) }
}

func fetchRequestProperty(version func(*rapid.T) int16) func(*rapid.T) {
	var used FetchRequest
	return func(t *rapid.T) { m := drawFetchRequest(t, version(t)); checkAgainstKmsg(t, m, &used, m.kmsg()) }
}

func fetchResponseProperty(version func(*rapid.T) int16) func(*rapid.T) {
	var used FetchResponse
	return func(t *rapid.T) { m := drawFetchResponse(t, version(t)); checkAgainstKmsg(t, m, &used, m.kmsg()) }
}

func anyProduceVersion(t *rapid.T) int16 {
	return rapid.Int16Range(ProduceVersionMin, ProduceVersionMax).Draw(t, "version")
}

func anyFetchVersion(t *rapid.T) int16 {
	return rapid.Int16Range(FetchVersionMin, FetchVersionMax).Draw(t, "version")
}

// TestEveryVersionEqualsKmsg draws a hundred messages of each version.
func TestEveryVersionEqualsKmsg(t *testing.T) {
	type property func(func(*rapid.T) int16) func(*rapid.T)
	for _, c := range []struct {
		name     string
		lo, hi   int16
		property property
	}{
		{"ProduceRequest", ProduceVersionMin, ProduceVersionMax, produceRequestProperty},
		{"ProduceResponse", ProduceVersionMin, ProduceVersionMax, produceResponseProperty},
		{"FetchRequest", FetchVersionMin, FetchVersionMax, fetchRequestProperty},
		{"FetchResponse", FetchVersionMin, FetchVersionMax, fetchResponseProperty},
	} {
		for v := c.lo; v <= c.hi; v++ {
			t.Run(fmt.Sprintf("%s/v%d", c.name, v), func(t *testing.T) {
				rapid.Check(t, c.property(func(*rapid.T) int16 { return v }))
			})
		}
	}
}

func FuzzProduceRequestEqual(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(produceRequestProperty(anyProduceVersion)))
}

func FuzzProduceResponseEqual(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(produceResponseProperty(anyProduceVersion)))
}

func FuzzFetchRequestEqual(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(fetchRequestProperty(anyFetchVersion)))
}

func FuzzFetchResponseEqual(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(fetchResponseProperty(anyFetchVersion)))
}

type kmsgMessage interface {
	Message
	ReadFrom([]byte) error
	SetVersion(int16)
}

// readsTagsEarly lists the versions in which kmsg decodes a tagged field that
// Kafka has only later, and that we skip: raw bytes there mean different things.
func readsTagsEarly(m Message) bool {
	switch m.(type) {
	case *ProduceResponse:
		return m.GetVersion() == 9
	case *FetchRequest:
		return m.GetVersion() >= 12 && m.GetVersion() < 18
	case *FetchResponse:
		return m.GetVersion() >= 12 && m.GetVersion() < 16
	}
	return false
}

// fuzzRaw feeds bytes. kmsg is asked only about what ours accepts: a huge count
// of tagged fields keeps kmsg's decoder busy for a minute and more.
func fuzzRaw(f *testing.F, lo, hi int16, ours codec, fresh func() kmsgMessage, draw func(*rapid.T) codec) {
	gen := rapid.Custom(func(t *rapid.T) codec { return draw(t) })
	for i := range 60 {
		m := gen.Example(i)
		f.Add(m.GetVersion(), m.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, version int16, in []byte) {
		if version < lo || version > hi {
			return
		}
		ours.SetVersion(version)
		if err := ours.ReadFrom(in); err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("undocumented error %v", err)
			}
			return
		}
		if readsTagsEarly(ours) {
			return
		}
		k := fresh()
		k.SetVersion(version)
		if err := k.ReadFrom(in); err != nil {
			t.Fatalf("version %d: we accept what kmsg refuses: %v", version, err)
		}
		normalize(k)
		if want, got := k.AppendTo(nil), ours.AppendTo(nil); !bytes.Equal(want, got) {
			t.Fatalf("version %d: re-encoded (-kmsg +ours):\n%s", version, cmp.Diff(want, got))
		}
	})
}

func FuzzProduceRequestRaw(f *testing.F) {
	fuzzRaw(f, ProduceVersionMin, ProduceVersionMax, new(ProduceRequest),
		func() kmsgMessage { return kmsg.NewPtrProduceRequest() }, func(t *rapid.T) codec { return drawProduceRequest(t, anyProduceVersion(t)) })
}

func FuzzProduceResponseRaw(f *testing.F) {
	fuzzRaw(f, ProduceVersionMin, ProduceVersionMax, new(ProduceResponse),
		func() kmsgMessage { return kmsg.NewPtrProduceResponse() }, func(t *rapid.T) codec { return drawProduceResponse(t, anyProduceVersion(t)) })
}

func FuzzFetchRequestRaw(f *testing.F) {
	fuzzRaw(f, FetchVersionMin, FetchVersionMax, new(FetchRequest),
		func() kmsgMessage { return kmsg.NewPtrFetchRequest() }, func(t *rapid.T) codec { return drawFetchRequest(t, anyFetchVersion(t)) })
}

func FuzzFetchResponseRaw(f *testing.F) {
	fuzzRaw(f, FetchVersionMin, FetchVersionMax, new(FetchResponse),
		func() kmsgMessage { return kmsg.NewPtrFetchResponse() }, func(t *rapid.T) codec { return drawFetchResponse(t, anyFetchVersion(t)) })
}

// TestTagsBelowTheirVersion: what is set but not yet in the version is not sent.
func TestTagsBelowTheirVersion(t *testing.T) {
	var pr ProduceResponse
	pr.Reset(9)
	pr.AddTopic("t", [16]byte{}).AddPartition(0).CurrentLeader = CurrentLeader{1, 2}
	pr.NodeEndpoints = []NodeEndpoint{{NodeID: 1}}
	var fr FetchRequest
	fr.Reset(16)
	p := fr.AddTopic("", [16]byte{1}).AddPartition(0)
	p.DirectoryID, p.HighWatermark = [16]byte{9}, 7
	var fs FetchResponse
	fs.Reset(15)
	fs.NodeEndpoints = []NodeEndpoint{{NodeID: 1}}
	kp, kf, ks := pr.kmsg(), fr.kmsg(), fs.kmsg()
	normalize(kp)
	normalize(kf)
	normalize(ks)
	for _, c := range []struct{ ours, want Message }{{&pr, kp}, {&fr, kf}, {&fs, ks}} {
		if d := cmp.Diff(c.want.AppendTo(nil), c.ours.AppendTo(nil)); d != "" {
			t.Errorf("key %d: %s", c.ours.Key(), d)
		}
	}
}

// TestLiesDoNotAllocate: a length is checked against the bytes that are left
// before anything is made for it, and the error names the field.
func TestLiesDoNotAllocate(t *testing.T) {
	huge := []byte{0x7f, 0xff, 0xff, 0xff}
	flexHuge := []byte{0xff, 0xff, 0xff, 0xff, 0x07}
	for _, c := range []struct {
		name, want string
		msg        codec
		body       []byte
	}{
		{"topics", "topics:", &ProduceRequest{Version: 3}, append([]byte{0xff, 0xff, 0, 1, 0, 0, 0, 0}, huge...)},
		{"negative", "topics:", &ProduceRequest{Version: 3}, []byte{0xff, 0xff, 0, 1, 0, 0, 0, 0, 0x80, 0, 0, 0}},
		{"null topics", "topics:", &ProduceRequest{Version: 9}, []byte{0, 0, 1, 0, 0, 0, 0, 0}},
		{"compact", "topics:", &ProduceRequest{Version: 9}, append([]byte{0, 0, 1, 0, 0, 0, 0}, flexHuge...)},
		{"tags", "tags:", &ProduceRequest{Version: 9}, append([]byte{0, 0, 1, 0, 0, 0, 0, 1}, flexHuge...)},
		{"string", "transactional_id:", &ProduceRequest{Version: 9}, flexHuge},
		{"varint", "transactional_id:", &ProduceRequest{Version: 9}, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 1}},
		{"fetch topics", "topics:", &FetchResponse{Version: 4}, append([]byte{0, 0, 0, 0}, huge...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.msg.ReadFrom(c.body)
			if !errors.Is(err, ErrMalformed) || !bytes.Contains([]byte(err.Error()), []byte(" "+c.want)) {
				t.Fatalf("got %v, want the field %q", err, c.want)
			}
		})
	}
}

// A request may have so many topics and partitions together, and one more is too
// many, wherever it is.
func TestEntriesOfAProduceAreBounded(t *testing.T) {
	for _, more := range []int{0, 1} {
		r := &ProduceRequest{Version: 9}
		r.Topics = make([]ProduceTopic, produceEntriesMax/2)
		r.Topics[7].Partitions = make([]ProducePartition, produceEntriesMax/2+more)
		got := &ProduceRequest{Version: 9}
		if err := got.ReadFrom(r.AppendTo(nil)); (err != nil) != (more > 0) {
			t.Errorf("%d entries: %v", produceEntriesMax+more, err)
		}
	}
}
