package store

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// failure holds the first error of the open database. After it the database must be reopened before the next write.
type failure struct {
	err atomic.Pointer[error]
	// stuck is set after Pebble panicked while it held its own locks: the database can then be neither written nor
	// closed, and only a restart of the process helps.
	stuck atomic.Bool
}

func (f *failure) set(err error) { f.err.CompareAndSwap(nil, &err) }
func (f *failure) clear()        { f.err.Store(nil) }

func (f *failure) get() error {
	if p := f.err.Load(); p != nil {
		return *p
	}
	return nil
}

// logger receives Pebble's messages. Pebble calls Fatalf for errors of the disk that it cannot undo, and expects that
// the process ends. This logger marks the database as failed and returns instead, and the next write reopens the database.
// Nothing that the failed database does meanwhile reaches the disk: see fence.
type logger struct {
	s     *Store
	fence *fence
}

// Infof drops messages about normal operation.
func (l logger) Infof(string, ...any) {}

// Errorf passes errors to Options.Logf.
func (l logger) Errorf(format string, args ...any) { l.s.opts.Logf("store: "+format, args...) }

// Fatalf marks the database as failed.
func (l logger) Fatalf(format string, args ...any) { l.fence.fail(fmt.Errorf(format, args...)) }

// background handles an error of work in the background, which Pebble repeats. While the database is being opened, it does so
// at once and for as long as the error lasts, and the opening does not end; then the error counts as one that it cannot undo.
func (l logger) background(err error) {
	if l.fence.opening.Load() {
		_ = l.fence.result(fmt.Errorf("background work failed: %w", err))
		return
	}
	l.s.opts.Logf("store: background work failed, retrying: %v", err)
}

// writable returns the database for a write of about size bytes, reopened if it failed. The caller holds writing.
func (s *Store) writable(size int) (*pebble.DB, error) {
	s.mu.RLock()
	db, closed := s.db, s.closed
	s.mu.RUnlock()
	switch {
	case closed:
		return nil, ErrClosed
	case s.failure.stuck.Load():
		return nil, fmt.Errorf("the disk failed: %w: restart the process", s.failure.get())
	}
	need := diskReserve + 2*uint64(size)
	if free, ok := s.free(); ok && free < need {
		return nil, fmt.Errorf("%w: %d MiB are free in %q, %d MiB are needed", ErrDiskFull, free>>20, s.dir, need>>20)
	}
	if db == nil || s.failure.get() != nil {
		return s.reopen()
	}
	return db, nil
}

// free returns the number of free bytes on the disk. ok is false if the file system does not report it.
func (s *Store) free() (bytes uint64, ok bool) {
	u, err := s.fs.GetDiskUsage(s.dir)
	return u.AvailBytes, err == nil
}

// Usage returns the size of the database on disk, in bytes, and the free bytes of the disk. known is false if the file
// system does not report the latter. Usage does not read the disk of a database that failed.
func (s *Store) Usage() (used, free uint64, known bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed || s.db == nil || s.failure.get() != nil {
		return 0, 0, false
	}
	free, known = s.free()
	return s.db.Metrics().DiskSpaceUsage(), free, known
}

// waitForRoom is called by the file system when a write of Pebble meets a full disk in spite of the reserve. When it
// returns, that write is tried once more. It therefore returns when there is room, or when the store is closed.
func (s *Store) waitForRoom() {
	s.opts.Logf("store: the disk of %q is full: waiting for free space", s.dir)
	tick := time.NewTicker(diskPoll)
	defer tick.Stop()
	for {
		if free, ok := s.free(); !ok || free >= diskReserve {
			return
		}
		select {
		case <-s.closing:
			return
		case <-tick.C:
		}
	}
}

// reopen closes the failed database and opens it from the disk. Whatever was not durable is lost. The caller holds
// writing.
func (s *Store) reopen() (*pebble.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cause := s.failure.get()
	if err := s.closeDB(); err != nil && s.failure.stuck.Load() {
		return nil, fmt.Errorf("close the failed store: %w: restart the process", err)
	}
	if err := s.openDB(); err != nil {
		s.failure.set(err)
		return nil, fmt.Errorf("reopen the store after %q: %w", cause, err)
	}
	s.opts.Logf("store: reopened after: %v", cause)
	return s.db, nil
}

// reopenForReader reopens a failed database, so that a reader does not see data that never became durable. If that is
// not possible, the reader gets the database as it is.
func (s *Store) reopenForReader() {
	if s.failure.get() == nil {
		return
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	_, _ = s.writable(0) // readable returns the error if the database stays closed
}

// closeDB closes the database in any state. The caller holds writing and mu.
func (s *Store) closeDB() (err error) {
	db := s.db
	s.db = nil
	if db == nil {
		return nil
	}
	if s.failure.stuck.Load() {
		return s.failure.get()
	}
	defer func() {
		if r := recover(); r != nil {
			s.failure.stuck.Store(true)
			err = fmt.Errorf("close database: %v", r)
			s.failure.set(err)
		}
	}()
	return db.Close()
}

// apply writes the batch and waits for the disk. After an error the batch may or may not be durable.
func (s *Store) apply(b *pebble.Batch) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.failure.stuck.Store(true)
			s.failure.set(fmt.Errorf("write batch: %v", r))
			err = s.failure.get()
		}
	}()
	if err := b.Commit(s.writeOptions()); err != nil {
		return err
	}
	return s.failure.get()
}

func (s *Store) writeOptions() *pebble.WriteOptions {
	if s.opts.NoSync {
		return pebble.NoSync
	}
	return pebble.Sync
}

// Err returns the error of the disk that currently prevents writes, or nil. /readyz shows it.
func (s *Store) Err() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	if err := s.failure.get(); err != nil {
		return err
	}
	if free, ok := s.free(); ok && free < diskReserve {
		return ErrDiskFull
	}
	return nil
}
