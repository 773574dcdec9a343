// Package store is what outlives the process: checkpoints as one cut (State, positions, findings and outbox in one
// atomic write), the findings, the dead letters, and how far each sink has come. It is the only importer of Pebble.
//
// # Format
//
// One Pebble database in the folder "store" of the state directory. The first byte of a key is its table; numbers in
// keys are big-endian, so that they sort; name is a sink's name, which holds no NUL byte.
//
//	key                        value
//	'v'                        format version, one uvarint (formatVersion)
//	'm' 'c'                    the last cut: uvarint number, then the engine's State
//	'm' 'o'                    the outbox: uvarints next Seq, bytes ever written, first Seq that is not trimmed
//	'm' 'd'                    the dead letters: uvarints next Seq, count, bytes, dropped
//	'c' <owner's key>          base State of an owner
//	'i' <cut u64>              pending items that came with a cut
//	'x' <rule's id>            a rule that is gone and whose State is kept: the engine's own
//	'o' <Seq u64>              entry: committed i64, bytes ever written up to it u64, type (uvarint length, text), finding as JSON
//	'f' <id 16>                latest revision of a finding: place u64, committed i64, group_start i64, then status, rule,
//	                           agent, severity (uvarint length, text each), finding as JSON
//	'g' <group_start u64> <id> empty: findings by group_start; the sign bit is flipped
//	't' <place u64>            16 bytes, id: findings by their last change; a place is the Seq of the change
//	's' <name>                 a sink: uvarints number of the last Advance, cursor, end of the intended block, bytes passed
//	'r' <name> 0 <Seq u64>     an entry behind the cursor that the sink has not got: id 16, due i64, uvarints attempts, size, update
//	'd' <Seq u64>              dead letter as JSON
//
// A store of a higher format version is refused; a lower one would be brought up to date by Open.
//
// # Order of writes
//
// There is one writer at a time, and it waits for the disk. What readers see of the outbox is what is durable: a sink
// never gets an entry that a crash could take back.
package store

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	// ErrLocked says that another process has the directory open.
	ErrLocked = errors.New("another process has it open")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("the store is closed")
	// ErrDiskFull says that the disk has less room than the reserve: nothing was written, the same call succeeds once
	// there is room.
	ErrDiskFull = errors.New("the disk is full")
)

const (
	// DefaultOutboxCap is the default of Options.OutboxCap in bytes: hours of findings while ClickHouse is away.
	DefaultOutboxCap = 2 << 30
	// DefaultFindingsKeep is the default of Options.FindingsKeep: the local store is for looking, ClickHouse for history.
	DefaultFindingsKeep = 30 * 24 * time.Hour
	// DefaultDeadCap is the default of Options.DeadCap in bytes: a flood of garbage must not fill the disk.
	DefaultDeadCap = 256 << 20
)

// Options of a store.
type Options struct {
	Memory bool // keep everything in memory: replay, tests
	NoSync bool // do not wait for the disk: replay, tests
	// OutboxCap is the size in bytes above which Commit's caller has to hold back (OutboxFull). 0: DefaultOutboxCap.
	OutboxCap int64
	// FindingsKeep is how long findings that are over are kept for `aidr findings`, counted from their last change in
	// wall-clock time. 0: DefaultFindingsKeep.
	FindingsKeep time.Duration
	// DeadCap is the size in bytes of all dead letters together; beyond it the oldest are dropped and counted.
	// 0: DefaultDeadCap.
	DeadCap int64
	// Now is the wall clock: ages in the outbox, FindingsKeep. nil: time.Now.
	Now func() time.Time
	// Logf gets what Pebble has to say about errors. nil: dropped.
	Logf func(format string, args ...any)

	fs vfs.FS // tests only
}

// Store is one state directory. Its methods may be called from several goroutines.
//
// After an error of the disk the next write opens the database again by itself; a call that failed may be repeated
// as it was: cuts and Advances are numbered, so what did become durable is not applied twice.
type Store struct {
	dir string // the folder "store" of the state directory
	o   Options
	fs  vfs.FS
	mem *vfs.MemFS // the same file system where Options.Memory

	lock    *pebble.Lock
	failure failure
	closing chan struct{}

	// writing admits one writer. It is taken before mu and held over the wait for the disk.
	writing sync.Mutex
	// mu guards what is below; only the writer changes it, and holds mu only to swap values.
	mu     sync.RWMutex
	db     *pebble.DB // nil after a failed reopening
	closed bool
	last   lastCheckpoint
	out    outboxState
	dead   deadState
	sinks  map[string]*sinkState
	pins   map[uint64]int // retries that stand on an entry, by Seq

	sweep sweepState // of the writer only
}

// lastCheckpoint is the newest cut that is durable.
type lastCheckpoint struct {
	seq   uint64
	state []byte
}

// Open opens or creates the store in dir.
func Open(dir string, o Options) (*Store, error) {
	if o.OutboxCap == 0 {
		o.OutboxCap = DefaultOutboxCap
	}
	if o.FindingsKeep == 0 {
		o.FindingsKeep = DefaultFindingsKeep
	}
	if o.DeadCap == 0 {
		o.DeadCap = DefaultDeadCap
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	s := &Store{o: o, closing: make(chan struct{})}
	if err := s.open(dir); err != nil {
		return nil, fmt.Errorf("open store in %q: %w", dir, err)
	}
	return s, nil
}

// Snapshot, for tests of kills: a copy of a memory store as the disk would have it after a power cut. The copy is
// open and independent.
func (s *Store) Snapshot() (*Store, error) {
	if s.mem == nil {
		return nil, errors.New("snapshot store: it is not in memory")
	}
	o := s.o
	o.fs = s.mem.CrashClone(vfs.CrashCloneCfg{})
	return Open("", o)
}

// Close ends the store. What was committed is durable; calls after it fail with ErrClosed.
func (s *Store) Close() error {
	s.mu.RLock()
	closed := s.closed
	s.mu.RUnlock()
	if closed {
		return nil
	}
	close(s.closing)
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	err := s.closeDB()
	if e := s.lock.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}
