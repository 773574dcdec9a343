// Package output writes the files that a user names on the command line.
//
// A file is written under a temporary name beside its place and renamed at the end, so a reader sees the old content or
// the whole new one. Only its owner may read it, because findings, dead letters and configurations hold content of logs.
// A path that is a link to a file is refused: in a folder where others may write, such as /tmp, the link could be theirs
// and name a file of the user. Devices and pipes, such as /dev/null and the result of >(command), are written directly.
package output

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// mode is the mode of new files.
const mode = 0o600

// File is a file that is being written. Exactly one of Commit and Discard ends it; Discard after Commit does nothing.
type File struct {
	*os.File
	path   string // the place of the file; "" if the path is a device or a pipe, or once the file has ended
	mode   fs.FileMode
	exists bool // Create was exclusive and made an empty file at path
}

// Create begins a file at path, which replaces an existing one at Commit.
func Create(path string) (*File, error) { return create(path, mode) }

// CreateNew is Create that fails with fs.ErrExist if there is anything at path, even a broken link.
func CreateNew(path string) (*File, error) {
	placeholder, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode) // O_EXCL never follows a link
	if err != nil {
		return nil, fmt.Errorf("create output file: %w", err)
	}
	placeholder.Close()
	f, err := create(path, mode)
	if err != nil {
		os.Remove(path)
		return nil, err
	}
	f.exists = true
	return f, nil
}

// Write creates or replaces the file at path.
func Write(path string, content []byte) error { return write(path, content, mode) }

// Edit replaces the content of an existing file, such as a rule file, and keeps its mode.
func Edit(path string, content []byte) error {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("edit file: %w", err)
	}
	return write(path, content, info.Mode().Perm())
}

func write(path string, content []byte, mode fs.FileMode) error {
	f, err := create(path, mode)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Commit()
}

func create(path string, mode fs.FileMode) (*File, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return nil, fmt.Errorf("open output: %w", err)
		}
		return &File{File: f}, nil
	}
	if info, err := os.Lstat(path); err == nil {
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			return nil, fmt.Errorf("create output file %q: it is a link, and nothing is written through links: name the file itself", path)
		case info.IsDir():
			return nil, fmt.Errorf("create output file %q: it is a folder: name a file", path)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("create output file: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // with mode 0600
	if err != nil {
		return nil, fmt.Errorf("create output file %q: %w", path, err)
	}
	return &File{File: f, path: path, mode: mode}, nil
}

// Commit puts the file in its place. If it fails, the file is discarded.
func (f *File) Commit() error {
	if f.path == "" {
		return f.Close()
	}
	defer f.Discard()
	err := f.Chmod(f.mode)
	if err == nil {
		err = f.Sync() // before the rename, so that a power cut cannot leave an empty file in its place
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		return fmt.Errorf("write output file %q: %w", f.path, err)
	}
	f.path = ""
	return nil
}

// Discard removes the new content. The old file, if any, stays as it was.
func (f *File) Discard() {
	f.Close() // fails if the file is closed already
	if f.path == "" {
		return
	}
	os.Remove(f.Name())
	if f.exists {
		os.Remove(f.path)
	}
	f.path = ""
}
