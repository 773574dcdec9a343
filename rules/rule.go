package rules

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// Kind is the kind of a rule: the name of its stateful clause, or KindNone.
type Kind string

// The kinds of rules. The package comment defines each of them.
const (
	KindNone      Kind = "none"
	KindThreshold Kind = "threshold"
	KindDistinct  Kind = "distinct"
	KindNewValue  Kind = "new_value"
	KindSequence  Kind = "sequence"
)

// Stage is the value of a rule's `status`: how far the rule has come on its way into production.
type Stage string

// The stages of a rule.
const (
	StageDraft    Stage = "draft"    // only its tests run
	StageShadow   Stage = "shadow"   // its findings are recorded but never delivered
	StageStable   Stage = "stable"   // the default: its findings are delivered
	StageDisabled Stage = "disabled" // it is loaded and checked, and does nothing
)

// Rule is the content of one rule file. It is immutable once its Set is built.
type Rule struct {
	File           string
	Line           int
	ID             string
	Version        int
	Title          string
	Description    string
	Severity       schema.Severity
	Confidence     int // 0-100
	Stage          Stage
	Datasets       []string // empty: any
	Tags           []string
	References     []string
	FalsePositives []string

	// Kind determines which of the four clauses is set; for KindNone all are nil.
	Kind      Kind
	Threshold *Threshold
	Distinct  *Distinct
	NewValue  *NewValue
	Sequence  *Sequence

	// Roles are the ways in which an event can match the rule, at most MaxRoles. A sequence has a role for each step, in
	// order, and then one for `unless` if it has that clause. Every other rule has one role.
	Roles []Role

	// Key holds the fields of the key: those of `by` or, for KindNone, those of `group.by`. A role may read its values
	// from other fields (Role.Key).
	Key []schema.Field
	// KeyOptional is true for KindNone: an absent field of the key counts as "". For the other kinds, an event that
	// lacks a field of the key is not an item of the rule.
	KeyOptional bool
	// GroupBy holds the indexes into Key of the fields of the group key, ascending.
	GroupBy []int
	// GroupFor is the length of a group, counted from its first trigger. If it is 0, a group holds the triggers of one
	// instant.
	GroupFor time.Duration

	Notify  []string
	Contain *Contain // nil if the rule requests no containment

	// Exceptions remove events from the rule; Set.Match applies them.
	Exceptions []Exception

	// Mentions are the values that the evidence of a finding shows: those that the conditions read, then the fields of
	// the key and of the clause.
	Mentions []predicate.Mention
	// Shape is a hash of the parts of the rule that determine the form of its State: kind, window, key, group, steps.
	// After a reload the rule keeps its State if Shape is unchanged.
	Shape [16]byte
	// Tests are the tests in the file.
	Tests []Test

	readsAgent bool // a condition reads agent.*
}

// Reasons returns the condition of role i, whose operands are reasons of a finding; nil if the role gives none, as that
// of `unless`, or has no condition.
func (r *Rule) Reasons(i int) *predicate.Cond {
	if r.Sequence != nil && i >= len(r.Sequence.Steps) {
		return nil
	}
	return r.Roles[i].Cond
}

// MaxRoles is the largest number of roles of a rule: a set of roles is a word of 32 bits.
const MaxRoles = 32

// Role is one way in which an event can match a rule.
type Role struct {
	Name string // the step's id, "unless", or "" for the only role
	// Order is the second criterion of the order of items, after time: 1, 2, ... for the steps of a sequence, and 0 for
	// `unless` and for the only role.
	Order uint16
	Cond  *predicate.Cond // the rule's `when` and the role's own `when`, joined by &&
	Key   []schema.Field  // the fields that the role reads the values of Rule.Key from
	// Excepted is true if exceptions do not apply to the role, as for `unless`.
	Excepted bool
}

// Threshold is a rule's `threshold` clause. Exactly one of Count, Sum and Ratio is set.
type Threshold struct {
	Count  int64 // at least 1 if set
	Sum    *Sum
	Ratio  *Ratio
	Within time.Duration
}

// Sum is the `sum` of a threshold: the sum of a number over the items of the window.
type Sum struct {
	Of      schema.Field
	AtLeast Decimal // above 0
}

// Ratio is the `ratio` of a threshold: the share of the window's items for which Of is true.
type Ratio struct {
	Of      *predicate.Cond
	AtLeast int64 // in units of 10^-9, from 1 to 10^9
	Min     int64 // the least number of items in the window
}

// Distinct is a rule's `distinct` clause.
type Distinct struct {
	Of     []schema.Field // 1 to MaxOf fields
	Count  int            // 1 to MaxDistinct
	Within time.Duration
}

