// Package store is the durable part of the engine: checkpoints, findings, dead letters, the outbox, and the progress of
// each sink. A checkpoint holds State, positions, findings and outbox entries, and is written atomically. Package store
// is the only importer of Pebble.
//
// # Format
//
// A state directory holds one Pebble database, in the folder "store". The first byte of a key is its table. Numbers in
// keys are big-endian, so that they sort. A sink's name holds no NUL byte. Texts are a uvarint length and the bytes.
//
//	key                        value
//	'v'                        format version, one uvarint (formatVersion)
//	'm' 'c'                    last checkpoint: uvarint number, then the engine's State
//	'm' 't'                    when the last checkpoint was made, i64
//	'm' 'o'                    counters of the outbox: uvarints next Seq, bytes ever written, first Seq that is not trimmed
//	'm' 'd'                    counters of the dead letters: uvarints next Seq, count, bytes, dropped, then of the rows and
//	                           deliveries among them count, bytes, dropped (missing in stores of earlier versions)
//	'c' <owner's key>          base State of an owner
//	'w' <engine's key>         timer of an owner; the value is empty
//	'i' <checkpoint u64>       pending items that came with a checkpoint
//	'p' <owner's key>          pending items of an owner that the engine has paged out; valid only while the engine runs
//	'e' <flat key>             base of an entity of the inventory
//	'b' <checkpoint u64>       rows of the inventory: bytes ever written up to these u64, then the rows
//	'B' <name>                 sink of rows: checkpoint up to which it has all rows u64, bytes ever written up to it u64
//	'q' <kind> <rank u64> ...  index of these entities by rank; the value is empty
//	'j' <checkpoint u64>       deltas of the inventory that came with a checkpoint and are not in base
//	'x' <rule's id>            retired rule whose State is kept; the value is the engine's
//	'o' <Seq u64>              outbox entry: committed i64, bytes ever written including this entry u64, text type, then
//	                           the finding as JSON
//	'f' <id 16>                latest revision of a finding: Seq of its last change u64, committed i64, group_start i64,
//	                           texts status, rule, agent, severity, then the finding as JSON
//	'g' <group_start u64> <id> index of findings by group_start, whose sign bit is flipped; the value is empty
//	't' <Seq u64>              index of findings by their last change, an outbox Seq; the value is the id, 16 bytes
//	's' <name>                 sink: uvarints number of the last Advance, cursor, end of the intended block, bytes ever
//	                           written before the cursor; if the sink is disabled, then since i64, text reason
//	'r' <name> 0 <Seq u64>     retry of a sink, an entry before its cursor: id 16, due i64, uvarints attempts, size, update
//	'd' <Seq u64>              dead letter as JSON
//	'P' <name>                 sink of dead letters: Seq of the last one that it has, u64
//	'A' <Seq u64>              entry of the audit, as JSON (AuditEntry); each holds the hash of the one before
//	'm' 'a'                    end of the audit: uvarint Seq of its last entry, text hash of that entry (missing: no entry)
//	'a' <checkpoint u64> <u32> entry of the audit of earlier versions; Open moves it to 'A'
//	'm' 's'                    key for signatures, 32 random bytes (missing until it is needed)
//	'm' 'u' <SHA-256>          text that counts once, such as the id of a signed request: until when, i64
//	'K' <id>                   token of the control API, as JSON; it holds the hash of the secret
//	'T' <id 16>                triage of a finding with its history, as JSON
//	'U' <id>                   snooze of deliveries, as JSON
//	'm' 'k'                    state of the containment table, as JSON (missing in stores of earlier versions)
//	'k' <id 16>                response, an entry of the ledger, as JSON
//	'h' <id 16>                approval of a held call, its latest round, by the id of round 0, as JSON
//
// Open refuses a store with a higher format version. A future version of Open would upgrade a lower one.
//
// Beside the database, the file RECEIPT holds the number of the last durable checkpoint (see receipt.go).
//
// # Order of writes
//
// There is one writer at a time, and it waits for the disk. Readers see only durable outbox entries: a sink never gets an
// entry that a crash could take back.
package store

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/aidr-engine/aidr/schema"
)

var (
	// ErrLocked is returned by Open if another process has the directory open.
	ErrLocked = errors.New("another process has it open")
	// ErrClosed is returned by all calls after Close.
	ErrClosed = errors.New("the store is closed")
	// ErrDiskFull is returned by a write if less than the reserve is free on the disk. Nothing was written; the same call
	// succeeds once there is room.
	ErrDiskFull = errors.New("the disk is full")
)

