// Package tlsfiles turns Kafka's ssl properties into what crypto/tls wants: keys
// and authorities from PEM files, read again on request, and names from the
// subjects of clients' certificates.
package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
)

// Files is what one listener's properties name, as last read.
type Files struct {
	settings config.TLS
	rules    Rules
	current  atomic.Pointer[material]
}

// material is the content of the files.
type material struct {
	certificate *tls.Certificate // nil without a keystore
	authorities *x509.CertPool   // nil is the system's
}

// Load reads the files of a listener's properties.
func Load(settings config.TLS) (*Files, error) {
	rules, err := ParseRules(settings.PrincipalMappingRules)
	if err != nil {
		return nil, fmt.Errorf("ssl.principal.mapping.rules: %w", err)
	}
	f := &Files{settings: settings, rules: rules}
	return f, f.Reload()
}

// Reload reads the files again. If that fails, what was read before stays in
// force.
func (f *Files) Reload() error {
	m := &material{}
	if path := f.settings.KeystoreLocation; path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("ssl.keystore.location: %w", err)
		}
		c, err := keystore(data, string(f.settings.KeyPassword))
		if err != nil {
			return fmt.Errorf("ssl.keystore.location %s: %w", path, err)
		}
		m.certificate = c
	}
	if path := f.settings.TruststoreLocation; path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("ssl.truststore.location: %w", err)
		}
		m.authorities = x509.NewCertPool()
		if !m.authorities.AppendCertsFromPEM(data) {
			return fmt.Errorf("ssl.truststore.location %s: no certificate in it; PEM files have -----BEGIN CERTIFICATE-----", path)
		}
	}
	f.current.Store(m)
	return nil
}

// keystore finds a chain and its key in one PEM file, in any order.
func keystore(data []byte, password string) (*tls.Certificate, error) {
	var chain, key []byte
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch block.Type {
		case "CERTIFICATE":
			chain = append(chain, pem.EncodeToMemory(block)...)
		case "ENCRYPTED PRIVATE KEY":
			clear, err := unseal(block.Bytes, password)
			if err != nil {
				return nil, fmt.Errorf("the private key is encrypted: %w", err)
			}
			key = append(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: clear})...)
		default:
			if block.Headers["DEK-Info"] != "" { // as openssl wrote it before PKCS#8
				return nil, fmt.Errorf("the private key is encrypted: %w", errOtherScheme)
			}
			key = append(key, pem.EncodeToMemory(block)...)
		}
	}
	if chain == nil || key == nil {
		return nil, errors.New("want a certificate (-----BEGIN CERTIFICATE-----) and its private key (-----BEGIN PRIVATE KEY-----) in one PEM file")
	}
	c, err := tls.X509KeyPair(chain, key)
	return &c, err
}

// HasKey tells whether the files can serve a listener.
func (f *Files) HasKey() bool { return f.current.Load().certificate != nil }

// Server is the configuration of a listener, as the files are now.
func (f *Files) Server() *tls.Config {
	m := f.current.Load()
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*m.certificate}, ClientCAs: m.authorities}
	switch f.settings.ClientAuth {
	case config.ClientAuthRequested:
		c.ClientAuth = tls.VerifyClientCertIfGiven
	case config.ClientAuthRequired:
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return c
}

// Client is the configuration of a connection to another node, as the files are
// now. The node shows its own certificate if it is asked for one.
func (f *Files) Client(host string) *tls.Config {
	m := f.current.Load()
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: m.authorities}
	if m.certificate != nil {
		c.Certificates = []tls.Certificate{*m.certificate}
	}
	if f.settings.EndpointIdentification == "" {
		// The chain is verified as ever, the name in it is not.
		c.InsecureSkipVerify = true
		c.VerifyConnection = func(s tls.ConnectionState) error { return verifyChain(&s, m.authorities) }
	}
	return c
}

func verifyChain(s *tls.ConnectionState, authorities *x509.CertPool) error {
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: authorities, Intermediates: between})
	return err
}

// Principal is the name of a certificate's owner.
func (f *Files) Principal(c *x509.Certificate) string { return f.rules.Name(subject(c)) }
