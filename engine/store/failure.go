package store

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// failure holds the first error after which the open database must not be written any more.
type failure struct {
	err atomic.Pointer[error]
	// stuck says that Pebble panicked with its own locks held: it can be neither written nor closed any more.
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

// logger takes what Pebble says. Pebble calls Fatalf for errors of the disk that it cannot undo and expects the process
// to end; ours marks the database as failed and goes on, and the next write opens it again.
type logger struct{ s *Store }

func (l logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) { l.s.o.Logf("store: "+format, args...) }

func (l logger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	l.s.failure.set(err)
	l.s.o.Logf("store: %v", err)
}

// ready returns the database for a write of about size bytes. The caller holds writing.
func (s *Store) ready(size int) (*pebble.DB, error) {
	s.mu.RLock()
	db, closed := s.db, s.closed
	s.mu.RUnlock()
	switch {
	case closed:
		return nil, ErrClosed
	case s.failure.stuck.Load():
		return nil, fmt.Errorf("the disk failed: %w: restart the process", s.failure.get())
	}
	if free, ok := s.free(); ok && free < diskReserve+2*uint64(size) {
		return nil, fmt.Errorf("%w: %d MiB are free in %q, %d MiB are needed", ErrDiskFull, free>>20, s.dir, (diskReserve+2*uint64(size))>>20)
	}
	if db == nil || s.failure.get() != nil {
		return s.reopen()
	}
	return db, nil
}

// free returns the free bytes of the disk; ok is false where the file system does not tell.
func (s *Store) free() (bytes uint64, ok bool) {
	u, err := s.fs.GetDiskUsage(s.dir)
	return u.AvailBytes, err == nil
}

// waitForRoom is called by the file system when a write of Pebble's met a full disk in spite of the reserve. The write
// is tried once more when it returns, so it returns when there is room, or when the store is closed.
func (s *Store) waitForRoom() {
	s.o.Logf("store: the disk of %q is full: waiting for room", s.dir)
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

// reopen closes a database that failed and opens it again from the disk: what was not durable is gone.
func (s *Store) reopen() (*pebble.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cause := s.failure.get()
	if err := s.closeDB(); err != nil && s.failure.stuck.Load() {
		return nil, fmt.Errorf("close the failed store: %w: restart the process", err)
	}
	if err := s.openDB(); err != nil {
		s.failure.set(err)
		return nil, fmt.Errorf("open the store again after %q: %w", cause, err)
	}
	s.o.Logf("store: opened again after: %v", cause)
	return s.db, nil
}

// revive opens the database again for a reader after a failure, so that it does not see what did not become durable.
// Where that is not possible now the reader gets what there is.
func (s *Store) revive() {
	if s.failure.get() == nil {
		return
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	_, _ = s.ready(0) // the reader finds out
}

// closeDB closes the database, whatever state it is in. The caller holds writing and mu.
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

// apply writes the batch and waits for the disk. After an error it is unknown whether the batch is durable.
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
	if s.o.NoSync {
		return pebble.NoSync
	}
	return pebble.Sync
}

// Err returns the error of the disk that the store has not got over yet, nil where all is well. It is for /readyz.
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
