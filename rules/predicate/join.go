package predicate

import (
	"slices"

	"github.com/aidr-engine/aidr/schema"
)

// Join is a set of values of different steps that `where` requires to be equal: the sides of conjuncts b.f == a.g that have
// a side in common. A chain of a sequence can only be completed if all sides are present, not empty and equal.
type Join struct {
	Sides []JoinSide
}

// JoinSide is one value of a join.
type JoinSide struct {
	Need int // index into Where.Needs
	slot *Slot
}

// Value returns the side's value, given the captured value of its need: it is absent if the step lacks it or it is empty.
func (s *JoinSide) Value(captured schema.Value) schema.Value {
	switch {
	case captured.Kind == schema.KindJSON:
		captured = JSONAt(captured.Text, s.slot.Path)
	case len(s.slot.Path) > 0:
		return schema.Value{}
	}
	if captured.Kind == schema.KindString && captured.Text == "" {
		return schema.Value{}
	}
	return captured
}

// findJoins sets the joins among the conjuncts of the condition, in the order of their first sides. uses is how often the
// condition names each of its needs.
func (w *Where) findJoins(uses []int) {
	w.joinsAlone = true
	uses = slices.Clone(uses)
	for _, n := range conjuncts(w.root) {
		p, ok := n.(*pairEqual)
		if !ok || p.differ || !isSide(p.a) || !isSide(p.b) || w.needs[p.a.At].Step == w.needs[p.b.At].Step {
			w.joinsAlone = false
			continue
		}
		w.joins = joined(w.joins, JoinSide{p.a.At, p.a}, JoinSide{p.b.At, p.b})
		uses[p.a.At]--
		uses[p.b.At]--
	}
	for _, n := range uses {
		w.joined = append(w.joined, n <= 0)
	}
}

// conjuncts returns the operands of nested &&.
func conjuncts(n Node) (all []Node) {
	a, ok := n.(*and)
	if !ok {
		return []Node{n}
	}
	for _, t := range a.group {
		all = append(all, conjuncts(t)...)
	}
	return all
}

// isSide reports whether the slot is a value of a step, unchanged.
func isSide(s *Slot) bool { return s.Source == FromStep && s.Derive == "" && !s.Presence }

// joined returns the joins with those that a or b belongs to made one.
func joined(joins []Join, a, b JoinSide) (out []Join) {
	one := Join{}
	at := -1
	for _, j := range joins {
		if !j.has(a) && !j.has(b) {
			out = append(out, j)
			continue
		}
		if at < 0 {
			at = len(out)
			out = append(out, Join{})
		}
		one.Sides = append(one.Sides, j.Sides...)
	}
	for _, s := range []JoinSide{a, b} {
		if !one.has(s) {
			one.Sides = append(one.Sides, s)
		}
	}
	if at < 0 {
		return append(out, one)
	}
	out[at] = one
	return out
}

func (j Join) has(s JoinSide) bool {
	return slices.ContainsFunc(j.Sides, func(o JoinSide) bool { return o.Need == s.Need && slices.Equal(o.slot.Path, s.slot.Path) })
}
