package library_test

import (
	"testing"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/library"
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
