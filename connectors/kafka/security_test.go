package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

// readsOne creates a topic with one record, over the connections of s, and reads the record with s.
func readsOne(t *testing.T, s *Source) {
	t.Helper()
	defer s.transport.CloseIdleConnections()
	res, err := s.client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: "t", NumPartitions: 1, ReplicationFactor: 1}},
	})
	if err == nil {
		err = res.Errors["t"]
	}
	if err != nil {
		t.Fatalf("create topic: %v", err)
	}
	w := &kafka.Writer{Addr: s.client.Addr, Transport: s.transport, Topic: "t", RequiredAcks: kafka.RequireAll}
	defer w.Close()
	if err := w.WriteMessages(t.Context(), kafka.Message{Value: []byte("secret")}); err != nil {
		t.Fatalf("produce: %v", err)
	}
	r := conntest.NewRecorder()
	stop := run(t, s, r)
	r.Wait(t, patience, "the record is read", func() bool { return r.Count() == 1 })
	stop()
	r.Check(t)
}

func TestSASL(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{mechanismPlain, mechanismSCRAM2, mechanismSCRAM5} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			fake := conntest.StartFakeKafka(t, kfake.EnableSASL(), kfake.Superuser(mechanism, "me", "pass word"))
			with := func(password string) *Source {
				return newSource(t, fake.Addr, func(c *Config) {
					c.Topics, c.SASL = []string{"t"}, &SASL{Mechanism: mechanism, Username: "me", Password: password}
				})
			}
			readsOne(t, with("pass word"))
			wrong := with("wrong")
			stop := run(t, wrong, conntest.NewRecorder())
			waitHealth(t, wrong, "brokers")
			stop()
		})
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, caKey := newCertificate(t, nil, nil)
	serverCert, serverKey := newCertificate(t, ca, caKey)
	clientCert, clientKey := newCertificate(t, ca, caKey)
	caFile := writePEM(t, dir, "ca", "CERTIFICATE", ca.Raw)
	certFile := writePEM(t, dir, "cert", "CERTIFICATE", clientCert.Raw)
	der, err := x509.MarshalECPrivateKey(clientKey)
	if err != nil {
		t.Fatal(err)
	}
	keyFile := writePEM(t, dir, "key", "EC PRIVATE KEY", der)
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	fake := conntest.StartFakeKafka(t, kfake.TLS(&tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{serverCert.Raw}, PrivateKey: serverKey}},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool,
	}))
	with := func(c *connectors.TLS) *Source {
		return newSource(t, fake.Addr, func(config *Config) { config.Topics, config.TLS = []string{"t"}, c })
	}
	readsOne(t, with(&connectors.TLS{CA: caFile, Cert: certFile, Key: keyFile}))
	for name, c := range map[string]*connectors.TLS{
		"unknown authority":     {Cert: certFile, Key: keyFile},
		"no client certificate": {CA: caFile},
		"another server's name": {CA: caFile, Cert: certFile, Key: keyFile, ServerName: "kafka.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			s := with(c)
			stop := run(t, s, conntest.NewRecorder())
			waitHealth(t, s, "brokers")
			stop()
		})
	}
	f := func(c *connectors.TLS, want string) {
		t.Helper()
		_, err := New(Config{Name: "k", Brokers: []string{"h:1"}, Topics: []string{"t"}, Group: "g", TLS: c})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("new with %+v: error %v, want %q in it", c, err, want)
		}
	}
	f(&connectors.TLS{CA: filepath.Join(dir, "none")}, "read tls ca")
	f(&connectors.TLS{CA: keyFile}, "no certificate found")
	f(&connectors.TLS{Cert: certFile, Key: caFile}, "read tls cert")
}

// newCertificate returns a certificate for the loopback address, signed by parent. If parent is nil, the certificate is
// that of a certificate authority.
func newCertificate(t *testing.T, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        parent == nil, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func writePEM(t *testing.T, dir, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(dir, name+".pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
