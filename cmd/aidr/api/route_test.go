package api

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// remote is the control API on a TCP listener.
type remote struct {
	t      *testing.T
	url    string
	client *http.Client
	tokens *access.Tokens
}

// serveRemote serves an API on loopback, without TLS if secure is nil.
func serveRemote(t *testing.T, a *API, guard *access.Guard, secure *tls.Config) *remote {
	t.Helper()
	tokens, err := a.Tokens()
	if err != nil {
		t.Fatal(err)
	}
	guard.Tokens = func() *access.Tokens { return tokens }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(guard.Wrap(a), ServerOptions{Log: slog.New(slog.DiscardHandler), TLS: secure})
	go s.Serve(l, "test")
	t.Cleanup(func() { s.Close() })
	scheme := "http://"
	if secure != nil {
		scheme = "https://"
	}
	return &remote{t, scheme + l.Addr().String(), &http.Client{Transport: &http.Transport{}}, tokens}
}

// token makes a token with scopes and returns its secret.
func (r *remote) token(name, tenant string, scopes ...access.Scope) string {
	r.t.Helper()
	secret, _, err := r.tokens.Create(access.TokenSpec{Name: name, Scopes: scopes, Tenant: tenant}, access.Owner(1))
	if err != nil {
		r.t.Fatal(err)
	}
	return secret
}

// send sends a request with a token, "" for none, and returns the status and the body.
func (r *remote) send(secret, method, path, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// pathOf returns a request of a route's pattern.
func pathOf(pattern string) (method, path string) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = "GET", pattern
	}
	path = strings.NewReplacer("{id}", "00000000-0000-0000-0000-000000000001", "{seq}", "1", "{name}", "soc", "{list}", "agents").Replace(path)
	return method, path
}

// TestEveryRouteIsGuarded calls every route over TCP without a token, with one that lacks the scope, and with one of a tenant.
func TestEveryRouteIsGuarded(t *testing.T) {
	s := memory(t)
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	counted := map[string]int{}
	rt := running(s)
	rt.Now, rt.Refused = func() time.Time { return now }, func(reason string) { counted[reason]++ }
	a := Handler(s, rt)
	r := serveRemote(t, a, &access.Guard{}, nil)
	var secrets = map[access.Scope]string{}
	for _, scope := range access.All() {
		var others []access.Scope
		for _, x := range access.All() {
			if x != scope {
				others = append(others, x)
			}
		}
		secrets[scope] = r.token("no-"+string(scope), "", others...)
	}
	limited := r.token("acme", "acme", access.All()...)
	n, entries := 0, len(auditOf(t, s))
	check := func(x route, who, secret string, want int) {
		t.Helper()
		method, path := pathOf(x.pattern)
		now = now.Add(time.Second * 2)
		if code, body := r.send(secret, method, path, "{}"); code != want {
			t.Errorf("%s %s %s: %d %s, want %d", who, method, path, code, body, want)
		}
		n++
		list := auditOf(t, s)
		if len(list) != entries+n {
			t.Fatalf("%s %s %s: %d audit entries, want %d", who, method, path, len(list)-entries, n)
		}
		if e := list[len(list)-1]; e.Action != "refused" || e.Who != who || !strings.HasPrefix(e.Reason, method+" /v1/") || e.Object == "" {
			t.Errorf("%s %s %s: the audit has %+v", who, method, path, e)
		}
	}
	for _, x := range a.h.routes() {
		check(x, "unknown", "", 401)
		check(x, "unknown", "aidr_"+strings.Repeat("A", 43), 401)
		if x.scope != "" {
			check(x, "token:no-"+string(x.scope), secrets[x.scope], 403)
		}
		if !x.tenants {
			check(x, "token:acme", limited, 403)
		}
	}
	if n < 100 {
		t.Errorf("%d calls, want at least 100", n)
	}
	if sum := counted["unauthenticated"] + counted["scope"] + counted["tenant"]; sum != n || len(counted) != 3 {
		t.Errorf("%v are counted, want %d", counted, n)
	}
	if report, err := s.VerifyAudit(); err != nil || report.Broken != 0 || report.Entries != uint64(entries+n) {
		t.Errorf("the chain of the audit: %+v, %v", report, err)
	}
	var keys int
	if err := s.DeadLetters(store.DeadFilter{}, func(*store.DeadLetter) bool { keys++; return true }); err != nil || keys != 2 {
		t.Errorf("%d dead letters are left, %v", keys, err)
	}
}

