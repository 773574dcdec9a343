package match

import (
	"slices"

	"github.com/aidr-engine/aidr/rules/predicate"
)

// Plan is the way in which the index finds a condition.
type Plan struct {
	Always bool             // the condition is a candidate for every event
	Atoms  []predicate.Atom // otherwise: the facts of which one must hold; nil if the condition never holds
	Why    string           // if Always: the reason
}

// whyAlways is the reason of a plan without atoms.
const whyAlways = "no part of it can be looked up: negations, patterns without a word, comparisons of two values and functions cannot"

// Plan returns the plan of condition number i; `aidr rules check` and explain show it.
func (x *Index) Plan(i int) Plan {
	if x.layers != nil {
		return x.layers.plan(i)
	}
	p := x.planned[i]
	if p.always {
		return Plan{Always: true, Why: whyAlways}
	}
	var out Plan
	for _, a := range p.clause {
		out.Atoms = append(out.Atoms, x.facts[a])
	}
	return out
}

// planned is the clause under which a condition is filed.
type planned struct {
	always bool
	clause clause // of Index.facts
}

// plan records the plan of a condition's users.
func (b *builder) plan(cond uint32, f *filed) {
	p := planned{always: len(f.clauses) == 0}
	switch {
	case f.never:
		p.always = false
	case f.opener >= 0:
		p.clause = slices.Clip(f.clauses[f.opener])
	case !p.always:
		p.clause = slices.MinFunc(f.clauses, b.compareAlone)
	}
	for _, u := range b.x.conds[cond].users {
		b.x.planned[u.number] = p
	}
}
