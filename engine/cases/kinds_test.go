package cases

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/aidr-engine/aidr/rules"
)

// TestKinds runs the tests of the rules in each file of testdata/cases/kinds, which show the meaning of a kind by
// examples.
func TestKinds(t *testing.T) {
	files, err := filepath.Glob("../../testdata/cases/kinds/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("kinds: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { kindCases(t, file) })
	}
}

func kindCases(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i := range archive.Files {
		f := &archive.Files[i]
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, problems := rules.Load(rules.Options{}, dir)
	if set == nil {
		t.Fatal(problems)
	}
	n := 0
	report := func(r Result) {
		n++
		if r.Diff != "" {
			t.Errorf("%s:%d: %s: %s:\n%s", filepath.Base(r.File), r.Line, r.Rule, r.Test, r.Diff)
		}
	}
	if err := Run(t.Context(), set, report); err != nil || n == 0 {
		t.Fatalf("%d tests ran, %v", n, err)
	}
}
