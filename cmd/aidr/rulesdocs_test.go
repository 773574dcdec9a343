package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/rules"
)

// Every shipped rule has a section with its condition and tests, in two runs the same, and a line in the index.
func TestRuleDocs(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	mustAidr(t, "rules", "docs", "--out", first)
	mustAidr(t, "rules", "docs", "--out", second)
	var all strings.Builder
	files, err := os.ReadDir(first)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		a, err := os.ReadFile(filepath.Join(first, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(second, f.Name())); err != nil || string(a) != string(b) {
			t.Errorf("%s differs from run to run: %v", f.Name(), err)
		}
		all.Write(a)
	}
	set, _ := pipeline.LoadRules(pipeline.RuleFiles{Drafts: true})
	for _, r := range set.All {
		for _, want := range []string{"\n## " + r.ID + "\n", "| [" + r.ID + "](", escapeMarkdown(r.Tests[0].Name) + ": "} {
			if !strings.Contains(all.String(), want) {
				t.Errorf("%s: %q is in no page", r.ID, want)
			}
		}
	}
	if o := aidr(t, "rules", "docs"); o.code != exitUsage {
		t.Errorf("without --out: got %+v", o)
	}
}

// Texts of a rule cannot change the page: Markdown, HTML and fences of code are shown as they are.
func TestRuleDocsAreEscaped(t *testing.T) {
	r := &rules.Rule{File: "x/../`<b>/a.yaml", ID: "a.b", Title: "<script>x</script> | [l](javascript:x)\n# h", Why: "`c` \x1b[2J", Triage: []string{"a\n## b"}}
	pages, err := rulePages([]*rules.Rule{r}, func(string) ([]byte, error) { return []byte("id: a.b\nwhen: '```'\n"), nil })
	if err != nil || len(pages) != 2 || pages[1].name != "--b-.md" {
		t.Fatalf("got %v, %v", pages, err)
	}
	for _, p := range pages {
		for _, bad := range []string{"<script", " | [l](j", "\n# h", "\n## b", "\x1b"} {
			if strings.Contains(strings.ReplaceAll(p.text, `\<`, ""), bad) {
				t.Errorf("%s has %q:\n%s", p.name, bad, p.text)
			}
		}
	}
	if !strings.Contains(pages[1].text, "\n````yaml\nwhen: '```'\n````\n") {
		t.Errorf("got\n%s", pages[1].text)
	}
}