func auditOf(t *testing.T, s *store.Store) (list []*store.AuditEntry) {
	t.Helper()
	if err := s.Audit(func(a *store.AuditEntry) bool { list = append(list, a); return true }); err != nil {
		t.Fatal(err)
	}
	return list
}

// TestTokensOverTheAPI makes, uses and revokes a token as an operator does; a stream of it ends when it is revoked.
func TestTokensOverTheAPI(t *testing.T) {
	s := memory(t)
	a := Handler(s, running(s))
	r := serveRemote(t, a, &access.Guard{}, nil)
	boss := r.token("boss", "", access.All()...)
	code, body := r.send(boss, "POST", "/v1/tokens", `{"name":"dash","scopes":["viewer"],"for":"90d"}`)
	var made NewToken
	if err := json.Unmarshal([]byte(body), &made); err != nil || code != 200 || made.Secret == "" || made.Expires == 0 || made.By != "token:boss" {
		t.Fatalf("create: %d %s %v", code, body, err)
	}
	if code, body := r.send(made.Secret, "GET", "/v1/whoami", ""); code != 200 || !strings.Contains(body, `"name":"token:dash","scopes":["read"]`) {
		t.Errorf("whoami: %d %s", code, body)
	}
	if code, body := r.send(made.Secret, "GET", "/v1/findings?limit=2", ""); code != 200 || strings.Count(body, "\n") != 2 {
		t.Errorf("findings: %d %s", code, body)
	}
	if code, body := r.send(boss, "GET", "/v1/tokens", ""); code != 200 || strings.Contains(body, made.Secret) || strings.Contains(body, "hash") || strings.Count(body, "\n") != 2 {
		t.Errorf("ls: %d %s", code, body)
	}
	for body, want := range map[string]int{
		`{"name":"dash","scopes":["viewer"]}`: 400, `{"name":"x","scopes":["root"]}`: 400, `{"name":"x","scopes":[]}`: 400,
		`{"name":"x","scopes":["viewer"],"for":"soon"}`: 400, `{"name":"x","scopes":["viewer"],"tenants":"a"}`: 400, `{}`: 400,
	} {
		if code, answer := r.send(boss, "POST", "/v1/tokens", body); code != want {
			t.Errorf("%s: %d %s, want %d", body, code, answer, want)
		}
	}
	limited := r.token("limited", "acme", access.All()...)
	if code, body := r.send(limited, "POST", "/v1/tokens", `{"name":"x","scopes":["viewer"]}`); code != 403 {
		t.Errorf("a token of one tenant makes one of all: %d %s", code, body)
	}
	req, _ := http.NewRequestWithContext(t.Context(), "GET", r.url+"/v1/findings/tail?after=0", nil)
	req.Header.Set("Authorization", "Bearer "+made.Secret)
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || !strings.Contains(line, "rule.") {
		t.Fatalf("tail: %s %v", line, err)
	}
	if code, body := r.send(boss, "POST", "/v1/tokens/dash/revoke", `{"reason":"left"}`); code != 200 {
		t.Fatalf("revoke: %d %s", code, body)
	}
	io.Copy(io.Discard, resp.Body) // returns only because the stream ends
	if code, _ := r.send(made.Secret, "GET", "/v1/findings", ""); code != 401 {
		t.Errorf("a revoked token: %d", code)
	}
	if code, _ := r.send(boss, "POST", "/v1/tokens/dash/revoke", `{"reason":"again"}`); code != 404 {
		t.Errorf("revoke again: %d", code)
	}
}

