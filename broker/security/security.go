// Package security owns who is at the other end of a connection and what it may
// do: principals, sessions, and the gate that every handler asks. How somebody
// proves who they are is in package sasl, what entries permit in package acl.
package security

import (
	"fmt"
	"strings"
)

// Principal is who somebody is.
type Principal struct {
	Type string // "User" for all that this broker authenticates
	Name string
}

// Anonymous is who speaks on a connection that proves nothing.
var Anonymous = Principal{Type: UserType, Name: "ANONYMOUS"}

// UserType is the type of every principal that authentication yields.
const UserType = "User"

// User returns the principal of an authenticated name.
func User(name string) Principal { return Principal{Type: UserType, Name: name} }

func (p Principal) String() string { return p.Type + ":" + p.Name }

// ParsePrincipal reads "User:alice".
func ParsePrincipal(text string) (Principal, error) {
	kind, name, ok := strings.Cut(text, ":")
	if !ok || kind == "" || name == "" {
		return Principal{}, fmt.Errorf("principal %q must be of the form User:name", text)
	}
	return Principal{Type: kind, Name: name}, nil
}
