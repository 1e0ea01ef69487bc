package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Tokens are signed by keys made for the test and then changed, one thing at a
// time: only the untouched one may pass. Parsers of tokens and key sets are
// fuzzed, with a set whose private keys nobody has.

type signer struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func newSigner(t testing.TB) *signer {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{r, e}
}

func (s *signer) jwks(t testing.TB) string {
	t.Helper()
	point, err := s.ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"r","alg":"RS256","use":"sig","n":%q,"e":"AQAB"},
		{"kty":"EC","kid":"e","crv":"P-256","x":%q,"y":%q},{"kty":"RSA","use":"enc","n":"","e":""},{"kty":"oct","k":"c2VjcmV0"}]}`,
		b64(s.rsa.N.Bytes()), b64(point[1:33]), b64(point[33:]))
}

func (s *signer) sign(t testing.TB, header, claims string) string {
	t.Helper()
	input := b64([]byte(header)) + "." + b64([]byte(claims))
	hash := sha256.Sum256([]byte(input))
	if strings.Contains(header, "ES256") {
		r, v, err := ecdsa.Sign(rand.Reader, s.ec, hash[:])
		if err != nil {
			t.Fatal(err)
		}
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		v.FillBytes(signature[32:])
		return input + "." + b64(signature)
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.rsa, crypto.SHA256, hash[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64(signature)
}

func TestValidate(t *testing.T) {
	s, other := newSigner(t), newSigner(t)
	keys, err := ParseKeySet([]byte(s.jwks(t)))
	if err != nil {
		t.Fatal(err)
	}
	v := &Validator{Keys: keys, Audiences: []string{"kafka", "other"}, Issuer: "https://issuer", SubClaim: "sub", ScopeClaim: "scope", SkewSeconds: 30}
	const now = int64(1_000_000)
	good := map[string]any{"sub": "alice", "iss": "https://issuer", "aud": "kafka", "iat": now - 100, "exp": now + 100, "scope": "a b"}
	with := func(name string, value any) string {
		m := map[string]any{}
		for k, w := range good {
			m[k] = w
		}
		m[name] = value
		if value == nil {
			delete(m, name)
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const rs, es = `{"alg":"RS256","kid":"r"}`, `{"alg":"ES256","kid":"e"}`
	claims := with("x", 1)
	rsToken := s.sign(t, rs, claims)
	for _, test := range []struct {
		name, token, problem string
	}{
		{"RS256", rsToken, ""},
		{"ES256", s.sign(t, es, claims), ""},
		{"no kid", s.sign(t, `{"alg":"ES256"}`, claims), ""},
		{"several audiences", s.sign(t, es, with("aud", []string{"x", "other"})), ""},
		{"within the skew", s.sign(t, es, with("exp", now-29)), ""},
		{"fraction of a second", s.sign(t, es, with("exp", json.RawMessage("1000100.5"))), ""},
		{"another signer", other.sign(t, rs, claims), "no key"},
		{"another kid", s.sign(t, `{"alg":"RS256","kid":"e"}`, claims), "no key"},
		{"none", b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(claims)) + ".", "not accepted"},
		{"HS256", s.sign(t, `{"alg":"HS256"}`, claims), "not accepted"},
		{"critical extension", s.sign(t, `{"alg":"ES256","crit":["exp"]}`, claims), "must be understood"},
		{"changed claims", strings.Replace(rsToken, "."+b64([]byte(claims))+".", "."+b64([]byte(with("sub", "root")))+".", 1), "no key"},
		{"cut short", rsToken[:len(rsToken)-4], "signature"},
		{"two parts", "a.b", "three parts"},
		{"expired", s.sign(t, es, with("exp", now-30)), "expired"},
		{"no expiry", s.sign(t, es, with("exp", nil)), "exp is missing"},
		{"absurd expiry", s.sign(t, es, with("exp", json.RawMessage("1e400"))), "exp is missing"},
		{"no issue time", s.sign(t, es, with("iat", nil)), "iat is missing"},
		{"issued after its end", s.sign(t, es, with("iat", now+200)), "after exp"},
		{"not yet", s.sign(t, es, with("nbf", now+31)), "not valid yet"},
		{"another audience", s.sign(t, es, with("aud", "web")), "aud"},
		{"no audience", s.sign(t, es, with("aud", nil)), "aud"},
		{"another issuer", s.sign(t, es, with("iss", "https://evil")), "iss"},
		{"no subject", s.sign(t, es, with("sub", nil)), "sub"},
		{"subject of numbers", s.sign(t, es, with("sub", 7)), "sub"},
		{"scope of numbers", s.sign(t, es, with("scope", 7)), "scope"},
	} {
		name, expires, err := v.Validate(test.token, now*1000)
		if test.problem == "" {
			if err != nil || name != "alice" || expires <= 0 {
				t.Errorf("%s: %q, %d, %v", test.name, name, expires, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.problem) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.problem)
		}
	}
	v.SubClaim = "mail"
	if name, _, err := v.Validate(s.sign(t, es, with("mail", "a@b")), now*1000); err != nil || name != "a@b" {
		t.Errorf("sub claim of another name: %q, %v", name, err)
	}
}

func TestKeySets(t *testing.T) {
	for _, test := range []struct{ text, problem string }{
		{`{`, "parse"},
		{`{"keys":[]}`, "no key"},
		{`{"keys":[{"kty":"oct","k":"AA"}]}`, "no key"},
		{`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`, "17 bits"},
		{`{"keys":[{"kty":"RSA","n":"!","e":"AQAB"}]}`, "modulus"},
		{`{"keys":[{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}]}`, "coordinates"},
		{`{"keys":[{"kty":"EC","crv":"P-256","x":"` + b64(make([]byte, 32)) + `","y":"` + b64(make([]byte, 32)) + `"}]}`, "point"},
		{`{"keys":[` + strings.Repeat("{},", 100) + `{}]}`, "at most 100"},
	} {
		if _, err := ParseKeySet([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.problem) {
			t.Errorf("%.60s: error %v, want one with %q", test.text, err, test.problem)
		}
	}
}

func FuzzValidate(f *testing.F) {
	s := newSigner(f)
	keys, err := ParseKeySet([]byte(s.jwks(f)))
	if err != nil {
		f.Fatal(err)
	}
	stranger := newSigner(f)
	f.Add(stranger.sign(f, `{"alg":"RS256"}`, `{"sub":"a","exp":5,"iat":1}`))
	f.Add(stranger.sign(f, `{"alg":"ES256"}`, `{"sub":"a","exp":5,"iat":1}`))
	f.Add("..")
	v := &Validator{Keys: keys, SubClaim: "sub", ScopeClaim: "scope"}
	f.Fuzz(func(t *testing.T, token string) {
		if name, _, err := v.Validate(token, 1000); err == nil {
			t.Fatalf("%q let %q in", token, name)
		}
		// Claims are read behind the signature only; here they are read anyway.
		if claims, err := object([]byte(token)); err == nil {
			_, _, _ = v.check(claims, 1000)
		}
	})
}

func FuzzKeySet(f *testing.F) {
	f.Add([]byte(newSigner(f).jwks(f)))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if set, err := ParseKeySet(text); err == nil && len(set.keys) == 0 {
			t.Fatalf("%q gave an empty set", text)
		}
	})
}
