package console

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
)

// pathOf returns an address of a route.
func (rt route) address() string {
	return strings.NewReplacer("{$}", "", "{id}", fakeID, "{seq}", "7", "{file}", strings.TrimPrefix(assetPath("app.js"), "/static/")).Replace(rt.path)
}

// TestHeaders walks all routes: each has the policy and the headers, whether it is used, refused, or does not exist.
func TestHeaders(t *testing.T) {
	c, cookie := newFake(t, func() string { return "x" })
	c.sessions.open(Caller{})
	check := func(what string, h http.Header, cached bool) {
		t.Helper()
		want := map[string]string{
			"Content-Security-Policy": "default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
			"Referrer-Policy":         "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		}
		if cached {
			want["Cache-Control"] = "public, max-age=31536000, immutable"
		}
		for name, value := range want {
			if got := h.Get(name); got != value {
				t.Errorf("%s: %s: got %q, want %q", what, name, got, value)
			}
		}
	}
	for _, rt := range c.routes() {
		if rt.stream {
			continue // see TestStream
		}
		w := ask(c, rt.method, rt.address(), cookie)
		check(rt.path, w.Header(), strings.HasPrefix(rt.path, "/static/"))
		if w.Code >= 500 || w.Code == http.StatusNotFound {
			t.Errorf("%s %s: got %d: %s", rt.method, rt.path, w.Code, w.Body)
		}
		check(rt.path+" without a session", ask(c, rt.method, rt.address(), nil).Header(), strings.HasPrefix(rt.path, "/static/"))
		check(rt.path+" of another host", ask(c, rt.method, rt.address(), cookie, func(r *http.Request) { r.Host = "evil.example" }).Header(), false)
	}
	check("an unknown path", ask(c, "GET", "/unknown", cookie).Header(), false)
}

// TestAccess walks all routes: without a session, and without the scope of the route, there is no answer; actions are POST only.
func TestAccess(t *testing.T) {
	c, cookie := newFake(t, func() string { return "secret-content" })
	pages := map[string]bool{} // paths with a page of their own, beside the action
	for _, rt := range c.routes() {
		pages[rt.path] = pages[rt.path] || rt.method == http.MethodGet
	}
	for _, rt := range c.routes() {
		if rt.public || rt.stream {
			continue
		}
		nobody, reader := cookieOf(c, "nobody"), cookieOf(c, "reader", access.Read)
		if w := ask(c, rt.method, rt.address(), nil); w.Code != http.StatusUnauthorized || strings.Contains(w.Body.String(), "secret-content") {
			t.Errorf("%s %s without a session: got %d", rt.method, rt.path, w.Code)
		}
		bad := *cookie
		bad.Value = "AAAA"
		if w := ask(c, rt.method, rt.address(), &bad); w.Code != http.StatusUnauthorized {
			t.Errorf("%s %s with a wrong cookie: got %d", rt.method, rt.path, w.Code)
		}
		if rt.scope != "" {
			if w := ask(c, rt.method, rt.address(), nobody); w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "secret-content") {
				t.Errorf("%s %s without scopes: got %d", rt.method, rt.path, w.Code)
			}
		}
		if rt.method == http.MethodPost {
			if w := ask(c, "GET", rt.address(), cookie); w.Code != http.StatusMethodNotAllowed && !pages[rt.path] {
				t.Errorf("GET %s: got %d, want that an action is a POST", rt.path, w.Code)
			}
			if w := ask(c, "POST", rt.address(), reader); rt.scope != "" && w.Code != http.StatusForbidden {
				t.Errorf("POST %s with the scope read: got %d", rt.path, w.Code)
			}
		}
	}
}

