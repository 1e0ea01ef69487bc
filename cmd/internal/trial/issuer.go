package trial

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Issuer signs bearer tokens.
type Issuer struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	path string
}

// NewIssuer makes an issuer with a key of its own.
func NewIssuer(t *testing.T) *Issuer {
	i := &Issuer{t: t, path: filepath.Join(t.TempDir(), "jwks.json")}
	i.Rotate()
	return i
}

// Rotate replaces the key: tokens are signed by the new one from now on.
func (i *Issuer) Rotate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	i.key = key
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// KeySet is the JWKS with the present key.
func (i *Issuer) KeySet() []byte {
	point, err := i.key.PublicKey.Bytes()
	if err != nil {
		i.t.Fatal(err)
	}
	return fmt.Appendf(nil, `{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":%q,"y":%q}]}`, b64(point[1:33]), b64(point[33:]))
}

// Keys writes the JWKS and returns its path, which is always the same.
func (i *Issuer) Keys() string {
	if err := os.WriteFile(i.path, i.KeySet(), 0o600); err != nil {
		i.t.Fatal(err)
	}
	return i.path
}

// Token signs a token for an audience, issued an hour ago, that ends after life.
func (i *Issuer) Token(subject, audience string, life time.Duration) string {
	now := time.Now()
	input := b64([]byte(`{"alg":"ES256","kid":"k"}`)) + "." + b64(fmt.Appendf(nil, `{"sub":%q,"aud":%q,"iat":%d,"exp":%d}`,
		subject, audience, now.Add(-time.Hour).Unix(), now.Add(life).Unix()))
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		i.t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return input + "." + b64(signature)
}
