package maps

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema/decode"
)

// Load reads the given files, every *.yaml and *.yml file below the given folders, and the shipped maps. A map in a folder
// replaces the shipped map of the same name. All problems are returned at once, sorted by position. The set is nil if a
// problem is more than a warning.
func Load(paths ...string) (*Set, []doc.Problem) {
	l := &loader{}
	for _, p := range paths {
		l.path(p)
	}
	userFiles := len(l.files)
	if fsys, err := fs.Sub(shipped, "shipped"); err == nil { // Sub fails only for an invalid name
		l.folder(fsys, ShippedName)
	}
	for _, f := range l.files[userFiles:] {
		f.Shipped = true
	}
	return l.build(userFiles)
}

// loader collects files, then makes a Set of them.
type loader struct {
	files    []*File
	problems []doc.Problem
	opened   int // number of files, compared with MaxMaps
}

func (l *loader) fail(file, format string, args ...any) {
	l.problems = append(l.problems, doc.Problem{File: file, Line: 1, Col: 1, Cause: fmt.Sprintf(format, args...)})
}

// path reads a folder or a file.
func (l *loader) path(p string) {
	info, err := os.Stat(p)
	switch {
	case err != nil:
		l.fail(p, "cannot be read: %v", doc.Cause(err))
	case info.IsDir():
		if l.folder(os.DirFS(p), p) == 0 {
			l.fail(p, "contains no field map (*.yaml, *.yml): name a folder of maps")
		}
	default:
		l.file(os.DirFS(filepath.Dir(p)), filepath.Base(p), p)
	}
}

// folder reads all maps below a folder and returns the number of files.
func (l *loader) folder(fsys fs.FS, name string) (n int) {
	for p, err := range doc.Files(fsys, "") {
		if err != nil {
			l.fail(path.Join(name, p), "cannot be read: %v", err)
			continue
		}
		n++
		l.file(fsys, p, path.Join(filepath.ToSlash(name), p))
	}
	return n
}

// file reads one map.
func (l *loader) file(fsys fs.FS, p, name string) {
	if slices.ContainsFunc(l.files, func(f *File) bool { return f.Path == name }) {
		return // both a folder and a file in it were given
	}
	if l.opened++; l.opened > MaxMaps {
		if l.opened == MaxMaps+1 {
			l.fail(name, "more than %d files: this is not a folder of field maps", MaxMaps)
		}
		return
	}
	text, err := doc.ReadFile(fsys, p, doc.MaxSize)
	if err != nil {
		l.fail(name, "cannot be read: %v", err)
	}
	if err != nil || text == nil {
		return
	}
	m, problems := Parse(name, text)
	l.problems = append(l.problems, problems...)
	if m != nil {
		l.files = append(l.files, m)
	}
}

// build makes the Set and checks that names are unique and not those of built-in formats. The first userFiles files are
// the user's, the others are shipped.
func (l *loader) build(userFiles int) (*Set, []doc.Problem) {
	set := &Set{}
	byName := map[string]*File{}
	for i, f := range l.files {
		first := byName[f.Map.Name]
		switch {
		case first != nil && i >= userFiles:
			continue // the user's map replaces the shipped one
		case first != nil:
			l.problems = append(l.problems, doc.Problem{File: f.Path, Line: f.Line, Col: 1, Key: "name",
				Cause: fmt.Sprintf("the name %q is taken by %s: a source's format refers to a map by name", f.Map.Name, first.Path)})
		}
		byName[f.Map.Name] = f
		set.Files = append(set.Files, f)
		l.compare(f)
	}
	slices.SortStableFunc(l.problems, doc.ComparePlace)
	if Failed(l.problems) {
		return nil, l.problems
	}
	return set, l.problems
}

// compare reports problems of a map with the built-in formats: a name that is taken, and keys that are never reached.
func (l *loader) compare(f *File) {
	if info, ok := decode.Find(f.Map.Name); ok || f.Map.Name == decode.Auto {
		l.problems = append(l.problems, doc.Problem{File: f.Path, Line: f.Line, Col: 1, Key: "name",
			Cause: fmt.Sprintf("the format %q is built in: choose another name", info.Name)})
	}
	if name := decode.Shadow(f.Map); name != "" {
		l.problems = append(l.problems, doc.Problem{File: f.Path, Line: f.Line, Col: 1, Key: "keys", Warning: true,
			Cause: fmt.Sprintf("the built-in format %s has at least as many of these keys and takes precedence: "+
				"with format auto this map is never used", name)})
	}
}
