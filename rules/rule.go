package rules

import (
	"crypto/sha256"
	"time"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/rules/site"
	"github.com/aidr-engine/aidr/schema"
)

// Kind is the kind of a rule: the name of its stateful clause, or KindNone.
type Kind string

// The kinds of rules. The package comment defines each of them.
const (
	KindNone       Kind = "none"
	KindThreshold  Kind = "threshold"
	KindDistinct   Kind = "distinct"
	KindNewValue   Kind = "new_value"
	KindSequence   Kind = "sequence"
	KindAbsence    Kind = "absence"
	KindBaseline   Kind = "baseline"
	KindRarity     Kind = "rarity"
	KindFlow       Kind = "flow"
	KindProvenance Kind = "provenance"
)

// StatefulKinds returns the kinds that have a clause, in the order of the package comment.
func StatefulKinds() []Kind {
	return []Kind{KindThreshold, KindDistinct, KindNewValue, KindSequence, KindAbsence, KindBaseline, KindRarity, KindFlow, KindProvenance}
}

// Stage is the value of a rule's `status`: how far the rule has come on its way into production.
type Stage string

// The stages of a rule.
const (
	StageDraft    Stage = "draft"    // only its tests run
	StageBlock    Stage = "block"    // its triggers feed rules with `over`, and it makes no findings
	StageShadow   Stage = "shadow"   // its findings are recorded but never delivered
	StageStable   Stage = "stable"   // the default: its findings are delivered
	StageDisabled Stage = "disabled" // it is loaded and checked, and does nothing
)

// Rule is the content of one rule file. It is immutable once its Set is built.
type Rule struct {
	File        string
	Line        int
	ID          string
	Version     int
	Title       string
	Description string
	// Summary are the parts of `summary`, nil if the rule has none: findings then have a summary of the engine's.
	Summary    []SummaryPart
	Severity   schema.Severity
	Confidence int // 0-100
	Stage      Stage
	// Datasets are the datasets whose events the rule reads, sorted: those that the file names, and those of the families
	// that it names. Empty means any.
	Datasets []string
	// DatasetsAsWritten are the datasets and families as the file names them: "@llm" is a family.
	DatasetsAsWritten []string
	// TestDataset is the dataset of an event of a test that names none: the first that the file names, or the first of the
	// family that it names first; "" if it names none.
	TestDataset    string
	Tags           []string
	References     []string
	FalsePositives []string
	Why            string   // why the behaviour matters
	Triage         []string // what a person does about a finding, in order
	Expected       string   // how often findings are expected
	// Params are the names of the values that a site can set in params.yaml, in the order of the file.
	Params []string

	// Kind determines which of the clauses is set; for KindNone all are nil.
	Kind       Kind
	Threshold  *Threshold
	Distinct   *Distinct
	NewValue   *NewValue
	Sequence   *Sequence
	Absence    *Absence
	Baseline   *Baseline
	Rarity     *Rarity
	Flow       *Flow
	Provenance *Provenance

	// Over is set for a rule whose items are the triggers of other rules; it then has no Datasets.
	Over *Over
	// Level is 0 for a rule on events, and otherwise above the levels of the rules that feed it.
	Level int
	// IsFeeding is true if triggers of this rule are items of others.
	IsFeeding bool
	// Carries are the values that the rules over this one read of the event that triggered, sorted by name.
	Carries []predicate.Mention

	// Roles are the ways in which an event can match the rule, at most MaxRoles. The parts of a sequence, an absence, a
	// flow and a provenance are roles, as their types describe. Every other rule has one role.
	Roles []Role

	// Key holds the values of the key: those of `by` or, for KindNone, those of `group.by`. A role may read other values
	// in their place (Role.Key).
	Key []Operand
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
	// the key, of the clause and of the summary.
	Mentions []predicate.Mention
	// Shape is a hash of the parts of the rule that determine the form of its State: kind, window, key, group, steps.
	// After a reload the rule keeps its State if Shape is unchanged.
	Shape [16]byte
	// Tests are the tests in the file.
	Tests []Test
	// Digest is the SHA-256 of the file's text; zero for a built-in rule.
	Digest [sha256.Size]byte

	readsAgent       bool // a condition or a part of a key reads agent.*
	registryOptional bool // one of them reads agent.registry
}

// Reasons returns the condition of role i, whose operands are reasons of a finding; nil if the role gives none, as that
// of `unless`, or has no condition.
func (r *Rule) Reasons(i int) *predicate.Cond {
	if r.Roles[i].Excepted {
		return nil
	}
	return r.Roles[i].Cond
}

// MaxRoles is the largest number of roles of a rule: a set of roles is a word of 32 bits.
const MaxRoles = 32

// Role is one way in which an event can match a rule.
type Role struct {
	Name string // the step's id, the label, the name of the part such as "unless", or "" for the only role
	// Order is the second criterion of the order of items, after time: 1, 2, ... for the parts of a clause in their
	// order, and 0 for `unless`, `clear` and the only role.
	Order uint16
	Cond  *predicate.Cond // the rule's `when` and the role's own `when`, joined by &&
	Key   []Operand       // the values that the role reads for those of Rule.Key
	// Excepted is true if exceptions do not apply to the role, which then gives no reasons either: `unless`, `expect`,
	// `without`, `known` and `clear` keep a rule quiet.
	Excepted bool
	// Optional is true if the rule can make findings although no event has the role.
	Optional bool
}

// Contain is the containment that a rule requests. A finding records the request; a running engine carries it out within the
// policy of the configuration, and a replay does not.
type Contain struct {
	Scope string // agent, session, credential, tool, route
	State string // observe, throttle, hold, deny
	TTL   time.Duration
	Mode  string // monitor, enforce
	// PerMinute is the number of calls a minute that State throttle allows.
	PerMinute int
}

// Test is one test in a rule file.
type Test struct {
	Name   string
	Line   int
	Agents *site.Agents // the registry with which the test runs; nil for none
	Events []TestEvents
	// Findings are the expected findings, empty if the rule must stay quiet. The keys are the JSON names of a finding,
	// with `by` for `key`.
	Findings []map[string]any
}

// RawValue is a value of an original record.
type RawValue struct {
	Path  []string
	Value any // as of encoding/json
}

// TestEvents is one entry of a test's `events`. Exactly one of Set and Raw is given.
type TestEvents struct {
	Line   int
	At     time.Duration // offset from the start of the test
	HasAt  bool          // At is given; otherwise the entry starts at the end of the previous one
	Repeat int           // the number of events
	Every  time.Duration // the time from one event to the next
	Set    map[schema.Field]schema.Value
	SetRaw []RawValue // values of the original record, beside those of Set
	Raw    string     // a record
	Format string     // the format of Raw, or "auto"
}
