package access

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// bench is a store with tokens, and a clock.
type bench struct {
	t      *testing.T
	store  *store.Store
	tokens *Tokens
	at     time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b := &bench{t: t, store: s, at: time.Now()}
	b.reopen()
	return b
}

func (b *bench) now() time.Time { return b.at }

func (b *bench) reopen() {
	b.t.Helper()
	var err error
	if b.tokens, err = OpenTokens(b.store, b.now); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) create(spec TokenSpec) (string, Token) {
	b.t.Helper()
	secret, tok, err := b.tokens.Create(spec, Owner(1000))
	if err != nil {
		b.t.Fatal(err)
	}
	return secret, tok
}

func TestTokens(t *testing.T) {
	b := newBench(t)
	secret, tok := b.create(TokenSpec{Name: "soar", Scopes: []Scope{Read, Contain}, Tenant: "acme", For: time.Hour})
	if !strings.HasPrefix(secret, TokenPrefix) || len(secret) != len(TokenPrefix)+43 {
		t.Errorf("the secret is %q", secret)
	}
	for range 2 { // as created, and as read from the store
		c, _, ok := b.tokens.Authenticate(secret)
		if !ok || c.Name != "token:soar" || c.Tenant != "acme" || !c.May(Contain) || c.May(Approve) || c.Token != tok.ID || !c.Sees("acme") || c.Sees("") {
			t.Errorf("caller %+v, %v", c, ok)
		}
		b.reopen()
	}
	for _, bad := range []string{"", secret[:len(secret)-1], secret + "A", strings.ToUpper(secret), TokenPrefix, tok.ID, "aidr_" + strings.Repeat("A", 43)} {
		if _, _, ok := b.tokens.Authenticate(bad); ok {
			t.Errorf("%q is valid", bad)
		}
	}
	b.at = b.at.Add(time.Hour)
	if _, _, ok := b.tokens.Authenticate(secret); ok {
		t.Error("an expired token is valid")
	}
	second, _ := b.create(TokenSpec{Name: "soar", Scopes: All()}) // the name is free again
	_, valid, ok := b.tokens.Authenticate(second)
	if !ok || valid.Err() != nil {
		t.Fatal("a new token is not valid")
	}
	if got, err := b.tokens.Revoke("soar", Owner(1), "left"); err != nil || got.Revoked == 0 || got.RevokedBy != "uid 1" {
		t.Errorf("revoke: %+v, %v", got, err)
	}
	if valid.Err() == nil {
		t.Error("the context of a revoked token is not done")
	}
	b.reopen()
	if _, _, ok := b.tokens.Authenticate(second); ok {
		t.Error("a revoked token is valid")
	}
	if _, err := b.tokens.Revoke("soar", Owner(1), ""); !errors.Is(err, ErrNoToken) {
		t.Errorf("revoke twice by name: %v", err)
	}
	var actions []string
	for _, a := range b.audit() {
		actions = append(actions, a.Action)
		if strings.Contains(string(a.After), "hash") || strings.Contains(string(a.After), secret) {
			t.Errorf("the audit has the secret or its hash: %s", a.After)
		}
	}
	if want := []string{"token.create", "token.create", "token.revoke"}; !slices.Equal(actions, want) {
		t.Errorf("the audit has %v, want %v", actions, want)
	}
}

func (b *bench) audit() (list []*store.AuditEntry) {
	if err := b.store.Audit(func(a *store.AuditEntry) bool { list = append(list, a); return true }); err != nil {
		b.t.Fatal(err)
	}
	return list
}