// NewValue is a rule's `new_value` clause.
type NewValue struct {
	Of        []schema.Field // 1 to MaxOf fields
	Learn     time.Duration
	Forget    time.Duration // 30 days by default
	MaxValues int           // 256 by default, at most MaxNewValues
}

// Sequence is a rule's `sequence` clause. The role of step i is Roles[i].
type Sequence struct {
	Steps  []Step
	Within time.Duration
	Where  *predicate.Where // nil if there is no `where`
	Unless bool             // there is an `unless`, whose role is the last one
}

// Step is one step of a sequence.
type Step struct {
	ID    string
	Times int // 1 to MaxTimes
}

// Contain is the containment that a rule requests. A finding records the request; AIDR does not carry it out.
type Contain struct {
	Scope string // agent, session, credential, tool, route
	State string // observe, throttle, hold, deny
	TTL   time.Duration
	Mode  string // monitor, enforce
}

// Test is one test in a rule file.
type Test struct {
	Name   string
	Line   int
	Events []TestEvents
	// Findings are the expected findings, empty if the rule must stay quiet. The keys are the JSON names of a finding,
	// with `by` for `key`.
	Findings []map[string]any
}

// TestEvents is one entry of a test's `events`. Exactly one of Set and Raw is given.
type TestEvents struct {
	Line   int
	At     time.Duration // offset from the start of the test
	HasAt  bool          // At is given; otherwise the entry starts at the end of the previous one
	Repeat int           // the number of events
	Every  time.Duration // the time from one event to the next
	Set    map[schema.Field]schema.Value
	Raw    string // a record
	Format string // the format of Raw, or "auto"
}

// Lookback returns the length of the history that the rule's State covers, and so how long State that starts empty differs
// from State that has seen everything. For new_value it is the learning time.
func (r *Rule) Lookback() time.Duration {
	switch r.Kind {
	case KindThreshold:
		return r.Threshold.Within
	case KindDistinct:
		return r.Distinct.Within
	case KindNewValue:
		return r.NewValue.Learn
	case KindSequence:
		return r.Sequence.Within
	}
	return 0
}

// shapeOf returns Rule.Shape. The text that it hashes is part of the format of State: any change to the text makes all
// State start empty.
//
//	kind=threshold;count=100;within=1m;by=ai_agent.uid,session.id;optional=false;group=[0 1];for=1h
//
// The values that a threshold compares with are left out, except for a count, because it determines whether State holds
// single times or panes. Conditions are left out too: items that were folded under the old condition stay folded.
func shapeOf(rule *Rule) [16]byte {
	var b strings.Builder
	fmt.Fprintf(&b, "kind=%s;", rule.Kind)
	switch {
	case rule.Threshold != nil:
		shapeThreshold(&b, rule.Threshold)
	case rule.Distinct != nil:
		d := rule.Distinct
		fmt.Fprintf(&b, "of=%s;count=%d;within=%s;", fieldNames(d.Of), d.Count, doc.FormatDuration(d.Within))
	case rule.NewValue != nil:
		v := rule.NewValue
		fmt.Fprintf(&b, "of=%s;learn=%s;forget=%s;max_values=%d;", fieldNames(v.Of), doc.FormatDuration(v.Learn),
			doc.FormatDuration(v.Forget), v.MaxValues)
	case rule.Sequence != nil:
		shapeSequence(&b, rule)
	}
	fmt.Fprintf(&b, "by=%s;optional=%t;group=%v;for=%s", fieldNames(rule.Key), rule.KeyOptional, rule.GroupBy,
		doc.FormatDuration(rule.GroupFor))
	sum := sha256.Sum256([]byte(b.String()))
	return [16]byte(sum[:16])
}

func shapeThreshold(b *strings.Builder, t *Threshold) {
	switch {
	case t.Sum != nil:
		fmt.Fprintf(b, "sum=%s;", t.Sum.Of)
	case t.Ratio != nil:
		b.WriteString("ratio;")
	default:
		fmt.Fprintf(b, "count=%d;", t.Count)
	}
	fmt.Fprintf(b, "within=%s;", doc.FormatDuration(t.Within))
}

func shapeSequence(b *strings.Builder, rule *Rule) {
	s := rule.Sequence
	for i, step := range s.Steps {
		fmt.Fprintf(b, "step=%s,%d,%s;", step.ID, step.Times, fieldNames(rule.Roles[i].Key))
	}
	if s.Unless {
		fmt.Fprintf(b, "unless=%s;", fieldNames(rule.Roles[len(s.Steps)].Key))
	}
	if s.Where != nil { // chains hold the values that where compares
		for _, need := range s.Where.Needs() {
			fmt.Fprintf(b, "need=%d,%s;", need.Step, need.Name)
		}
	}
	fmt.Fprintf(b, "within=%s;", doc.FormatDuration(s.Within))
}
