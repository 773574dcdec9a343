package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate writes a self-signed certificate of a name and its key.
func certificate(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	write := func(path, kind string, b []byte) string {
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write(filepath.Join(dir, name+".pem"), "CERTIFICATE", der), write(filepath.Join(dir, name+".key"), "PRIVATE KEY", private)
}

// TestServerTLS checks that the listener speaks only TLS, asks clients for a certificate of the client CA, and follows
// changes of the files; and that files which cannot be loaded are reported.
func TestServerTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir, "server")
	clientCert, clientKey := certificate(t, dir, "client")
	files := CertificateFiles{Cert: cert, Key: key, ClientCA: clientCert}
	c, err := LoadTLS(files, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }),
		ServerOptions{Log: slog.New(slog.DiscardHandler), TLS: c})
	go s.Serve(l, "test")
	defer s.Close()

	// get returns the body and the name in the server's certificate.
	get := func(scheme string, client *tls.Config) (body, name string, err error) {
		tr := &http.Transport{TLSClientConfig: client}
		defer tr.CloseIdleConnections()
		r, err := (&http.Client{Transport: tr}).Get(scheme + "://" + l.Addr().String())
		if err != nil {
			return "", "", err
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if r.TLS != nil {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		return string(b), name, err
	}
	pair, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	known := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}}
	if body, name, err := get("https", known); body != "ok" || name != "server" {
		t.Errorf("with a certificate: got %q from %q, %v", body, name, err)
	}
	if body, _, _ := get("http", nil); body == "ok" {
		t.Error("it answers plain HTTP")
	}
	if body, _, err := get("https", &tls.Config{InsecureSkipVerify: true}); err == nil {
		t.Errorf("without a certificate: got %q", body)
	}
	other, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if body, _, err := get("https", &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{other}}); err == nil {
		t.Errorf("with a certificate of another CA: got %q", body)
	}

	newCert, newKey := certificate(t, dir, "renewed")
	replace := func(old, by string) {
		t.Helper()
		if err := os.Rename(by, old); err != nil {
			t.Fatal(err)
		}
	}
	replace(cert, newCert) // does not match the key
	if body, name, err := get("https", known); body != "ok" || name != "server" {
		t.Errorf("with half of the files renewed: got %q from %q, %v, want the old certificate", body, name, err)
	}
	replace(key, newKey)
	if body, name, err := get("https", known); body != "ok" || name != "renewed" {
		t.Errorf("renewed: got %q from %q, %v", body, name, err)
	}

	for _, bad := range []CertificateFiles{
		{Cert: filepath.Join(dir, "none"), Key: key},
		{Cert: cert, Key: clientKey},
		{Cert: cert, Key: key, ClientCA: key},
	} {
		if _, err := LoadTLS(bad, slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), "load ") {
			t.Errorf("%+v: got %v", bad, err)
		}
	}
}
