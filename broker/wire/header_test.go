package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// Goal: headers are as franz-go's client writes and reads them, for every key
// and version. Method: kmsg's formatter as the oracle, and round trips.

func everyVersion(fn func(req kmsg.Request)) {
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		req := kmsg.RequestForKey(key)
		if req == nil {
			continue
		}
		for v := int16(0); v <= req.MaxVersion(); v++ {
			req.SetVersion(v)
			fn(req)
		}
	}
}

func TestRequestFramesAgainstFranz(t *testing.T) {
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("client"))
	const controlledShutdown = 7 // version 0 has an older header, and the key is gone from Kafka 4
	n := 0
	everyVersion(func(req kmsg.Request) {
		if req.Key() == controlledShutdown {
			return
		}
		n++
		want := f.AppendRequest(nil, req, 99)
		got := AppendRequest([]byte("before"), 99, "client", req)
		if d := cmp.Diff(append([]byte("before"), want...), got); d != "" {
			t.Fatalf("key %d version %d (-want +got):\n%s", req.Key(), req.GetVersion(), d)
		}
		frame, rest, ok, err := NextFrame(want, len(want))
		if !ok || err != nil || len(rest) != 0 {
			t.Fatalf("frame: %v %v", ok, err)
		}
		h, body, err := ParseRequestHeader(frame)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(RequestHeader{req.Key(), req.GetVersion(), 99, "client", true}, h); d != "" {
			t.Fatal(d)
		}
		if !bytes.Equal(body, req.AppendTo(nil)) {
			t.Fatalf("key %d version %d: wrong body", req.Key(), req.GetVersion())
		}
	})
	if n < 300 {
		t.Fatalf("only %d versions tried", n)
	}
}

func TestResponseFrames(t *testing.T) {
	everyVersion(func(req kmsg.Request) {
		resp := req.ResponseKind()
		resp.SetVersion(req.GetVersion())
		frame := AppendResponse(nil, 1234, resp)
		if n := binary.BigEndian.Uint32(frame); int(n) != len(frame)-4 {
			t.Fatalf("length %d in a frame of %d bytes", n, len(frame))
		}
		headerBytes := 4
		if resp.IsFlexible() && resp.Key() != KeyApiVersions {
			headerBytes = 5
		}
		if d := cmp.Diff(resp.AppendTo(nil), frame[4+headerBytes:]); d != "" {
			t.Fatalf("key %d version %d: %s", resp.Key(), resp.GetVersion(), d)
		}
		again := req.ResponseKind()
		again.SetVersion(req.GetVersion())
		id, err := ParseResponse(frame[4:], again)
		if err != nil || id != 1234 {
			t.Fatalf("key %d version %d: %d %v", resp.Key(), resp.GetVersion(), id, err)
		}
		if id, err := ResponseCorrelationID(frame[4:]); err != nil || id != 1234 {
			t.Fatalf("%d %v", id, err)
		}
	})
}

func TestRequestHeaderRoundTrip(t *testing.T) {
	var kept RequestHeader
	rapid.Check(t, func(t *rapid.T) {
		h := RequestHeader{Key: rapid.SampledFrom([]int16{0, 1, 3, 17, 18, 94}).Draw(t, "key"),
			Version: rapid.Int16Range(0, 20).Draw(t, "version"), CorrelationID: drawI32(t)}
		if id := drawNullable(t); id.Valid {
			h.ClientID, h.HasClientID = id.String, true
		}
		flexible := IsFlexible(h.Key, h.Version)
		b := AppendRequestHeader(nil, &h, false)
		if flexible { // two tags of the future
			b = append(b, 2, 5, 1, 'x', 9, 0)
		}
		b = append(b, "body"...)
		body, err := kept.Parse(b)
		if err != nil || string(body) != "body" {
			t.Fatalf("%v, body %q", err, body)
		}
		if d := cmp.Diff(h, kept); d != "" {
			t.Fatal(d)
		}
	})
}

func TestHeadersRefuse(t *testing.T) {
	head := func(key, version int16, more ...byte) []byte {
		b := appendInt32(appendInt16(appendInt16(nil, key), version), 7)
		return append(b, more...)
	}
	for _, c := range []struct {
		name string
		in   []byte
		want string
	}{
		{"empty", nil, "header.api_key"},
		{"cut", []byte{0, 18, 0}, "header.api_version"},
		{"unknown key", head(500, 0, 0, 0), "header.api_key"},
		{"negative key", head(-1, 0, 0, 0), "header.api_key"},
		{"negative version", head(3, -1, 0, 0), "header.api_version"},
		{"client id", head(3, 0, 0x7f, 0xff, 'x'), "header.client_id"},
		{"tags", head(3, 9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f), "header.tags"},
		{"no tags", head(18, 3, 0xff, 0xff), "header.tags"},
	} {
		_, _, err := ParseRequestHeader(c.in)
		if !errors.Is(err, ErrMalformed) || !bytes.Contains([]byte(err.Error()), []byte(c.want)) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	if h, _, err := ParseRequestHeader(head(KeyApiVersions, 99, 0xff, 0xff, 0)); err != nil || h.Version != 99 {
		t.Errorf("ApiVersions of the future must parse: %v", err)
	}
}

func TestNextFrame(t *testing.T) {
	for _, c := range []struct {
		in  []byte
		ok  bool
		bad bool
	}{
		{nil, false, false},
		{[]byte{0, 0, 0}, false, false},
		{[]byte{0, 0, 0, 2, 'a'}, false, false},
		{[]byte{0, 0, 0, 2, 'a', 'b', 'c'}, true, false},
		{[]byte{0, 0, 0, 0}, true, false},
		{[]byte{0xff, 0, 0, 0}, false, true},
		{[]byte{0, 0, 0, 9}, false, true},
	} {
		frame, rest, ok, err := NextFrame(c.in, 8)
		if ok != c.ok || (err != nil) != c.bad || ok && 4+len(frame)+len(rest) != len(c.in) {
			t.Errorf("%v: %v %v %v %v", c.in, frame, rest, ok, err)
		}
	}
}

func FuzzRequestHeader(f *testing.F) {
	f.Add(AppendRequest(nil, 1, "c", kmsg.NewPtrApiVersionsRequest())[4:])
	f.Add(AppendRequest(nil, 1, "c", &ProduceRequest{Version: 9})[4:])
	f.Fuzz(func(t *testing.T, in []byte) {
		h, body, err := ParseRequestHeader(in)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("undocumented error %v", err)
			}
			return
		}
		b := AppendRequestHeader(nil, &h, IsFlexible(h.Key, h.Version))
		if again, _, err := ParseRequestHeader(b); err != nil || again != h || !bytes.HasSuffix(in, body) {
			t.Fatalf("%+v became %+v (%v)", h, again, err)
		}
	})
}
