package jwt

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

const (
	rs256 = "RS256"
	es256 = "ES256"
	// es256Bytes is the length of an ES256 signature: two numbers of 256 bits.
	es256Bytes = 64
	// tokenBytesMax bounds a token.
	tokenBytesMax = 64 << 10
	// secondsMax bounds times in a token: the year 9999.
	secondsMax = 253402300799
)

// Validator checks tokens, with the settings of KIP-768.
type Validator struct {
	Keys *KeySet
	// Audiences: one of them must be in the claim aud. Empty: any, or none.
	Audiences []string
	// Issuer must be the claim iss. Empty: any, or none.
	Issuer     string
	SubClaim   string // names the principal: sub
	ScopeClaim string // must be text or a list of texts where it is there: scope
	// SkewSeconds is by how much the clocks may differ.
	SkewSeconds int64
}

// Validate returns the principal's name and when the token ends. It implements
// sasl.TokenValidator.
func (v *Validator) Validate(token string, nowMillis int64) (name string, expiresMillis int64, err error) {
	if len(token) > tokenBytesMax {
		return "", 0, errors.New("the token is too long")
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", 0, errors.New("a signed token has three parts")
	}
	if err := v.Keys.verify(parts); err != nil {
		return "", 0, err
	}
	payload, err := decode(parts[1])
	if err != nil {
		return "", 0, errors.New("malformed claims")
	}
	claims, err := object(payload)
	if err != nil {
		return "", 0, fmt.Errorf("claims: %w", err)
	}
	return v.check(claims, nowMillis)
}

// verify checks the signature before anything else of the token is believed.
func (s *KeySet) verify(parts []string) error {
	var header struct {
		Alg  string   `json:"alg"`
		Kid  string   `json:"kid"`
		Crit []string `json:"crit"`
	}
	text, err := decode(parts[0])
	if err != nil || json.Unmarshal(text, &header) != nil {
		return errors.New("malformed header")
	}
	if len(header.Crit) > 0 {
		return errors.New("the header names extensions that must be understood")
	}
	if header.Alg != rs256 && header.Alg != es256 {
		return fmt.Errorf("algorithm %q is not accepted", header.Alg)
	}
	signature, err := decode(parts[2])
	if err != nil {
		return errors.New("malformed signature")
	}
	hash := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	for i := range s.keys {
		k := &s.keys[i]
		if k.algorithm == header.Alg && (header.Kid == "" || header.Kid == k.id) && k.verify(hash[:], signature) {
			return nil
		}
	}
	return errors.New("no key of the JWKS has made the signature")
}

func (k *publicKey) verify(hash, signature []byte) bool {
	if k.rsa != nil {
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, hash, signature) == nil
	}
	if len(signature) != es256Bytes {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:es256Bytes/2]), new(big.Int).SetBytes(signature[es256Bytes/2:])
	return ecdsa.Verify(k.ecdsa, hash, r, s)
}

func (v *Validator) check(claims map[string]json.RawMessage, nowMillis int64) (string, int64, error) {
	now := nowMillis / 1000
	expires, ok := seconds(claims["exp"])
	if !ok {
		return "", 0, errors.New("claim exp is missing or no time")
	}
	if expires <= now-v.SkewSeconds {
		return "", 0, fmt.Errorf("the token has expired: exp %d, now %d", expires, now)
	}
	issued, ok := seconds(claims["iat"])
	if !ok {
		return "", 0, errors.New("claim iat is missing or no time")
	}
	if issued > expires {
		return "", 0, errors.New("claim iat is after exp")
	}
	if raw := claims["nbf"]; raw != nil {
		if from, ok := seconds(raw); !ok || from > now+v.SkewSeconds {
			return "", 0, errors.New("the token is not valid yet")
		}
	}
	if v.Issuer != "" {
		if issuer, ok := text(claims["iss"]); !ok || issuer != v.Issuer {
			return "", 0, fmt.Errorf("claim iss is not %q", v.Issuer)
		}
	}
	if len(v.Audiences) > 0 {
		audiences, ok := texts(claims["aud"])
		if !ok || !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(v.Audiences, a) }) {
			return "", 0, fmt.Errorf("claim aud holds none of %q", v.Audiences)
		}
	}
	if raw := claims[v.ScopeClaim]; raw != nil {
		if _, ok := texts(raw); !ok {
			return "", 0, fmt.Errorf("claim %s is neither text nor a list of texts", v.ScopeClaim)
		}
	}
	name, ok := text(claims[v.SubClaim])
	if name = strings.TrimSpace(name); !ok || name == "" {
		return "", 0, fmt.Errorf("claim %s, which names the principal, is missing or no text", v.SubClaim)
	}
	return name, expires * 1000, nil
}

func object(b []byte) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil || m == nil {
		return nil, errors.New("no JSON object")
	}
	return m, nil
}

// seconds reads a NumericDate; its fraction is dropped.
func seconds(raw json.RawMessage) (int64, bool) {
	whole, _, _ := bytes.Cut(raw, []byte("."))
	n, err := strconv.ParseInt(string(whole), 10, 64)
	return n, err == nil && n >= 0 && n <= secondsMax
}

func text(raw json.RawMessage) (string, bool) {
	var s *string
	if raw == nil || json.Unmarshal(raw, &s) != nil || s == nil {
		return "", false
	}
	return *s, true
}

// texts reads one text or a list of them.
func texts(raw json.RawMessage) ([]string, bool) {
	if s, ok := text(raw); ok {
		return []string{s}, true
	}
	var list []string
	if raw == nil || json.Unmarshal(raw, &list) != nil || list == nil {
		return nil, false
	}
	return list, true
}