// TestOrigin checks that changes that pages of other origins send are refused, and requests for other hosts.
func TestOrigin(t *testing.T) {
	c, cookie := newFake(t, func() string { return "x" })
	for _, x := range []struct {
		host, origin, site string
		want               int
	}{
		{"127.0.0.1:8472", "http://127.0.0.1:8472", "same-origin", http.StatusSeeOther},
		{"localhost:8472", "http://localhost:8472", "same-origin", http.StatusSeeOther},
		{"[::1]:8472", "http://[::1]:8472", "same-origin", http.StatusSeeOther},
		{"127.0.0.1:8472", "", "", http.StatusSeeOther}, // not a browser
		{"127.0.0.1:8472", "http://evil.example", "cross-site", http.StatusForbidden},
		{"127.0.0.1:8472", "http://evil.example", "", http.StatusForbidden},
		{"127.0.0.1:8472", "http://127.0.0.1:9999", "same-site", http.StatusForbidden},
		{"127.0.0.1:8472", "null", "cross-site", http.StatusForbidden},
		{"evil.example:8472", "http://evil.example:8472", "same-origin", http.StatusMisdirectedRequest}, // a name that was rebound
		{"127.0.0.1.evil.example", "", "", http.StatusMisdirectedRequest},
		{"", "", "", http.StatusMisdirectedRequest},
	} {
		w := ask(c, "POST", "/settings", cookie, func(r *http.Request) {
			r.Host = x.host
			if x.origin != "" {
				r.Header.Set("Origin", x.origin)
			}
			if x.site != "" {
				r.Header.Set("Sec-Fetch-Site", x.site)
			}
		})
		if w.Code != x.want {
			t.Errorf("%+v: got %d", x, w.Code)
		}
	}
}

// TestLink checks that a link opens a session once, within its time, and leads to an address without it.
func TestLink(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	c, err := New(Options{Config: Config{Listen: "127.0.0.1:8472"}, Control: func() http.Handler { return &fake{next: func() string { return "x" }} },
		Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	link := func() string {
		l, err := c.Link(access.Caller{Name: "uid 7", Scopes: []access.Scope{access.Read}})
		if err != nil || !strings.HasPrefix(l.URL, "http://127.0.0.1:8472/open?link=") || l.Seconds != 60 {
			t.Fatalf("got %+v, %v", l, err)
		}
		return strings.TrimPrefix(l.URL, "http://127.0.0.1:8472")
	}
	first := link()
	w := ask(c, "GET", first, nil)
	cookies := w.Result().Cookies()
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" || len(cookies) != 1 {
		t.Fatalf("got %d to %q with %d cookies", w.Code, w.Header().Get("Location"), len(cookies))
	}
	k := cookies[0]
	if !k.HttpOnly || k.SameSite != http.SameSiteLaxMode || k.Path != "/" || k.Domain != "" || len(k.Value) != 43 {
		t.Errorf("cookie: got %+v", k)
	}
	if w := ask(c, "GET", first, nil); w.Code != http.StatusForbidden || len(w.Result().Cookies()) != 0 {
		t.Errorf("a link opens twice: %d", w.Code)
	}
	late := link()
	now = now.Add(LinkTime)
	if w := ask(c, "GET", late, nil); w.Code != http.StatusForbidden {
		t.Errorf("a link opens after its time: %d", w.Code)
	}
	if w := ask(c, "GET", "/agents", k); w.Code != http.StatusOK {
		t.Errorf("the session does not open a page: %d", w.Code)
	}
	now = now.Add(DefaultIdle - time.Second)
	if w := ask(c, "GET", "/agents", k); w.Code != http.StatusOK {
		t.Errorf("the session is over before its time: %d", w.Code)
	}
	now = now.Add(DefaultIdle)
	if w := ask(c, "GET", "/agents", k); w.Code != http.StatusUnauthorized {
		t.Errorf("the session outlives its idle time: %d", w.Code)
	}
	k = cookieOf(c, "x", access.Read)
	for range int(DefaultSession/DefaultIdle) * 2 {
		now = now.Add(DefaultIdle / 2)
		ask(c, "GET", "/agents", k)
	}
	if w := ask(c, "GET", "/agents", k); w.Code != http.StatusUnauthorized {
		t.Errorf("the session outlives its life: %d", w.Code)
	}
}

// TestSessionEnds checks that logging out, and revoking the right of a caller, end a session.
func TestSessionEnds(t *testing.T) {
	c, cookie := newFake(t, func() string { return "x" })
	if w := ask(c, "POST", "/logout", cookie); w.Code != http.StatusSeeOther {
		t.Errorf("logout: got %d", w.Code)
	}
	if w := ask(c, "GET", "/agents", cookie); w.Code != http.StatusUnauthorized {
		t.Errorf("after logout: got %d", w.Code)
	}
	revoked := make(chan struct{})
	cookie.Value = c.sessions.open(Caller{Caller: access.Caller{Name: "token:a", Scopes: access.All()}, Ended: revoked})
	if w := ask(c, "GET", "/agents", cookie); w.Code != http.StatusOK {
		t.Errorf("before it is revoked: got %d", w.Code)
	}
	close(revoked)
	if w := ask(c, "GET", "/agents", cookie); w.Code != http.StatusUnauthorized {
		t.Errorf("after it is revoked: got %d", w.Code)
	}
}

// TestListen checks that plain HTTP stays on this machine, and that a proxy needs certificates.
func TestListen(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:1": true, "localhost:1": true, "[::1]:1": true, "0.0.0.0:1": false, ":1": false, "192.0.2.1:1": false, "[::]:1": false, "x": false,
	} {
		if _, err := New(Options{Config: Config{Listen: address}}); (err == nil) != ok {
			t.Errorf("listen on %q in plain HTTP: got %v", address, err)
		}
	}
	if _, err := New(Options{Config: Config{Listen: "127.0.0.1:1", Proxy: &Proxy{Header: "X-User", Name: "p"}}}); err == nil {
		t.Error("a proxy without certificates is accepted")
	}
}

