// Package rules turns rule files into a Set: immutable, compiled, indexed.
package rules

import (
	"time"

	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/schema"
)

// Kind is the stateful clause of a rule.
type Kind string

const (
	KindNone      Kind = "none"
	KindThreshold Kind = "threshold"
	KindDistinct  Kind = "distinct"
	KindNewValue  Kind = "new_value"
	KindSequence  Kind = "sequence"
)

// Status of a rule.
const (
	StatusDraft    = "draft"    // tests only
	StatusShadow   = "shadow"   // findings are recorded, never delivered
	StatusStable   = "stable"   //
	StatusDisabled = "disabled" //
)

// Rule is one rule file's meaning. It is immutable once its Set is built.
type Rule struct {
	File           string
	Line           int
	ID             string
	Version        int
	Title          string
	Description    string
	Severity       schema.Severity
	Confidence     int // 0-100
	Status         string
	Datasets       []string // empty: any
	Tags           []string
	References     []string
	FalsePositives []string

	Kind      Kind
	Threshold *Threshold
	Distinct  *Distinct
	NewValue  *NewValue
	Sequence  *Sequence

	// Roles are the ways in which an event can matter to the rule, at most MaxRoles. A rule of one role has Roles[0].
	// A sequence has its steps in order and then, where there is one, unless.
	Roles []Role

	// Key names the fields of the key: `by`, or where there is none the fields of `group.by`. A role may read other
	// fields for the same places (Role.Key).
	Key []schema.Field
	// KeyOptional: an absent key field is "" (no `by`), else an event that lacks one is no item.
	KeyOptional bool
	// GroupBy are the places in Key that make the group key; ascending.
	GroupBy []int
	// GroupFor is how long a group lasts from its first trigger; 0: the triggers of one instant.
	GroupFor time.Duration

	Notify  []string
	Contain *Contain

	// Exceptions take events away; Set.Match applies them.
	Exceptions []Exception

	// Mentions are the values that evidence shows: what the conditions read, then the key and `of`.
	Mentions []expr.Mention
	// Shape is the hash of what shapes State (kind, by, window, of, steps): State lives on while it is the same.
	Shape [16]byte
	// Tests are the tests in the file.
	Tests []Test

	asksRegistry bool // a condition reads agent.*
}

// MaxRoles is how many roles a rule can have: they are bits of a word.
const MaxRoles = 32

// Role is one way in which an event can matter to a rule.
type Role struct {
	Name  string         // the step's id, "unless", or "" for the only role
	Order uint16         // the item's place in the order of one instant: 0 for one role and for unless, steps 1, 2, ...
	Cond  *expr.Cond     // the rule's `when` and the role's own, both
	Key   []schema.Field // fields for the places of Rule.Key
	// Excepted: an exception does not take this role away (unless).
	Excepted bool
}

// Threshold is the clause of that name; exactly one of Count, Sum, Ratio.
type Threshold struct {
	Count  int64 // > 0
	Sum    *Sum
	Ratio  *Ratio
	Within time.Duration
}

// Sum adds a number up. AtLeast is in units of 10^-9.
type Sum struct {
	Of      schema.Field
	AtLeast Decimal
}

// Ratio is the share of items for which Of is true. AtLeast is in units of 10^-9, at most 10^9.
type Ratio struct {
	Of      *expr.Cond
	AtLeast int64
	Min     int64
}

// Distinct is the clause of that name.
type Distinct struct {
	Of     []schema.Field // 1-3
	Count  int            // at most 10,000
	Within time.Duration
}

// NewValue is the clause of that name.
type NewValue struct {
	Of        []schema.Field // 1-3
	Learn     time.Duration
	Forget    time.Duration // 30 d
	MaxValues int           // 256, at most 4,096
}

// Sequence is the clause of that name; step i is Roles[i].
type Sequence struct {
	Steps  []Step
	Within time.Duration
	Where  *expr.Where // nil where there is none
	Unless bool        // the last role is unless
}

// Step is one step of a sequence.
type Step struct {
	ID    string
	Times int // at least 1
}

// Contain is what a rule asks for.
type Contain struct {
	Scope string // agent, session, credential, tool, route
	State string // observe, throttle, hold, deny
	TTL   time.Duration
	Mode  string // monitor, enforce
}

// Decimal is a number in units of 10^-9 in 128 bits, two's complement: sums of it do not depend on order.
type Decimal struct {
	Hi int64
	Lo uint64
}

// Test is one test in a rule file.
type Test struct {
	Name     string
	Line     int
	Events   []TestEvents
	Findings []map[string]any // nil: none is expected; keys are the finding's JSON names, `by` stands for `key`
}

// TestEvents is one entry of a test's events.
type TestEvents struct {
	Line   int
	At     time.Duration // offset from the start
	HasAt  bool
	Repeat int
	Every  time.Duration
	Set    map[schema.Field]schema.Value
	Raw    string // a record, with Format
	Format string
}