// TestTenants checks that a caller of one tenant sees and changes nothing of another one.
func TestTenants(t *testing.T) {
	b := newControl(t)
	var entries []connectors.Entry
	for i, tenant := range []string{"acme", "other", ""} {
		f := finding(i)
		f.Tenant = tenant
		entries = append(entries, connectors.Entry{Type: "finding.opened", Finding: f})
	}
	if err := b.store.Commit(&store.Checkpoint{Seq: 2, State: []byte("{}"), Outbox: entries}); err != nil {
		t.Fatal(err)
	}
	acme := &access.Caller{Name: "token:acme", Scopes: access.All(), Tenant: "acme"}
	f := func(method, path, body string, code int) {
		t.Helper()
		b.now = b.now.Add(time.Minute)
		if got := b.send(acme, method, path, body, nil); got != code {
			t.Errorf("%s %s: %d, want %d", method, path, got, code)
		}
	}
	f("GET", "/v1/findings/"+entries[0].Finding.ID.String(), "", 200)
	f("GET", "/v1/findings/"+entries[1].Finding.ID.String(), "", 404)
	f("GET", "/v1/findings/"+entries[2].Finding.ID.String(), "", 404)
	var other schema.ResponseRecord
	b.send(&operator, "POST", "/v1/containments", `{"scope":"agent","target":{"agent":"a","tenant":"other"},"reason":"r"}`, &other)
	f("POST", "/v1/containments", `{"scope":"agent","target":{"agent":"b"},"reason":"r"}`, 403)
	f("POST", "/v1/containments", `{"scope":"agent","target":{"agent":"b","tenant":"other"},"reason":"r"}`, 403)
	f("POST", "/v1/containments", `{"scope":"agent","target":{"agent":"b","tenant":"acme"},"reason":"r"}`, 200)
	f("POST", "/v1/containments/dry-run", `{"scope":"agent","target":{"agent":"b","tenant":"other"}}`, 403)
	f("POST", "/v1/containments/"+other.ID.String()+"/release", `{"reason":"r"}`, 404)
	f("POST", "/v1/approvals/"+other.ID.String(), `{"approve":true,"reason":"r"}`, 404)
	f("GET", "/v1/responses/"+other.ID.String(), "", 404)
	f("POST", "/v1/automation", `{"paused":true,"reason":"r"}`, 403)
	var l struct{ Responses []schema.ResponseRecord }
	if b.send(acme, "GET", "/v1/containments", "", &l); len(l.Responses) != 1 || l.Responses[0].Target.Tenant != "acme" {
		t.Errorf("the list has %+v", l.Responses)
	}
	var one schema.Finding
	if b.send(acme, "GET", "/v1/findings", "", &one); one.Tenant != "acme" { // fails if there are more lines
		t.Errorf("the findings are %+v", one)
	}
}

// TestClientCertificates checks callers with certificates over TLS, and callers that have none.
func TestClientCertificates(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir, "server")
	clientCert, clientKey := certificate(t, dir, "playbook")
	secure, err := LoadTLS(CertificateFiles{Cert: cert, Key: key, ClientCA: clientCert, Section: "control.tls", Optional: true}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := memory(t)
	guard := &access.Guard{Clients: []access.Client{{Name: "playbook", Scopes: []access.Scope{access.Read}}}}
	r := serveRemote(t, Handler(s, running(s)), guard, secure)
	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	with := func(certs ...tls.Certificate) {
		r.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certs}}}
	}
	with()
	if code, body := r.send("", "GET", "/v1/findings", ""); code != 401 {
		t.Errorf("without a certificate: %d %s", code, body)
	}
	if code, body := r.send(r.token("t", "", access.Read), "GET", "/v1/findings", ""); code != 200 {
		t.Errorf("with a token: %d %s", code, body)
	}
	pair, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	with(pair)
	if code, body := r.send("", "GET", "/v1/whoami", ""); code != 200 || !strings.Contains(body, "certificate:playbook") {
		t.Errorf("with a certificate: %d %s", code, body)
	}
	if code, body := r.send("", "POST", "/v1/sinks/soc/enable", ""); code != 403 {
		t.Errorf("with a certificate that lacks the scope: %d %s", code, body)
	}
	foreignCert, foreignKey := certificate(t, dir, "foreign")
	if pair, err = tls.LoadX509KeyPair(foreignCert, foreignKey); err != nil {
		t.Fatal(err)
	}
	with(pair)
	req, _ := http.NewRequestWithContext(t.Context(), "GET", r.url+"/v1/findings", nil)
	if resp, err := r.client.Do(req); err == nil { // the handshake fails
		resp.Body.Close()
		if resp.StatusCode == 200 {
			t.Errorf("a certificate of another authority: %d", resp.StatusCode)
		}
	}
}
