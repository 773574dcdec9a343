package library_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/library"
	"github.com/aidr-engine/aidr/rules/predicate"
)

func TestLibraryLoadsWithoutAWarning(t *testing.T) {
	set, problems := rules.LoadFS(rules.Options{Drafts: true}, library.FS, "rules/library")
	for _, p := range problems {
		t.Errorf("%s\n%s", p, p.Snippet)
	}
	if set == nil {
		t.Fatal("the library does not load")
	}
}

// A shipped rule names families of datasets, so that it covers a new format on the day that it is added. A rule that reads raw
// values is about the records of one dataset.
func TestRulesNameFamilies(t *testing.T) {
	set, _ := rules.LoadFS(rules.Options{Drafts: true}, library.FS, "rules/library")
	if set == nil {
		t.Fatal("the library does not load")
	}
	for _, r := range set.Rules {
		if r.Over != nil { // its items are triggers
			continue
		}
		if slices.ContainsFunc(r.Mentions, func(m predicate.Mention) bool { return m.Raw >= 0 }) {
			continue
		}
		for _, name := range r.DatasetsAsWritten {
			if !strings.HasPrefix(name, "@") {
				t.Errorf("%s names the dataset %s: name a family", r.ID, name)
			}
		}
		if len(r.DatasetsAsWritten) == 0 {
			t.Errorf("%s names no datasets: name a family", r.ID)
		}
	}
}
