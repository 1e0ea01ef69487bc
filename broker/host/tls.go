package host

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
)

// Security is how the connections of a listener are encrypted, in both
// directions: as a server where the node has that listener, as a client where
// it connects to another node's. Both return what is in force now, so that
// certificates can be replaced while connections are open.
type Security struct {
	Server func() *tls.Config
	Client func(host string) *tls.Config
	// Principal names the owner of a client's certificate that has been verified.
	Principal func(*x509.Certificate) string
}

// secureServer completes the handshake of an accepted connection. The principal
// is empty without encryption and without a client's certificate.
func (h *Host) secureServer(raw net.Conn, s *Security) (c net.Conn, principal string, err error) {
	if s == nil {
		return raw, "", nil
	}
	secured := tls.Server(raw, s.Server())
	if err := h.handshake(secured); err != nil {
		return nil, "", err
	}
	// Unverified certificates leave no chain, and give no name.
	if chains := secured.ConnectionState().VerifiedChains; len(chains) > 0 && s.Principal != nil {
		principal = s.Principal(chains[0][0])
	}
	return secured, principal, nil
}

func (h *Host) secureClient(raw net.Conn, s *Security, host string) (net.Conn, error) {
	if s == nil {
		return raw, nil
	}
	secured := tls.Client(raw, s.Client(host))
	return secured, h.handshake(secured)
}

func (h *Host) handshake(c *tls.Conn) error {
	limited, cancel := context.WithTimeout(h.dialing, h.limits.HandshakeTime)
	defer cancel()
	if err := c.HandshakeContext(limited); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	return nil
}
