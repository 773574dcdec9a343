package store

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// TestErase checks that deleted findings are gone from every index, that open ones and those of others stay, and that the audit
// names the caller without the text.
func TestErase(t *testing.T) {
	s := openMemory(t, Options{})
	const secret = "the address of a person"
	sum := sha256.Sum256([]byte(secret))
	hash := hex.EncodeToString(sum[:])
	add := func(n byte, agent, tenant string, status schema.Status, fields map[string]any) connectors.Entry {
		f := &schema.Finding{
			ID: schema.ID{n}, Revision: 1, Status: status, RuleID: "r", AgentUID: agent, Tenant: tenant, GroupStart: schema.Instant(n),
			Key: map[string]string{}, Evidence: []schema.Evidence{{Fields: fields}},
		}
		return connectors.Entry{Type: connectors.EntryTypeOf(f), Finding: f}
	}
	mustCommit(t, s, &Checkpoint{Seq: 1, Outbox: []connectors.Entry{
		add(1, "a", "", schema.StatusSettled, nil), add(2, "a", "", schema.StatusOpen, nil), add(3, "a", "other", schema.StatusSettled, nil),
		add(4, "b", "", schema.StatusWithdrawn, map[string]any{"x": []any{map[string]any{"deep": secret}}}),
		add(5, "b", "", schema.StatusSettled, map[string]any{"x": "sha256:" + hash}), add(6, "b", "", schema.StatusSettled, map[string]any{"x": secret + "."}),
	}, Dead: []DeadLetter{
		{Kind: schema.DeadDelivery, Body: `{"agent_uid":"a"}`}, {Kind: schema.DeadDelivery, Body: `{"agent_uid":"b"}`}, {Kind: schema.DeadRecord, Body: `{"agent_uid":"a"}`},
	}})
	entry := func() *AuditEntry {
		return &AuditEntry{Who: "uid 1", Action: "erase", Class: schema.AuditState, Reason: "request 1"}
	}
	f := func(e Erasure, want Erased, left int) {
		t.Helper()
		before := len(all(t, s))
		if got, err := s.Erase(e, nil); err != nil || got != want || len(all(t, s)) != before {
			t.Errorf("counted %+v, %v; want %+v", got, err, want)
		}
		if got, err := s.Erase(e, entry()); err != nil || got != want {
			t.Errorf("erased %+v, %v; want %+v", got, err, want)
		}
		if got, err := s.Erase(e, nil); err != nil || got != (Erased{Open: want.Open}) {
			t.Errorf("afterwards there are %+v, %v", got, err)
		}
		if got := len(all(t, s)); got != left {
			t.Errorf("%d findings are left, want %d", got, left)
		}
	}
	f(Erasure{Agent: "a"}, Erased{Findings: 1, Open: 1, DeadLetters: 1}, 5)
	f(Erasure{TextHash: hash}, Erased{Findings: 2}, 3)
	n := 0
	if err := s.Audit(func(a *AuditEntry) bool { n++; return a.Who == "uid 1" && len(a.After) > 0 }); err != nil || n != 2 {
		t.Errorf("%d entries of the audit, %v", n, err)
	}
	if r, err := s.VerifyAudit(); err != nil || r.Broken != 0 {
		t.Errorf("the chain of the audit: %+v, %v", r, err)
	}
	changed := 0
	if err := s.FindingsAfter(0, FindingFilter{}, func(uint64, *schema.Finding) bool { changed++; return true }); err != nil || changed != 3 {
		t.Errorf("%d findings by their change, %v; want 3", changed, err)
	}
}

func all(t *testing.T, s *Store) (out []schema.ID) {
	t.Helper()
	if err := s.Findings(FindingFilter{}, func(f *schema.Finding) bool { out = append(out, f.ID); return true }); err != nil {
		t.Fatal(err)
	}
	return out
}
