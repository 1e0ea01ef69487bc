package conn

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	apiVersionsKey = 18
	// privateKeys and above are our own, between controllers and brokers; their
	// headers are like those of version 1 (no tagged fields).
	privateKeys = 32000
)

var errShort = errors.New("request header is truncated")

// parseHeader reads a request header (KIP-482: version 2 where the request is
// flexible, with tagged fields that are skipped) and sets Body to what follows.
func parseHeader(b []byte, r *Request) error {
	if len(b) < 10 {
		return errShort
	}
	r.Key = int16(binary.BigEndian.Uint16(b))
	r.Version = int16(binary.BigEndian.Uint16(b[2:]))
	r.CorrelationID = int32(binary.BigEndian.Uint32(b[4:]))
	n := int(int16(binary.BigEndian.Uint16(b[8:])))
	b = b[10:]
	if n > 0 {
		if n > len(b) {
			return errShort
		}
		r.ClientID = internClientID(b[:n])
		b = b[n:]
	}
	if n < -1 {
		return fmt.Errorf("client id has length %d", n)
	}
	if !flexible(r.Key, r.Version) {
		r.Body = b
		return nil
	}
	var err error
	r.Body, err = skipTags(b)
	return err
}

// internClientID copies the id out of the frame, which is reused.
func internClientID(b []byte) string { return string(b) }

// skipTags skips a section of tagged fields (KIP-482).
func skipTags(b []byte) ([]byte, error) {
	count, n := binary.Uvarint(b)
	if n <= 0 {
		return nil, errShort
	}
	b = b[n:]
	for ; count > 0; count-- {
		_, n = binary.Uvarint(b)
		if n <= 0 {
			return nil, errShort
		}
		b = b[n:]
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, errShort
		}
		b = b[uint64(n)+size:]
	}
	return b, nil
}

// flexibleFrom holds, by API key, the first version with tagged fields, or -1.
var flexibleFrom = func() (t [kmsg.MaxKey + 1]int16) {
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		t[key] = -1
		req := kmsg.RequestForKey(key)
		if req == nil {
			continue
		}
		for v := int16(0); v <= req.MaxVersion(); v++ {
			req.SetVersion(v)
			if req.IsFlexible() {
				t[key] = v
				break
			}
		}
	}
	return t
}()

func flexible(key, version int16) bool {
	if key < 0 || key > kmsg.MaxKey {
		return false
	}
	from := flexibleFrom[key]
	return from >= 0 && version >= from
}
