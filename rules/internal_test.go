package rules

import (
	"strings"
	"testing"
	"testing/fstest"
)

// TestInternalDatasets checks that rules on events of AIDR itself name no other dataset and feed no rule.
func TestInternalDatasets(t *testing.T) {
	rule := func(id, more string) string {
		return "id: " + id + "\ntitle: T\nseverity: low\n" + more
	}
	const audit = "datasets: [aidr.audit]\nwhen: event.action == \"x\"\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"alone", map[string]string{"a.yaml": rule("a.a", audit)}, ""},
		{"with another dataset", map[string]string{"a.yaml": rule("a.a", strings.Replace(audit, "]", ", kong.http_log]", 1))}, "a rule of its own"},
		{"named by over", map[string]string{"a.yaml": rule("a.a", audit), "b.yaml": rule("b.b", "over: [a.a]\n")}, "feeds no rule"},
		{"named by over as a pattern", map[string]string{"a.yaml": rule("a.a", audit), "c.yaml": rule("a.c", "when: event.action == \"y\"\n"), "b.yaml": rule("b.b", "over: [\"a.*\"]\n")}, ""},
	} {
		files := fstest.MapFS{}
		for name, text := range c.files {
			files[name] = &fstest.MapFile{Data: []byte(text)}
		}
		set, problems := LoadFS(Options{}, files, "test")
		var all []string
		for _, p := range problems {
			if !p.Warning {
				all = append(all, p.String())
			}
		}
		if got := strings.Join(all, "\n"); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if set == nil {
			continue
		}
		for _, r := range set.Rules {
			if r.ID == "b.b" && (len(r.Over.Feeding) != 1 || r.Over.Feeding[0].ID != "a.c") {
				t.Errorf("%s: the rule is fed by %v", c.name, r.Over.Feeding)
			}
		}
	}
}
