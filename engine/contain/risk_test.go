package contain

import (
	"fmt"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

func TestRisk(t *testing.T) {
	b := newBench(t, Policy{})
	finding := func(id byte, agent, kind string, s schema.Severity) *schema.Finding {
		return &schema.Finding{
			ID: schema.ID{id}, Revision: 1, Status: schema.StatusOpen, RuleID: "r", Kind: kind, Severity: s, AgentUID: agent, SessionID: "s1",
			LastSeen: schema.InstantOf(b.now), GroupStart: schema.InstantOf(b.now), Key: map[string]string{},
			Evidence: []schema.Evidence{{Tool: "exec"}},
		}
	}
	change := func(list ...*schema.Finding) (out []connectors.Entry) {
		for _, f := range list {
			out = append(out, connectors.Entry{Type: connectors.EntryTypeOf(f), Finding: f})
		}
		return out
	}
	risk := func(agent string) string {
		r := b.Decide(schema.Question{Agent: agent}).Risk
		if r == nil {
			return "none"
		}
		return fmt.Sprintf("%v %s %v %v %v", r.Open, r.Highest, r.Tainted, r.NewTools, r.NewDestinations)
	}
	want := func(agent, want string) {
		t.Helper()
		if got := risk(agent); got != want {
			t.Errorf("risk of %s: %s, want %s", agent, got, want)
		}
	}
	want("a", "none")
	shadow, place := finding(4, "c", "", schema.SeverityHigh), finding(5, "a", "new_value", schema.SeverityLow)
	shadow.Shadow, place.Evidence[0] = true, schema.Evidence{Target: "evil.example/x"}
	all := change(finding(1, "a", "provenance", schema.SeverityHigh), finding(2, "a", "new_value", schema.SeverityLow),
		finding(3, "b", "", schema.SeverityCritical), shadow, place)
	b.Findings(all)
	b.Findings(all) // another revision counts once
	want("a", "[0 2 0 1 0] high [s1] [exec] [evil.example/x]")
	want("b", "[0 0 0 0 1] critical [] [] []")
	want("c", "none")
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("a")})
	want("a", "[0 2 0 1 0] high [s1] [exec] [evil.example/x]") // also beside a containment
	if n := testing.AllocsPerRun(100, func() { b.Decide(schema.Question{Agent: "a", Point: "gw"}) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	gone := finding(1, "a", "provenance", schema.SeverityHigh)
	gone.Status = schema.StatusWithdrawn
	b.Findings(change(gone))
	want("a", "[0 2 0 0 0] low [] [exec] [evil.example/x]")

	seq, _, _, _ := b.store.Last()
	if err := b.store.Commit(&store.Checkpoint{Seq: seq + 1, Outbox: change(finding(6, "d", "", schema.SeverityLow))}); err != nil {
		t.Fatal(err)
	}
	b.open(t, Policy{})
	want("d", "[0 1 0 0 0] low [] [] []") // from the store
	b.pass(riskFor)
	want("d", "none")
	if n := len(b.risks.agents); n != 0 {
		t.Errorf("%d agents are remembered, want 0", n)
	}
	b.pass(time.Hour)
}

func TestRiskIsBounded(t *testing.T) {
	r := newRisks()
	for i := range 2 * maxRiskFindings {
		f := &schema.Finding{ID: schema.ID{byte(i), byte(i >> 8)}, Severity: schema.SeverityLow, AgentUID: "a", SessionID: fmt.Sprint(i), Kind: "flow"}
		r.update([]connectors.Entry{{Finding: f}}, 1)
	}
	got := r.of("", "a")
	if got.Open[1] != maxRiskFindings || len(got.Tainted) != schema.MaxTainted {
		t.Errorf("%d findings and %d sessions", got.Open[1], len(got.Tainted))
	}
}
