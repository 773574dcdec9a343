package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// controlBench is a handler with a containment table, as of a running process.
type controlBench struct {
	http.Handler
	t     *testing.T
	store *store.Store
	table *contain.Table
	now   time.Time
}

func newControl(t *testing.T) *controlBench {
	t.Helper()
	s, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Commit(&store.Checkpoint{Seq: 1, State: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	b := &controlBench{t: t, store: s, now: time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)}
	b.table, err = contain.New(s, contain.Options{Clock: clock.Clock{Now: func() time.Time { return b.now }}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.table.Confirm(contain.Actor{Name: "test"}, "first start"); err != nil {
		t.Fatal(err)
	}
	b.Handler = Handler(s, Runtime{Containment: func() (*contain.Table, func(context.Context) error, error) {
		return b.table, func(context.Context) error { return commitStopped(s, b.table) }, nil
	}, Now: func() time.Time { return b.now }})
	return b
}

var operator = access.Caller{Name: "uid 1000", Scopes: access.All()}

// send sends a request of a caller, nil for one that is not authenticated, and decodes the response into out.
func (b *controlBench) send(who *access.Caller, method, path, body string, out any) int {
	b.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if who != nil {
		r = r.WithContext(access.With(r.Context(), *who))
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			b.t.Fatalf("%s %s: %d %s: %v", method, path, w.Code, w.Body, err)
		}
	}
	return w.Code
}

// audit returns the entries of the audit, oldest first.
func (b *controlBench) audit() (list []*store.AuditEntry) {
	b.t.Helper()
	if err := b.store.Audit(func(a *store.AuditEntry) bool { list = append(list, a); return true }); err != nil {
		b.t.Fatal(err)
	}
	return list
}

func (b *controlBench) containAgent(name, state string) schema.ID {
	b.t.Helper()
	var r schema.ResponseRecord
	code := b.send(&operator, "POST", "/v1/containments", fmt.Sprintf(`{"scope":"agent","target":{"agent":%q},"state":%q,"ttl":"1h","reason":"r"}`, name, state), &r)
	if code != http.StatusOK || r.By != "uid 1000" {
		b.t.Fatalf("contain: %d %+v", code, r)
	}
	return r.ID
}

// TestRefusedControlCalls: a call that is not authenticated, lacks a scope or is malformed changes nothing, and is audited.
func TestRefusedControlCalls(t *testing.T) {
	b := newControl(t)
	id := b.containAgent("a", "deny").String()
	b.containAgent("h", "hold")
	held := b.table.Decide(schema.Question{Agent: "h", Tool: "t"}).ApprovalID.String()
	reader := &access.Caller{Name: "token:dashboard", Scopes: []access.Scope{access.Read}}
	gateway := &access.Caller{Name: "token:gateway"}
	approver := &access.Caller{Name: "token:approver", Scopes: []access.Scope{access.Approve}}
	contained := &access.Caller{Name: "agent:a", Credential: "a", Scopes: access.All()}
	const good = `{"scope":"agent","target":{"agent":"x"},"ttl":"1h","reason":"r"}`
	const why = `{"reason":"r"}`
	tests := []struct {
		name         string
		who          *access.Caller
		method, path string
		body         string
		code         int
	}{
		{"contain unauthenticated", nil, "POST", "/v1/containments", good, 401},
		{"release unauthenticated", nil, "POST", "/v1/containments/" + id + "/release", why, 401},
		{"approve unauthenticated", nil, "POST", "/v1/approvals/" + held, `{"approve":true,"reason":"r"}`, 401},
		{"pause unauthenticated", nil, "POST", "/v1/automation", `{"paused":true,"reason":"r"}`, 401},
		{"confirm unauthenticated", nil, "POST", "/v1/containments/confirm", why, 401},
		{"list unauthenticated", nil, "GET", "/v1/containments", "", 401},
		{"contain as reader", reader, "POST", "/v1/containments", good, 403},
		{"release as reader", reader, "POST", "/v1/containments/" + id + "/release", why, 403},
		{"approve as reader", reader, "POST", "/v1/approvals/" + held, `{"approve":true,"reason":"r"}`, 403},
		{"contain without scopes", gateway, "POST", "/v1/containments", good, 403},
		{"list without scopes", gateway, "GET", "/v1/responses", "", 403},
		{"release as approver", approver, "POST", "/v1/containments/" + id + "/release", why, 403},
		{"pause as approver", approver, "POST", "/v1/automation", `{"paused":true,"reason":"r"}`, 403},
		{"release by the agent itself", contained, "POST", "/v1/containments/" + id + "/release", why, 403},
		{"milder containment by the agent itself", contained, "POST", "/v1/containments",
			`{"scope":"agent","target":{"agent":"a"},"state":"observe","reason":"r"}`, 403},
		{"no body", &operator, "POST", "/v1/containments", "", 400},
		{"not JSON", &operator, "POST", "/v1/containments", "scope=agent", 400},
		{"an array", &operator, "POST", "/v1/containments", "[" + good + "]", 400},
		{"two values", &operator, "POST", "/v1/containments", good + good, 400},
		{"unknown key", &operator, "POST", "/v1/containments", `{"scope":"agent","target":{"agent":"x","tools":"t"},"reason":"r"}`, 400},
		{"wrong type", &operator, "POST", "/v1/containments", `{"scope":"agent","target":"x","reason":"r"}`, 400},
		{"unknown scope", &operator, "POST", "/v1/containments", `{"scope":"fleet","target":{"agent":"x"},"reason":"r"}`, 400},
		{"no target", &operator, "POST", "/v1/containments", `{"scope":"tool","target":{"agent":"x"},"reason":"r"}`, 400},
		{"no reason", &operator, "POST", "/v1/containments", `{"scope":"agent","target":{"agent":"x"}}`, 400},
		{"endless", &operator, "POST", "/v1/containments", `{"scope":"agent","target":{"agent":"x"},"ttl":"0s","reason":"r"}`, 400},
		{"too long", &operator, "POST", "/v1/containments", `{"scope":"agent","target":{"agent":"x"},"ttl":"9999d","reason":"r"}`, 400},
		{"throttle without a rate", &operator, "POST", "/v1/containments", `{"scope":"agent","target":{"agent":"x"},"state":"throttle","reason":"r"}`, 400},
		{"control characters", &operator, "POST", "/v1/containments", `{"scope":"agent","target":{"agent":"x\u0000y"},"reason":"r"}`, 400},
		{"huge body", &operator, "POST", "/v1/containments", `{"scope":"agent","target":{"agent":"` + strings.Repeat("x", maxControlBody) + `"},"reason":"r"}`, 400},
		{"not an id", &operator, "POST", "/v1/containments/../release", why, 404},
		{"bad id", &operator, "POST", "/v1/containments/1/release", why, 400},
		{"unknown id", &operator, "POST", "/v1/containments/00000000-0000-0000-0000-000000000001/release", why, 404},
		{"release without reason", &operator, "POST", "/v1/containments/" + id + "/release", "{}", 400},
		{"approve without an answer", &operator, "POST", "/v1/approvals/" + held, why, 400},
		{"approve what is in force", &operator, "POST", "/v1/approvals/" + id, `{"approve":true,"reason":"r"}`, 400},
		{"pause without an answer", &operator, "POST", "/v1/automation", why, 400},
		{"another method", &operator, "DELETE", "/v1/containments/" + id, "", 404},
		{"another path", &operator, "PUT", "/v1/containments", good, 404},
	}
	if len(tests) < 30 {
		t.Fatalf("%d calls, want at least 30", len(tests))
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b.now = b.now.Add(time.Minute / 2) // the audit keeps 60 refusals of a minute
			before, entries := b.state(), len(b.audit())
			code := b.send(tt.who, tt.method, tt.path, tt.body, nil)
			if code != tt.code && !(tt.path == "/v1/containments/../release" && code >= 300) {
				t.Errorf("status %d, want %d", code, tt.code)
			}
			if after := b.state(); after != before {
				t.Errorf("the table changed:\n%s\nbefore:\n%s", after, before)
			}
			list := b.audit()
			if strings.Contains(tt.path, "..") {
				return // the server redirects before any handler sees it
			}
			if len(list) != entries+1 {
				t.Fatalf("%d audit entries were added, want 1", len(list)-entries)
			}
			who := "unknown"
			if tt.who != nil {
				who = tt.who.Name
			}
			if a := list[entries]; a.Action != "refused" || a.Who != who || !strings.HasPrefix(a.Reason, tt.method+" /v1/") {
				t.Errorf("audit entry %+v", a)
			}
		})
	}
}

