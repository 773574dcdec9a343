package library_test

import (
	"testing"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/library"
)

// leastTests is the least number of tests of a shipped rule that find something, and of those that stay quiet.
const leastTests = 2

// Each shipped rule has at least two tests that find something and two near misses.
func TestRulesHaveTestsOfBothKinds(t *testing.T) {
	set, _ := rules.LoadFS(rules.Options{Drafts: true}, library.FS, "rules/library")
	if set == nil {
		t.Fatal("the library does not load")
	}
	for _, r := range set.Rules {
		finds, quiet := 0, 0
		for i := range r.Tests {
			if len(r.Tests[i].Findings) > 0 {
				finds++
			} else {
				quiet++
			}
		}
		if finds < leastTests || quiet < leastTests {
			t.Errorf("%s: %d tests that find something and %d that do not, want at least %d each", r.File, finds, quiet, leastTests)
		}
	}
}
