// Package fold is State and the kinds: what one (rule, group key) remembers, and how items in event-time order become
// triggers, groups and findings. It is pure: no clock, no goroutine, no I/O; time comes with items and watermarks.
package fold

import (
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// Item is one matched event for one rule. It owns its bytes. Total order of a rule's items: (Time, Role, ID).
type Item struct {
	Rule  int    // place in the Set; on disk the rule's id stands for it
	Group string // flat values of group.by: the owner is (rule, Group)
	Key   string // flat values of by
	Time  int64  // the event's end, ns
	Role  uint16 // the smallest Order of its roles
	Roles uint32 // bit i: it has Rule.Roles[i]
	ID    schema.ID
	// Counted: ID stands on a producer's id, so that two items of one key, Time and ID are one; the one with the
	// smallest hash of Data stands.
	Counted  bool
	Data     string // captured values, as the kind needs them
	Evidence string // what a finding shows of the event, redacted, flat
}

// Hash returns the hash of (rule id, Group) that chooses the shard: stable over restarts and machines.
func (p *Program) Hash(group string) uint64 { panic("BUG: seam") }

// AppendItem appends the item's flat form, without Rule. CutItem reads it.
func AppendItem(dst []byte, it *Item) []byte { panic("BUG: seam") }

// CutItem reads one item from the front of src.
func CutItem(src []byte) (it Item, rest []byte, ok bool) { panic("BUG: seam") }

// Program is one rule made ready for folding. It is immutable and shared.
type Program struct {
	Rule *rules.Rule
}

// NewProgram prepares a rule.
func NewProgram(r *rules.Rule) *Program { panic("BUG: seam") }

// Capturer is what one worker needs to turn hits into items; it is not shared.
type Capturer struct {
	// Redact replaces secrets in a text that leaves the worker.
	Redact func(string) string
}

// Capture calls emit with the items of one hit: one for each key among its roles. An event without a key, an `of` or a
// time is none; missing counts those.
func (c *Capturer) Capture(p *Program, rule int, e *schema.Event, roles uint32, s *rules.Scratch, emit func(Item)) (missing int) {
	panic("BUG: seam")
}

// Cell is what one owner (rule, group key) remembers: base (items below the watermark, folded), pending (items at or
// above it, in order) and live = base + pending. It is owned by one shard.
type Cell struct {
	seam
}
type seam struct{}

// NewCell returns an empty cell whose watermark is w.
func NewCell(p *Program, group string) *Cell { panic("BUG: seam") }

// LoadCell reads what Append wrote; pending items are added afterwards with Add.
func LoadCell(p *Program, group string, flat []byte) (*Cell, error) { panic("BUG: seam") }

// Append appends the cell's flat form: everything but pending.
func (c *Cell) Append(dst []byte) []byte { panic("BUG: seam") }

// Add takes an item that is not below the watermark, in any order. A copy of a counted item that is pending is
// dropped and reported by false. Live is brought up to date by Live or Cut, at most once per call, not per item.
func (c *Cell) Add(it Item) bool { panic("BUG: seam") }

// Advance says that the rule's watermark is w: pending below w moves into base, deadlines up to w fire, groups whose
// end is <= w settle. It never goes back.
func (c *Cell) Advance(w int64) { panic("BUG: seam") }

// Wake returns the earliest watermark at which Advance has something to do, counting pending, deadlines and ends of
// groups; ok is false where there is nothing to wait for.
func (c *Cell) Wake() (w int64, ok bool) { panic("BUG: seam") }

// Pending returns the number of pending items.
func (c *Cell) Pending() int { panic("BUG: seam") }

// Empty says that the cell remembers nothing and may be deleted.
func (c *Cell) Empty() bool { panic("BUG: seam") }

// Cut calls emit with each finding that changed since the last Cut: revision raised, status open, settled or
// withdrawn, detected_at = now for a new one. Call it for a checkpoint only: what it emits must become durable with
// what Append writes after it. The findings are the caller's.
func (c *Cell) Cut(now schema.Instant, emit func(*schema.Finding)) { panic("BUG: seam") }

// Findings calls emit with every finding that is live and not yet settled, as Cut would write it.
func (c *Cell) Findings(emit func(*schema.Finding)) { panic("BUG: seam") }

// Late returns the finding of its own that a late item of a rule without a stateful clause gives: settled at once.
func Late(p *Program, it *Item) *schema.Finding { panic("BUG: seam") }
