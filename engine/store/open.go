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

	// cacheSize is the least size of Pebble's block cache in bytes.
	cacheSize = 64 << 20
	// memTableSize is in bytes. Two tables are resident, and the one that is being flushed. Pending items are dropped a
	// few checkpoints after they were written; with 16 MB many of them were flushed before that, which was a tenth of
	// the cost of a record from end to end.
	memTableSize = 32 << 20
	// memoryCacheSize and memoryMemTableSize replace them for a store in memory. A cache is useless there, and tests
	// open thousands of stores.
	memoryCacheSize    = 1 << 20
	memoryMemTableSize = 4 << 20
	// bloomBits is per key. With 10 bits, 1 % of the look-ups of unknown owners read a block.
	bloomBits = 10

	// diskReserve is the number of bytes that must be free before a write, so that Pebble can flush and compact the
	// data that it already has.
	diskReserve = 64 << 20
	// openReserve is the number of bytes that must be free before the database is opened, because the last log may become a
	// table of this size. Without room Pebble waits for it, and the process would hang without a word. It is less than
	// diskReserve, so that a nearly full directory can still be inspected.
	openReserve = memTableSize
	// diskPoll is how often a write that met a full disk checks for free space.
	diskPoll = 250 * time.Millisecond
)

// open creates the directory if necessary, locks it and opens the database.
func (s *Store) open(dir string) error {
	s.dir = filepath.Join(dir, "store")
	switch {
	case s.opts.FS != nil:
		s.fs = s.opts.FS
		s.mem, _ = s.opts.FS.(*vfs.MemFS)
	case s.opts.Memory:
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
	s.removeCopies()
	s.openReceipt()
	if err := s.openDB(); err != nil {
		s.closeReceipt()
		_ = lock.Close()
		return err
	}
	return nil
}

// isLockHeld reports whether locking failed because the lock is held, and not because the directory cannot be written.
// If this process holds the lock, Pebble's error can be recognised by its text only.
func isLockHeld(err error) bool {
	var path *fs.PathError
	if errors.As(err, &path) {
		return false
	}
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) || strings.Contains(err.Error(), "lock held")
}

// openDB opens the database and loads the values that the Store keeps in memory. The caller holds writing and mu, or is
// Open.
func (s *Store) openDB() (err error) {
	const restart = "the engine then starts from the committed positions"
	defer func() {
		if r := recover(); r != nil { // Pebble panics on some kinds of damage
			err = fmt.Errorf("it is damaged%s: %v: move the folder %q away; %s", s.damagedSince(), r, s.dir, restart)
		}
	}()
	if err := s.checkForeign(); err != nil {
		return err
	}
	if free, ok := s.free(); ok && free < openReserve {
		return fmt.Errorf("%w: %d KiB are free in %q, %d KiB are needed to open it", ErrDiskFull, free>>10, s.dir, uint64(openReserve)>>10)
	}
	s.failure.clear()
	f := newFence(s)
	db, err := pebble.Open(s.dir, s.pebbleOptions(f))
	f.opening.Store(false)
	if failed := s.failure.get(); err == nil && failed != nil {
		return fmt.Errorf("the disk failed: %w", errors.Join(failed, db.Close()))
	}
	if err != nil {
		if pebble.IsCorruptionError(err) || errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("it is damaged%s: %w: restore it, or move the folder %q away; %s", s.damagedSince(), err, s.dir, restart)
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
	s.checkLoss()
	return nil
}

// checkForeign refuses a folder that holds files but no database. A new database there would mix our files with those of
// another program, or hide the rest of a damaged database. The files that remain if a power cut interrupts the creation
// of a database are accepted.
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
		case n == receiptName && s.receipt.seq == 0: // no checkpoint was ever made
		case n == "LOCK" || n == "lost+found" || strings.HasPrefix(n, "marker.") ||
			strings.HasPrefix(n, "MANIFEST-") || strings.HasPrefix(n, "OPTIONS-"):
		default:
			foreign = n
		}
	}
	if foreign == "" {
		return nil
	}
	return fmt.Errorf("the folder %q holds %q but no database: it belongs to another program, or its manifest is lost: "+
		"name another state directory, or empty it", s.dir, foreign)
}

func (s *Store) pebbleOptions(f *fence) *pebble.Options {
	o := &pebble.Options{
		FS:                 f,
		Lock:               s.lock,
		Logger:             logger{s, f},
		FormatMajorVersion: pebble.FormatNewest,
		CacheSize:          cacheSize,
		MemTableSize:       memTableSize,
		DisableWAL:         s.opts.Memory && s.opts.NoSync, // the database is never reopened
	}
	if s.opts.Cache > cacheSize {
		o.CacheSize = s.opts.Cache
	}
	if s.opts.Memory {
		o.CacheSize, o.MemTableSize = memoryCacheSize, memoryMemTableSize
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	o.EventListener = &pebble.EventListener{
		BackgroundError: logger{s, f}.background,
		DataCorruption:  func(i pebble.DataCorruptionInfo) { s.failure.set(fmt.Errorf("data is damaged: %s", i)) },
	}
	return o
}

// checkFormat writes the format version into a new database. It refuses a database that has a newer format or is not a
// store.
func (s *Store) checkFormat(db *pebble.DB) error {
	v, closer, err := db.Get([]byte{tableVersion})
	if errors.Is(err, pebble.ErrNotFound) {
		empty, err := isEmpty(db)
		if err != nil {
			return err
		}
		if !empty {
			return fmt.Errorf("%q is a Pebble database of another program: name another state directory", s.dir)
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
		return fmt.Errorf("read format version %x: the store is damaged", v)
	case n > formatVersion:
		return fmt.Errorf("format version %d is newer than this program's %d: "+
			"run the newer program, or name another state directory", n, formatVersion)
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

// load reads the values that the Store keeps in memory: the last checkpoint, the counters and the sinks.
func (s *Store) load(db *pebble.DB) error {
	last, err := readKey(db, keyCheckpoint())
	if err != nil {
		return err
	}
	s.last = lastCheckpoint{}
	if last != nil {
		seq, w := binary.Uvarint(last)
		if w <= 0 {
			return errors.New("read the last checkpoint: the store is damaged")
		}
		at, err := readKey(db, keyCheckpointTime())
		if err != nil {
			return err
		}
		s.last = lastCheckpoint{seq: seq, state: last[w:], at: instantOf(at)}
	}
	if s.incarnation, err = loadIncarnation(db); err != nil {
		return err
	}
	if err := s.out.load(db); err != nil {
		return err
	}
	if err := s.dead.load(db); err != nil {
		return err
	}
	if s.audit, err = readAuditHead(db); err != nil {
		return err
	}
	if err := adoptAudit(db, &s.audit, s.writeOptions()); err != nil {
		return err
	}
	s.sweep = sweepState{}
	if err := s.rows.load(db); err != nil {
		return err
	}
	return s.loadSinks(db)
}
