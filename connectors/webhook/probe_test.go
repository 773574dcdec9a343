package webhook

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// TestProbe checks the request of a probe and the result for each kind of response.
func TestProbe(t *testing.T) {
	status := 204
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodHead || r.Header.Get("Authorization") != "tell-nobody" || r.Header.Get(HeaderSignature) != "" {
			t.Errorf("got a %s with %v", r.Method, r.Header)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	defer server.Close()
	f := func(url, allow string, failed, warning bool, want string) {
		t.Helper()
		c := Config{
			Name: "soc", URL: url, Secrets: []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
			Headers: map[string]string{"Authorization": "tell-nobody"},
		}
		if allow != "" {
			c.AllowNetworks = []netip.Prefix{netip.MustParsePrefix(allow)}
		}
		s, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		a := s.Probe(t.Context())
		if len(a) != 1 || a[0].Failed != failed || a[0].Warning != warning ||
			!strings.Contains(a[0].Text, want) || strings.Contains(a[0].Text, "tell-nobody") {
			t.Errorf("%d: got %+v, want %q", status, a, want)
		}
	}
	url := server.URL + "/tell-nobody"
	f(url, "127.0.0.0/8", false, false, "answers 204 to a HEAD request")
	f(url, "", true, false, "the address is not public")
	f(strings.Replace(url, "127.0.0.1", "localhost", 1), "", true, false, "the address is not public")
	status = 401
	f(url, "127.0.0.0/8", false, false, "answers 401 to a HEAD request, which is not a signed delivery")
	status = 410
	f(url, "127.0.0.0/8", false, true, "disables the endpoint")
	status = 302
	f(url, "127.0.0.0/8", false, true, "redirects are not followed")
	status = 500
	f(url, "127.0.0.0/8", false, true, "the endpoint fails")
	server.Close()
	f(url, "127.0.0.0/8", true, false, "connection refused")
	f("https://nowhere.invalid/tell-nobody", "", true, false, "")
}
