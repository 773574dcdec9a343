package store

import (
	"errors"
	"io/fs"
	"os"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fence is the file system of one open database. Once it is down, nothing that the database writes reaches the disk, and the
// database does not learn of that: its writes succeed without effect.
//
// Pebble expects that the process ends after an error of the disk that it cannot undo (Logger.Fatalf), and recovers when it is
// opened again. The Store does not end the process. If the database went on with such an error, it would build on a write
// that is half done: after a failed rename of the manifest it deletes logs that the manifest on the disk still needs, and
// checkpoints are lost. The disk therefore stays as it was at the error, as if the process had ended there.
//
// While the database is being opened, each failed write or listing brings the fence down. Pebble repeats some of them for as long as they
// fail, and after others Open returns while its goroutines use what it has freed. Behind the fence Open succeeds, and the
// Store closes the database again.
type fence struct {
	vfs.FS
	store   *Store
	down    atomic.Bool
	opening atomic.Bool
}

func newFence(s *Store) *fence {
	f := &fence{FS: s.fs, store: s}
	f.opening.Store(true)
	return f
}

// fail marks the database as failed and brings the fence down.
func (f *fence) fail(err error) {
	f.down.Store(true)
	f.store.failure.set(err)
	f.store.opts.Logf("store: %v", err)
}

// result returns the error that the database learns of.
func (f *fence) result(err error) error {
	if err == nil || !f.opening.Load() || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
		return err
	}
	if !f.down.Load() {
		f.fail(err)
	}
	return nil
}

// do makes a change of the file system, unless the fence is down.
func (f *fence) do(change func() error) error {
	if f.down.Load() {
		return nil
	}
	return f.result(change())
}

// file opens a file for writing.
func (f *fence) file(open func() (vfs.File, error)) (vfs.File, error) {
	var file vfs.File
	err := f.do(func() (err error) {
		file, err = open()
		return err
	})
	if err != nil {
		return nil, err
	}
	if file == nil { // the fence is down: nothing remains of this file
		if file, err = vfs.NewMem().Create("discarded", vfs.WriteCategoryUnspecified); err != nil {
			return nil, err
		}
	}
	return &fencedFile{file, f}, nil
}

// Unwrap implements vfs.FS, as the methods below do.
func (f *fence) Unwrap() vfs.FS { return f.FS }

func (f *fence) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.Create(name, category) })
}

func (f *fence) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.OpenReadWrite(name, category, opts...) })
}

func (f *fence) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.ReuseForWrite(old, name, category) })
}

func (f *fence) OpenDir(name string) (vfs.File, error) { // Pebble synchronises directories
	return f.file(func() (vfs.File, error) { return f.FS.OpenDir(name) })
}

func (f *fence) MkdirAll(name string, perm os.FileMode) error {
	return f.do(func() error { return f.FS.MkdirAll(name, perm) })
}

func (f *fence) List(name string) (names []string, err error) {
	err = f.do(func() (err error) {
		names, err = f.FS.List(name)
		return err
	})
	return names, err
}

func (f *fence) Link(old, name string) error {
	return f.do(func() error { return f.FS.Link(old, name) })
}

func (f *fence) Remove(name string) error {
	return f.do(func() error { return f.FS.Remove(name) })
}

func (f *fence) RemoveAll(name string) error {
	return f.do(func() error { return f.FS.RemoveAll(name) })
}

func (f *fence) Rename(old, name string) error {
	return f.do(func() error { return f.FS.Rename(old, name) })
}

// fencedFile is a file behind a fence.
type fencedFile struct {
	vfs.File
	fence *fence
}

func (f *fencedFile) Write(b []byte) (int, error) {
	if f.fence.down.Load() {
		return len(b), nil
	}
	n, err := f.File.Write(b)
	if err != nil && f.fence.result(err) == nil {
		return len(b), nil
	}
	return n, err
}

func (f *fencedFile) WriteAt(b []byte, at int64) (int, error) {
	if f.fence.down.Load() {
		return len(b), nil
	}
	n, err := f.File.WriteAt(b, at)
	if err != nil && f.fence.result(err) == nil {
		return len(b), nil
	}
	return n, err
}

func (f *fencedFile) Preallocate(offset, length int64) error {
	return f.fence.do(func() error { return f.File.Preallocate(offset, length) })
}

func (f *fencedFile) Sync() error { return f.fence.do(f.File.Sync) }

func (f *fencedFile) SyncData() error { return f.fence.do(f.File.SyncData) }

func (f *fencedFile) SyncTo(length int64) (full bool, err error) {
	full = true
	err = f.fence.do(func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}
