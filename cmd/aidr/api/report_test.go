package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/engine/triage"
	"github.com/aidr-engine/aidr/schema"
)

// sent sends a POST request to the API of a store as a caller.
func sent(t *testing.T, s *store.Store, rt Runtime, who access.Caller, address string, body, out any) int {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, address, bytes.NewReader(text))
	Handler(s, rt).ServeHTTP(w, r.WithContext(access.With(r.Context(), who)))
	if out != nil && w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			t.Fatalf("%s: %v: %s", address, err, w.Body)
		}
	}
	return w.Code
}

// TestReport checks the counts of a report, its verdicts, keys and actions, and that a caller of one tenant sees only that.
func TestReport(t *testing.T) {
	s := queued(t)
	owner := access.Owner(1)
	for n, b := range map[byte]triage.Request{
		1: {Action: triage.Close, Verdict: schema.TruePositive}, 2: {Action: triage.Close, Verdict: schema.FalsePositive}, 4: {Action: triage.Acknowledge},
	} {
		if code := sent(t, s, Runtime{}, owner, "/v1/findings/"+(schema.ID{0: n, 15: 1}).String()+"/triage", b, nil); code != http.StatusOK {
			t.Fatalf("triage of %d: %d", n, code)
		}
	}
	var r Report
	asked(t, s, Runtime{}, owner, "/v1/findings/report", &r)
	if r.Findings != 4 || r.Unseen != 1 || r.Acknowledged != 1 || r.TruePositives != 1 || r.FalsePositives != 1 || r.Truncated || len(r.Rules) != 2 || r.Severity[schema.SeverityHigh] != 1 {
		t.Fatalf("got %+v", r)
	}
	one := r.Rules[0]
	if one.RuleID != "one" || one.Findings != 3 || one.Agents != 2 || one.Events != 7 || one.Severity != schema.SeverityCritical || one.Share == nil || *one.Share != 0.5 {
		t.Errorf("rule one: got %+v", one)
	}
	if r.Rules[1].Share != nil {
		t.Error("a rule without verdicts has a precision")
	}
	if len(r.Keys) != 3 || r.Keys[0].Findings != 2 || r.Keys[0].Events != 3 || r.Keys[0].Tenant != "t1" {
		t.Errorf("keys: got %+v", r.Keys)
	}
	times := map[string]int{}
	for _, a := range r.Actions {
		times[a.Action] += a.Count
		if a.Who != owner.Name || a.Class != schema.AuditTriage {
			t.Errorf("action: got %+v", a)
		}
	}
	if times["triage.close"]+times["close"] != 2 {
		t.Errorf("actions: got %v", times)
	}

	var ofTenant Report
	asked(t, s, Runtime{}, access.Caller{Name: "x", Scopes: access.All(), Tenant: "t2"}, "/v1/findings/report", &ofTenant)
	if ofTenant.Findings != 1 || len(ofTenant.Rules) != 1 || len(ofTenant.Keys) != 1 || ofTenant.Acknowledged != 1 || len(ofTenant.Actions) != 1 {
		t.Errorf("a caller of one tenant: got %+v", ofTenant)
	}
	var part Report
	asked(t, s, Runtime{}, owner, "/v1/findings/report?since=45m&until=32m", &part)
	if part.Findings != 2 || len(part.Actions) != 0 {
		t.Errorf("a part of the time: got %+v", part)
	}
	if code := asked(t, s, Runtime{}, owner, "/v1/findings/report?since=1m&until=2m", &part); code != http.StatusBadRequest {
		t.Errorf("a time that ends before it begins: got %d", code)
	}
}
