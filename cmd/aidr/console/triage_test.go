package console

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
)

// TestTriageForms checks that forms of triage are shown to those that may use them only, and what the forms may ask for.
func TestTriageForms(t *testing.T) {
	c, _ := newFake(t, func() string { return "x" })
	reader, analyst := cookieOf(c, "reader", access.Read), cookieOf(c, "analyst", access.Read, access.Triage)
	for _, address := range []string{"/", "/findings/" + fakeID} {
		if page := ask(c, "GET", address, reader).Body.String(); strings.Contains(page, "/triage") {
			t.Errorf("%s: a form of triage without the scope", address)
		}
		if page := ask(c, "GET", address, analyst).Body.String(); !strings.Contains(page, "/triage") || !strings.Contains(page, `data-key="ack"`) {
			t.Errorf("%s: no form of triage with the scope", address)
		}
	}
	also := url.Values{"action": {"ack"}, "also": {fakeID, fakeID}, "next": {"/"}}
	many := url.Values{"action": {"ack"}}
	for range maxAlso + 1 {
		many.Add("also", fakeID)
	}
	for _, x := range []struct {
		form url.Values
		want int
		to   string
	}{
		{url.Values{"action": {"ack"}}, http.StatusSeeOther, "/findings/" + fakeID},
		{also, http.StatusSeeOther, "/"},
		{url.Values{"action": {"reopen"}, "note": {"again"}}, http.StatusSeeOther, "/findings/" + fakeID},
		{url.Values{"action": {"close"}, "verdict": {"benign"}, "next": {"//evil.example"}}, http.StatusSeeOther, "/"},
		{url.Values{"action": {"assign"}}, http.StatusBadRequest, ""},
		{url.Values{}, http.StatusBadRequest, ""},
		{many, http.StatusBadRequest, ""},
		{url.Values{"action": {"close"}, "verdict": {"benign"}, "also": {fakeID}}, http.StatusBadRequest, ""},
	} {
		r := httptest.NewRequest("POST", "http://127.0.0.1:8472/findings/"+fakeID+"/triage", strings.NewReader(x.form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.AddCookie(analyst)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if w.Code != x.want || w.Header().Get("Location") != x.to {
			t.Errorf("%v: got %d to %q, want %d to %q", x.form, w.Code, w.Header().Get("Location"), x.want, x.to)
		}
	}
}
