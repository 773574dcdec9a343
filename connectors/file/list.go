package file

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// List returns the files that the paths name, in the order of the paths and, within a directory, in lexical order. A file
// that is named twice is listed once.
func List(paths, include []string) ([]string, error) {
	var files []string
	seen := make(map[string]bool)
	add := func(path string) {
		if clean := filepath.Clean(path); !seen[clean] {
			seen[clean] = true
			files = append(files, path)
		}
	}
	for _, path := range paths {
		if path == "-" {
			add(path)
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("list files of %q: %w", path, err)
		}
		if !info.IsDir() {
			add(path)
			continue
		}
		if err := walk(path, include, add); err != nil {
			return nil, fmt.Errorf("list files of %q: %w", path, err)
		}
	}
	return files, nil
}

// walk adds the regular files below dir whose names are included and not hidden. It follows links to files but not links
// to directories, which may form cycles.
func walk(dir string, include []string, add func(string)) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != dir && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() || !included(d.Name(), include) {
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 {
			info, err := os.Stat(path)
			if err != nil || !info.Mode().IsRegular() {
				return nil // a broken link, or a link to something other than a file
			}
		} else if !d.Type().IsRegular() {
			return nil
		}
		add(path)
		return nil
	})
}

// included reports whether name matches a pattern. Without patterns, every name is included.
func included(name string, include []string) bool {
	if len(include) == 0 {
		return true
	}
	for _, pattern := range include {
		if ok, err := filepath.Match(pattern, name); err == nil && ok {
			return true
		}
	}
	return false
}
