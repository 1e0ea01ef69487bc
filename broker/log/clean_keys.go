package log

import "crypto/md5" //nolint:gosec // Kafka's own choice; it names keys and guards nothing

// keyMap holds the newest offset of each key, by the key's MD5 as in Kafka: two
// keys that share one would be taken for the same.
type keyMap struct {
	offsets map[[md5.Size]byte]int64 // looked up, never walked
	max     int64
}

func newKeyMap(keysMax int64) keyMap { return keyMap{make(map[[md5.Size]byte]int64), keysMax} }

// room says whether so many more keys fit.
func (k *keyMap) room(n int64) bool { return int64(len(k.offsets))+n <= k.max }

func (k *keyMap) put(key []byte, offset int64) { k.offsets[md5.Sum(key)] = offset }

// newest returns the newest offset of a key, -1 if the map does not know it.
func (k *keyMap) newest(key []byte) int64 {
	if offset, ok := k.offsets[md5.Sum(key)]; ok {
		return offset
	}
	return -1
}
