// Package jwt owns the check of bearer tokens: signed JSON Web Tokens (RFC 7519)
// against a set of public keys (RFC 7517) that the configuration brings. It
// knows two algorithms, RS256 and ES256, and takes nothing unsigned. It performs
// no I/O and is told the time.
package jwt

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

const (
	// keysMax bounds the keys of a set.
	keysMax = 100
	// rsaBitsMin is what RFC 7518 demands of RS256; rsaBitsMax bounds the work.
	rsaBitsMin, rsaBitsMax = 2048, 8192
)

// KeySet is a set of public keys.
type KeySet struct{ keys []publicKey }

type publicKey struct {
	id        string // empty: none
	algorithm string
	rsa       *rsa.PublicKey
	ecdsa     *ecdsa.PublicKey
}

type jsonKey struct {
	Kty string `json:"kty"`
	Kid string `json:"kid"`
	Alg string `json:"alg"`
	Use string `json:"use"`
	N   string `json:"n"`
	E   string `json:"e"`
	Crv string `json:"crv"`
	X   string `json:"x"`
	Y   string `json:"y"`
}

// ParseKeySet reads a JWKS. Keys for encryption, and of kinds that are not known
// here, are passed over; a set without any key of use is an error.
func ParseKeySet(text []byte) (*KeySet, error) {
	var set struct {
		Keys []jsonKey `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("parse the JWKS: %w", err)
	}
	if len(set.Keys) > keysMax {
		return nil, fmt.Errorf("the JWKS has %d keys, at most %d are read", len(set.Keys), keysMax)
	}
	out := &KeySet{}
	for i := range set.Keys {
		k := &set.Keys[i]
		if k.Use != "" && k.Use != "sig" {
			continue
		}
		key, err := k.publicKey()
		if err != nil {
			return nil, fmt.Errorf("the JWKS's key %d (kid %q): %w", i, k.Kid, err)
		}
		if key != nil {
			out.keys = append(out.keys, *key)
		}
	}
	if len(out.keys) == 0 {
		return nil, errors.New("the JWKS has no key for RS256 or ES256 signatures")
	}
	return out, nil
}

func (k *jsonKey) publicKey() (*publicKey, error) {
	switch {
	case k.Kty == "RSA" && (k.Alg == "" || k.Alg == rs256):
		n, err := decode(k.N)
		if err != nil {
			return nil, fmt.Errorf("modulus: %w", err)
		}
		e, err := decode(k.E)
		if err != nil || len(e) > 4 {
			return nil, errors.New("malformed exponent")
		}
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
		if bits := key.N.BitLen(); bits < rsaBitsMin || bits > rsaBitsMax || key.E < 3 || key.E%2 == 0 {
			return nil, fmt.Errorf("an RSA key of %d bits with exponent %d is refused", bits, key.E)
		}
		return &publicKey{id: k.Kid, algorithm: rs256, rsa: key}, nil
	case k.Kty == "EC" && k.Crv == "P-256" && (k.Alg == "" || k.Alg == es256):
		x, err := decode(k.X)
		y, err2 := decode(k.Y)
		if err != nil || err2 != nil || len(x) != 32 || len(y) != 32 {
			return nil, errors.New("malformed coordinates")
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			return nil, fmt.Errorf("point: %w", err)
		}
		return &publicKey{id: k.Kid, algorithm: es256, ecdsa: key}, nil
	}
	return nil, nil
}

func decode(text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err == nil && len(b) == 0 {
		err = errors.New("is missing")
	}
	return b, err
}
