package connectors

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLS configures the connections of a connector to its outside system. Files are in PEM and are read once, when the connector
// is made. The zero TLS trusts the certificate authorities of the system.
type TLS struct {
	CA         string // file with the authorities that are trusted instead of those of the system
	Cert, Key  string // files with the certificate and key of this client, for mutual TLS
	ServerName string // the name that the server's certificate must carry, instead of the host that is dialled
}

// Validate reports a certificate without a key, or a key without a certificate.
func (t *TLS) Validate() error {
	if t != nil && (t.Cert == "") != (t.Key == "") {
		return errors.New("tls: cert and key go together: name both files or neither")
	}
	return nil
}

// Config reads the files. It returns nil for a nil TLS.
func (t *TLS) Config() (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("read tls ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read tls ca %q: no certificate found: give a PEM file", t.CA)
		}
	}
	if t.Cert != "" {
		cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("read tls cert %q and key %q: %w", t.Cert, t.Key, err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}
