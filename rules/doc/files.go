package doc

import (
	"errors"
	"io"
	"io/fs"
	"iter"
	"path"
	"strings"
)

// IsYAML reports whether a file has the extension of a YAML file: .yaml or .yml.
func IsYAML(name string) bool { return path.Ext(name) == ".yaml" || path.Ext(name) == ".yml" }

// Files returns the paths of the YAML files below the root of fsys, sorted by folder. A path with an error is a file or
// folder that cannot be read; the others follow all the same. The folder skip is left out, and so are files and folders
// whose name begins with a dot, such as the ..data of a mounted ConfigMap.
func Files(fsys fs.FS, skip string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		// WalkDir returns no error of its own, because the function returns none.
		_ = fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				if !yield(p, Cause(err)) {
					return fs.SkipAll
				}
			case d.IsDir():
				if p != "." && (p == skip || strings.HasPrefix(d.Name(), ".")) {
					return fs.SkipDir
				}
			case IsYAML(p) && !strings.HasPrefix(d.Name(), "."):
				if !yield(p, nil) {
					return fs.SkipAll
				}
			}
			return nil
		})
	}
}

// ReadFile reads at most one byte more than maxSize of a file, which is enough to detect that the file is too large. If
// name is a link to a folder, text is nil.
func ReadFile(fsys fs.FS, name string, maxSize int) (text []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, Cause(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, nil
	}
	text, err = io.ReadAll(io.LimitReader(f, int64(maxSize)+1))
	return text, Cause(err)
}

// Cause returns the error without the operation and the path, for a message that has the path already.
func Cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
