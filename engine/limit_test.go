package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// TestLimitReached checks that an agent that makes a rule forget is a finding: once an hour and rule, with the key and the
// limit, and only for what is below the watermark.
func TestLimitReached(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"seen": "new_value: {of: [gen_ai.tool.name], by: [ai_agent.uid, session.id], learn: 30d, max_values: 2}",
		"many": "distinct: {of: [gen_ai.tool.name], count: 1, within: 1h, by: [ai_agent.uid]}", // gives up values without loss
	} {
		rule := fmt.Sprintf("id: t.%s\ntitle: T\nseverity: low\nwhen: has(gen_ai.tool.name)\n%s\n", name, text)
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(rule), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, problems := rules.Load(rules.Options{BuiltIn: true}, dir)
	if set == nil {
		t.Fatal(problems)
	}
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	part := memory.Partition{Partition: connectors.Partition{Source: "s", Topic: "t"}}
	for i := range 200 { // three losses a minute from the third value on, for 67 minutes
		part.Records = append(part.Records, fmt.Sprintf(`{"time":%q,"event.dataset":"litellm","event.class":"tool","ai_agent.uid":"a","session.id":"s",`+
			`"http.request.id":"%d","gen_ai.tool.name":"t%d"}`, start.Add(time.Duration(i)*20*time.Second).Format(time.RFC3339), i, i))
	}
	found, err := Replay(context.Background(), Options{Set: set, Inputs: []Input{{
		Source: &memory.Source{Named: "s", Partitions: []memory.Partition{part}}, Decode: decode.Options{Format: "aidr"}, Datasets: []string{"litellm"},
	}}}, schema.InstantOf(start.Add(3*time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	var losses []*schema.Finding
	for _, f := range found {
		if f.RuleID == rules.LimitReached {
			losses = append(losses, f)
		}
	}
	if len(losses) != 2 {
		t.Fatalf("got %d findings of %s, want one for each hour", len(losses), rules.LimitReached)
	}
	f := losses[0]
	e := f.Evidence[0]
	if f.Key["rule.id"] != "t.seen" || f.AgentUID != "a" || f.SessionID != "s" || e.Fields["error.type"] != "values" || f.Count != 60 {
		t.Errorf("got key %v, agent %q, session %q, fields %v, count %d", f.Key, f.AgentUID, f.SessionID, e.Fields, f.Count)
	}
	if !strings.Contains(f.Explanation, "t.seen") {
		t.Errorf("the explanation does not name the rule: %s", f.Explanation)
	}
}
