package fold

import (
	"time"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// A kind folds the items of one key, in their total order, into a State: flat bytes. Its methods depend on their
// arguments alone. They must not panic on a State that check accepts, whatever its contents.
type kind interface {
	// fold appends the State after the item to s.state, and sets s.trigger if the item triggers. st is nil for a new
	// key. If fold appends nothing, the key is forgotten.
	fold(s *scratch, st []byte, it *item.Item)
	// span returns about how long a State can influence later items.
	span() time.Duration
	// expired reports whether st cannot influence items at w or later.
	expired(st []byte, w schema.Instant) bool
	// check reports whether st is well formed.
	check(st []byte) bool
}

// A timed kind has deadlines.
type timed interface {
	// deadline returns the deadline of a State; ok is false if the State has none.
	deadline(st []byte) (at schema.Instant, ok bool)
	// fire folds the State's deadline, in the way of kind.fold.
	fire(s *scratch, st []byte)
	// peek sets s.trigger if the deadline will trigger whatever items come before it.
	peek(s *scratch, st []byte)
}

// An explainer is a kind that explains its triggers.
type explainer interface {
	// explain describes the first trigger of a group, with the highest value of all its triggers, as the end of a sentence.
	explain(p *Program, g *Group) string
}

// An annotator is a kind whose findings have parts of their own, such as the numbers of a baseline.
type annotator interface {
	annotate(g *Group, f *schema.Finding)
}

// A selector is a kind whose first trigger does not need all roles of the rule.
type selector interface {
	// roles returns the roles that the events of a group's first trigger have, as bits.
	roles(g *Group) uint32
}

// scratch is the memory that folding reuses. Program keeps a pool of it.
type scratch struct {
	// Set by a kind's fold, fire and peek.
	state   []byte
	trigger trigger
	limits  Limits

	// For the kinds.
	events   []storedEvent      // the latest events of a State
	panes    []byte             // flat panes
	valueSet []byte             // a valueSet
	chains   partials           // of a sequence
	values   []schema.Value     // the arguments of a sequence's where
	where    *predicate.Scratch // of a sequence's where
	detail   []byte             // the detail of a trigger
	ledger   ledgerUpdate       // of a provenance
	// tainted has, for each argument but that of the trigger, what rules over a provenance see as a trigger of its own.
	tainted []item.Provenance

	labelled    []labelled // of a flow
	labelChains labelChains

	history []rules.Decimal // the learnt values of a slot of a baseline
	slot    []byte          // their flat form

	// For the cell.
	keys   []string // the keys whose deadline is due
	groups []Group  // the live groups with the triggers that are certain to come
	group  []byte   // the flat form of a group
}

// reset prepares s for folding one item or deadline. The limits keep adding up.
func (s *scratch) reset() {
	s.state = s.state[:0]
	s.trigger = trigger{}
	s.tainted = s.tainted[:0]
}

// A trigger records that the condition of a rule held at one instant. It is large, so a kind sets the fields it needs in
// scratch.trigger, which reset zeroed, and does not assign a whole one.
type trigger struct {
	fired bool
	time  schema.Instant
	first schema.Instant // FirstSeen of a group that it opens
	count int64          // its count for a group that it opens
	added int64          // its count for a group that is already open
	value rules.Decimal  // in Program.unit
	// item is the event that triggered, nil for a deadline. step is the index of its step in a sequence + 1, else 0.
	item *item.Item
	step int
	// events are the events of the window that State remembers, in order, without item. They are views of the folded
	// State. All of them are added to a group that the trigger opens; events[joining:] are also added to a group that is
	// already open.
	events  []storedEvent
	joining int
	// Set by new_value: the number of other values that the key had, the time since which it was watched, and the text
	// of the new value.
	known      int64
	knownSince schema.Instant
	text       string
	provenance item.Provenance // set by provenance
	// detail is Group.Detail of a group that it opens, and if amends is set of one that it joins: a view of the scratch or
	// of State.
	detail []byte
	amends bool
}

// storedEvent is one event as State holds it.
type storedEvent struct {
	time     schema.Instant
	role     uint16
	step     int // index of the step in the rule + 1, 0 for none
	id       schema.ID
	evidence []byte
}

// Limits counts how often State reached one of its limits. The limits are part of a rule's meaning: the findings are
// those of the limited State, on every machine. The counters show an operator which limits were reached.
type Limits struct {
	Times          int64 // times of a threshold dropped from a full ring
	Values         int64 // values of distinct, new_value, rarity or baseline dropped
	Partials       int64 // chains of a sequence dropped
	Deadlines      int64 // deadlines of an absence that were not opened
	Where          int64 // conditions over steps that could not be evaluated
	Brought        int64 // brought or known values of a provenance dropped, and texts with more values than are looked at
	Unjudged       int64 // uses of values that a provenance cannot judge: nothing was brought before
	Copies         int64 // copies of counted events
	BelowWatermark int64 // items added below the watermark
	Held           int64 // changes of findings that EmitPaced held back
	Triggers       int64 // triggers; these are no limit, but are counted as one
}

// forgotten returns the name of the limit by which a State gave up something that may change a finding, "" for none.
func (l *Limits) forgotten() string {
	switch {
	case l.Values > 0:
		return "values"
	case l.Partials > 0:
		return "partials"
	case l.Deadlines > 0:
		return "deadlines"
	case l.Brought > 0:
		return "brought"
	}
	return ""
}

// Add adds o's counters.
func (l *Limits) Add(o Limits) { l.add(o, 1) }

func (l *Limits) add(o Limits, sign int64) {
	l.Times += sign * o.Times
	l.Values += sign * o.Values
	l.Partials += sign * o.Partials
	l.Deadlines += sign * o.Deadlines
	l.Where += sign * o.Where
	l.Brought += sign * o.Brought
	l.Unjudged += sign * o.Unjudged
	l.Copies += sign * o.Copies
	l.BelowWatermark += sign * o.BelowWatermark
	l.Held += sign * o.Held
	l.Triggers += sign * o.Triggers
}