// state returns everything that a control call may change.
func (b *controlBench) state() string {
	b.t.Helper()
	x := b.table.View().Snapshot(0)
	l := b.table.List()
	text, err := json.Marshal([]any{x, l})
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

// TestRefusalsAreBounded: refused calls cannot fill the disk.
func TestRefusalsAreBounded(t *testing.T) {
	b := newControl(t)
	for range 500 {
		b.send(nil, "POST", "/v1/automation", "x", nil)
	}
	b.now = b.now.Add(time.Minute)
	b.send(nil, "POST", "/v1/automation", "x", nil)
	list := b.audit()
	if n := len(list); n > 70 {
		t.Errorf("500 refused calls have %d entries in the audit", n)
	}
	if last := list[len(list)-2]; !strings.Contains(last.Reason, "440 more requests") {
		t.Errorf("the rest is not counted: %+v", last)
	}
}

func TestControlCalls(t *testing.T) {
	b := newControl(t)
	id := b.containAgent("a", "deny")
	if d := b.table.Decide(schema.Question{Agent: "a"}); d.Verdict != schema.VerdictDeny || d.ContainmentID != id {
		t.Errorf("%+v", d)
	}
	body := `{"scope":"agent","target":{"agent":"k"},"reason":"r","key":"once"}`
	var first, second schema.ResponseRecord
	b.send(&operator, "POST", "/v1/containments", body, &first)
	b.send(&operator, "POST", "/v1/containments", body, &second)
	if first.ID != second.ID || len(second.History) != 1 {
		t.Errorf("one idempotency key gave %s and %s", first.ID, second.ID)
	}
	var blast contain.Blast
	if code := b.send(&operator, "POST", "/v1/containments/dry-run", `{"scope":"agent","target":{"agent":"a"}}`, &blast); code != 200 || len(blast.Existing) != 1 {
		t.Errorf("dry run: %d %+v", code, blast)
	}
	var list contain.Contained
	b.send(&operator, "GET", "/v1/containments", "", &list)
	if len(list.Responses) != 2 || !list.Known {
		t.Errorf("list: %+v", list)
	}
	var released schema.ResponseRecord
	if code := b.send(&operator, "POST", "/v1/containments/"+id.String()+"/release", `{"reason":"fixed"}`, &released); code != 200 || released.Status != schema.ContainmentReleased {
		t.Errorf("release: %d %+v", code, released)
	}
	hold := b.containAgent("h", "hold")
	held := b.table.Decide(schema.Question{Agent: "h", Tool: "t"}).ApprovalID
	var answered Answered
	if code := b.send(&operator, "POST", "/v1/approvals/"+held.String(), `{"approve":true,"reason":"ok"}`, &answered); code != 200 || answered.Approval == nil {
		t.Errorf("approve: %d %+v", code, answered)
	}
	var p contain.Pause
	if code := b.send(&operator, "POST", "/v1/automation", `{"paused":true,"reason":"ok"}`, &p); code != 200 || !p.Paused || p.By != operator.Name {
		t.Errorf("pause: %d %+v", code, p)
	}
	var one schema.ResponseRecord
	if code := b.send(&operator, "GET", "/v1/responses/"+id.String(), "", &one); code != 200 || len(one.History) != 2 || one.Rollback == "" {
		t.Errorf("show: %d %+v", code, one)
	}
	r := httptest.NewRequest("GET", "/v1/responses?status=active&agent=h", nil)
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r.WithContext(access.With(r.Context(), operator)))
	if got := strings.TrimSpace(w.Body.String()); strings.Count(got, "\n") != 0 || !strings.Contains(got, hold.String()) {
		t.Errorf("ls: %s", got)
	}
}

// TestNotDurable checks that a change that cannot be made durable counts, and that the answer reports it.
func TestNotDurable(t *testing.T) {
	b := newControl(t)
	b.Handler = Handler(b.store, Runtime{Containment: func() (*contain.Table, func(context.Context) error, error) {
		return b.table, func(context.Context) error { return errors.New("the disk is full") }, nil
	}})
	var f failure
	code := b.send(&operator, "POST", "/v1/containments", `{"scope":"agent","target":{"agent":"a"},"reason":"r"}`, &f)
	if code != http.StatusAccepted || !strings.Contains(f.Error, "the disk is full") {
		t.Errorf("%d %+v", code, f)
	}
	if d := b.table.Decide(schema.Question{Agent: "a"}); d.Verdict != schema.VerdictDeny {
		t.Errorf("%+v, want a denial at once", d)
	}
}
