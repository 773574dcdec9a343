package api

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificates holds the TLS settings of a listener. It reads the files again when they change,
// because certificates are renewed while a process runs for months.
type certificates struct {
	files CertificateFiles
	log   *slog.Logger

	mu     sync.Mutex
	stamps [3]stamp // of the files that were read last
	config *tls.Config
}

// stamp identifies the content of a file.
type stamp struct {
	modified time.Time
	size     int64
}

// CertificateFiles are files in PEM: the certificate of a listener with its chain, its key, and the CA of its clients. If
// ClientCA is "", clients need no certificate.
type CertificateFiles struct {
	Cert, Key, ClientCA string
	Section             string // of the configuration, for the log; "" means http.tls
	// Optional is set if a client may do without a certificate; one that it presents is verified all the same.
	Optional bool
	HTTP2    bool // whether the listener also speaks HTTP/2, as gRPC needs
}

// section returns the name of the section of the configuration.
func (t *CertificateFiles) section() string { return cmp.Or(t.Section, "http.tls") }

// LoadTLS returns the TLS settings of a listener.
func LoadTLS(files CertificateFiles, log *slog.Logger) (*tls.Config, error) {
	c := &certificates{files: files, log: log, stamps: stampsOf(&files)}
	var err error
	if c.config, err = readTLS(&files); err != nil {
		return nil, err
	}
	first := c.config.Clone()
	first.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current(), nil }
	return first, nil
}

// current returns the present settings. If the changed files cannot be loaded, the old settings stay.
func (c *certificates) current() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamps := stampsOf(&c.files)
	if stamps == c.stamps {
		return c.config
	}
	c.stamps = stamps
	next, err := readTLS(&c.files)
	if err != nil {
		c.log.Error("the changed certificate of "+c.files.section()+" cannot be loaded, the old one stays", "error", err)
		return c.config
	}
	c.config = next
	c.log.Info("certificate of "+c.files.section()+" loaded again", "cert", c.files.Cert)
	return c.config
}

func stampsOf(t *CertificateFiles) (s [3]stamp) {
	for i, path := range []string{t.Cert, t.Key, t.ClientCA} {
		if info, err := os.Stat(path); err == nil {
			s[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return s
}

func readTLS(t *CertificateFiles) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("load cert and key: %w", err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	if t.HTTP2 {
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	if t.ClientCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(t.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("load client_ca: %w", err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if t.Optional {
		c.ClientAuth = tls.VerifyClientCertIfGiven
	}
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("load client_ca: the file holds no certificate in PEM")
	}
	return c, nil
}
