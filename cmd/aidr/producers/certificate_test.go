package producers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"testing"
	"time"
)

// certificates writes ca.pem, and server.pem and server.key of the server, into a folder. It returns the
// settings of a client whose certificate has the subject CN=billing-agent and the URI spiffe://example.org/billing-agent.
func certificates(t *testing.T, dir string) *tls.Config {
	t.Helper()
	authority := &x509.Certificate{Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caKey := newKey(t)
	ca := sign(t, 1, authority, authority, caKey, caKey)
	serverKey, clientKey := newKey(t), newKey(t)
	server := sign(t, 2, &x509.Certificate{
		DNSNames: []string{apiHost}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, authority, serverKey, caKey)
	client := sign(t, 3, &x509.Certificate{
		Subject: pkix.Name{CommonName: "billing-agent"}, URIs: []*url.URL{{Scheme: "spiffe", Host: "example.org", Path: "/billing-agent"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, authority, clientKey, caKey)

	encodedKey, err := x509.MarshalPKCS8PrivateKey(serverKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server}))
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encodedKey}))
	write(t, dir, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca})))
	write(t, dir, "server.pem", certificate)
	write(t, dir, "server.key", key)
	write(t, dir, "both.pem", certificate+key) // as HAProxy reads them
	parsed, err := x509.ParseCertificate(ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return &tls.Config{
		RootCAs: roots, ServerName: apiHost, NextProtos: []string{"http/1.1"},
		Certificates: []tls.Certificate{{Certificate: [][]byte{client}, PrivateKey: clientKey}},
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign returns a certificate of a template, for an hour.
func sign(t *testing.T, serial int64, template, authority *x509.Certificate, key, caKey *ecdsa.PrivateKey) []byte {
	t.Helper()
	template.SerialNumber = big.NewInt(serial)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, authority, key.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// certified is a call of the agent with the certificate, which each gateway logs in a form of its own.
func certified(client *tls.Config, name string) *call {
	return &call{
		agent: agent{name: name}, tls: client, method: "GET", path: "/v1/invoices/99", resource: "/v1/invoices", userAgent: sdk, session: "s-9", status: 200,
	}
}
