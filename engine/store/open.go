package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// formatVersion is the version of the key layout in the package comment.
	formatVersion = 1

	// cacheSize is Pebble's block cache in bytes: cold State is read by single keys, so blocks are rarely read twice.
	cacheSize = 64 << 20
	// memTableSize in bytes: two of them plus what is being flushed are resident. Pending items are dropped a few cuts after
	// they were written; in 16 MB many were flushed before (a tenth of what a record costs end to end).
	memTableSize = 32 << 20
	// memoryCacheSize and memoryMemTableSize are the same for a store in memory, where the files are memory already
	// and tests open thousands of stores.
	memoryCacheSize    = 1 << 20
	memoryMemTableSize = 4 << 20
	// bloomBits per key: 1 % of look-ups of unknown owners touch a block.
	bloomBits = 10

	// diskReserve in bytes must be free before a write: room for Pebble to flush and compact what it already has.
	diskReserve = 64 << 20
	// diskPoll is how often a write that met a full disk looks for room.
	diskPoll = 250 * time.Millisecond
)

// open finds the directory, locks it and opens the database.
func (s *Store) open(dir string) error {
	s.dir = filepath.Join(dir, "store")
	switch {
	case s.o.fs != nil:
		s.fs = s.o.fs
		s.mem, _ = s.o.fs.(*vfs.MemFS)
	case s.o.Memory:
		s.mem = vfs.NewCrashableMem()
		s.fs = s.mem
	default:
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return err
		}
		s.fs = vfs.OnDiskFull(vfs.Default, s.waitForRoom)
	}
	if err := s.fs.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	lock, err := pebble.LockDirectory(s.dir, s.fs)
	if err != nil {
		if isLockHeld(err) {
			return fmt.Errorf("%w: stop it, or name another state directory", ErrLocked)
		}
		return fmt.Errorf("lock it: %w", err)
	}
	s.lock = lock
	if err := s.openDB(); err != nil {
		_ = lock.Close()
		return err
	}
	return nil
}

// isLockHeld tells a lock that somebody holds from a directory that cannot be written. Pebble names the first kind
// only in text where the holder is this process.
func isLockHeld(err error) bool {
	var path *fs.PathError
	if errors.As(err, &path) {
		return false
	}
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) || strings.Contains(err.Error(), "lock held")
}

// openDB opens the database and loads what is kept in memory of it. The caller holds writing and mu, or is Open.
func (s *Store) openDB() (err error) {
	defer func() {
		if r := recover(); r != nil { // Pebble panics on some kinds of damage
			err = fmt.Errorf("it is damaged: %v: move the folder %q away; the engine then starts from the committed positions", r, s.dir)
		}
	}()
	if err := s.checkForeign(); err != nil {
		return err
	}
	s.failure.clear()
	db, err := pebble.Open(s.dir, s.pebbleOptions())
	if err != nil {
		if pebble.IsCorruptionError(err) || errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("it is damaged: %w: restore it, or move the folder %q away; the engine then starts from the committed positions", err, s.dir)
		}
		return err
	}
	if err := s.checkFormat(db); err != nil {
		_ = db.Close()
		return err
	}
	if err := s.load(db); err != nil {
		_ = db.Close()
		return err
	}
	s.db = db
	return nil
}

// checkForeign refuses a folder that holds files but no database: creating one there would mix ours with somebody's, or
// hide what is left of a damaged one. What a creation leaves that a power cut ended early is no obstacle.
func (s *Store) checkForeign() error {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	foreign := ""
	for _, n := range names {
		switch {
		case n == "CURRENT" || strings.HasPrefix(n, "marker.manifest"):
			return nil
		case n == "LOCK" || n == "lost+found" || strings.HasPrefix(n, "marker.") || strings.HasPrefix(n, "MANIFEST-") || strings.HasPrefix(n, "OPTIONS-"):
		default:
			foreign = n
		}
	}
	if foreign != "" {
		return fmt.Errorf("the folder %q holds %q but no database: it belongs to something else, or its manifest is lost: name another state directory, or empty it", s.dir, foreign)
	}
	return nil
}

func (s *Store) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                 s.fs,
		Lock:               s.lock,
		Logger:             logger{s},
		FormatMajorVersion: pebble.FormatNewest,
		CacheSize:          cacheSize,
		MemTableSize:       memTableSize,
		DisableWAL:         s.o.Memory && s.o.NoSync, // nothing to come back to
	}
	if s.o.Memory {
		o.CacheSize, o.MemTableSize = memoryCacheSize, memoryMemTableSize
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	o.EventListener = &pebble.EventListener{
		BackgroundError: func(err error) { s.o.Logf("store: background work failed and will be tried again: %v", err) },
		DataCorruption:  func(i pebble.DataCorruptionInfo) { s.failure.set(fmt.Errorf("data is damaged: %s", i)) },
	}
	return o
}

// checkFormat writes the format version into a new database and refuses one that is newer or not ours.
func (s *Store) checkFormat(db *pebble.DB) error {
	v, closer, err := db.Get([]byte{tableVersion})
	if errors.Is(err, pebble.ErrNotFound) {
		empty, err := isEmpty(db)
		if err != nil {
			return err
		}
		if !empty {
			return fmt.Errorf("%q is a Pebble database of something else: name another state directory", s.dir)
		}
		return db.Set([]byte{tableVersion}, binary.AppendUvarint(nil, formatVersion), s.writeOptions())
	}
	if err != nil {
		return fmt.Errorf("read format version: %w", err)
	}
	defer closer.Close()
	n, w := binary.Uvarint(v)
	switch {
	case w != len(v) || n == 0:
		return fmt.Errorf("format version %x cannot be read: the store is damaged", v)
	case n > formatVersion:
		return fmt.Errorf("format version %d is newer than this program's %d: run the newer program, or name another state directory", n, formatVersion)
	}
	return nil
}

func isEmpty(db *pebble.DB) (bool, error) {
	it, err := db.NewIter(nil)
	if err != nil {
		return false, err
	}
	empty := !it.First()
	if err := it.Error(); err != nil {
		_ = it.Close()
		return false, err
	}
	return empty, it.Close()
}

// load reads what is kept in memory: the last cut, the counters, the sinks.
func (s *Store) load(db *pebble.DB) error {
	cut, err := get(db, keyCheckpoint())
	if err != nil {
		return err
	}
	s.last = lastCheckpoint{}
	if cut != nil {
		seq, w := binary.Uvarint(cut)
		if w <= 0 {
			return errors.New("the last cut cannot be read: the store is damaged")
		}
		s.last = lastCheckpoint{seq: seq, state: cut[w:]}
	}
	if err := s.out.load(db); err != nil {
		return err
	}
	if err := s.dead.load(db); err != nil {
		return err
	}
	s.sweep = sweepState{}
	return s.loadSinks(db)
}
