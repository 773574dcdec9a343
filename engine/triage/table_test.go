package triage

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// bench is a store with a finding, its triage and a clock.
type bench struct {
	t       *testing.T
	store   *store.Store
	table   *Table
	now     time.Time
	finding *schema.Finding
	told    int
}

var ann = Actor{Name: "token:ann"}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, now: time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)}
	s, err := store.Open("", store.Options{Memory: true, Now: func() time.Time { return b.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if _, err := s.SetSinks([]store.SinkSpec{{Name: "tables"}}); err != nil {
		t.Fatal(err)
	}
	b.finding = &schema.Finding{
		ID: schema.ID{1}, Revision: 1, Status: schema.StatusOpen, RuleID: "r.a", AgentUID: "bot", Tenant: "acme", Count: 3,
		Key: map[string]string{"session.id": "s1"},
	}
	b.store = s
	b.commit(1)
	b.open()
	return b
}

func (b *bench) open() {
	b.t.Helper()
	var err error
	if b.table, err = Open(b.store, clock.Clock{Now: func() time.Time { return b.now }}, func() { b.told++ }); err != nil {
		b.t.Fatal(err)
	}
}

// commit writes the present revision of the finding.
func (b *bench) commit(seq uint64) {
	b.t.Helper()
	f := *b.finding
	e := connectors.Entry{Type: connectors.EntryTypeOf(&f), Finding: &f}
	if err := b.store.Commit(&store.Checkpoint{Seq: seq, State: []byte("{}"), Outbox: []connectors.Entry{e}}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) change(r Request) *schema.Triage {
	b.t.Helper()
	b.now = b.now.Add(time.Second)
	t, err := b.table.Change(b.finding.ID, r, ann)
	if err != nil {
		b.t.Fatalf("%+v: %v", r, err)
	}
	return t
}

func (b *bench) audit() (list []store.AuditEntry) {
	b.t.Helper()
	if err := b.store.Audit(func(a *store.AuditEntry) bool { list = append(list, *a); return true }); err != nil {
		b.t.Fatal(err)
	}
	return list
}

func text(t *schema.Triage) string {
	return fmt.Sprintf("%d %s/%s owner %q note %q again %d steps %d", t.Version, t.Status, t.Verdict, t.Owner, t.Note, t.Again, len(t.History))
}

func TestTriage(t *testing.T) {
	b := newBench(t)
	want := func(got *schema.Triage, wanted string) {
		t.Helper()
		if text(got) != wanted {
			t.Errorf("got %s, want %s", text(got), wanted)
		}
	}
	if x, err := b.table.Of(b.finding); x != nil || err != nil {
		t.Errorf("before: %+v, %v", x, err)
	}
	want(b.change(Request{Action: Acknowledge, Note: "looking"}), `1 acknowledged/ owner "" note "looking" again 0 steps 1`)
	want(b.change(Request{Action: Acknowledge}), `1 acknowledged/ owner "" note "looking" again 0 steps 1`) // changes nothing
	want(b.change(Request{Action: Assign, Owner: "soc"}), `2 acknowledged/ owner "soc" note "looking" again 0 steps 2`)
	want(b.change(Request{Action: Close, Verdict: schema.FalsePositive}), `3 closed/false_positive owner "soc" note "looking" again 0 steps 3`)

	// A later revision does not lose the triage, and the finding that goes on is visible.
	b.finding.Revision, b.finding.Count = 2, 8
	b.commit(2)
	b.open() // also after a restart
	x, err := b.table.Of(b.finding)
	if err != nil {
		t.Fatal(err)
	}
	want(x, `3 closed/false_positive owner "soc" note "looking" again 5 steps 3`)
	want(b.change(Request{Action: Close, Verdict: schema.FalsePositive}), `4 closed/false_positive owner "soc" note "looking" again 0 steps 4`)
	want(b.change(Request{Action: Reopen}), `5 new/ owner "soc" note "looking" again 0 steps 5`)
	want(b.change(Request{Action: Note, Note: "again"}), `6 new/ owner "soc" note "again" again 0 steps 6`)
	want(b.change(Request{Action: Assign}), `7 new/ owner "" note "again" again 0 steps 7`)

	if got, ok, err := b.store.Finding(b.finding.ID); err != nil || !ok || got.Count != 8 || got.Status != schema.StatusOpen || got.Revision != 2 {
		t.Errorf("the finding changed: %+v, %v", got, err)
	}
	out, err := b.store.Outbox(1, 100, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var triages, audits int
	for _, e := range out {
		switch e.Type {
		case connectors.TriageChanged:
			triages++
			if e.Triage == nil || e.Triage.Version != uint64(triages) || e.ID() != b.finding.ID {
				t.Errorf("entry %+v", e)
			}
		case connectors.AuditAdded:
			audits++
		}
	}
	if triages != 7 || audits != 7 || b.told != 7 {
		t.Errorf("%d entries for the table of triage, %d of the audit, %d calls of notify, want 7 each", triages, audits, b.told)
	}
	list := b.audit()
	if len(list) != 7 || list[2].Action != "triage.close" || list[2].Who != "token:ann" || list[2].Object != b.finding.ID.String() ||
		!strings.Contains(string(list[2].Before), "acknowledged") || !strings.Contains(string(list[2].After), "false_positive") {
		t.Errorf("audit: %+v", list)
	}
}

// TestRefusedTriage: what is malformed, of another tenant or based on an old version changes nothing.
func TestRefusedTriage(t *testing.T) {
	b := newBench(t)
	b.change(Request{Action: Acknowledge})
	old := uint64(0)
	for _, r := range []Request{
		{}, {Action: "delete"}, {Action: Close}, {Action: Close, Verdict: "maybe"}, {Action: Acknowledge, Verdict: schema.Benign}, {Action: Note},
		{Action: Note, Note: " "}, {Action: Acknowledge, Owner: "x"}, {Action: Assign, Owner: "a\nb"}, {Action: Assign, Owner: strings.Repeat("x", 300)},
		{Action: Note, Note: strings.Repeat("x", 5000)}, {Action: Close, Verdict: schema.Benign, Version: &old},
	} {
		if x, err := b.table.Change(b.finding.ID, r, ann); err == nil {
			t.Errorf("%+v: %s", r, text(x))
		}
	}
	if _, err := b.table.Change(schema.ID{9}, Request{Action: Acknowledge}, ann); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown finding: %v", err)
	}
	other := Actor{Name: "x", Sees: func(tenant string) bool { return tenant == "other" }}
	if _, err := b.table.Change(b.finding.ID, Request{Action: Acknowledge}, other); !errors.Is(err, ErrNotFound) {
		t.Errorf("a finding of another tenant: %v", err)
	}
	if n := len(b.audit()); n != 1 {
		t.Errorf("%d audit entries, want 1", n)
	}
}

// TestTriageGoesWithItsFinding: the triage of a finding that is swept is deleted, its history is bounded.
func TestTriageGoesWithItsFinding(t *testing.T) {
	b := newBench(t)
	for i := range schema.MaxTriageSteps + 20 {
		b.change(Request{Action: Note, Note: fmt.Sprint(i)})
	}
	x := b.change(Request{Action: Acknowledge})
	if len(x.History) != schema.MaxTriageSteps || x.History[0].Note != "0" || x.History[schema.MaxTriageSteps-1].Action != "ack" {
		t.Errorf("%d steps, the first %+v", len(x.History), x.History[0])
	}
	b.finding.Revision, b.finding.Status = 2, schema.StatusSettled
	b.commit(2)
	b.now = b.now.Add(store.DefaultFindingsKeep + time.Hour)
	for seq := uint64(3); seq < 6; seq++ {
		if err := b.store.Commit(&store.Checkpoint{Seq: seq, State: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		b.now = b.now.Add(2 * time.Minute)
	}
	if v, err := b.store.Triage(b.finding.ID); v != nil || err != nil {
		t.Errorf("the triage is left: %s, %v", v, err)
	}
}

func TestSnooze(t *testing.T) {
	b := newBench(t)
	acme, other := "acme", "other"
	e := &connectors.Entry{Type: connectors.FindingOpened, Finding: b.finding}
	for _, c := range []struct {
		name string
		spec SnoozeSpec
		held bool
	}{
		{"rule", SnoozeSpec{Rule: "r.a"}, true},
		{"another rule", SnoozeSpec{Rule: "r.b"}, false},
		{"rule and agent", SnoozeSpec{Rule: "r.a", Agent: "bot"}, true},
		{"rule and another agent", SnoozeSpec{Rule: "r.a", Agent: "x"}, false},
		{"tenant", SnoozeSpec{Rule: "r.a", Tenant: &acme}, true},
		{"another tenant", SnoozeSpec{Rule: "r.a", Tenant: &other}, false},
		{"key", SnoozeSpec{Rule: "r.a", Key: map[string]string{"session.id": "s1"}}, true},
		{"another key", SnoozeSpec{Rule: "r.a", Key: map[string]string{"session.id": "s2"}}, false},
		{"a field that the key lacks", SnoozeSpec{Rule: "r.a", Key: map[string]string{"user.name": ""}}, false},
		{"one finding", SnoozeSpec{Finding: b.finding.ID}, true},
		{"another finding", SnoozeSpec{Finding: schema.ID{7}}, false},
	} {
		b.now = b.now.Add(time.Second)
		s, err := b.table.Snooze(c.spec, time.Hour, "r", ann)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := b.table.Holds(e); got != c.held {
			t.Errorf("%s: held %v, want %v", c.name, got, c.held)
		}
		if _, err := b.table.Wake(s.ID, "r", ann); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if b.table.Holds(e) {
			t.Errorf("%s: held after it was ended", c.name)
		}
	}
	if b.table.Held() != 5 {
		t.Errorf("%d deliveries are counted, want 5", b.table.Held())
	}
	for name, x := range map[string]struct {
		spec   SnoozeSpec
		lasts  time.Duration
		reason string
	}{
		"everything": {SnoozeSpec{}, time.Hour, "r"}, "a tenant alone": {SnoozeSpec{Tenant: &acme}, time.Hour, "r"}, "no end": {SnoozeSpec{Rule: "r"}, 0, "r"},
		"too long": {SnoozeSpec{Rule: "r"}, MaxSnooze + 1, "r"}, "no reason": {SnoozeSpec{Rule: "r"}, time.Hour, " "},
	} {
		if _, err := b.table.Snooze(x.spec, x.lasts, x.reason, ann); err == nil {
			t.Errorf("%s is snoozed", name)
		}
	}
	limited := Actor{Name: "x", Sees: func(tenant string) bool { return tenant == acme }}
	if _, err := b.table.Snooze(SnoozeSpec{Rule: "r.a"}, time.Hour, "r", limited); err == nil {
		t.Error("a caller of one tenant snoozes all")
	}
	b.now = b.now.Add(time.Second)
	last, err := b.table.Snooze(SnoozeSpec{Rule: "r.a"}, time.Hour, "maintenance", ann)
	if err != nil {
		t.Fatal(err)
	}
	b.open()
	if !b.table.Holds(e) {
		t.Error("the snooze does not survive a restart")
	}
	if b.table.Holds(&connectors.Entry{Type: connectors.AgentContained}) || b.table.Holds(&connectors.Entry{Finding: &schema.Finding{RuleID: "r.a", Operational: true}}) {
		t.Error("an entry that is not a finding of agents is held")
	}
	if list := b.table.Snoozes(ann); len(list) != 12 || list[11].ID != last.ID || list[11].Held != 1 || list[0].Ended == 0 {
		t.Errorf("list: %+v", list)
	}
	if list := b.table.Snoozes(limited); len(list) != 1 {
		t.Errorf("a caller of one tenant sees %d snoozes, want 1", len(list))
	}
	b.now = b.now.Add(time.Hour)
	if b.table.Holds(e) {
		t.Error("the snooze does not end")
	}
	actions := map[string]int{}
	for _, a := range b.audit() {
		actions[a.Action]++
		if !json.Valid(a.After) {
			t.Errorf("after: %s", a.After)
		}
	}
	if actions["snooze"] != 12 || actions["wake"] != 11 {
		t.Errorf("audit: %v", actions)
	}
}
