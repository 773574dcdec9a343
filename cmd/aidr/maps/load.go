package maps

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema/decode"
)

// Load reads every *.yaml and *.yml below the folders (and files) named, and the shipped maps. A map of a folder
// replaces the shipped one of its name. All problems are returned at once, sorted by place; the set is nil where one of
// them is no warning.
func Load(paths ...string) (*Set, []doc.Problem) {
	l := &loader{}
	for _, p := range paths {
		l.path(p)
	}
	own := len(l.files)
	if fsys, err := fs.Sub(shipped, "shipped"); err == nil { // it fails for an invalid name only
		l.folder(fsys, ShippedName)
	}
	for _, f := range l.files[own:] {
		f.Shipped = true
	}
	return l.build(own)
}

// loader gathers files, then makes a Set of them.
type loader struct {
	files    []*File
	problems []doc.Problem
	opened   int
}

func (l *loader) fail(file, format string, args ...any) {
	l.problems = append(l.problems, doc.Problem{File: file, Line: 1, Col: 1, Cause: fmt.Sprintf(format, args...)})
}

// path takes a folder or a file of the machine.
func (l *loader) path(p string) {
	info, err := os.Stat(p)
	switch {
	case err != nil:
		l.fail(p, "cannot be read: %v", cause(err))
	case info.IsDir():
		if l.folder(os.DirFS(p), p) == 0 {
			l.fail(p, "there is no field map (*.yaml, *.yml) in it: name a folder of maps")
		}
	default:
		l.file(os.DirFS(filepath.Dir(p)), filepath.Base(p), p)
	}
}

// cause leaves out what the message says already.
func cause(err error) error {
	if e, ok := err.(*fs.PathError); ok {
		return e.Err
	}
	return err
}

// folder takes all maps below a folder and returns how many files they are.
func (l *loader) folder(fsys fs.FS, name string) (n int) {
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			l.fail(path.Join(name, p), "cannot be read: %v", cause(err))
		case p != "." && strings.HasPrefix(d.Name(), "."): // also the ..data of a mounted ConfigMap
			if d.IsDir() {
				return fs.SkipDir
			}
		case !d.IsDir() && (path.Ext(p) == ".yaml" || path.Ext(p) == ".yml"):
			n++
			l.file(fsys, p, path.Join(filepath.ToSlash(name), p))
		}
		return nil
	})
	if err != nil {
		l.fail(name, "cannot be read: %v", cause(err))
	}
	return n
}

// file reads one map.
func (l *loader) file(fsys fs.FS, p, name string) {
	if slices.ContainsFunc(l.files, func(f *File) bool { return f.Path == name }) {
		return // a folder and a file in it are both named
	}
	if l.opened++; l.opened > MaxMaps {
		if l.opened == MaxMaps+1 {
			l.fail(name, "more than %d files: this is no folder of field maps", MaxMaps)
		}
		return
	}
	f, err := fsys.Open(p)
	if err != nil {
		l.fail(name, "cannot be read: %v", cause(err))
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() { // a link to a folder
		return
	}
	text, err := io.ReadAll(io.LimitReader(f, doc.MaxSize+1))
	if err != nil {
		l.fail(name, "cannot be read: %v", cause(err))
		return
	}
	m, problems := Parse(name, text)
	l.problems = append(l.problems, problems...)
	if m != nil {
		l.files = append(l.files, m)
	}
}

// build checks names against each other and against the formats that are built in. The first own files are the
// user's.
func (l *loader) build(own int) (*Set, []doc.Problem) {
	set := &Set{}
	by := map[string]*File{}
	for i, f := range l.files {
		first := by[f.Map.Name]
		switch {
		case first != nil && i >= own:
			continue // the user's own replaces the shipped one
		case first != nil:
			l.problems = append(l.problems, doc.Problem{File: f.Path, Line: f.Line, Col: 1, Key: "name",
				Cause: fmt.Sprintf("the name %q is taken by %s: names are what a source's format says", f.Map.Name, first.Path)})
		}
		by[f.Map.Name] = f
		set.Files = append(set.Files, f)
		l.against(f)
	}
	slices.SortStableFunc(l.problems, doc.ComparePlace)
	if Failed(l.problems) {
		return nil, l.problems
	}
	return set, l.problems
}

// against compares a map with the formats that are built in.
func (l *loader) against(f *File) {
	if info, ok := decode.Find(f.Map.Name); ok || f.Map.Name == decode.Auto {
		l.problems = append(l.problems, doc.Problem{File: f.Path, Line: f.Line, Col: 1, Key: "name",
			Cause: fmt.Sprintf("the format %q is built in: choose another name", info.Name)})
	}
	if name := decode.Shadow(f.Map); name != "" {
		l.problems = append(l.problems, doc.Problem{File: f.Path, Line: f.Line, Col: 1, Key: "keys", Warning: true,
			Cause: fmt.Sprintf("the built-in format %s has no fewer of these keys and is taken first: with format auto this map is never used", name)})
	}
}
