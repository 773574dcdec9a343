package webhook

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
)

// TestMutualTLS checks that a private authority is trusted, and that the endpoint gets the client's certificate.
func TestMutualTLS(t *testing.T) {
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	client := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, client, client, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) != 1 {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	srv.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	srv.StartTLS()
	defer srv.Close()
	ca := write("ca.pem", "CERTIFICATE", srv.Certificate().Raw)
	both := &connectors.TLS{CA: ca, Cert: write("c.pem", "CERTIFICATE", der), Key: write("k.pem", "EC PRIVATE KEY", keyDER)}
	f := func(settings *connectors.TLS, want string) {
		t.Helper()
		s, err := New(Config{
			Name: "soc", URL: srv.URL, Secrets: []string{secretA}, TLS: settings,
			AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		err = s.Write(t.Context(), entries(1))
		if want == "" {
			if err != nil {
				t.Error(err)
			}
			return
		}
		if u := undelivered(t, err)[1]; u.Reason != want {
			t.Errorf("got %+v, want the reason %s", u, want)
		}
	}
	f(both, "")
	f(&connectors.TLS{CA: ca}, "http_401")
	f(nil, connectors.ReasonNetwork)
}
