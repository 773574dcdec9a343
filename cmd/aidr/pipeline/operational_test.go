package pipeline

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/schema"
)

// An operational finding reaches the store, an endpoint and the status, and a filter may leave it out. A rule over all rules
// has no item of it.
func TestOperationalFinding(t *testing.T) {
	t.Parallel()
	const overAll = "id: test.over\ntitle: t\nseverity: high\nover: [\"*\"]\nwhen: rule.severity != \"info\"\ngroup: {by: [rule.id]}\n"
	folderOfRules := folder(t, map[string]string{"leak.yaml": leak, "over.yaml": overAll})
	input := filepath.Join(folder(t, map[string]string{"x": event(1, "leak", "a") + "\n"}), "x")
	all, records := newEndpoint(t), newEndpoint(t)
	cfg := fileConfig(t, folderOfRules, all, true, input)
	cfg.Sources[0].SilentAfter = time.Second
	env, err := expr.NewEnv(expr.Site{})
	if err != nil {
		t.Fatal(err)
	}
	filter, issues := env.CompileFinding("!operational")
	if len(issues) > 0 {
		t.Fatal(issues)
	}
	records.Name, records.Filter = "records", filter
	cfg.Sinks.Webhooks = append(cfg.Sinks.Webhooks, records.Webhook)
	x := start(t, cfg)
	all.await(t, rules.SourceSilent+"  1", "test.leak a 1", "test.over a 1")
	records.await(t, "test.leak a 1", "test.over a 1")
	x.awaitStatus("engine", ok, "")
	open := x.Status().Operational
	if len(open) != 1 || open[0].Rule != rules.SourceSilent || open[0].Severity != schema.SeverityMedium {
		t.Errorf("status: got %+v", open)
	}
	n := 0
	err = x.opened.store.Findings(store.FindingFilter{Rule: rules.SourceSilent}, func(f *schema.Finding) bool {
		n++
		if !f.Operational || fmt.Sprint(f.Key) != "map[source:files]" {
			t.Errorf("store: got %+v", f)
		}
		return true
	})
	if err != nil || n != 1 {
		t.Errorf("the store has %d findings of the rule (%v), want 1", n, err)
	}
	x.stop()
}
