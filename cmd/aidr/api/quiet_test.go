package api

import (
	"context"
	"net/http"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/engine/triage"
	"github.com/aidr-engine/aidr/schema"
)

// TestQuiet checks what a snooze would have hidden, that nothing changes, and that a caller of one tenant counts its own only.
func TestQuiet(t *testing.T) {
	s := queued(t)
	owner := access.Owner(1)
	sent(t, s, Runtime{}, owner, "/v1/findings/"+(schema.ID{0: 1, 15: 1}).String()+"/triage", triage.Request{Action: triage.Close, Verdict: schema.TruePositive}, nil)
	var q Quiet
	if code := sent(t, s, Runtime{}, owner, "/v1/snoozes/dry-run", triage.SnoozeSpec{Rule: "one", Agent: "a"}, &q); code != http.StatusOK ||
		q.Findings != 2 || q.Others != 1 || q.TruePositives != 1 || q.Agents != 1 || len(q.Latest) != 2 || q.Days[29] != 2 {
		t.Errorf("got %d, %+v", code, q)
	}
	q = Quiet{}
	sent(t, s, Runtime{}, access.Caller{Name: "x", Scopes: access.All(), Tenant: "t2"}, "/v1/snoozes/dry-run", triage.SnoozeSpec{Rule: "one"}, &q)
	if q.Findings != 1 || q.Others != 0 {
		t.Errorf("a caller of one tenant: got %+v", q)
	}
	if code := sent(t, s, Runtime{}, owner, "/v1/snoozes/dry-run", triage.SnoozeSpec{}, nil); code != http.StatusBadRequest {
		t.Errorf("a snooze of everything: got %d", code)
	}
	table, err := triage.Open(s, clock.Clock{}, nil)
	if err != nil || len(table.Snoozes(triage.Actor{})) != 0 {
		t.Errorf("a dry run makes a snooze: %v", err)
	}
}

// TestRaw checks that reading a raw record needs the scope triage, is limited to the tenant, and is in the audit.
func TestRaw(t *testing.T) {
	s := queued(t)
	var whole []bool
	rt := Runtime{Raw: func(_ context.Context, e *schema.Evidence, w bool) (*RawRecord, error) {
		whole = append(whole, w)
		return &RawRecord{Kept: true, Event: e.EventID}, nil
	}}
	address := "/v1/findings/" + (schema.ID{0: 2, 15: 1}).String() + "/raw"
	var r RawRecord
	analyst := access.Caller{Name: "ana", Scopes: []access.Scope{access.Read, access.Triage}}
	if code := sent(t, s, rt, analyst, address, rawRequest{1}, &r); code != http.StatusOK || r.Event != "event-2" {
		t.Fatalf("got %d, %+v", code, r)
	}
	for what, x := range map[string]struct {
		who   access.Caller
		event int
		want  int
	}{
		"a reader":          {access.Caller{Name: "r", Scopes: []access.Scope{access.Read}}, 0, http.StatusForbidden},
		"another tenant":    {access.Caller{Name: "t", Scopes: access.All(), Tenant: "t2"}, 0, http.StatusNotFound},
		"the same tenant":   {access.Caller{Name: "t", Scopes: access.All(), Tenant: "t1"}, 0, http.StatusOK},
		"an event too many": {analyst, 2, http.StatusBadRequest},
	} {
		if code := sent(t, s, rt, x.who, address, rawRequest{x.event}, nil); code != x.want {
			t.Errorf("%s: got %d, want %d", what, code, x.want)
		}
	}
	read := 0
	s.Audit(func(a *store.AuditEntry) bool {
		if a.Action == "raw.read" {
			read++
			if a.Class != schema.AuditAccess || a.Object != (schema.ID{0: 2, 15: 1}).String() || a.Tenant != "t1" || a.Rule != "one" {
				t.Errorf("got %+v", a)
			}
		}
		return true
	})
	if read != 2 || len(whole) != 2 || !whole[0] || whole[1] {
		t.Errorf("%d entries in the audit, %v", read, whole)
	}
}
