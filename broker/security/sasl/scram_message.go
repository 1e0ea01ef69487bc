package sasl

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The messages of SCRAM (RFC 5802, section 7) are lists of letter=value,
// separated by commas, in a fixed order. Extensions behind them are ignored;
// reserved ones (m=) are refused, as the RFC demands.

type clientFirst struct {
	gs2   string // up to and with the second comma
	as    string // authorization id; empty: the user itself
	bare  string
	name  string
	nonce string
}

func parseClientFirst(token string) (m clientFirst, err error) {
	flag, rest, ok := strings.Cut(token, ",")
	as, bare, ok2 := strings.Cut(rest, ",")
	if !ok || !ok2 {
		return m, errors.New("no GS2 header")
	}
	if flag != "n" && flag != "y" {
		return m, errors.New("channel binding is not supported")
	}
	if as != "" {
		id, ok := strings.CutPrefix(as, "a=")
		if m.as, err = unescapeName(id); !ok || err != nil {
			return m, errors.New("malformed authorization id")
		}
	}
	m.gs2, m.bare = flag+","+as+",", bare
	fields := strings.Split(bare, ",")
	if len(fields) < 2 {
		return m, errors.New("user name or nonce is missing")
	}
	name, ok := strings.CutPrefix(fields[0], "n=")
	if m.name, err = unescapeName(name); !ok || err != nil || m.name == "" {
		return m, errors.New("malformed user name")
	}
	if m.nonce, err = parseNonce(fields[1]); err != nil {
		return m, err
	}
	for _, extension := range fields[2:] {
		if !wellFormed(extension) {
			return m, fmt.Errorf("malformed extension %q", extension)
		}
		if extension == "tokenauth=true" {
			return m, errors.New("delegation tokens are not supported")
		}
	}
	return m, nil
}

type serverFirst struct {
	nonce      string
	salt       string
	iterations int32
}

func parseServerFirst(text string) (m serverFirst, err error) {
	fields := strings.Split(text, ",")
	if len(fields) < 3 {
		return m, errors.New("nonce, salt or iteration count is missing")
	}
	if m.nonce, err = parseNonce(fields[0]); err != nil {
		return m, err
	}
	encoded, ok := strings.CutPrefix(fields[1], "s=")
	salt, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if !ok || err != nil || len(salt) == 0 {
		return m, errors.New("malformed salt")
	}
	count, ok := strings.CutPrefix(fields[2], "i=")
	iterations, err := strconv.ParseInt(count, 10, 32)
	if !ok || err != nil {
		return m, errors.New("malformed iteration count")
	}
	m.salt, m.iterations = string(salt), int32(iterations)
	return m, nil
}

type clientFinal struct {
	binding string // the GS2 header again
	nonce   string
	bare    string // without the proof
	proof   []byte
}

func parseClientFinal(token string) (m clientFinal, err error) {
	at := strings.LastIndex(token, ",p=")
	if at < 0 {
		return m, errors.New("no proof")
	}
	m.bare = token[:at]
	if m.proof, err = base64.StdEncoding.Strict().DecodeString(token[at+len(",p="):]); err != nil {
		return m, errors.New("malformed proof")
	}
	fields := strings.Split(m.bare, ",")
	if len(fields) < 2 {
		return m, errors.New("channel binding or nonce is missing")
	}
	encoded, ok := strings.CutPrefix(fields[0], "c=")
	binding, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if !ok || err != nil {
		return m, errors.New("malformed channel binding")
	}
	m.binding = string(binding)
	if m.nonce, err = parseNonce(fields[1]); err != nil {
		return m, err
	}
	for _, extension := range fields[2:] {
		if !wellFormed(extension) {
			return m, fmt.Errorf("malformed extension %q", extension)
		}
	}
	return m, nil
}

func parseNonce(field string) (string, error) {
	nonce, ok := strings.CutPrefix(field, "r=")
	if !ok || nonce == "" {
		return "", errors.New("malformed nonce")
	}
	for i := range len(nonce) {
		if nonce[i] < 0x21 || nonce[i] > 0x7e {
			return "", errors.New("the nonce is not printable")
		}
	}
	return nonce, nil
}

func wellFormed(extension string) bool {
	name, value, ok := strings.Cut(extension, "=")
	return ok && name != "" && value != "" && name != "m"
}

// escapeName replaces the two characters that a user name may not hold.
func escapeName(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "=", "=3D"), ",", "=2C")
}

func unescapeName(text string) (string, error) {
	var b strings.Builder
	for {
		plain, rest, found := strings.Cut(text, "=")
		b.WriteString(plain)
		if !found {
			return b.String(), nil
		}
		switch {
		case strings.HasPrefix(rest, "2C"):
			b.WriteByte(',')
		case strings.HasPrefix(rest, "3D"):
			b.WriteByte('=')
		default:
			return "", errors.New("malformed escape")
		}
		text = rest[2:]
	}
}
