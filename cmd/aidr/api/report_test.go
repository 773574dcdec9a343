package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

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

// TestFlows checks the matrix from the archive, with the parameters of its query, and that a caller of one tenant asks for that only.
func TestFlows(t *testing.T) {
	s := queued(t)
	var asked1 map[string]string
	rt := Runtime{Labels: func(host string) []string { return []string{"of " + host} }, History: History{Events: schema.ArchiveMatched,
		Ask: func(_ context.Context, sql string, parameters map[string]string) ([][]string, error) {
			asked1 = parameters
			return [][]string{{"t1", "a", "x.example", "5", "100"}, {"t1", "a", "y.example", "2", "0"}, {"t1", "b", "x.example", "0", "7"}}, nil
		}}}
	var f Flows
	asked(t, s, rt, access.Caller{Name: "x", Scopes: access.All(), Tenant: "t1"}, "/v1/flows?until=2026-01-31T00:00:00Z", &f)
	if asked1["tenant"] != "t1" || asked1["until"] != strconv.FormatInt(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC).UnixNano(), 10) {
		t.Errorf("the query has the parameters %v", asked1)
	}
	if f.From != "archive" || f.Missing == "" || len(f.Flows) != 3 || f.Destinations[0].Name != "y.example" || f.Destinations[0].New != 1 || f.Agents[0].AgentUID != "a" || f.Agents[0].New != 1 ||
		f.Destinations[0].Labels[0] != "of y.example" {
		t.Errorf("got %+v", f)
	}
	for _, x := range f.Flows {
		if f.Agents[x.Agent].AgentUID == "a" && f.Destinations[x.Destination].Name == "x.example" && (x.Last != 5 || x.Before != 100) {
			t.Errorf("a flow: got %+v", x)
		}
	}
	asked(t, s, rt, access.Owner(1), "/v1/flows", &f)
	if asked1["tenant"] != "*" {
		t.Errorf("the owner asks for the tenant %q", asked1["tenant"])
	}
	f = Flows{}
	asked(t, s, Runtime{}, access.Owner(1), "/v1/flows", &f)
	if f.From != "inventory" || f.Missing == "" || len(f.Flows) != 0 {
		t.Errorf("without an archive: got %+v", f)
	}
}