// TestProxy checks that the header of a proxy counts only with its certificate, and is refused without it, also with a session.
func TestProxy(t *testing.T) {
	pool := x509.NewCertPool()
	f := &fake{next: func() string { return "x" }}
	c, err := New(Options{Config: Config{
		Listen: "0.0.0.0:8472", Hosts: []string{"aidr.example.com"}, TLS: &tls.Config{ClientCAs: pool}, Proxy: &Proxy{Header: "X-User", Name: "gate", Scopes: []access.Scope{access.Read}},
	}, Control: func() http.Handler { return f }})
	if err != nil {
		t.Fatal(err)
	}
	of := func(name string) *tls.ConnectionState {
		return &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: name}}}}}
	}
	for _, x := range []struct {
		what  string
		users []string
		state *tls.ConnectionState
		want  int
	}{
		{"with the certificate", []string{"ana"}, of("gate"), http.StatusOK},
		{"with the certificate of another", []string{"ana"}, of("other"), http.StatusForbidden},
		{"without a certificate", []string{"ana"}, &tls.ConnectionState{}, http.StatusForbidden},
		{"without TLS", []string{"ana"}, nil, http.StatusForbidden},
		{"two users", []string{"ana", "bob"}, of("gate"), http.StatusForbidden},
		{"no user", []string{" "}, of("gate"), http.StatusForbidden},
		{"a user with a control character", []string{"a\x1bb"}, of("gate"), http.StatusForbidden},
	} {
		for _, cookie := range []*http.Cookie{nil, cookieOf(c, "x", access.All()...)} {
			w := ask(c, "GET", "/agents", cookie, func(r *http.Request) {
				r.Host, r.TLS = "aidr.example.com", x.state
				r.Header["X-User"] = x.users
			})
			if w.Code != x.want {
				t.Errorf("%s: got %d, want %d", x.what, w.Code, x.want)
			}
		}
	}
	w := ask(c, "POST", "/contain", nil, func(r *http.Request) {
		r.Host, r.TLS = "aidr.example.com", of("gate")
		r.Header.Set("X-User", "ana")
	})
	if w.Code != http.StatusForbidden {
		t.Errorf("a user of the proxy with the scope read contains: got %d", w.Code)
	}
}

// TestStandby checks that pages say why they are empty while the state directory is not open.
func TestStandby(t *testing.T) {
	c, err := New(Options{Config: Config{Listen: "127.0.0.1:8472"}, Control: func() http.Handler { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	cookie := cookieOf(c, "x", access.All()...)
	for _, path := range []string{"/agents", "/pipeline", "/contained"} {
		if w := ask(c, "GET", path, cookie); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "as a standby does") {
			t.Errorf("%s: got %d", path, w.Code)
		}
	}
}

// TestNext checks that no redirect leaves the console.
func TestNext(t *testing.T) {
	for to, want := range map[string]string{
		"/agents?x=1": "/agents?x=1", "": "/", "//evil.example": "/", "https://evil.example": "/", `/\evil.example`: "/", "/a\r\nX: y": "/", "javascript:x": "/",
	} {
		if got := local(to); got != want {
			t.Errorf("%q: got %q, want %q", to, got, want)
		}
	}
}
