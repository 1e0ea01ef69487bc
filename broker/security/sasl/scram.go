package sasl

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// ScramMechanism is one of the two SCRAM mechanisms, with the number that
// KIP-554 gives it.
type ScramMechanism uint8

// The SCRAM mechanisms.
const (
	SHA256 ScramMechanism = 1
	SHA512 ScramMechanism = 2
)

// ScramMechanismOf returns the mechanism of a name; ok is false for others.
func ScramMechanismOf(name Mechanism) (m ScramMechanism, ok bool) {
	switch name {
	case ScramSHA256:
		return SHA256, true
	case ScramSHA512:
		return SHA512, true
	}
	return 0, false
}

// Valid tells whether there is such a mechanism.
func (m ScramMechanism) Valid() bool { return m == SHA256 || m == SHA512 }

func (m ScramMechanism) String() string {
	switch m {
	case SHA256:
		return ScramSHA256
	case SHA512:
		return ScramSHA512
	}
	return fmt.Sprintf("SCRAM mechanism %d", uint8(m))
}

func (m ScramMechanism) new() hash.Hash {
	if m == SHA512 {
		return sha512.New()
	}
	return sha256.New()
}

// Size is the length of the mechanism's keys in bytes.
func (m ScramMechanism) Size() int { return m.new().Size() }

func (m ScramMechanism) hash(b []byte) []byte {
	h := m.new()
	h.Write(b)
	return h.Sum(nil)
}

