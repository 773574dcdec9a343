// Package match finds the conditions of a Set that hold for an event, at a cost that depends on the event and hardly on the
// number of conditions.
//
//	event --> the value of each slot --> its class --> the row of the class
//	all conditions --> row by row, a state with fewer conditions --> candidates
//	candidates --> programs over tests --> dataset filter --> numbers
//
// An atom is a fact about one value that a look-up finds: the text of a field equals, begins with or contains something, a
// number is in a range, an address is in a network, a key is absent (see predicate.Atom). A clause is a necessary condition
// of a condition, a disjunction of atoms. Each condition has a bit, and each slot that has clauses has a column (see
// column). Probes find the atoms that hold for a value, whatever their number. Values with the same atoms share a row, and
// steps from state to state are kept like those of a lazily built automaton (see rows and states). What a worker keeps
// is bounded: 16 MiB of values, 64 MiB of rows and 32 MiB of states, and as much as the lists of atoms of the classes take.
//
// Building an index takes as long as its conditions are many. Update makes one of an earlier index and a small one over the
// conditions that are new, until there is time to build the whole (see layers).
//
// A candidate runs as a program over its tests. A test runs at most once per event, however many conditions have it. A
// condition without a clause is a candidate for every event.
//
// Nothing here changes a verdict: the result is that of evaluating every condition, errors included. The tests compare the
// two on random conditions and events.
package match

import (
	"slices"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// Index is the index over the conditions of a Set. It is immutable, and all workers share it.
type Index struct {
	conds   []cond
	order   []uint32 // by bit: the index in conds
	columns []column // in the order in which a scan looks at them
	needs   []needs  // by word of conditions
	needed  []uint32
	masks   []uint64 // by word: the columns before dear ones that matter, by lastMask
	cheap   uint32   // the number of columns before the dear ones
	root    state    // all conditions

	slots   []*predicate.Slot
	probes  []probe
	atoms   uint32   // number of atoms
	probeOf []uint32 // by atom
	tests   []test
	steps   []step // of all programs

	condAt  map[*predicate.Cond]uint32 // -> index in conds
	layers  *layers                    // not nil: there are no other fields but size
	size    int                        // number of conditions that Build was given
	planned []planned                  // by the number of the condition
	facts   []predicate.Atom           // of the plans
}

// cond is a condition with all its users. It is evaluated once per event.
type cond struct {
	cond  *predicate.Cond
	first uint32 // of its steps in Index.steps
	start int32  // the step at which the program starts, relative to first
	users []user // ascending
}

// user is one of the conditions that Build was given: several rules may use the same.
type user struct {
	number   int32    // the index there
	datasets []string // empty for any
}

// Scratch is the working memory of one worker; workers do not share it. It can be used with every Index.
type Scratch struct {
	Predicate *predicate.Scratch // for evaluating conditions
	// Failed holds the numbers of the conditions whose evaluation failed in the last Eval, ascending. They count as no match.
	Failed []int32
	// Candidates counts the conditions that Eval evaluated.
	Candidates uint64
	// Traces makes Eval append the numbers of the conditions that it evaluates to Traced, in no particular order.
	Traces bool
	Traced []int32

	index    *Index   // of the current sizes
	epoch    uint32   // of the event, a multiple of 4
	held     []uint32 // by atom: the epoch of the last event for which a probe marked it
	memo     []uint32 // by test: epoch | verdict
	seen     []uint32 // by condition: the epoch of the last event for which it was a candidate
	ran      []uint32 // by probe: the epoch of its last run
	marked   []uint32 // the atoms marked for this event
	values   []slotValue
	rows     []rows    // by column
	current  []current // by column
	states   states
	serial   uint64   // of the last class
	verdicts []uint32 // of the value that is classified
	folded   []byte

	layers      *layers  // of base and added
	base, added *Scratch // of an index of layers
	found       []int32  // in one of them
}

// verdictMask covers the verdict in an element of Scratch.memo.
const verdictMask = 3

// NewScratch returns an empty Scratch.
func NewScratch() *Scratch { return &Scratch{Predicate: predicate.NewScratch()} }

// begin prepares the scratch for an event.
func (s *Scratch) begin(x *Index, e *schema.Event) {
	s.Failed, s.marked = s.Failed[:0], s.marked[:0]
	s.epoch += verdictMask + 1
	if s.index != x || s.epoch == 0 { // another Index, or the epochs are used up
		s.index, s.epoch = x, verdictMask+1
		s.held, s.memo = make([]uint32, x.atoms), make([]uint32, len(x.tests))
		s.seen = make([]uint32, len(x.conds))
		s.ran = make([]uint32, len(x.probes))
		s.values = make([]slotValue, len(x.slots))
		s.rows, s.current = make([]rows, len(x.columns)), make([]current, len(x.columns))
		s.states = states{}
	}
	s.Predicate.Begin(e)
}

// Len returns the number of conditions that Build was given.
func (x *Index) Len() int { return x.size }

// Eval appends to out the numbers of the conditions that hold for the event, ascending. It does not allocate once out and the
// scratch have reached their size.
func (x *Index) Eval(e *schema.Event, s *Scratch, out []int32) []int32 {
	if x.layers != nil {
		return x.layers.eval(e, s, out, false)
	}
	from := len(out)
	s.begin(x, e)
	out = x.scan(e, s, out)
	s.Predicate.End()
	slices.Sort(out[from:])
	slices.Sort(s.Failed)
	return out
}

// EvalAll is Eval without the index. Tests compare Eval with it, and so does `explain`.
func (x *Index) EvalAll(e *schema.Event, s *Scratch, out []int32) []int32 {
	if x.layers != nil {
		return x.layers.eval(e, s, out, true)
	}
	from := len(out)
	s.Failed = s.Failed[:0]
	for i := range x.conds {
		c := &x.conds[i]
		holds, err := c.cond.Eval(e, s.Predicate)
		out = c.accept(holds, err != nil, e, s, out)
	}
	slices.Sort(out[from:])
	slices.Sort(s.Failed)
	return out
}
