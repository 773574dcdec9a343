package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// TLS configures the connections to the brokers. Files are in PEM and are read once, by New. The zero TLS trusts the
// certificate authorities of the system.
type TLS struct {
	CA         string // file with the authorities that are trusted instead of those of the system
	Cert, Key  string // files with the certificate and key of the client, for mutual TLS
	ServerName string // the name that the broker's certificate must carry, instead of the host in Brokers
}

func (t *TLS) validate() error {
	if t != nil && (t.Cert == "") != (t.Key == "") {
		return errors.New("tls: cert and key go together: name both files or neither")
	}
	return nil
}

// config reads the files. It returns nil for a nil TLS.
func (t *TLS) config() (*tls.Config, error) {
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

// SASL holds the credentials of this client.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER
	Username  string // and Password: for all mechanisms but OAUTHBEARER
	Password  string
	OAuth     *OAuth // for OAUTHBEARER
}

const (
	mechanismPlain  = "PLAIN"
	mechanismSCRAM2 = "SCRAM-SHA-256"
	mechanismSCRAM5 = "SCRAM-SHA-512"
)

func (s *SASL) validate() error {
	if s == nil {
		return nil
	}
	var errs []error
	switch s.Mechanism {
	case mechanismPlain, mechanismSCRAM2, mechanismSCRAM5:
	case mechanismOAuth:
		return s.OAuth.validate()
	default:
		errs = append(errs, fmt.Errorf("sasl mechanism %q: use %s, %s, %s or %s",
			s.Mechanism, mechanismPlain, mechanismSCRAM2, mechanismSCRAM5, mechanismOAuth))
	}
	if s.Username == "" {
		errs = append(errs, errors.New("sasl: no username"))
	}
	if s.Password == "" {
		errs = append(errs, errors.New("sasl: no password"))
	}
	return errors.Join(errs...)
}

// mechanism returns the client's form of s, or nil for a nil SASL.
func (s *SASL) mechanism() (sasl.Mechanism, error) {
	if s == nil {
		return nil, nil
	}
	switch s.Mechanism {
	case mechanismOAuth:
		return newOAuthBearer(s.OAuth)
	case mechanismSCRAM2:
		return scram.Mechanism(scram.SHA256, s.Username, s.Password)
	case mechanismSCRAM5:
		return scram.Mechanism(scram.SHA512, s.Username, s.Password)
	}
	return plain.Mechanism{Username: s.Username, Password: s.Password}, nil
}
