package engine

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/engine/store"
)

var agentA = map[string]string{"ai_agent.uid": "a"}

// clear clears the State of r for agent a.
func (h *history) clear() *store.AuditEntry {
	h.t.Helper()
	entry, err := h.e.ClearState(context.Background(), "r", agentA, "uid 7", "load test")
	if err != nil {
		h.t.Fatal(err)
	}
	return entry
}

// Clearing forgets base and pending items, settles the open finding, and is recorded; a crash brings nothing back.
func TestClearState(t *testing.T) {
	h := newHistory(t, with)
	h.at(0, "x")
	for range minRank {
		h.at(100, "y") // the first event is in base
	}
	h.at(101, "x")
	h.at(102, "x")
	if got := h.life(); got != "1 open 3 " {
		t.Fatalf("found %q", got)
	}
	entry := h.clear()
	if got := h.life(); got != "2 settled 3 " {
		t.Errorf("cleared: %q", got)
	}
	if got := string(entry.Detail); got != `{"keys":1,"pending":2,"findings":1}` {
		t.Errorf("forgotten: %s", got)
	}
	h.crash(with)
	h.at(102, "x") // not after the last event that was forgotten
	h.at(103, "x")
	h.at(104, "x")
	h.checkpoint()
	h.want("two of its own", "[r] []", "3")
	h.at(105, "x")
	h.want("three of its own", "[r] []", "3 3")
	for range 2 * minRank {
		h.at(200, "y")
	}
	h.want("later", "[r] []", "3 3")

	var audit []string
	if err := h.st.Audit(func(a *store.AuditEntry) bool {
		b, _ := json.Marshal(a)
		audit = append(audit, string(b))
		return true
	}); err != nil || len(audit) != 1 || !strings.Contains(audit[0],
		`"time":"2026-03-01T12:00:00Z","who":"uid 7","action":"clear","rule":"r","key":{"ai_agent.uid":"a"},"reason":"load test"`) {
		t.Errorf("audit: %s, %v", audit, err)
	}
}

// A cell whose State was cleared leaves the store once its rule's watermark has passed what was forgotten.
func TestClearedCellsLeaveTheStore(t *testing.T) {
	h := newHistory(t, with)
	h.at(0, "x")
	h.clear()
	h.want("cleared", "[r] []", "")
	h.crash(with)
	h.want("a crash", "[r] []", "")
	for range 2 * minRank {
		h.at(100, "y")
	}
	h.want("later", "[] []", "")
	if _, err := h.e.ClearState(t.Context(), "r", agentA, "", ""); err == nil || !strings.Contains(err.Error(), "remembers nothing") {
		t.Errorf("clear an empty cell: %v", err)
	}
	if _, err := h.e.ClearState(t.Context(), "q", agentA, "", ""); err == nil || !strings.Contains(err.Error(), "not active") {
		t.Errorf("clear State of an unknown rule: %v", err)
	}
}

// TestExportState lists the State of base.
func TestExportState(t *testing.T) {
	h := newHistory(t, map[string]string{"r": three, "n": "datasets: [litellm]\nwhen: event.action == \"x\"\n" +
		"new_value: {of: event.action, by: [ai_agent.uid], learn: 1d}\n"})
	h.at(0, "x")
	h.at(1, "x")
	for range 2 * minRank {
		h.at(100, "y")
	}
	var lines []string
	export := func(rule string) error {
		lines = nil
		return h.e.Export(rule, func(l *KeyLine) bool {
			if l.Bytes == 0 {
				t.Error("the State has no bytes")
			}
			l.Bytes = 0
			b, err := json.Marshal(l)
			lines = append(lines, string(b))
			return err == nil
		})
	}
	if err := export(""); err != nil || len(lines) != 2 {
		t.Fatalf("got %v, %v", lines, err)
	}
	const r = `{"rule":"r","kind":"threshold","tenant":"","key":{"ai_agent.uid":"a"},"learning":false,"watermark":"2026-03-01T12:01:10Z",` +
		`"bytes":0,"since":"2026-03-01T12:00:00Z","last":"2026-03-01T12:00:01Z","events":2}`
	if err := export("r"); err != nil || len(lines) != 1 || lines[0] != r {
		t.Errorf("got\n%s, %v; want\n%s", lines, err, r)
	}
	if err := export("n"); err != nil || len(lines) != 1 || !strings.Contains(lines[0], `"learning":true`) {
		t.Errorf("got %s, %v", lines, err)
	}
	if err := export("q"); err == nil {
		t.Error("an unknown rule is exported")
	}
	stored, err := StoredState(h.st)
	if err != nil || len(stored) != 2 || stored[1].Rule != "r" || stored[1].Cells != 1 || stored[1].Keys != 1 || stored[1].Bytes == 0 {
		t.Errorf("got %+v, %v", stored, err)
	}
}
