package predicate

import "github.com/aidr-engine/aidr/schema"

// Cond is a compiled condition over an event. It is immutable.
type Cond struct {
	root      Node
	slots     []Slot
	facts     Facts
	fields    schema.FieldSet
	witnesses []Witness
}

// Facts are the properties of a condition that the compiler finds besides its nodes.
type Facts struct {
	Text             string    // the source text
	Reasons          []Reason  // the operands of the top-level &&
	Mentions         []Mention // the values that the condition reads, in order of first mention
	MinCost, MaxCost uint64    // the estimated cost, in cel-go's units
	EmptyLists       []string  // the names of the empty lists because of which the condition never holds
}

// NewCond returns the condition with the given nodes; slots are the field slots of its Computed nodes. It keeps its
// arguments, which must not be changed.
func NewCond(root Node, slots []Slot, facts Facts) *Cond {
	c := &Cond{root: root, slots: slots, facts: facts, witnesses: witnessesOf(root)}
	for _, m := range facts.Mentions {
		if m.Raw < 0 {
			c.fields.Add(m.Field)
		}
	}
	return c
}

// Eval reports whether the condition holds. An error counts as no match; the caller counts errors. Eval does not allocate
// if the condition is Typed, apart from a slot that is a part of a URL or a text in lower case.
func (c *Cond) Eval(e *schema.Event, s *Scratch) (bool, error) {
	s.event, s.slots, s.err = e, c.slots, nil
	switch c.root.eval(s) {
	case yes:
		return true, nil
	case no:
		return false, nil
	}
	return false, s.err
}

// Text returns the source text.
func (c *Cond) Text() string { return c.facts.Text }

// Fields returns the fields that the condition reads.
func (c *Cond) Fields() schema.FieldSet { return c.fields }

// Mentions returns the values that the condition reads, in order of first mention: evidence shows them.
func (c *Cond) Mentions() []Mention { return c.facts.Mentions }

// Conjuncts returns the source text of each operand of the top-level &&. If the condition holds, all of them are true.
func (c *Cond) Conjuncts() (texts []string) {
	for _, r := range c.facts.Reasons {
		texts = append(texts, r.Text)
	}
	return texts
}

// Cost returns the estimated cost, in cel-go's units.
func (c *Cond) Cost() (min, max uint64) { return c.facts.MinCost, c.facts.MaxCost }

// EmptyLists returns the names of the lists of the site that are empty and without which the condition never holds. It
// returns nil if the condition may hold.
func (c *Cond) EmptyLists() []string { return c.facts.EmptyLists }

// Typed reports whether the condition runs without CEL, that is, without Computed nodes.
func (c *Cond) Typed() bool { return c.root.typed() }

// Where is a compiled condition over the steps of a sequence. It is immutable, and all shards use it.
type Where struct {
	root  Node
	slots []Slot
	text  string
	needs []StepMention

	joins      []Join
	joinsAlone bool
	joined     []bool // for each need whether only joins read it
}

// NewWhere returns the condition with the given nodes over the captured values of needs, each of which it names as often as
// uses has it. It keeps its arguments, which must
// not be changed.
func NewWhere(root Node, slots []Slot, text string, needs []StepMention, uses []int) *Where {
	w := &Where{root: root, slots: slots, text: text, needs: needs}
	w.findJoins(uses)
	return w
}

// Joins returns the joins of the condition. It must not be changed.
func (w *Where) Joins() []Join { return w.joins }

// JoinsAlone reports whether the condition consists of joins.
func (w *Where) JoinsAlone() bool { return w.joinsAlone }

// Needs returns the values that have to be captured, in the order in which Eval takes them. It must not be changed.
func (w *Where) Needs() []StepMention { return w.needs }

// Text returns the source text.
func (w *Where) Text() string { return w.text }

// InJoinsAlone reports whether the condition reads a need, given as an index into Needs, in joins only.
func (w *Where) InJoinsAlone(need int) bool { return w.joined[need] }

// Eval reports whether the condition, joins included, holds over the captured values, which are in the order of Needs. A value whose kind
// is not that of its field counts as absent. An error counts as false; the caller counts errors.
// s is only memory that is used again.
func (w *Where) Eval(captured []schema.Value, s *Scratch) (bool, error) {
	s.slots, s.captured, s.err = w.slots, captured, nil
	v := w.root.eval(s)
	if v == failed {
		return false, s.err
	}
	return v == yes, nil
}

// Filter is a compiled condition over a finding. entryType is the type of the outbox entry that brings the finding, or "" if
// the condition does not read it. Several goroutines may call a Filter at once.
type Filter func(entryType string, f *schema.Finding) (bool, error)

// NewFilter returns the condition with the given nodes. It keeps its arguments, which must not be changed.
func NewFilter(root Node, slots []Slot) Filter {
	return func(entryType string, f *schema.Finding) (bool, error) {
		s := Scratch{slots: slots, finding: f, entryType: entryType}
		v := root.eval(&s)
		if v == failed {
			return false, s.err
		}
		return v == yes, nil
	}
}