// TestSecretIsNotKept looks for the secret in every file of a state directory.
func TestSecretIsNotKept(t *testing.T) {
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tokens, err := OpenTokens(s, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := tokens.Create(TokenSpec{Name: "a", Scopes: All()}, Owner(1))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := s.Tokens(func(_ string, body []byte) bool {
		n++
		if strings.Contains(string(body), secret) || strings.Contains(string(body), strings.TrimPrefix(secret, TokenPrefix)) {
			t.Error("the store has the secret")
		}
		return true
	}); err != nil || n != 1 {
		t.Errorf("%d tokens, %v", n, err)
	}
}

func TestEscalation(t *testing.T) {
	b := newBench(t)
	limited := Caller{Name: "token:x", Scopes: []Scope{Read, Admin}, Tenant: "acme"}
	for _, spec := range []TokenSpec{
		{Name: "a", Scopes: []Scope{Contain}, Tenant: "acme"},
		{Name: "a", Scopes: []Scope{Read}},
		{Name: "a", Scopes: []Scope{Read}, Tenant: "other"},
	} {
		if _, _, err := b.tokens.Create(spec, limited); !errors.Is(err, ErrEscalation) {
			t.Errorf("%+v: %v", spec, err)
		}
	}
	b.create(TokenSpec{Name: "boss", Scopes: All()})
	if _, err := b.tokens.Revoke("boss", limited, "r"); !errors.Is(err, ErrNoToken) {
		t.Errorf("a caller of one tenant revokes a token of all: %v", err)
	}
	if list := b.tokens.List(limited); len(list) != 0 {
		t.Errorf("a caller of one tenant sees %+v", list)
	}
	for _, name := range []string{"", "A", "-a", "a b", strings.Repeat("a", 64), "a\x00"} {
		if _, _, err := b.tokens.Create(TokenSpec{Name: name, Scopes: All()}, Owner(1)); err == nil {
			t.Errorf("the name %q is accepted", name)
		}
	}
	if n := len(b.audit()); n != 1 {
		t.Errorf("%d audit entries, want 1", n)
	}
}

// TestTokenLimit checks the limit, and that tokens that have ended make room.
func TestTokenLimit(t *testing.T) {
	b := newBench(t)
	names := func(i int) string { return "t" + strings.Repeat("x", i/26%40) + string(rune('a'+i%26)) }
	for i := range MaxTokens {
		b.create(TokenSpec{Name: names(i), Scopes: All(), For: time.Hour})
	}
	if _, _, err := b.tokens.Create(TokenSpec{Name: "more", Scopes: All()}, Owner(1)); err == nil {
		t.Fatal("there is no limit")
	}
	b.at = b.at.Add(2 * time.Hour)
	b.create(TokenSpec{Name: "more", Scopes: All()})
	if n := len(b.tokens.List(Owner(1))); n != 1 {
		t.Errorf("%d tokens, want 1", n)
	}
	b.reopen()
	if n := len(b.tokens.List(Owner(1))); n != 1 {
		t.Errorf("%d tokens in the store, want 1", n)
	}
}

func TestParseScopes(t *testing.T) {
	for text, want := range map[string]string{
		"viewer": "read", "analyst": "read, triage", "responder": "read, triage, contain, approve", "admin": joined(All()),
		"approve,viewer": "read, approve", "rules": "rules",
	} {
		got, err := ParseScopes(strings.Split(text, ","))
		if err != nil || joined(got) != want {
			t.Errorf("%s: %v, %v, want %s", text, got, err, want)
		}
	}
	for _, bad := range [][]string{nil, {""}, {"root"}, {"read", "Admin"}} {
		if got, err := ParseScopes(bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

// TestGuard checks the requests that a Guard lets pass.
func TestGuard(t *testing.T) {
	b := newBench(t)
	secret, _ := b.create(TokenSpec{Name: "soar", Scopes: All()})
	g := &Guard{
		Tokens: func() *Tokens { return b.tokens }, Hosts: []string{"aidr.example.com"}, Origins: []string{"https://console.example.com"},
		Clients: []Client{{Name: "playbook", Scopes: []Scope{Read}}},
	}
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		want   string // name of the caller, or the reason
	}{
		{"a token", func(*http.Request) {}, "token:soar"},
		{"by name", func(r *http.Request) { r.Host = "AIDR.example.com:8474" }, "token:soar"},
		{"by address", func(r *http.Request) { r.Host = "[::1]:8474" }, "token:soar"},
		{"another name", func(r *http.Request) { r.Host = "evil.example" }, "host"},
		{"a name of the same beginning", func(r *http.Request) { r.Host = "127.0.0.1.evil.example" }, "host"},
		{"no host", func(r *http.Request) { r.Host = "" }, "host"},
		{"its own page", func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:8474") }, "token:soar"},
		{"a page of another port", func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:80") }, "origin"},
		{"a page of another scheme", func(r *http.Request) { r.Header.Set("Origin", "https://127.0.0.1:8474") }, "origin"},
		{"the console", func(r *http.Request) { r.Header.Set("Origin", "https://console.example.com") }, "token:soar"},
		{"another page", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, "origin"},
		{"a file", func(r *http.Request) { r.Header.Set("Origin", "null") }, "origin"},
		{"two origins", func(r *http.Request) {
			r.Header["Origin"] = []string{"https://console.example.com", "https://evil.example"}
		}, "origin"},
		{"an image of another site", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, "origin"},
		{"no token", func(r *http.Request) { r.Header.Del("Authorization") }, "unauthenticated"},
		{"basic", func(r *http.Request) { r.SetBasicAuth("a", secret) }, "unauthenticated"},
		{"another token", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+secret+"x") }, "unauthenticated"},
		{"two tokens", func(r *http.Request) { r.Header.Add("Authorization", "Bearer x") }, "unauthenticated"},
		{"in the query", func(r *http.Request) { r.Header.Del("Authorization"); r.URL.RawQuery = "access_token=" + secret }, "unauthenticated"},
		{"a certificate", func(r *http.Request) { r.Header.Del("Authorization"); withCertificate(r, "playbook") }, "certificate:playbook"},
		{"another certificate", func(r *http.Request) { r.Header.Del("Authorization"); withCertificate(r, "agent") }, "unauthenticated"},
		{"a certificate and a bad token", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x"); withCertificate(r, "playbook") }, "unauthenticated"},
	} {
		r := httptest.NewRequest("GET", "http://127.0.0.1:8474/v1/findings", nil)
		r.Header.Set("Authorization", "Bearer "+secret)
		c.change(r)
		got := ""
		g.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if d := DeniedOf(r.Context()); d != nil {
				got = d.Reason
			}
			if c, ok := From(r.Context()); ok {
				got += c.Name
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestPublicGuard checks that a link may be opened from any page, and that a form of another site changes nothing.
func TestPublicGuard(t *testing.T) {
	refused := 0
	g := &Guard{Hosts: []string{"aidr.example.com"}, Origins: []string{"https://aidr.example.com"}, Refused: func(string) { refused++ }}
	for _, c := range []struct {
		name, method, host, origin, site string
		code                             int
	}{
		{"a link in a chat", "GET", "aidr.example.com", "", "cross-site", 200},
		{"its form", "POST", "aidr.example.com", "https://aidr.example.com", "same-origin", 200},
		{"a server", "POST", "aidr.example.com", "", "", 200},
		{"another host", "GET", "evil.example", "", "", 403},
		{"a form of another site", "POST", "aidr.example.com", "https://evil.example", "cross-site", 403},
		{"a form without an origin", "POST", "aidr.example.com", "", "cross-site", 403},
		{"a form of a file", "POST", "aidr.example.com", "null", "cross-site", 403},
	} {
		r := httptest.NewRequest(c.method, "https://"+c.host+"/callback/x", nil)
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		w := httptest.NewRecorder()
		g.WrapPublic(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		if w.Code != c.code {
			t.Errorf("%s: %d, want %d", c.name, w.Code, c.code)
		}
	}
	if refused != 4 {
		t.Errorf("%d are counted, want 4", refused)
	}
}

func withCertificate(r *http.Request, name string) {
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: name}}}}}
}

// TestStreamEnds checks that a request under way ends once its token is revoked or expires.
func TestStreamEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*bench, Token)
		life time.Duration
	}{
		{"revoked", func(b *bench, tok Token) {
			if _, err := b.tokens.Revoke(tok.ID, Owner(1), "r"); err != nil {
				b.t.Error(err)
			}
		}, 0},
		{"expired", func(*bench, Token) {}, 50 * time.Millisecond},
	} {
		b := newBench(t)
		secret, tok := b.create(TokenSpec{Name: "a", Scopes: All(), For: c.life})
		g := &Guard{Tokens: func() *Tokens { return b.tokens }}
		began, ended := make(chan struct{}), make(chan error)
		go g.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(began)
			<-r.Context().Done()
			ended <- r.Context().Err()
		})).ServeHTTP(httptest.NewRecorder(), authorized(secret))
		<-began
		c.end(b, tok)
		if err := <-ended; err == nil {
			t.Errorf("%s: the request goes on", c.name)
		}
	}
}

func authorized(secret string) *http.Request {
	r := httptest.NewRequest("GET", "http://localhost/", nil)
	r.Header.Set("Authorization", "Bearer "+secret)
	return r.WithContext(context.Background())
}

// TestDamagedTokens checks that a store with a token that cannot be read gives no tokens, instead of fewer.
func TestDamagedTokens(t *testing.T) {
	for _, body := range []string{"{", `{"hash":"ab"}`, `{"hash":"` + strings.Repeat("g", 64) + `"}`} {
		b := newBench(t)
		if err := b.store.Apply(&store.Change{Tokens: []store.KV{{Key: []byte("x"), Value: []byte(body)}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenTokens(b.store, b.now); err == nil {
			t.Errorf("%s is read", filepath.Base(body))
		}
	}
}

// TestOrder checks that tokens are listed by age after a restart.
func TestOrder(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"c", "a", "b"} {
		b.create(TokenSpec{Name: name, Scopes: All()})
		b.at = b.at.Add(time.Second)
	}
	b.reopen()
	got := ""
	for _, x := range b.tokens.List(Owner(1)) {
		got += x.Name
	}
	if got != "cab" || schema.InstantOf(b.at) == 0 {
		t.Errorf("the order is %s", got)
	}
}
