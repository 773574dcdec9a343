package sigma_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/sigma"
)

var update = os.Getenv("UPDATE") != ""

// TestGolden translates the files of each archive in testdata. Its files below out/ are the rule files, and the file refused
// has the problems of the rules that are not translated. UPDATE=1 rewrites both.
func TestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) { golden(t, name) })
	}
}

func golden(t *testing.T, name string) {
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var in []sigma.Source
	out := &txtar.Archive{Comment: archive.Comment}
	want := map[string]string{}
	for _, f := range archive.Files {
		if f.Name == "refused" || strings.HasPrefix(f.Name, "out/") {
			want[f.Name] = string(f.Data)
			continue
		}
		in = append(in, sigma.Source{Name: f.Name, Text: f.Data})
		out.Files = append(out.Files, f)
	}
	r := sigma.Import(in)
	var refused strings.Builder
	for _, x := range r.Refused {
		for _, p := range x.Problems {
			fmt.Fprintf(&refused, "%s\n", p)
		}
	}
	got := map[string]string{}
	for _, f := range r.Files {
		got["out/"+f.Name] = f.Text
	}
	if refused.Len() > 0 {
		got["refused"] = refused.String()
	}
	if update {
		for _, n := range slices.SortedFunc(slices.Values(sortedKeys(got)), strings.Compare) {
			out.Files = append(out.Files, txtar.File{Name: n, Data: []byte(got[n])})
		}
		if err := os.WriteFile(name, txtar.Format(out), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	for n := range got {
		if got[n] != want[n] {
			t.Errorf("%s: got\n%s\nwant\n%s", n, got[n], cmp.Or(want[n], "no such file"))
		}
	}
	for n := range want {
		if _, ok := got[n]; !ok {
			t.Errorf("%s is missing", n)
		}
	}
	if len(r.Files) > 0 {
		dir := t.TempDir()
		writeAll(t, dir, r.Files)
		if set, problems := rules.Load(rules.Options{}, dir); set == nil {
			t.Errorf("the rules do not load: %v", problems)
		}
	}
}
