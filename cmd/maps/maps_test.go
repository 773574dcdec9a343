package maps

import (
	"testing"
)

// Every shipped map loads without a warning, and its tests pass.
func TestShippedMaps(t *testing.T) {
	set, problems := Load()
	for _, p := range problems {
		t.Errorf("%s\n%s", p, p.Snippet)
	}
	if set == nil {
		t.Fatal("the shipped maps do not load")
	}
	tests := 0
	err := set.Run(nil, func(r Result) {
		tests++
		if r.Diff != "" {
			t.Errorf("%s:%d: test %q\n%s", r.File.Path, r.Test.Line, r.Test.Name, r.Diff)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range set.Files {
		if len(f.Tests) < 6 {
			t.Errorf("%s: %d tests are fewer than 6", f.Path, len(f.Tests))
		}
	}
	t.Logf("%d tests of %d maps", tests, len(set.Files))
}
