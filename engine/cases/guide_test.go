package cases

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"testing"
	"testing/fstest"

	"github.com/aidr-engine/aidr/rules"
)

// fenced finds the rule files in a page.
var fenced = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// guideExamples is the number of examples in the author's guide.
const guideExamples = 10

// The examples of the author's guide load and pass their tests.
func TestGuide(t *testing.T) {
	page, err := os.ReadFile("../../rules/GUIDE.md")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for n, m := range fenced.FindAllSubmatch(page, -1) {
		files[fmt.Sprintf("example-%02d.yaml", n+1)] = &fstest.MapFile{Data: m[1]}
	}
	if len(files) != guideExamples {
		t.Errorf("%d examples, want %d", len(files), guideExamples)
	}
	set, problems := rules.LoadFS(rules.Options{Drafts: true}, files, "guide")
	for _, p := range problems {
		t.Errorf("%s\n%s", p, p.Snippet)
	}
	if set == nil {
		t.Fatal("the examples do not load")
	}
	for _, r := range set.Rules {
		if len(r.Tests) < 2 {
			t.Errorf("%s has %d tests", r.ID, len(r.Tests))
		}
	}
	err = Run(context.Background(), set, func(r Result) {
		if r.Diff != "" {
			t.Errorf("%s: %s: %s", r.Rule, r.Test, r.Diff)
		}
	})
	if err != nil {
		t.Error(err)
	}
}
