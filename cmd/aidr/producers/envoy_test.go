package producers

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"
)

func testEnvoy(t *testing.T, k *shipping) {
	path := program(t, "envoy", "AIDR_ENVOY", "envoy")
	version(t, path, "--version")
	dir, listen, listenTLS := t.TempDir(), freeAddr(t), freeAddr(t)
	client := certificates(t, dir)
	secret := []byte("a secret of thirty-two characters")
	jwks := asJSON(t, map[string]any{"keys": []any{map[string]any{"kty": "oct", "alg": "HS256", "kid": "k", "k": encoded(secret)}}})
	file := configure(t, dir, "envoy.yaml", map[string]string{
		"JSON_FORMAT":  documented(t, envoyPage, "json_format:"),
		"HTTP_FILTERS": strings.ReplaceAll(documented(t, envoyPage, "http_filters:"), "/etc/envoy/jwks.json", write(t, dir, "jwks.json", jwks)),
		"PORT":         port(t, listen), "PORT_TLS": port(t, listenTLS), "DIR": dir, "BACKEND": port(t, startBackend(t)), "GONE": port(t, freeAddr(t)),
	})
	s := launch(t, dir, nil, path, "-c", file, "--concurrency", "1", "--log-level", "error", "--base-id-path", dir+"/base", "--use-dynamic-base-id")
	s.listening(listen)
	sent := calls()
	for _, c := range sent {
		if c.agent.name != "" {
			c.agent.key = token(t, secret, c.agent.name)
		}
		c.send(t, listen)
	}
	mutual := certified(client, "spiffe://example.org/billing-agent")
	mutual.send(t, listenTLS)
	sent = append(sent, mutual)
	sendNoise(t, listen)
	s.stop()
	events := through(t, k, "envoy", strings.Split(strings.TrimSpace(s.stdout.String()), "\n"))
	checkCalls(t, abilities{dataset: "envoy.access", unit: 2 * time.Millisecond, arguments: true, session: true}, sent, events)
	for _, e := range events {
		if e["ai_agent.uid_source"] == "jwt_client_id" {
			e.want(t, "credential", map[string]any{"credential.type": "jwt"})
		}
	}
}

// token returns a JSON Web Token for an agent.
func token(t *testing.T, secret []byte, agent string) string {
	t.Helper()
	part := func(v map[string]any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return encoded(b)
	}
	text := part(map[string]any{"alg": "HS256", "kid": "k"}) + "." + part(map[string]any{
		"iss": "https://idp.example.org", "client_id": agent, "exp": time.Now().Add(time.Hour).Unix(),
	})
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + encoded(mac.Sum(nil))
}

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// port returns the port of an address.
func port(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
