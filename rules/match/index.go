// Package match names, for an event, the conditions of a Set that hold, at a cost that does not grow with the number
// of conditions: an index over their witnesses gives the candidates, and only candidates are evaluated.
//
//	event --> one look-up per indexed field --> candidates + always --> Cond.Eval --> dataset filter --> numbers
package match

import (
	"slices"

	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/schema"
)

// Index is built once per Set and immutable: all workers share it.
type Index struct {
	conds  []cond
	fields []fieldIndex // in order of Field
	always []uint32     // conditions without a witness, ascending

	size    int
	planned []Plan
}

// cond is one different condition with everybody who asks for it. It is evaluated once per event.
type cond struct {
	cond  *expr.Cond
	users []user // ascending
}

// user is one place in Build's conds.
type user struct {
	number   int32
	datasets []string // empty: any
}

// Scratch is what one worker needs; it is not shared. It is good for every Index.
type Scratch struct {
	Expr *expr.Scratch
	// Failed holds the numbers of the conditions whose evaluation failed in the last Eval, ascending. They count as
	// no match.
	Failed []int32
}

// NewScratch returns a worker's scratch.
func NewScratch() *Scratch { return &Scratch{Expr: expr.NewScratch()} }

// Build indexes conditions. They are all of one Env. datasets[i] narrows conds[i] to events of these datasets; empty
// means any. datasets may be nil. A nil condition never holds. What Eval gives out are places in conds.
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

// Len returns the number of conditions that Build was given.
func (x *Index) Len() int { return x.size }

// Eval appends to out the numbers of the conditions that hold for the event, ascending. It allocates nothing once out
// and the scratch have grown to their size.
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

// EvalAll is Eval without the index: what Eval is held to, and what `explain` compares with.
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
