package connect

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// wantsTLS says whether any setting asks for TLS.
func (v Values) wantsTLS() bool {
	for _, name := range []string{"tls-ca", "tls-cert", "tls-key", "tls-server-name"} {
		if v.text(name) != "" {
			return true
		}
	}
	return v.enabled("tls") || v.enabled("tls-skip-verify")
}

// tlsConfig is nil without TLS. A server name is left to the dialer unless one
// was given.
func (v Values) tlsConfig() (*tls.Config, error) {
	ca, cert, key := v["tls-ca"], v["tls-cert"], v["tls-key"]
	if !v.wantsTLS() {
		return nil, nil
	}
	if off := v["tls"]; off.Text != "" && !v.enabled("tls") {
		return nil, fmt.Errorf("%s is false, but other TLS settings are given; leave one of them out", off.Place)
	}
	out := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         v.text("tls-server-name"),
		InsecureSkipVerify: v.enabled("tls-skip-verify"),
	}
	if ca.Text != "" {
		data, err := os.ReadFile(ca.Text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ca.Place, err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s: %s holds no PEM certificate", ca.Place, ca.Text)
		}
	}
	switch {
	case cert.Text != "" && key.Text != "":
		pair, err := tls.LoadX509KeyPair(cert.Text, key.Text)
		if err != nil {
			return nil, fmt.Errorf("%s and %s: %w", cert.Place, key.Place, err)
		}
		out.Certificates = []tls.Certificate{pair}
	case cert.Text != "":
		return nil, fmt.Errorf("%s: a certificate without its key; add --tls-key", cert.Place)
	case key.Text != "":
		return nil, fmt.Errorf("%s: a key without its certificate; add --tls-cert", key.Place)
	}
	return out, nil
}
