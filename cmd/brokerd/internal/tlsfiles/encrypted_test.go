package tlsfiles

import (
	"crypto/ecdsa"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
)

// Goal: a key that openssl has encrypted is the key that it was. Method: one key
// in every form, written by openssl 3 with the password hush.

func load(t *testing.T, name, password string) (*ecdsa.PrivateKey, error) {
	t.Helper()
	settings := config.TLS{KeystoreLocation: filepath.Join("testdata", name), KeyPassword: config.Password(password), PrincipalMappingRules: "DEFAULT"}
	files, err := Load(settings)
	if err != nil {
		return nil, err
	}
	return files.current.Load().certificate.PrivateKey.(*ecdsa.PrivateKey), nil
}

func TestEncryptedKeys(t *testing.T) {
	plain, err := load(t, "plain.pem", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"aes256.pem", "aes128-sha1.pem", "aes192-sha512.pem"} {
		key, err := load(t, name, "hush")
		if err != nil || !key.Equal(plain) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, c := range []struct{ name, password, want string }{
		{"aes256.pem", "", "set ssl.key.password, or write the key without one"},
		{"aes256.pem", "guess", "ssl.key.password is not its password"},
		{"des3.pem", "hush", "only PBES2 with PBKDF2 and AES is read; openssl pkcs8 -topk8"},
		{"pkcs12.pem", "hush", "only PBES2 with PBKDF2 and AES is read"},
		{"scrypt.pem", "hush", "only PBES2 with PBKDF2 and AES is read"},
		{"legacy.pem", "hush", "only PBES2 with PBKDF2 and AES is read"},
	} {
		if _, err := load(t, c.name, c.password); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %q: %v\nwant %s", c.name, c.password, err, c.want)
		}
	}
}

func FuzzEncryptedKey(f *testing.F) {
	for _, name := range []string{"aes128-sha1.pem", "des3.pem"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		_, rest := pem.Decode(text) // the certificate
		block, _ := pem.Decode(rest)
		f.Add(block.Bytes)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		// What is asked for is work, and takes its time.
		if k, err := parseSealed(der); err == nil && k.iterations < 1000 {
			_, _ = k.open("hush") // it is enough that it returns
		}
	})
}
