package doc_test

import (
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/aidr-engine/aidr/rules/doc"
)

func TestFiles(t *testing.T) {
	file := &fstest.MapFile{}
	folder := fstest.MapFS{
		"b.yaml": file, "a/c.yml": file, "a/skip/d.yaml": file, "skip/e.yaml": file, ".git/f.yaml": file, ".g.yaml": file, "h.txt": file,
	}
	var got []string
	for p, err := range doc.Files(folder, "skip") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, p)
	}
	if want := []string{"a/c.yml", "a/skip/d.yaml", "b.yaml"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for range doc.Files(folder, "") {
		break // ends the walk
	}
	for p, err := range doc.Files(fstest.MapFS{}, "") {
		t.Errorf("an empty folder gave %q, %v", p, err)
	}
}

func TestReadFile(t *testing.T) {
	folder := fstest.MapFS{"a.yaml": {Data: []byte("abcdef")}, "empty.yaml": {}, "folder.yaml": {Mode: fs.ModeDir}}
	f := func(name, want string, isFile bool) {
		t.Helper()
		if text, err := doc.ReadFile(folder, name, 3); err != nil || string(text) != want || (text != nil) != isFile {
			t.Errorf("%s: got %q, %v, want %q", name, text, err, want)
		}
	}
	f("a.yaml", "abcd", true)
	f("empty.yaml", "", true)
	f("folder.yaml", "", false)
	if _, err := doc.ReadFile(folder, "none.yaml", 3); err != fs.ErrNotExist {
		t.Errorf("a missing file: got %v, want the error without the path", err)
	}
}
