package security

import (
	"encoding/base64"
	"math/rand/v2"
)

// Nonces draws the values that nobody may foresee: SCRAM nonces and salts. It is
// a generator of cryptographic strength over a secret that the host has drawn,
// so that the same secret gives the same values.
type Nonces struct{ source *rand.ChaCha8 }

// nonceBytes is the length of a nonce before it is made printable.
const nonceBytes = 24

// NewNonces returns a generator.
func NewNonces(secret [32]byte) *Nonces { return &Nonces{rand.NewChaCha8(secret)} }

// Bytes draws n bytes.
func (n *Nonces) Bytes(count int) []byte {
	b := make([]byte, count)
	for i := range b {
		b[i] = byte(n.source.Uint64())
	}
	return b
}

// Nonce draws a printable nonce without a comma.
func (n *Nonces) Nonce() string { return base64.RawStdEncoding.EncodeToString(n.Bytes(nonceBytes)) }