const (
	// DefaultOutboxCap is the default of Options.OutboxCap in bytes: the findings of hours while ClickHouse is down.
	DefaultOutboxCap = 2 << 30
	// DefaultFindingsKeep is the default of Options.FindingsKeep. The local store serves the present; ClickHouse has the
	// history.
	DefaultFindingsKeep = 30 * 24 * time.Hour
	// DefaultDeadCap is the default of Options.DeadCap in bytes: a flood of malformed records must not fill the disk.
	DefaultDeadCap = 256 << 20
)

// Options configures a Store.
type Options struct {
	Memory bool // keep everything in memory: replay, tests
	NoSync bool // do not wait for the disk: replay, tests
	// OutboxCap is the number of undelivered bytes from which OutboxFull reports true. 0: DefaultOutboxCap.
	OutboxCap int64
	// FindingsKeep is how long final findings are kept after their last change, in wall-clock time. 0: DefaultFindingsKeep.
	FindingsKeep time.Duration
	// DeadCap bounds the bytes of all dead letters together. Records have one half of it, rows and deliveries the other. The
	// oldest ones over a half are dropped and counted. 0: DefaultDeadCap.
	DeadCap int64
	// Cache is the size in bytes of the cache of blocks, if it is above the least one, 64 MiB. Each read of cold State needs
	// the index and the filter of a table; with 64 MiB for 30 million cells they are read from the disk again and again.
	Cache int64
	// Now returns the wall clock's time, for the age of outbox entries and for FindingsKeep. nil: time.Now.
	Now func() time.Time
	// Logf logs errors that the store recovers from. nil: they are dropped.
	Logf func(format string, args ...any)

	// FS is the file system of the directory, for simulations of faults. nil: that of the machine, or of memory if Memory is set.
	FS vfs.FS
}

// Store is one open state directory. Its methods may be called concurrently.
//
// After an error of the disk the next write reopens the database by itself. A call that failed may be repeated as it was:
// checkpoints and Advances are numbered, so that one that became durable in spite of the error is not applied twice.
type Store struct {
	dir  string // the folder "store" of the state directory
	opts Options
	fs   vfs.FS
	mem  *vfs.MemFS // the same file system as fs if Options.Memory is set

	lock    *pebble.Lock
	failure failure
	closing chan struct{}

	// writing admits one writer. It is locked before mu, and held while the writer waits for the disk.
	writing sync.Mutex
	// mu guards the fields below. Only the writer changes them, and it locks mu only to replace values.
	mu     sync.RWMutex
	db     *pebble.DB // nil after a failed attempt to reopen it
	closed bool
	last   lastCheckpoint
	// incarnation is raised by a restore; it is in the high bits of the numbers that leave the store.
	incarnation uint64
	out         outboxState
	dead        deadState
	dropping    [deadShares]bool // the share drops dead letters; see setDead
	sinks       map[string]*sinkState
	rows        rowState
	pins        map[uint64]int // number of retries that need an outbox entry, by Seq
	audit       AuditHead
	// uncertain is set after a Commit that failed until it is repeated: it may be durable. Used by the writer only.
	uncertain bool

	loss *Loss // found when the database was opened; nil: none

	sweep       sweepState // used by the writer only
	receipt     receipt    // used by the writer only
	receiptFile vfs.File   // nil: it cannot be opened
}

// lastCheckpoint is the newest durable checkpoint.
type lastCheckpoint struct {
	seq   uint64
	state []byte
	at    schema.Instant // by the wall clock
}

// Open opens or creates the store in dir.
func Open(dir string, opts Options) (*Store, error) {
	if opts.OutboxCap == 0 {
		opts.OutboxCap = DefaultOutboxCap
	}
	if opts.FindingsKeep == 0 {
		opts.FindingsKeep = DefaultFindingsKeep
	}
	if opts.DeadCap == 0 {
		opts.DeadCap = DefaultDeadCap
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logf == nil {
		opts.Logf = func(string, ...any) {}
	}
	s := &Store{opts: opts, closing: make(chan struct{})}
	if err := s.open(dir); err != nil {
		return nil, fmt.Errorf("open store in %q: %w", dir, err)
	}
	return s, nil
}

// Snapshot returns a copy of a store in memory as the disk would have it after a power cut: a new, open Store. It is for
// tests of crashes.
func (s *Store) Snapshot() (*Store, error) {
	if s.mem == nil {
		return nil, errors.New("snapshot store: it is not in memory")
	}
	opts := s.opts
	opts.FS = s.mem.CrashClone(vfs.CrashCloneCfg{})
	return Open("", opts)
}

// Close closes the store. Everything committed is durable; calls after Close fail with ErrClosed.
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
	s.closeReceipt()
	if e := s.lock.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}
