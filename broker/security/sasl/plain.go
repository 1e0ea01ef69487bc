package sasl

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
)

// plainServer takes one token: authorization id, user name and password,
// separated by NUL.
type plainServer struct {
	users  map[string]string
	result Result
}

// NewPlainServer returns an exchange that knows the passwords of users.
func NewPlainServer(users map[string]string) Server { return &plainServer{users: users} }

var errCredentials = errors.New("invalid credentials")

func (s *plainServer) Next(token []byte) ([]byte, error) {
	if s.result.Done {
		return nil, errOrder
	}
	if len(token) > tokenBytesMax {
		return nil, errTooLong
	}
	parts := bytes.Split(token, []byte{0})
	if len(parts) != 3 {
		return nil, errors.New("a PLAIN token has three parts")
	}
	as, name, password := string(parts[0]), string(parts[1]), parts[2]
	if name == "" || len(password) == 0 {
		return nil, errors.New("a PLAIN token without user name or password")
	}
	expected, known := s.users[name]
	// Hashes have one length, so that the comparison tells nothing by its time,
	// also of a user that does not exist.
	want, have := sha256.Sum256([]byte(expected)), sha256.Sum256(password)
	if subtle.ConstantTimeCompare(want[:], have[:]) != 1 || !known {
		return nil, errCredentials
	}
	if as != "" && as != name {
		return nil, errors.New("the client wants to act for somebody else")
	}
	s.result = Result{Done: true, Name: name}
	return nil, nil
}

func (s *plainServer) Result() Result { return s.result }

type plainClient struct{ name, password string }

// NewPlainClient returns the exchange of a user.
func NewPlainClient(name, password string) Client { return &plainClient{name, password} }

func (k *plainClient) Next(answer []byte) ([]byte, bool, error) {
	if answer == nil {
		return []byte("\x00" + k.name + "\x00" + k.password), false, nil
	}
	if len(answer) != 0 {
		return nil, false, errors.New("PLAIN: the server answered with a challenge")
	}
	return nil, true, nil
}
