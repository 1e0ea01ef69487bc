package wire

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The API keys whose headers or codecs this package treats apart.
const (
	KeyProduce     int16 = 0
	KeyFetch       int16 = 1
	KeyApiVersions int16 = 18
)

// PrivateKeys is where the API keys begin that our own nodes use between each
// other. Kafka gives them no meaning; their versions are never flexible.
const PrivateKeys int16 = 32000

// A request of Kafka's but Produce, whose bytes are mostly records, may decode to
// StructureExpansionMax times its length: with an empty array and an unknown tag an
// element takes a few bytes here, and a struct and a map there. StructureBytesMin is
// how long its body may always be: a fetch of sixty thousand partitions, or the
// metadata of as many topics.
const (
	StructureBytesMin     = 2 << 20
	StructureExpansionMax = 128
)

// StructureBytesMax bounds the body of such a request where so much memory is for
// requests in flight: decoded, which one at a time is, it takes no more.
func StructureBytesMax(inFlightBytes int64) int {
	return int(max(StructureBytesMin, inFlightBytes/StructureExpansionMax))
}

// FrameLengthBytes is the size of the length prefix of every frame.
const FrameLengthBytes = 4

// RequestHeader is a request's header of version 1 or, for flexible versions, 2.
type RequestHeader struct {
	Key           int16
	Version       int16
	CorrelationID int32
	ClientID      string
	HasClientID   bool // false is a null client id
}

const (
	// neverFlexible is the first flexible version of an API that has none.
	neverFlexible int16 = math.MaxInt16
	// unknownKey is the first flexible version of a key that is no API.
	unknownKey int16 = -1
)

// flexibleFrom holds each key's first flexible version, as kmsg knows it. It is
// a table, as asking kmsg allocates.
var flexibleFrom = flexibleVersions()

func flexibleVersions() [kmsg.MaxKey + 1]int16 {
	var from [kmsg.MaxKey + 1]int16
	for key := range from {
		req := kmsg.RequestForKey(int16(key))
		if req == nil {
			from[key] = unknownKey
			continue
		}
		from[key] = neverFlexible
		for v := req.MaxVersion(); v >= 0; v-- {
			req.SetVersion(v)
			if req.IsFlexible() {
				from[key] = v
			}
		}
	}
	return from
}

// IsKnownKey says whether Kafka gives an API key a meaning.
func IsKnownKey(key int16) bool {
	return key >= 0 && int(key) < len(flexibleFrom) && flexibleFrom[key] != unknownKey
}

// IsFlexible says whether a version of an API has compact fields, tagged fields
// and request header 2. False for keys unknown to us.
func IsFlexible(key, version int16) bool {
	return IsKnownKey(key) && flexibleFrom[key] != neverFlexible && version >= flexibleFrom[key]
}

// ParseRequestHeader splits a frame, without its length prefix, into header and
// body, which aliases it. Versions beyond what we know are parsed as the newest
// known one is: an ApiVersions request of any version must be answered.
func ParseRequestHeader(frame []byte) (h RequestHeader, body []byte, err error) {
	body, err = h.Parse(frame)
	return h, body, err
}

// Parse is ParseRequestHeader into h, which keeps its client id if that is the
// same; parsing into one struct per connection does not allocate.
func (h *RequestHeader) Parse(frame []byte) (body []byte, err error) {
	body, id, err := h.parse(frame)
	keepString(&h.ClientID, id)
	return body, err
}

// ParseUnnamed is Parse but for ClientID, which it empties: parsing what many
// clients send into one struct does not allocate.
func (h *RequestHeader) ParseUnnamed(frame []byte) (body []byte, err error) {
	h.ClientID = ""
	body, _, err = h.parse(frame)
	return body, err
}

// parse leaves out ClientID, which it returns.
func (h *RequestHeader) parse(frame []byte) (body, clientID []byte, err error) {
	d := decoder{b: frame}
	h.Key = d.int16("header.api_key")
	h.Version = d.int16("header.api_version")
	h.CorrelationID = d.int32("header.correlation_id")
	if d.err == nil && !IsKnownKey(h.Key) && h.Key < PrivateKeys {
		d.fail("header.api_key", fmt.Sprintf("unknown key %d", h.Key))
	}
	if d.err == nil && h.Version < 0 {
		d.fail("header.api_version", fmt.Sprintf("version %d", h.Version))
	}
	// The client id is never compact, so that a broker can read it whatever
	// the version (KIP-511).
	clientID, null := d.stringBytes("header.client_id")
	h.HasClientID = !null
	if IsFlexible(h.Key, h.Version) {
		d.flexible = true
		d.skipTags("header.tags")
	}
	if d.err != nil {
		return nil, clientID, d.err
	}
	return d.b, clientID, nil
}

