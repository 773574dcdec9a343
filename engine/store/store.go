// Package store is what outlives the process: checkpoints as one cut (State, positions, findings and outbox in one
// atomic write), the findings, the dead letters. It is the only importer of Pebble.
package store

import (
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Store is one state directory. Its methods may be called from several goroutines.
type Store struct{ seam }
type seam struct{}

// ErrLocked says that another process has the directory open.
var ErrLocked error

// Options of a store.
type Options struct {
	Memory bool // keep everything in memory: replay, tests
	NoSync bool // do not wait for the disk: replay, tests
	// OutboxCap is the size in bytes above which Commit's caller has to hold back (OutboxFull).
	OutboxCap int64
	// FindingsKeep is how long findings that are over are kept for `aidr findings`.
	FindingsKeep time.Duration
}

// Open opens or creates the store in dir.
func Open(dir string, o Options) (*Store, error) { panic("BUG: seam") }

// Snapshot, for tests of kills: a copy of a memory store as the disk would have it after a power cut.
func (s *Store) Snapshot() (*Store, error) { panic("BUG: seam") }

func (s *Store) Close() error { panic("BUG: seam") }

// Cut is one checkpoint: everything in it becomes durable at once, or nothing.
type Cut struct {
	Seq   uint64   // 1, 2, ...
	State []byte   // the engine's own: positions, watermarks, rules
	Cells []KV     // base State of owners; a nil Value deletes
	Items []byte   // pending items that are new since the last cut, nil for none
	Drop  []uint64 // cuts whose Items are no longer needed
	// Outbox are changes of findings, to be given consecutive Seq; they are also what the findings store shows.
	Outbox []connectors.Entry
	// Late and other findings that no sink gets (shadow) have Type "": stored, not delivered.
	Dead []DeadLetter
}

// KV is one entry of State.
type KV struct{ Key, Value []byte }

// Commit writes the cut. It is called by one goroutine.
func (s *Store) Commit(c *Cut) error { panic("BUG: seam") }

// Last returns the last cut's number and State; ok is false for a new store.
func (s *Store) Last() (seq uint64, state []byte, ok bool, err error) { panic("BUG: seam") }

// Cell returns an owner's base State, nil where there is none. The bytes are the caller's.
func (s *Store) Cell(key []byte) ([]byte, error) { panic("BUG: seam") }

// Cells calls yield with each entry whose key begins with prefix, in order of key.
func (s *Store) Cells(prefix []byte, yield func(key, value []byte) bool) error { panic("BUG: seam") }

// Items calls yield with the pending items of each cut that was not dropped, in order of cut.
func (s *Store) Items(yield func(cut uint64, items []byte) bool) error { panic("BUG: seam") }

// OutboxFull says that undelivered entries are over the cap: reading has to wait.
func (s *Store) OutboxFull() bool { panic("BUG: seam") }

// Finding returns the latest revision of a finding.
func (s *Store) Finding(id schema.ID) (*schema.Finding, bool, error) { panic("BUG: seam") }

// FindingFilter chooses findings; zero fields choose all.
type FindingFilter struct {
	Rule, Agent, Severity string
	Status                schema.Status
	Since, Until          schema.Instant // of group_start
	AfterRevision         uint64         // entries committed after this place (for tail): see Findings
	Limit                 int
}

// Findings calls yield with matching findings, the latest group_start first.
func (s *Store) Findings(f FindingFilter, yield func(*schema.Finding) bool) error { panic("BUG: seam") }

// DeadLetter is one thing that went wrong for good: a record, a row or a delivery. Body is redacted.
type DeadLetter struct {
	Seq       uint64         `json:"seq"`  // given by the store
	Kind      string         `json:"kind"` // record, row, delivery
	Reason    string         `json:"reason"`
	Detail    string         `json:"detail,omitempty"`
	Time      schema.Instant `json:"time"` // wall clock
	Source    string         `json:"source,omitempty"`
	Topic     string         `json:"topic"`
	Partition int32          `json:"partition"`
	Offset    int64          `json:"offset"`
	Index     int            `json:"index"`
	Sink      string         `json:"sink,omitempty"`
	Attempts  int            `json:"attempts,omitempty"`
	Entry     uint64         `json:"entry,omitempty"` // Seq in the outbox, of rows and deliveries
	Body      string         `json:"body,omitempty"`
}
