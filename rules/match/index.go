// Package match finds the conditions of a Set that hold for an event, at a cost that does not grow with the number of
// conditions: an index over their witnesses (see package predicate) selects candidates, and only candidates are evaluated.
//
//	event --> one look-up per indexed field --> candidates + always --> Cond.Eval --> dataset filter --> numbers
//
// A condition without a witness is evaluated for every event.
package match

import (
	"slices"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// Index is the index over the conditions of a Set. It is immutable, and all workers share it.
type Index struct {
	conds  []cond
	fields []fieldIndex // in the order of Field
	always []uint32     // conditions without a witness, ascending

	size    int    // number of conditions that Build was given
	planned []Plan // by the number of the condition
}

// cond is a condition with all its users. It is evaluated once per event.
type cond struct {
	cond  *predicate.Cond
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
}

// NewScratch returns an empty Scratch.
func NewScratch() *Scratch { return &Scratch{Predicate: predicate.NewScratch()} }

// Build returns an index over conditions, which must all be of one environment. datasets[i] restricts conds[i] to events of
// these datasets; if it is empty, or datasets is nil, any dataset will do. A nil condition never holds. The numbers that Eval
// returns are indexes in conds.
func Build(conds []*predicate.Cond, datasets [][]string) *Index {
	x := &Index{size: len(conds), planned: make([]Plan, len(conds))}
	known := make(map[*predicate.Cond]int, len(conds)) // condition -> index in x.conds
	for i, c := range conds {
		if c == nil {
			continue
		}
		at, ok := known[c]
		if !ok {
			at = len(x.conds)
			known[c] = at
			x.conds = append(x.conds, cond{cond: c})
		}
		u := user{number: int32(i)}
		if datasets != nil {
			u.datasets = datasets[i]
		}
		x.conds[at].users = append(x.conds[at].users, u)
	}
	x.plan()
	return x
}

// Len returns the number of conditions that Build was given.
func (x *Index) Len() int { return x.size }

// Eval appends to out the numbers of the conditions that hold for the event, ascending. It does not allocate once out and the
// scratch have reached their size.
func (x *Index) Eval(e *schema.Event, s *Scratch, out []int32) []int32 {
	from := len(out)
	s.Failed = s.Failed[:0]
	s.Predicate.Begin()
	for i := range x.fields {
		f := &x.fields[i]
		if !e.Has(f.field) {
			continue
		}
		text := e.Text(f.field)
		if f.isBool {
			text = ""
			if e.Int(f.field) != 0 {
				text = predicate.True
			}
		}
		out = x.verdicts(f.equal[text], e, s, out)
		for j := range f.lists {
			if f.lists[j].list.Contains(text) {
				out = x.verdicts(f.lists[j].conds, e, s, out)
			}
		}
	}
	out = x.verdicts(x.always, e, s, out)
	s.Predicate.End()
	slices.Sort(out[from:])
	slices.Sort(s.Failed)
	return out
}

// EvalAll is Eval without the index. Tests compare Eval with it, and so does `explain`.
func (x *Index) EvalAll(e *schema.Event, s *Scratch, out []int32) []int32 {
	from := len(out)
	s.Failed = s.Failed[:0]
	for i := range x.conds {
		out = x.verdict(&x.conds[i], e, s, out)
	}
	slices.Sort(out[from:])
	slices.Sort(s.Failed)
	return out
}
