package tlsfiles

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
)

// Private keys under a password: PKCS#8's EncryptedPrivateKeyInfo (RFC 5958)
// with PBES2, PBKDF2 and AES in CBC mode (RFC 8018), which is what openssl
// writes. Older schemes are weak and stay out.

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
)

// hmacSHA1 is what is meant where no function is named.
const hmacSHA1 = "1.2.840.113549.2.7"

// hashes are the pseudo-random functions of PBKDF2, HMAC with each.
var hashes = map[string]func() hash.Hash{
	hmacSHA1:              sha1.New,
	"1.2.840.113549.2.9":  sha256.New,
	"1.2.840.113549.2.10": sha512.New384,
	"1.2.840.113549.2.11": sha512.New,
}

// ciphers are the lengths of AES keys, in bytes.
var ciphers = map[string]int{
	"2.16.840.1.101.3.4.1.2":  16,
	"2.16.840.1.101.3.4.1.22": 24,
	"2.16.840.1.101.3.4.1.42": 32,
}

// iterationsMax bounds the work that a file may ask for.
const iterationsMax = 10_000_000

type encryptedKey struct {
	Scheme pkix.AlgorithmIdentifier
	Data   []byte
}

type pbes2 struct{ Derivation, Cipher pkix.AlgorithmIdentifier }

type pbkdf2Parameters struct {
	Salt       []byte
	Iterations int
	KeyBytes   int                      `asn1:"optional"`
	Function   pkix.AlgorithmIdentifier `asn1:"optional"`
}

var (
	errDamaged       = errors.New("it is damaged")
	errWrongPassword = errors.New("ssl.key.password is not its password") // or it is damaged: nothing tells
	errOtherScheme   = errors.New("only PBES2 with PBKDF2 and AES is read; openssl pkcs8 -topk8 -in old -out new writes it")
)

// sealedKey is an encrypted key with all that it takes, but for the password.
type sealedKey struct {
	hash       func() hash.Hash
	salt       []byte
	iterations int
	keyBytes   int
	vector     []byte // of the first block
	data       []byte
}

// unseal returns the PKCS#8 key that is encrypted in der.
func unseal(der []byte, password string) ([]byte, error) {
	k, err := parseSealed(der)
	if err != nil {
		return nil, err
	}
	return k.open(password)
}

// parseSealed reads an EncryptedPrivateKeyInfo.
func parseSealed(der []byte) (*sealedKey, error) {
	var outer encryptedKey
	var scheme pbes2
	var derivation pbkdf2Parameters
	if err := parse(der, &outer); err != nil {
		return nil, err
	}
	if !outer.Scheme.Algorithm.Equal(oidPBES2) {
		return nil, errOtherScheme
	}
	if err := parse(outer.Scheme.Parameters.FullBytes, &scheme); err != nil {
		return nil, err
	}
	k := &sealedKey{data: outer.Data, keyBytes: ciphers[scheme.Cipher.Algorithm.String()]}
	if k.keyBytes == 0 || !scheme.Derivation.Algorithm.Equal(oidPBKDF2) {
		return nil, errOtherScheme
	}
	if err := parse(scheme.Cipher.Parameters.FullBytes, &k.vector); err != nil {
		return nil, err
	}
	if err := parse(scheme.Derivation.Parameters.FullBytes, &derivation); err != nil {
		return nil, err
	}
	function := hmacSHA1
	if derivation.Function.Algorithm != nil {
		function = derivation.Function.Algorithm.String()
	}
	k.hash, k.salt, k.iterations = hashes[function], derivation.Salt, derivation.Iterations
	switch {
	case k.hash == nil, derivation.KeyBytes != 0 && derivation.KeyBytes != k.keyBytes:
		return nil, errOtherScheme
	case k.iterations < 1 || k.iterations > iterationsMax:
		return nil, fmt.Errorf("%d iterations are not in 1 .. %d", k.iterations, iterationsMax)
	case len(k.vector) != aes.BlockSize, len(k.data) == 0, len(k.data)%aes.BlockSize != 0:
		return nil, errDamaged
	}
	return k, nil
}

// open returns the PKCS#8 key.
func (k *sealedKey) open(password string) ([]byte, error) {
	if password == "" {
		return nil, errors.New("set ssl.key.password, or write the key without one: openssl pkey -in old -out new")
	}
	key, err := pbkdf2.Key(k.hash, password, k.salt, k.iterations, k.keyBytes)
	if err != nil {
		return nil, fmt.Errorf("derive the key's key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("prepare the cipher: %w", err)
	}
	clear := make([]byte, len(k.data))
	cipher.NewCBCDecrypter(block, k.vector).CryptBlocks(clear, k.data)
	padding := int(clear[len(clear)-1])
	if padding < 1 || padding > aes.BlockSize {
		return nil, errWrongPassword
	}
	clear = clear[:len(clear)-padding]
	// The padding of a wrong password fits once in 256 times.
	if _, err := x509.ParsePKCS8PrivateKey(clear); err != nil {
		return nil, errWrongPassword
	}
	return clear, nil
}

func parse(der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err != nil || len(rest) > 0 {
		return errDamaged
	}
	return nil
}