// AppendRequestHeader appends header version 1, or 2 when flexible.
func AppendRequestHeader(dst []byte, h *RequestHeader, flexible bool) []byte {
	dst = appendInt16(dst, h.Key)
	dst = appendInt16(dst, h.Version)
	dst = appendInt32(dst, h.CorrelationID)
	dst = appendNullableString(dst, NullableString{String: h.ClientID, Valid: h.HasClientID}, false)
	return appendNoTags(dst, flexible)
}

// isFlexibleResponseHeader says whether a response has header 1. ApiVersions
// always has header 0, as its client cannot know yet what the broker speaks.
func isFlexibleResponseHeader(key, version int16) bool {
	return key != KeyApiVersions && IsFlexible(key, version)
}

// AppendResponseHeader appends the header that a response of this key and version
// has, without length prefix.
func AppendResponseHeader(dst []byte, key, version int16, correlationID int32) []byte {
	dst = appendInt32(dst, correlationID)
	return appendNoTags(dst, isFlexibleResponseHeader(key, version))
}

// ParseResponseHeader splits a response frame, without its length prefix. Key and
// version are those of the request that the correlation id belongs to; a client
// can peek at it with ResponseCorrelationID.
func ParseResponseHeader(frame []byte, key, version int16) (correlationID int32, body []byte, err error) {
	d := decoder{b: frame}
	correlationID = d.int32("header.correlation_id")
	if isFlexibleResponseHeader(key, version) {
		d.flexible = true
		d.skipTags("header.tags")
	}
	if d.err != nil {
		return 0, nil, d.err
	}
	return correlationID, d.b, nil
}

// ResponseCorrelationID reads the correlation id of a response frame.
func ResponseCorrelationID(frame []byte) (int32, error) {
	d := decoder{b: frame}
	id := d.int32("header.correlation_id")
	return id, d.err
}

// Message is what can be put behind a header: every kmsg.Request and
// kmsg.Response, and this package's own four.
type Message interface {
	Key() int16
	GetVersion() int16
	IsFlexible() bool
	AppendTo(dst []byte) []byte
}

// Reply is what ParseResponse can read into, at the version already set.
type Reply interface {
	Message
	ReadFrom(body []byte) error
}

// AppendRequest appends a whole frame: length, header, body. An empty client id
// is sent as empty, not as null.
func AppendRequest(dst []byte, correlationID int32, clientID string, req Message) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	h := RequestHeader{Key: req.Key(), Version: req.GetVersion(), CorrelationID: correlationID,
		ClientID: clientID, HasClientID: true}
	dst = AppendRequestHeader(dst, &h, req.IsFlexible())
	return putFrameLength(req.AppendTo(dst), start)
}

// AppendResponse appends a whole frame: length, header, body.
func AppendResponse(dst []byte, correlationID int32, resp Message) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = AppendResponseHeader(dst, resp.Key(), resp.GetVersion(), correlationID)
	return putFrameLength(resp.AppendTo(dst), start)
}

func putFrameLength(dst []byte, start int) []byte {
	n := len(dst) - start - FrameLengthBytes
	if n > math.MaxInt32 {
		panic(fmt.Sprintf("encode a frame of %d bytes", n))
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(n))
	return dst
}

// ParseResponse reads a frame, without its length prefix, into resp, whose
// version is that of the request.
func ParseResponse(frame []byte, resp Reply) (correlationID int32, err error) {
	correlationID, body, err := ParseResponseHeader(frame, resp.Key(), resp.GetVersion())
	if err != nil {
		return 0, err
	}
	if err := resp.ReadFrom(body); err != nil {
		return 0, fmt.Errorf("read %s response version %d: %w", kmsg.NameForKey(resp.Key()), resp.GetVersion(), err)
	}
	return correlationID, nil
}

// NextFrame splits the first whole frame off a stream: frame is without its
// length prefix. ok is false when more bytes are needed; an error means that the
// length is negative or exceeds frameBytesMax (socket.request.max.bytes).
func NextFrame(stream []byte, frameBytesMax int) (frame, rest []byte, ok bool, err error) {
	if len(stream) < FrameLengthBytes {
		return nil, stream, false, nil
	}
	n := int(int32(binary.BigEndian.Uint32(stream)))
	if n < 0 || n > frameBytesMax {
		return nil, stream, false, fmt.Errorf("%w: frame of %d bytes, at most %d", ErrMalformed, n, frameBytesMax)
	}
	if len(stream)-FrameLengthBytes < n {
		return nil, stream, false, nil
	}
	end := FrameLengthBytes + n
	return stream[FrameLengthBytes:end:end], stream[end:], true, nil
}
