package sigma

import (
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// memory is a folder of files in memory, as package rules reads folders.
type memory map[string]string

// Open returns a file, or the folder for ".".
func (m memory) Open(name string) (fs.File, error) {
	if name == "." {
		return &folder{names: slices.Sorted(maps.Keys(m)), of: m}, nil
	}
	text, ok := m[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &file{Reader: strings.NewReader(text), entry: entry{name: name, size: int64(len(text))}}, nil
}

// entry is a file or the folder as an entry.
type entry struct {
	name string
	size int64
	dir  bool
}

func (e entry) Name() string               { return e.name }
func (e entry) IsDir() bool                { return e.dir }
func (e entry) Type() fs.FileMode          { return e.Mode().Type() }
func (e entry) Info() (fs.FileInfo, error) { return e, nil }
func (e entry) Size() int64                { return e.size }
func (e entry) ModTime() time.Time         { return time.Time{} }
func (e entry) Sys() any                   { return nil }
func (e entry) Mode() fs.FileMode {
	if e.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

type file struct {
	*strings.Reader
	entry entry
}

func (f *file) Stat() (fs.FileInfo, error) { return f.entry, nil }
func (f *file) Close() error               { return nil }

type folder struct {
	names []string
	of    memory
}

func (f *folder) Stat() (fs.FileInfo, error) { return entry{name: ".", dir: true}, nil }
func (f *folder) Close() error               { return nil }
func (f *folder) Read([]byte) (int, error)   { return 0, io.EOF }

// ReadDir returns the next n entries, or all that are left.
func (f *folder) ReadDir(n int) (out []fs.DirEntry, err error) {
	if n > 0 && len(f.names) == 0 {
		return nil, io.EOF
	}
	take := len(f.names)
	if n > 0 {
		take = min(n, take)
	}
	for _, name := range f.names[:take] {
		out = append(out, entry{name: name, size: int64(len(f.of[name]))})
	}
	f.names = f.names[take:]
	return out, nil
}
