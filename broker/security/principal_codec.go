package security

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// AppendPrincipal encodes a principal behind dst as Kafka's DefaultPrincipalData,
// the form in which it travels in an envelope.
func AppendPrincipal(dst []byte, p Principal) []byte {
	data := kmsg.NewDefaultPrincipalData()
	data.Type, data.Name = p.Type, p.Name
	return data.AppendTo(dst)
}

// DecodePrincipal reads what AppendPrincipal wrote.
func DecodePrincipal(b []byte) (Principal, error) {
	data := kmsg.NewDefaultPrincipalData()
	if err := data.ReadFrom(b); err != nil {
		return Principal{}, fmt.Errorf("decode a principal: %w", err)
	}
	if data.Type == "" || data.Name == "" {
		return Principal{}, fmt.Errorf("decode a principal: it has no type or no name")
	}
	return Principal{Type: data.Type, Name: data.Name}, nil
}
