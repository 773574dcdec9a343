// Package match finds the conditions of a Set that hold for an event, at a cost that does not grow with the number of
// conditions. A witness of a condition is a field with the values, or the list, of which the field must have one for the
// condition to hold. An index over the witnesses yields the candidates, and only candidates are evaluated.
//
//	event --> one look-up per indexed field --> candidates + always --> Cond.Eval --> dataset filter --> numbers
package match

import (
	"slices"

	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/schema"
)

// Index finds conditions by their witnesses. It is built once per Set, is immutable and is shared by all workers.
type Index struct {
	conds  []cond
	fields []fieldIndex // in order of Field
	always []uint32     // conditions without a witness, ascending

	size    int    // number of conditions, as given to Build
	planned []Plan // by number of the condition
}

// cond is a distinct condition with all its users. It is evaluated once per event, however many users it has.
type cond struct {
	cond  *expr.Cond
	users []user // ascending
}

// user is one of the conditions given to Build.
type user struct {
	number   int32    // its index in Build's conds
	datasets []string // empty: any
}

// Scratch is the working memory of one worker. It must not be shared, and can be used with every Index.
type Scratch struct {
	Expr *expr.Scratch
	// Failed holds the numbers of the conditions whose evaluation failed in the last Eval, ascending. Such a condition
	// does not hold.
	Failed []int32
}

// NewScratch returns the working memory for one worker.
func NewScratch() *Scratch { return &Scratch{Expr: expr.NewScratch()} }

// Build returns an index over conditions, all of which must come from one Env. datasets[i] narrows conds[i] to events of
// these datasets; empty means any dataset, and a nil datasets narrows no condition. A nil condition never holds. The
// number of a condition is its index in conds.
func Build(conds []*expr.Cond, datasets [][]string) *Index {
	x := &Index{size: len(conds), planned: make([]Plan, len(conds))}
	place := make(map[*expr.Cond]int, len(conds))
	for i, c := range conds {
		if c == nil {
			continue
		}
		at, ok := place[c]
		if !ok {
			at = len(x.conds)
			place[c] = at
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

// Len returns the number of conditions given to Build.
func (x *Index) Len() int { return x.size }

// Eval appends to out the numbers of the conditions that hold for the event, ascending. It does not allocate once out and
// the scratch have reached their size.
func (x *Index) Eval(e *schema.Event, s *Scratch, out []int32) []int32 {
	from := len(out)
	s.Failed = s.Failed[:0]
	s.Expr.Begin()
	for i := range x.fields {
		f := &x.fields[i]
		if !e.Has(f.field) {
			continue
		}
		text := e.Text(f.field)
		out = x.verdicts(f.equal[text], e, s, out)
		for j := range f.lists {
			if f.lists[j].list.Contains(text) {
				out = x.verdicts(f.lists[j].conds, e, s, out)
			}
		}
	}
	out = x.verdicts(x.always, e, s, out)
	s.Expr.End()
	slices.Sort(out[from:])
	slices.Sort(s.Failed)
	return out
}

// EvalAll is Eval without the index: it evaluates every condition. Tests compare Eval with it.
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
