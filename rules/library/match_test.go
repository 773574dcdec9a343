package library_test

import (
	"testing"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/library"
	"github.com/aidr-engine/aidr/schema"
)

// TestTestsReachTheirRules: in every test that expects a finding, some event that is set field by field matches the
// rule; in no test is a condition left that cannot be evaluated. What findings come of it is the engine's to say.
func TestTestsReachTheirRules(t *testing.T) {
	set, _ := rules.LoadFS(rules.Options{Drafts: true}, library.FS, "rules/library")
	if set == nil {
		t.Fatal("the library does not load")
	}
	for place, r := range set.Rules {
		sc := set.NewScratch()
		for _, test := range r.Tests {
			matched, raw := 0, 0
			for _, entry := range test.Events {
				if entry.Raw != "" {
					raw++
					continue
				}
				var e schema.Event
				e.SetTime(schema.Time, 0)
				e.SetText(schema.EventDataset, r.Datasets[0])
				for f, v := range entry.Set {
					e.Set(f, v)
				}
				for _, hit := range set.Match(&e, sc, nil) {
					if hit.Rule == place {
						matched++
					}
				}
			}
			if len(test.Findings) > 0 && matched+raw == 0 {
				t.Errorf("%s: %q: no event matches", r.ID, test.Name)
			}
		}
		for i, n := range sc.Errors {
			if n > 0 {
				t.Errorf("tests of %s: %d errors in conditions of %s", r.ID, n, set.Rules[i].ID)
			}
		}
	}
}
