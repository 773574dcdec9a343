package pipeline

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
)

// trialPipeline returns a pipeline over a file of tool calls, with one rule.
func trialPipeline(t *testing.T, drafts string) *Pipeline {
	t.Helper()
	var lines []string
	at := time.Now().Add(-time.Hour).UTC()
	for n := range 40 {
		lines = append(lines, fmt.Sprintf(`{"time":%q,"event.dataset":"litellm","event.class":"tool","event.action":"call","gen_ai.tool.called":true,"gen_ai.tool.name":"t%d","ai_agent.uid":"a%d"}`,
			at.Add(time.Duration(n)*time.Second).Format(time.RFC3339), n%3, n%2))
	}
	log := filepath.Join(t.TempDir(), "log.jsonl")
	if err := os.WriteFile(log, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := writeRules(t, map[string]string{"site.count": "when: event.class == \"tool\"\nthreshold: {count: 15, within: 1h, by: [ai_agent.uid]}\n"})
	cfg := &config.Config{
		File: "test", Rules: []string{dir}, State: config.State{Dir: t.TempDir()}, Console: config.Console{Drafts: drafts},
		Sources: []config.Source{{Name: "s", Format: "aidr", File: &config.File{Paths: []string{log}}}},
	}
	p, err := New(cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestTryRule checks a text with problems, and the difference of a text to the rule that runs.
func TestTryRule(t *testing.T) {
	p := trialPipeline(t, "")
	try := func(text string, hours int) *api.RuleTried {
		t.Helper()
		out, err := p.tryRule(t.Context(), api.RuleTrial{Text: text, Hours: hours})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if x := try("id: site.count\ntitle: T\nseverity: low\nwhen: event.clas == 1\n", 24); x.Valid || len(x.Problems) == 0 || !strings.HasPrefix(x.Problems[0], "draft:4:") || x.Report != nil {
		t.Errorf("a text with a problem: got %+v", x)
	}
	text := "id: site.count\ntitle: T\nseverity: low\nwhen: event.class == \"tool\" && gen_ai.tool.name == \"t1\"\nthreshold: {count: 3, within: 1h, by: [ai_agent.uid]}\nstatus: draft\n"
	x := try(text, 0)
	if !x.Valid || x.ID != "site.count" || x.Stage != "draft" || x.Report != nil || !strings.Contains(x.Live, "count: 15") || x.Drafts {
		t.Errorf("a check: got %+v", x)
	}
	x = try(text, 24)
	if x.Report == nil || !x.Report.Complete || x.Report.Input.Events != 40 || x.Report.Difference == nil {
		b, _ := json.Marshal(x)
		t.Fatalf("a run: got %s", b)
	}
	if l, r := x.Report.Rules[0], x.Report.Against[0]; l.Findings != 2 || r.Findings != 2 || l.Hits != 13 || r.Hits != 40 || l.NumAgents != 2 || x.Report.Difference.Changed != 2 {
		t.Errorf("a run: got %+v beside %+v, %+v", l, r, x.Report.Difference)
	}
	if x := try(strings.Replace(text, "site.count", "site.new", 1), 24); x.Report == nil || x.Report.Difference != nil || x.Live != "" {
		t.Errorf("a new rule: got %+v", x)
	}
	if x := try("id: site.over\ntitle: T\nseverity: low\nover: [site.count]\nthreshold: {count: 1, within: 1h, by: [ai_agent.uid]}\n", 24); x.Report == nil || !x.Valid {
		t.Errorf("a rule over others: got %+v", x)
	}
	p.trying.Lock()
	if _, err := p.tryRule(t.Context(), api.RuleTrial{Text: text}); err == nil {
		t.Error("two trials run at the same time")
	}
	p.trying.Unlock()
	if _, err := p.tryRule(t.Context(), api.RuleTrial{Text: text, Hours: 100_000}); err == nil {
		t.Error("a trial over years runs")
	}
}

// TestDraft checks that drafts are checked, are drafts, go into the folder under their ids only, replace in one step, and never follow a link.
func TestDraft(t *testing.T) {
	folder := t.TempDir()
	p := trialPipeline(t, folder)
	text := func(id, status string) string {
		return "id: " + id + "\ntitle: T\nseverity: low\nstatus: " + status + "\nwhen: event.class == \"tool\"\n"
	}
	d, err := p.draftRule(t.Context(), text("site.a", "draft"))
	if err != nil || d.File != filepath.Join(folder, "site.a.yaml") || d.Replaced {
		t.Fatalf("got %+v, %v", d, err)
	}
	if d, err = p.draftRule(t.Context(), text("site.a", "draft")+"# again\n"); err != nil || !d.Replaced {
		t.Errorf("again: got %+v, %v", d, err)
	}
	if got, _ := os.ReadFile(d.File); !strings.Contains(string(got), "# again") {
		t.Errorf("the draft is %q", got)
	}
	for what, bad := range map[string]string{
		"a rule that is no draft": text("site.b", "stable"), "a text that does not load": "id: site.b\n", "an id that is a path": text("../site", "draft"),
		"an absolute id": text("/etc/x", "draft"), "an empty text": "",
	} {
		if d, err := p.draftRule(t.Context(), bad); err == nil {
			t.Errorf("%s is written: %+v", what, d)
		}
	}
	outside := filepath.Join(t.TempDir(), "target.yaml")
	if err := os.WriteFile(outside, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(folder, "site.link.yaml")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.draftRule(t.Context(), text("site.link", "draft")); err == nil {
		t.Error("a link is written through, or replaced")
	}
	if got, _ := os.ReadFile(outside); string(got) != "kept" {
		t.Errorf("the target of a link has %q", got)
	}
	link := filepath.Join(t.TempDir(), "folder")
	if err := os.Symlink(folder, link); err != nil {
		t.Fatal(err)
	}
	if _, err := writeDraft(link, "site.c", "x"); err == nil {
		t.Error("a folder that is a link is written into")
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder has %d entries: %v", len(entries), entries)
	}
}
