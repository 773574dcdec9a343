package cases

import (
	"context"
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/library"
	"github.com/aidr-engine/aidr/schema"
)

// leastMade is the least share of the findings of the library's tests from whose evidence a test can be made. The others stand on
// events that evidence does not hold: the history of several values, or a long text.
const leastMade = 0.9

// The evidence of the findings of the shipped rules is enough for a test, which then is part of the file and passes.
func TestFromFindingOfTheLibrary(t *testing.T) {
	set, _ := rules.LoadFS(rules.Options{Drafts: true}, library.FS, "rules/library")
	if set == nil {
		t.Fatal("the library does not load")
	}
	total, made, lost := 0, 0, []string(nil)
	for n, r := range set.Rules {
		if r.Over != nil || testing.Short() && n%8 != 0 {
			continue
		}
		src, err := fs.ReadFile(library.FS, strings.TrimPrefix(r.File, "rules/library/"))
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(r.Tests, func(x rules.Test) bool { return len(x.Findings) > 0 && x.Agents == nil })
		if at < 0 {
			continue
		}
		found, err := Findings(context.Background(), set.Only(r), r, &r.Tests[at])
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %d findings", r.ID, err, len(found))
		}
		total++
		m, err := FromFinding(context.Background(), set, r, stored(t, found[0]))
		if err != nil {
			lost = append(lost, r.ID)
			continue
		}
		made++
		text, err := m.Add(r.File, src)
		if err != nil {
			t.Errorf("%s: %v", r.ID, err)
			continue
		}
		passes(t, set, r, string(text), m.Name)
	}
	t.Logf("%d of %d findings; not of %q", made, total, lost)
	if float64(made) < leastMade*float64(total) {
		t.Errorf("a test could be made of %d of %d findings, want %.0f %%", made, total, 100*leastMade)
	}
}

// stored returns a finding as it comes from a store.
func stored(t *testing.T, f *schema.Finding) *schema.Finding {
	t.Helper()
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	out := &schema.Finding{}
	if err := json.Unmarshal(b, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// passes checks that a test passes in the text of a rule file.
func passes(t *testing.T, set *rules.Set, r *rules.Rule, text, test string) {
	t.Helper()
	changed, problems := rules.LoadFS(rules.Options{Drafts: true}, overlay(set, r, text), "rules/library")
	if changed == nil {
		t.Errorf("%s: %v\n%s", r.ID, problems, text)
		return
	}
	ran := false
	err := Run(context.Background(), changed, func(x Result) {
		if x.Rule == r.ID && x.Test == test {
			ran = true
			if x.Diff != "" {
				t.Errorf("%s: %s\n%s", r.ID, x.Diff, text)
			}
		}
	})
	if err != nil || !ran {
		t.Errorf("%s: %v, the test ran: %v", r.ID, err, ran)
	}
}

func TestFromFindingRefuses(t *testing.T) {
	set, _ := rules.LoadFS(rules.Options{Drafts: true}, library.FS, "rules/library")
	rule := func(id string) *rules.Rule {
		return set.Rules[slices.IndexFunc(set.Rules, func(r *rules.Rule) bool { return r.ID == id })]
	}
	event := schema.Evidence{Dataset: "litellm", Class: "tool"}
	for want, one := range map[string]struct {
		rule string
		f    schema.Finding
	}{
		"is over others":   {"cross.several-rules", schema.Finding{Evidence: []schema.Evidence{event}}},
		"has no evidence":  {"llm.tool-call-burst", schema.Finding{}},
		"does not lead to": {"llm.tool-call-burst", schema.Finding{Count: 1, Evidence: []schema.Evidence{event}}},
	} {
		if _, err := FromFinding(context.Background(), set, rule(one.rule), &one.f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
