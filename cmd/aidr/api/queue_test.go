package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// asked sends a request to the API of a store as a caller, and decodes the answer.
func asked(t *testing.T, s *store.Store, rt Runtime, who access.Caller, address string, out any) int {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, address, nil)
	Handler(s, rt).ServeHTTP(w, r.WithContext(access.With(r.Context(), who)))
	if err := json.Unmarshal(w.Body.Bytes(), out); err != nil && w.Code == http.StatusOK {
		t.Fatalf("%s: %v: %s", address, err, w.Body)
	}
	return w.Code
}

// queued returns a store with findings of two tenants: three of agent a, of two rules, and one of agent b of another tenant.
func queued(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	now := schema.InstantOf(time.Now())
	make := func(n byte, tenant, agent, rule string, severity schema.Severity, ago time.Duration, events ...byte) connectors.Entry {
		f := &schema.Finding{
			ID: schema.ID{0: n, 15: 1}, Revision: 1, Status: schema.StatusOpen, RuleID: rule, Severity: severity, Tenant: tenant, AgentUID: agent,
			SessionID: "s1", Key: map[string]string{}, Count: int64(n), Title: "title of " + rule,
		}
		f.GroupStart = now.Sub(ago)
		f.FirstSeen, f.LastSeen = f.GroupStart, f.GroupStart.Add(time.Second)
		if rule == "cloud" {
			f.SessionID = ""
		}
		for _, e := range events {
			f.Evidence = append(f.Evidence, schema.Evidence{
				Identity: schema.ID{0: e}, Time: f.GroupStart.Add(time.Duration(e) * time.Second), Dataset: "d" + string('0'+e%2), EventID: "event-" + string('0'+e),
				Fields: map[string]any{"from." + rule: "x"},
			})
		}
		return connectors.Entry{Type: "finding.opened", Finding: f}
	}
	err = s.Commit(&store.Checkpoint{Seq: 1, Outbox: []connectors.Entry{
		make(1, "t1", "a", "one", schema.SeverityLow, 50*time.Minute, 1), make(2, "t1", "a", "one", schema.SeverityHigh, 40*time.Minute, 1, 2),
		make(3, "t1", "a", "cloud", schema.SeverityMedium, 35*time.Minute, 3), make(4, "t2", "b", "one", schema.SeverityCritical, 30*time.Minute, 4),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestQueue(t *testing.T) {
	s := queued(t)
	var q Queue
	owner := access.Owner(1)
	asked(t, s, Runtime{}, owner, "/v1/findings/queue", &q)
	if q.Findings != 4 || q.Truncated || len(q.Agents) != 2 || q.Agents[0].AgentUID != "b" || q.Severity[schema.SeverityHigh] != 1 {
		t.Fatalf("got %+v", q)
	}
	if span := time.Duration(q.Until - q.Since); span != time.Hour {
		t.Errorf("the queue covers %v, want the shortest time that has all findings", span)
	}
	a := q.Agents[1]
	if a.Findings != 3 || a.Open != 3 || a.Severity != schema.SeverityHigh || len(a.Rules) != 2 || a.Rules[0].RuleID != "one" || a.Rules[0].Findings != 2 ||
		a.Rules[0].Events != 3 || a.Rules[0].IDs[0] != (schema.ID{0: 2, 15: 1}) || a.Rules[0].Title != "title of one" {
		t.Errorf("agent a: got %+v", a)
	}
	sum := 0
	for _, n := range a.Series {
		sum += n
	}
	if sum != 3 || len(a.Series) != 24 {
		t.Errorf("series: got %v", a.Series)
	}
	for filter, want := range map[string]int{"severity=high": 2, "agent=b": 1, "rule=cloud": 1, "since=45m": 3, "until=45m": 1, "status=settled": 0, "about=event-3": 1, "about=s1": 3} {
		var q Queue
		asked(t, s, Runtime{}, owner, "/v1/findings/queue?"+filter, &q)
		if q.Findings != want {
			t.Errorf("%s: got %d, want %d", filter, q.Findings, want)
		}
	}
	var of Queue
	asked(t, s, Runtime{}, access.Caller{Name: "x", Scopes: access.All(), Tenant: "t2"}, "/v1/findings/queue", &of)
	if of.Findings != 1 || of.Agents[0].AgentUID != "b" {
		t.Errorf("a caller of the tenant t2 gets %+v", of)
	}
}

func TestStory(t *testing.T) {
	s := queued(t)
	var got Story
	owner := access.Owner(1)
	asked(t, s, Runtime{}, owner, "/v1/story?session=s1&filter="+url.QueryEscape(`tenant == "t1"`), &got)
	if len(got.Events) != 3 || len(got.Findings) != 3 || got.Total != 6 || len(got.Agents) != 1 || strings.Join(got.Datasets, ",") != "d0,d1" {
		t.Fatalf("got %+v", got)
	}
	if e := got.Events[0]; len(e.Findings) != 2 || e.EventID != "event-1" {
		t.Errorf("an event in the evidence of two findings: got %+v", e)
	}
	var of Story
	asked(t, s, Runtime{}, access.Caller{Name: "x", Scopes: access.All(), Tenant: "t2"}, "/v1/story?session=s1", &of)
	if len(of.Events) != 1 || of.Agents[0].Tenant != "t2" {
		t.Errorf("a caller of the tenant t2 gets %+v", of)
	}
	if code := asked(t, s, Runtime{}, owner, "/v1/story", &of); code != http.StatusBadRequest {
		t.Errorf("without a session and an agent: got %d", code)
	}
}

// TestPages checks that pages of findings continue after a key, also if new findings come between.
func TestPages(t *testing.T) {
	s := queued(t)
	var seen []string
	before := ""
	for range 5 {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/v1/findings?limit=1&before="+url.QueryEscape(before), nil)
		Handler(s, Runtime{}).ServeHTTP(w, r.WithContext(access.With(r.Context(), access.Owner(1))))
		var f schema.Finding
		if w.Body.Len() == 0 {
			break
		}
		if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, string('0'+f.ID[0]))
		before = f.GroupStart.String() + "," + f.ID.String()
	}
	if got := strings.Join(seen, ""); got != "4321" {
		t.Errorf("pages: got %s, want 4321", got)
	}
	var bad failure
	if code := asked(t, s, Runtime{}, access.Owner(1), "/v1/findings?before=x", &bad); code != http.StatusBadRequest || !strings.Contains(bad.Error, "before:") {
		t.Errorf("a bad key: got %d %s", code, bad.Error)
	}
}

// TestRuleAndLink checks the answers about rules, and that a link is the caller's.
func TestRuleAndLink(t *testing.T) {
	s := queued(t)
	rt := Runtime{
		Rules: func() []RuleView { return []RuleView{{ID: "a"}, {ID: "b", Triage: []string{"look"}}} },
		ConsoleLink: func(c access.Caller) (ConsoleLink, error) {
			return ConsoleLink{URL: "http://x/open?link=" + c.Name}, nil
		},
	}
	var v RuleView
	if code := asked(t, s, rt, access.Owner(1), "/v1/rules/b", &v); code != http.StatusOK || v.Triage[0] != "look" {
		t.Errorf("got %d, %+v", code, v)
	}
	if code := asked(t, s, rt, access.Owner(1), "/v1/rules/c", &v); code != http.StatusNotFound {
		t.Errorf("an unknown rule: got %d", code)
	}
	for _, x := range []struct {
		rt   Runtime
		want string
	}{{rt, "open?link=me"}, {Runtime{}, "console.listen"}} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/v1/console/link", nil)
		Handler(s, x.rt).ServeHTTP(w, r.WithContext(access.With(r.Context(), access.Caller{Name: "me"})))
		if !strings.Contains(w.Body.String(), x.want) {
			t.Errorf("got %s, want %s in it", w.Body, x.want)
		}
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/v1/console/link", nil)
	Handler(s, rt).ServeHTTP(w, r.WithContext(access.With(r.Context(), access.Caller{Name: "token:a", Token: "a", Scopes: access.All()})))
	if w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "open?link=") {
		t.Errorf("a link for a token: got %d %s, want 403: its session would outlive the token", w.Code, w.Body)
	}
}

// TestQueueTriage checks that the queue counts what nobody has seen, and leaves out what is closed and rests.
func TestQueueTriage(t *testing.T) {
	s := queued(t)
	h := Handler(s, Runtime{})
	change := func(id schema.ID, body string) {
		t.Helper()
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/v1/findings/"+id.String()+"/triage", strings.NewReader(body))
		if h.ServeHTTP(w, r.WithContext(access.With(r.Context(), access.Owner(1)))); w.Code != http.StatusOK {
			t.Fatalf("%s: got %d %s", body, w.Code, w.Body)
		}
	}
	of := func(query string) *QueueRule {
		var q Queue
		asked(t, s, Runtime{}, access.Owner(1), "/v1/findings/queue?agent=a&rule=one"+query, &q)
		if len(q.Agents) == 0 {
			return &QueueRule{}
		}
		return &q.Agents[0].Rules[0]
	}
	first, second := schema.ID{0: 1, 15: 1}, schema.ID{0: 2, 15: 1}
	if r := of(""); r.Findings != 2 || r.Unseen != 2 || len(r.UnseenIDs) != 2 || r.UnseenIDs[0] != second {
		t.Errorf("before: got %+v", r)
	}
	change(second, `{"action":"ack"}`)
	if r := of(""); r.Findings != 2 || r.Unseen != 1 || len(r.UnseenIDs) != 1 || r.UnseenIDs[0] != first {
		t.Errorf("after an acknowledgment: got %+v", r)
	}
	change(first, `{"action":"close","verdict":"benign"}`)
	if r := of(""); r.Findings != 1 || r.Unseen != 0 || r.IDs[0] != second {
		t.Errorf("after a close: got %+v", r)
	}
	if r := of("&triage=closed"); r.Findings != 1 || r.IDs[0] != first {
		t.Errorf("closed ones: got %+v", r)
	}
	f := schema.Finding{ID: first, Revision: 2, Status: schema.StatusOpen, RuleID: "one", Tenant: "t1", AgentUID: "a", Key: map[string]string{}, Count: 9}
	f.GroupStart = schema.InstantOf(time.Now().Add(-50 * time.Minute))
	f.FirstSeen, f.LastSeen = f.GroupStart, f.GroupStart
	if err := s.Commit(&store.Checkpoint{Seq: 2, Outbox: []connectors.Entry{{Type: "finding.updated", Finding: &f}}}); err != nil {
		t.Fatal(err)
	}
	if r := of(""); r.Findings != 2 || r.Unseen != 1 || r.UnseenIDs[0] != first {
		t.Errorf("a closed finding that goes on: got %+v", r)
	}
}