func (m ScramMechanism) hmac(key []byte, text string) []byte {
	h := hmac.New(m.new, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// salted is the costly part: iterations times a hash.
func (m ScramMechanism) salted(password, salt string, iterations int32) []byte {
	key, err := pbkdf2.Key(m.new, password, []byte(salt), int(iterations), m.Size())
	if err != nil {
		// Only a key length or an iteration count that nobody here asks for.
		panic(fmt.Sprintf("sasl: derive a SCRAM key with %d iterations: %v", iterations, err))
	}
	return key
}

// The bounds of the iteration count: below, a stolen credential is guessed too
// easily; above, a login costs too much. They are Kafka's.
const (
	IterationsMin int32 = 4096
	IterationsMax int32 = 16384
)

// ScramCredential is what a server knows of a user: enough to check a proof, too
// little to make one. It is a comparable value; its strings hold bytes.
type ScramCredential struct {
	Salt       string
	StoredKey  string
	ServerKey  string
	Iterations int32
}

// NewScramCredential derives a credential from a password.
func NewScramCredential(m ScramMechanism, password, salt string, iterations int32) ScramCredential {
	return ScramCredentialOf(m, m.salted(password, salt, iterations), salt, iterations)
}

// ScramCredentialOf derives a credential from a salted password, which is what
// AlterUserScramCredentials brings.
func ScramCredentialOf(m ScramMechanism, salted []byte, salt string, iterations int32) ScramCredential {
	return ScramCredential{
		Salt: salt, Iterations: iterations,
		StoredKey: string(m.hash(m.hmac(salted, "Client Key"))), ServerKey: string(m.hmac(salted, "Server Key")),
	}
}

// ScramUsers finds credentials; nil is an unknown user.
type ScramUsers interface {
	ScramCredential(name string, m ScramMechanism) *ScramCredential
}

// scramServer:
//
//	first --client-first / server-first--> final --client-final / server-final--> done
type scramServer struct {
	mechanism  ScramMechanism
	users      ScramUsers
	nonce      string // of this side
	state      scramState
	credential ScramCredential
	name       string
	gs2        string
	both       string // the client's nonce and ours
	transcript string // client-first-bare and server-first
	result     Result
}

type scramState uint8

const (
	scramFirst scramState = iota
	scramFinal
	scramEnd
)

// NewScramServer returns an exchange. The nonce is printable, without a comma,
// and never used twice.
func NewScramServer(m ScramMechanism, users ScramUsers, nonce string) Server {
	return &scramServer{mechanism: m, users: users, nonce: nonce}
}

func (s *scramServer) Result() Result { return s.result }

func (s *scramServer) Next(token []byte) ([]byte, error) {
	state := s.state
	s.state = scramEnd // unless this step succeeds
	switch {
	case state == scramEnd:
		return nil, errOrder
	case len(token) > tokenBytesMax:
		return nil, errTooLong
	case state == scramFirst:
		return s.first(string(token))
	}
	return s.final(string(token))
}

func (s *scramServer) first(token string) ([]byte, error) {
	first, err := parseClientFirst(token)
	if err != nil {
		return nil, fmt.Errorf("%s: first message: %w", s.mechanism, err)
	}
	credential := s.users.ScramCredential(first.name, s.mechanism)
	if credential == nil {
		return nil, errCredentials
	}
	if first.as != "" && first.as != first.name {
		return nil, errors.New("the client wants to act for somebody else")
	}
	s.credential, s.name, s.gs2, s.both = *credential, first.name, first.gs2, first.nonce+s.nonce
	answer := "r=" + s.both + ",s=" + base64.StdEncoding.EncodeToString([]byte(s.credential.Salt)) +
		",i=" + fmt.Sprint(s.credential.Iterations)
	s.transcript = first.bare + "," + answer
	s.state = scramFinal
	return []byte(answer), nil
}

func (s *scramServer) final(token string) ([]byte, error) {
	final, err := parseClientFinal(token)
	if err != nil {
		return nil, fmt.Errorf("%s: final message: %w", s.mechanism, err)
	}
	// librdkafka before 2.6.1 puts its own nonce before both once more, and Kafka
	// looks at the end only. What makes an exchange unlike any other is in it.
	if !strings.HasSuffix(final.nonce, s.both) {
		return nil, errors.New("the nonce is another one than that of the first messages")
	}
	if final.binding != s.gs2 {
		return nil, errors.New("the channel binding is another one than that of the first message")
	}
	auth := s.transcript + "," + final.bare
	m := s.mechanism
	key := m.hmac([]byte(s.credential.StoredKey), auth)
	if len(final.proof) != len(key) {
		return nil, errCredentials
	}
	for i := range key {
		key[i] ^= final.proof[i]
	}
	if !hmac.Equal(m.hash(key), []byte(s.credential.StoredKey)) {
		return nil, errCredentials
	}
	s.result = Result{Done: true, Name: s.name}
	return []byte("v=" + base64.StdEncoding.EncodeToString(m.hmac([]byte(s.credential.ServerKey), auth))), nil
}

// Salted remembers one salted password, so that a node that connects often pays
// for it once.
type Salted struct {
	mechanism      ScramMechanism
	password, salt string
	iterations     int32
	key            []byte
}

func (s *Salted) get(m ScramMechanism, password, salt string, iterations int32) []byte {
	if s.key == nil || s.mechanism != m || s.password != password || s.salt != salt || s.iterations != iterations {
		*s = Salted{m, password, salt, iterations, m.salted(password, salt, iterations)}
	}
	return s.key
}

type scramClient struct {
	mechanism      ScramMechanism
	name, password string
	nonce          string
	salted         *Salted
	step           int
	bare           string
	signature      []byte // that the server must show
}

// NewScramClient returns the exchange of a user. The nonce is as for a server.
func NewScramClient(m ScramMechanism, name, password, nonce string, salted *Salted) Client {
	return &scramClient{mechanism: m, name: name, password: password, nonce: nonce, salted: salted}
}

func (k *scramClient) Next(answer []byte) ([]byte, bool, error) {
	k.step++
	switch k.step {
	case 1:
		k.bare = "n=" + escapeName(k.name) + ",r=" + k.nonce
		return []byte("n,," + k.bare), false, nil
	case 2:
		token, err := k.final(string(answer))
		return token, false, err
	case 3:
		text, ok := bytes.CutPrefix(answer, []byte("v="))
		shown, err := base64.StdEncoding.DecodeString(string(text))
		if !ok || err != nil || !hmac.Equal(shown, k.signature) {
			return nil, false, fmt.Errorf("%s: the server does not know the password", k.mechanism)
		}
		return nil, true, nil
	}
	return nil, false, errOrder
}

func (k *scramClient) final(answer string) ([]byte, error) {
	first, err := parseServerFirst(answer)
	if err != nil {
		return nil, fmt.Errorf("%s: the server's first message: %w", k.mechanism, err)
	}
	if !strings.HasPrefix(first.nonce, k.nonce) || len(first.nonce) == len(k.nonce) {
		return nil, fmt.Errorf("%s: the server has not added to the nonce", k.mechanism)
	}
	if first.iterations < IterationsMin || first.iterations > IterationsMax {
		return nil, fmt.Errorf("%s: %d iterations are not in %d .. %d", k.mechanism, first.iterations, IterationsMin, IterationsMax)
	}
	m := k.mechanism
	salted := k.salted.get(m, k.password, first.salt, first.iterations)
	bare := "c=biws,r=" + first.nonce
	auth := k.bare + "," + answer + "," + bare
	clientKey := m.hmac(salted, "Client Key")
	proof := m.hmac(m.hash(clientKey), auth)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	k.signature = m.hmac(m.hmac(salted, "Server Key"), auth)
	return []byte(bare + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}
