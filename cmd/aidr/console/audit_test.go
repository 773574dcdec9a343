package console

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// TestAudit checks that logins, logouts and refused requests are in the audit, with their origin and without secrets, and that
// refused requests cannot fill it.
func TestAudit(t *testing.T) {
	var entries []store.AuditEntry
	f := &fake{next: func() string { return "x" }}
	c, err := New(Options{
		Config: Config{Listen: "127.0.0.1:8472"}, Control: func() http.Handler { return f }, Audit: func(a store.AuditEntry) { entries = append(entries, a) },
		Authenticate: func(token string) (Caller, bool) {
			return Caller{Caller: access.Caller{Name: "token:ana", Token: "7", Tenant: "t1", Scopes: []access.Scope{access.Read}}}, token == "good-secret"
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	post := func(path string, form url.Values, cookie *http.Cookie) *http.Response {
		r := httptest.NewRequest("POST", "http://127.0.0.1:8472"+path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if cookie != nil {
			r.AddCookie(cookie)
		}
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		return w.Result()
	}
	cookie := post("/login", url.Values{"token": {"good-secret"}}, nil).Cookies()[0]
	post("/login", url.Values{"token": {"bad-secret"}}, nil)
	ask(c, "GET", "/open?link=bad-secret", nil)
	post("/contain", url.Values{}, cookie) // lacks the scope
	post("/logout", nil, cookie)
	var got []string
	for _, a := range entries {
		got = append(got, a.Action+" "+a.Who)
		if a.Time == 0 || a.Class != schema.AuditAccess || a.Object == "" || strings.Contains(a.Reason, "secret") {
			t.Errorf("got %+v", a)
		}
	}
	want := []string{"console.login token:ana", "refused unknown", "refused unknown", "refused token:ana", "console.logout token:ana"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if entries[0].Token != "7" || entries[0].Tenant != "t1" {
		t.Errorf("a login lacks its token or tenant: %+v", entries[0])
	}
	entries = nil
	for range 3 * maxRefusals {
		post("/login", url.Values{"token": {"bad-secret"}}, nil)
	}
	if len(entries) > 2*maxRefusals || len(entries) == 0 { // the test may run over the end of a minute
		t.Errorf("%d refusals are in the audit", len(entries))
	}
}
