package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules"
)

// coveredRules are rules of which one can fire on the calls of toolCall, one lacks a field, and one reads another family.
var coveredRules = map[string]string{
	"burst.yaml": "id: t.burst\ntitle: T\nseverity: low\ndatasets: ['@llm']\ntags: [attack.t1027.001, owasp.asi08-2026]\nwhen: gen_ai.tool.called\n" +
		"threshold: {count: 3, within: 1m, by: [ai_agent.uid]}\n",
	"server.yaml": "id: t.server\ntitle: T\nseverity: low\ndatasets: ['@llm']\ntags: [attack.t1567, atlas.aml-t0110]\nwhen: gen_ai.tool.called\n" +
		"threshold: {count: 3, within: 1m, by: [mcp.server.name]}\n",
	"audit.yaml": "id: t.audit\ntitle: T\nseverity: low\ndatasets: ['@audit']\ntags: [attack.t1567]\nwhen: event.class == \"audit\"\n",
	"draft.yaml": "id: t.draft\ntitle: T\nseverity: low\nstatus: draft\ntags: [owasp.asi01-2026]\nwhen: event.class == \"audit\"\n",
}

func TestRulesCoverage(t *testing.T) {
	dir := t.TempDir()
	for name, text := range coveredRules {
		writeFile(t, dir, name, text)
	}
	var text strings.Builder
	for n := range 20 {
		text.WriteString(toolCall("k1", "search", n))
	}
	logs := t.TempDir()
	log, layer := writeFile(t, logs, "log.jsonl", text.String()), filepath.Join(logs, "layer.json")
	var r coverageReport
	if err := json.Unmarshal([]byte(mustAidr(t, "rules", "coverage", "--rules", dir, "--json", "--navigator", layer, log)), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Columns) != 1 || r.Columns[0].Dataset != "litellm" || r.Columns[0].Events != 40 || r.Columns[0].Fires != 1 || r.Columns[0].Off != 1 ||
		!slices.Equal(r.Columns[0].Missing, []string{"mcp.server.name"}) {
		t.Errorf("columns: got %+v", r.Columns)
	}
	if len(r.Rules) != 3 || !slices.ContainsFunc(r.Uncovered, func(u uncoveredTag) bool { return u.Tag == "owasp.asi01-2026" }) {
		t.Errorf("a draft covers nothing: got %+v", r.Rules)
	}
	b, err := os.ReadFile(layer)
	var l navigatorLayer
	if err != nil || json.Unmarshal(b, &l) != nil || l.Versions["layer"] != "4.5" || l.Domain != "enterprise-attack" || len(l.Techniques) != 2 || l.Gradient.Max != 1 {
		t.Fatalf("the layer: got %s, %v", b, err)
	}
	if x := l.Techniques[0]; x.ID != "T1027.001" || x.Score != 1 || x.Comment != "t.burst" {
		t.Errorf("a technique with a rule: got %+v", x)
	}
	if x := l.Techniques[1]; x.ID != "T1567" || x.Score != 0 || !strings.Contains(x.Comment, "t.server (no event has mcp.server.name)") {
		t.Errorf("a technique whose rules cannot fire: got %+v", x)
	}
	got := mustAidr(t, "rules", "coverage", "--rules", dir, "--gaps", log)
	for _, want := range []string{"files   litellm  40      1           1       mcp.server.name", "no event has mcp.server.name\n  t.server", "none is a dataset of theirs\n  t.audit", "Agent Goal Hijack"} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
	mustAidr(t, "rules", "coverage", "--rules", dir, "--domain", "atlas-atlas", "--navigator", layer)
	if b, err = os.ReadFile(layer); err != nil || !strings.Contains(string(b), `"AML.T0110"`) {
		t.Errorf("the layer of ATLAS: got %s, %v", b, err)
	}
	for want, argv := range map[string][]string{"--domain": {"--domain", "ics"}, "0 events": {writeFile(t, logs, "empty.jsonl", "")}} {
		if o := aidr(t, append([]string{"rules", "coverage"}, argv...)...); o.code == exitOK || !strings.Contains(o.stderr, want) {
			t.Errorf("%v: got %+v", argv, o)
		}
	}
}

// Each risk of OWASP's list for agents has a shipped rule, and the shipped rules can fire on datasets of each family.
func TestLibraryCoversTheRisksOfAgents(t *testing.T) {
	var r coverageReport
	if err := json.Unmarshal([]byte(mustAidr(t, "rules", "coverage", "--json")), &r); err != nil {
		t.Fatal(err)
	}
	for _, u := range r.Uncovered {
		if strings.HasPrefix(u.Tag, "owasp.asi") {
			t.Errorf("no rule has the tag %s (%s)", u.Tag, u.Title)
		}
	}
	for _, c := range r.Columns {
		if c.Fires == 0 {
			t.Errorf("no rule can fire on %s", c.Dataset)
		}
	}
	if i := slices.IndexFunc(r.Rows, func(row rules.CoverageRow) bool { return row.Tag == "owasp.asi01-2026" }); i < 0 || r.Rows[i].Rules < 10 {
		t.Errorf("rules for agent goal hijack: got row %d", i)
	}
}
