package sasl

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"
)

// The exchanges are transcripts of tokens (testdata). Two properties go with
// them: a client gets in if and only if it knows the password, and no bytes make
// a server panic or let anybody in.

type users map[string]*ScramCredential

func (u users) ScramCredential(name string, m ScramMechanism) *ScramCredential {
	return u[name+"/"+m.String()]
}

type validator struct{}

func (validator) Validate(token string, now int64) (string, int64, error) {
	if token != "good" {
		return "", 0, errors.New("bad token")
	}
	return "alice", now + 1000, nil
}

// unquote lets a transcript show bytes: "\x00".
func unquote(t *testing.T, text string) string {
	out, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return out
}

func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var server Server
		var client Client
		salted := new(Salted)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			arg := func(name string) (v string) { d.ScanArgs(t, name, &v); return v }
			switch d.Cmd {
			case "plain-server":
				server = NewPlainServer(map[string]string{"alice": "secret", "bob": "b"})
			case "plain-client":
				client = NewPlainClient(arg("user"), arg("password"))
			case "oauthbearer-server":
				server = NewOAuthBearerServer(validator{}, 5000)
			case "oauthbearer-client":
				client = NewOAuthBearerClient(arg("token"))
			case "scram-server":
				m, _ := ScramMechanismOf(arg("mechanism"))
				salt, err := base64.StdEncoding.DecodeString(arg("salt"))
				if err != nil {
					t.Fatal(err)
				}
				c := NewScramCredential(m, "pencil", string(salt), 4096)
				server = NewScramServer(m, users{"user/" + m.String(): &c, "a,b=c/" + m.String(): &c}, arg("nonce"))
			case "scram-client":
				m, _ := ScramMechanismOf(arg("mechanism"))
				client = NewScramClient(m, arg("user"), arg("password"), arg("nonce"), salted)
			case "token": // the client's
				answer, err := server.Next([]byte(unquote(t, d.Input)))
				r := server.Result()
				if err != nil {
					return fmt.Sprintf("%q\nerror: %v\n", answer, err)
				}
				if r.Done {
					return fmt.Sprintf("%q\ndone: %s, expires %d\n", answer, r.Name, r.ExpiresMillis)
				}
				return fmt.Sprintf("%q\n", answer)
			case "begin", "answer":
				var in []byte
				if d.Cmd == "answer" {
					in = []byte(unquote(t, d.Input))
				}
				token, done, err := client.Next(in)
				if err != nil {
					return fmt.Sprintf("error: %v\n", err)
				}
				if done {
					return "done\n"
				}
				return fmt.Sprintf("%q\n", token)
			default:
				d.Fatalf(t, "unknown command %s", d.Cmd)
			}
			return ""
		})
	})
}

// run plays a client against a server.
func run(client Client, server Server) error {
	token, done, err := client.Next(nil)
	for range 5 {
		if err != nil || done {
			break
		}
		var answer []byte
		if answer, err = server.Next(token); err != nil {
			return err
		}
		if answer == nil {
			answer = []byte{}
		}
		token, done, err = client.Next(answer)
	}
	if err == nil && (!done || !server.Result().Done) {
		err = errors.New("the exchange does not end")
	}
	return err
}

func TestOnlyThePasswordLetsIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom([]ScramMechanism{SHA256, SHA512}).Draw(t, "mechanism")
		text := rapid.StringMatching(`[a-z=,"\\ é]{1,6}`)
		name, password := text.Draw(t, "name"), text.Draw(t, "password")
		given := rapid.OneOf(rapid.Just(password), text).Draw(t, "given")
		c := NewScramCredential(m, password, rapid.StringN(1, 8, 8).Draw(t, "salt"), IterationsMin)
		server := NewScramServer(m, users{name + "/" + m.String(): &c}, "servernonce")
		err := run(NewScramClient(m, name, given, "clientnonce", new(Salted)), server)
		if (err == nil) != (given == password) {
			t.Fatalf("password %q, given %q: %v", password, given, err)
		}
		if r := server.Result(); r.Done != (err == nil) || r.Done && r.Name != name {
			t.Fatalf("result %+v after %v", r, err)
		}
		plain := NewPlainServer(map[string]string{name: password})
		if err := run(NewPlainClient(name, given), plain); (err == nil) != (given == password) {
			t.Fatalf("PLAIN: password %q, given %q: %v", password, given, err)
		}
	})
}

func TestScramClientDistrustsTheServer(t *testing.T) {
	c := NewScramCredential(SHA256, "pencil", "salt", IterationsMin)
	forged := c
	forged.ServerKey = strings.Repeat("x", 32)
	server := NewScramServer(SHA256, users{"u/SCRAM-SHA-256": &forged}, "s")
	if err := run(NewScramClient(SHA256, "u", "pencil", "c", new(Salted)), server); err == nil {
		t.Fatal("a server that does not know the server key was believed")
	}
}

// FuzzServers feeds two tokens to each kind of server. Nobody knows a password,
// so nobody may get in.
func FuzzServers(f *testing.F) {
	for _, seed := range [][2]string{
		{"\x00alice\x00x", ""}, {"n,,n=user,r=abc", "c=biws,r=abcdef,p=AAAA"}, {"n,a=x,\x01auth=Bearer bad\x01\x01", "\x01"},
		{"y,a==2C,n==3D,r=1,tokenauth=true", "c=,r=,p="},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	salt := "salt"
	c := NewScramCredential(SHA256, "an unknown password", salt, IterationsMin)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		servers := []Server{
			NewPlainServer(map[string]string{"alice": "another unknown password"}),
			NewScramServer(SHA256, users{"user/SCRAM-SHA-256": &c}, "nonce"),
			NewOAuthBearerServer(refuseAll{}, 0),
		}
		for _, s := range servers {
			failed := false
			for _, token := range [][]byte{first, second} {
				if _, err := s.Next(token); err == nil && failed {
					t.Fatalf("%T goes on after an error", s)
				} else if err != nil {
					failed = true
				}
			}
			if s.Result().Done {
				t.Fatalf("%T let %q in", s, first)
			}
		}
	})
}

type refuseAll struct{}

func (refuseAll) Validate(string, int64) (string, int64, error) { return "", 0, errors.New("no") }
