package clickhouse

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// responseEntry returns a change of a response with everything set.
func responseEntry(seq, version uint64, status schema.ContainmentStatus) connectors.Entry {
	at := schema.InstantOf(time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC))
	r := &schema.ResponseRecord{
		Containment: schema.Containment{
			ID: schema.ID{1}, Scope: schema.ScopeTool, Target: schema.Target{Tenant: "acme", Agent: "bot", Tool: "exec", Server: "shell"},
			Aliases: []string{"role/bot"}, Credentials: []string{"own"}, Spared: []schema.SharedWith{{Credential: "shared", Agents: []string{"b"}}},
			State: schema.StateHold, Mode: schema.ModeEnforce, Status: status, Since: at, Until: at.Add(time.Hour), Reason: "case 1",
			FindingID: schema.ID{2}, RuleID: "r", By: "rule:r", Automatic: true, Version: version,
		},
		Key: "k", Stage: schema.StageFailed,
		Proof: schema.Proof{
			Denials: 3, Successes: 1, LastSuccess: at, FailedAt: at, LastDenial: schema.MaxInstant, // a forged time
			Sources: []schema.ProofSource{{Source: "kong", Dataset: "kong.http_log", Route: "/x", Denials: 3}, {Source: "envoy", Successes: 1}},
		},
		Receipts: []schema.Receipt{{Point: "kong", Refused: 3, First: at, Last: at}},
		History:  []schema.ResponseChange{{Time: at, Action: "contain", By: "rule:r"}, {Time: at, Action: "failed", By: "aidr"}},
	}
	return connectors.Entry{Seq: seq, Type: connectors.ResponseChanged, Response: r}
}

// TestResponses writes the ledger beside findings: the highest version counts, however often and in whatever order rows come.
func TestResponses(t *testing.T) {
	s := newSink(t, nil)
	entries := []connectors.Entry{
		{Seq: 1, Finding: finding(1, 1)}, responseEntry(2, 7, schema.ContainmentActive), responseEntry(3, 9, schema.ContainmentReleased),
		{Seq: 4, Finding: finding(2, 1)},
	}
	for _, block := range [][]connectors.Entry{entries, entries, entries[1:2]} {
		if err := s.Write(t.Context(), block); err != nil {
			t.Fatal(err)
		}
	}
	if n := query[uint64](t, s, "SELECT count() FROM DB.v_findings"); n != 2 {
		t.Errorf("%d findings, want 2", n)
	}
	if n := query[uint64](t, s, "SELECT count() FROM DB.v_responses"); n != 1 {
		t.Fatalf("%d responses, want 1", n)
	}
	if got := query[string](t, s, "SELECT concat(status, ' ', stage, ' ', state, ' ', agent_uid, ' ', tool, ' ', proof.route[1], ' ', receipt.point[1], "+
		"' ', history.action[2], ' ', spared[1], ' ', toString(isNull(last_denial)), ' ', toString(isNull(ended))) FROM DB.v_responses"); got !=
		"released failed hold bot exec /x kong failed shared 1 1" {
		t.Errorf("got %s", got)
	}
	if got := query[uuid.UUID](t, s, "SELECT assumeNotNull(finding_id) FROM DB.v_responses"); got != uuid.UUID(schema.ID{2}) {
		t.Errorf("finding %s", got)
	}
	want := make([]string, len(responseColumns))
	for i := range responseColumns {
		want[i] = responseColumns[i].name
	}
	got := query[[]string](t, s, "SELECT groupArray(name) FROM (SELECT name FROM system.columns WHERE database = '%s' AND table = 'responses' ORDER BY position)",
		s.dialect.database)
	if !slices.Equal(got, want) {
		t.Errorf("the table has the columns\n%v\nwant\n%v", got, want)
	}
}
