package load

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// A payload begins with the intended and the real time of its send, as
// nanoseconds since the run's origin, and goes on with filler.
const payloadHeaderBytes = 16

// stamp writes the times into a payload.
func stamp(payload []byte, intended, sent time.Duration) {
	binary.BigEndian.PutUint64(payload, uint64(intended))
	binary.BigEndian.PutUint64(payload[8:], uint64(sent))
}

// stamps reads them. A payload that is too short is none of ours.
func stamps(payload []byte) (intended, sent time.Duration, ok bool) {
	if len(payload) < payloadHeaderBytes {
		return 0, 0, false
	}
	return time.Duration(binary.BigEndian.Uint64(payload)), time.Duration(binary.BigEndian.Uint64(payload[8:])), true
}

// payloads is a pool of filler to copy from.
type payloads struct {
	pool [][]byte
	next int
}

// payloadPoolMin is enough that a compressor finds no repetition across them.
const payloadPoolMin = 16

func newPayloads(w *Workload) *payloads {
	random := rand.New(rand.NewPCG(1, 2))
	p := &payloads{pool: make([][]byte, max(payloadPoolMin, min(w.RandomizedPayloadPool, 1024)))}
	for i := range p.pool {
		b := make([]byte, w.MessageSize)
		incompressible := w.MessageSize
		if w.UseRandomizedPayloads {
			incompressible = int(float64(w.MessageSize) * w.RandomBytesRatio)
		}
		for j := range b[:incompressible] {
			b[j] = byte(random.Uint32())
		}
		p.pool[i] = b
	}
	return p
}

// fill copies the next filler to dst.
func (p *payloads) fill(dst []byte) {
	copy(dst, p.pool[p.next])
	p.next = (p.next + 1) % len(p.pool)
}

// keys chooses the keys of one producer.
type keys struct {
	distributor string
	names       [][]byte
	next        int
	random      *rand.Rand
}

// keyCardinality is how many keys KEY_ROUND_ROBIN and RANDOM_NANO choose from,
// as in the OpenMessaging Benchmark.
const keyCardinality = 10_000

func newKeys(distributor string, producer int) *keys {
	k := &keys{distributor: distributor, random: rand.New(rand.NewPCG(3, uint64(producer)))}
	if distributor == "NO_KEY" {
		return k
	}
	for range keyCardinality {
		k.names = append(k.names, binary.BigEndian.AppendUint64(nil, k.random.Uint64()))
	}
	return k
}

// key returns the next one, nil where there is none.
func (k *keys) key() []byte {
	switch k.distributor {
	case "KEY_ROUND_ROBIN":
		k.next = (k.next + 1) % len(k.names)
		return k.names[k.next]
	case "RANDOM_NANO":
		return k.names[k.random.IntN(len(k.names))]
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
