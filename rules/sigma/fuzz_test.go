package sigma_test

import (
	"path/filepath"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/sigma"
)

// FuzzImport translates hostile files: no text makes it panic, each rule is translated or refused with a reason, and what is
// translated loads.
func FuzzImport(f *testing.F) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		f.Fatal(names, err)
	}
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, x := range archive.Files {
			if filepath.Ext(x.Name) == ".yml" {
				f.Add(x.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r := sigma.Import([]sigma.Source{{Name: "f.yml", Text: text}})
		if len(r.Files)+len(r.Refused) != r.Rules {
			t.Fatalf("%d rules: %d translated, %d refused", r.Rules, len(r.Files), len(r.Refused))
		}
		for _, x := range r.Refused {
			if len(x.Problems) == 0 || x.Problems[0].Cause == "" || x.Problems[0].Line < 1 {
				t.Fatalf("refused without a reason: %+v", x)
			}
		}
		if len(r.Files) == 0 {
			return
		}
		dir := t.TempDir()
		writeAll(t, dir, r.Files)
		if set, problems := rules.Load(rules.Options{Drafts: true}, dir); set == nil {
			t.Fatalf("the rules do not load: %v\n%s", problems, r.Files[0].Text)
		}
	})
}
