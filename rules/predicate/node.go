package predicate

import "slices"

// verdict is the result of a node. As in CEL, a failed operand does not matter if the others decide: false && failed is
// false, true || failed is true.
type verdict uint8

const (
	no verdict = iota
	yes
	failed
)

func verdictOf(b bool) verdict {
	if b {
		return yes
	}
	return no
}

// Node is a condition over field slots, or a part of one. Only this package implements it. A node is immutable; the
// Scratch holds its intermediate results.
type Node interface {
	eval(s *Scratch) verdict
	// typed reports whether the node is free of Computed nodes.
	typed() bool
	// weight orders the operands of && and ||: lighter ones run first. The order never changes a verdict.
	weight() int
}

// Weights of nodes.
const (
	weightSlot     = iota // compares one value
	weightText            // passes over a text
	weightComputed        // runs CEL
)

// plain is embedded in nodes that compare values.
type plain struct{}

func (plain) typed() bool { return true }
func (plain) weight() int { return weightSlot }

// search is embedded in nodes that pass over a text.
type search struct{}

func (search) typed() bool { return true }
func (search) weight() int { return weightText }

// group is the operands of && or ||, ordered by weight.
type group []Node

func newGroup(terms []Node) group {
	g := group(slices.Clone(terms))
	slices.SortStableFunc(g, func(a, b Node) int { return a.weight() - b.weight() })
	return g
}

func (g group) typed() bool {
	for _, n := range g {
		if !n.typed() {
			return false
		}
	}
	return true
}

func (g group) weight() (w int) {
	for _, n := range g {
		w = max(w, n.weight())
	}
	return w
}

// And returns the conjunction of terms.
func And(terms []Node) Node { return &and{newGroup(terms)} }

type and struct{ group }

func (n *and) eval(s *Scratch) verdict {
	out := yes
	for _, t := range n.group {
		switch t.eval(s) {
		case no:
			return no
		case failed:
			out = failed
		}
	}
	return out
}

// Or returns the disjunction of terms.
func Or(terms []Node) Node { return newOr(terms) }

type or struct {
	group                 // all operands
	rest  group           // the operands that are evaluated one by one
	texts []*alternatives // the other operands, by the text that they search
}

func newOr(terms []Node) *or {
	n := &or{group: newGroup(terms)}
	n.rest, n.texts = groupAlternatives(n.group)
	return n
}

func (n *or) eval(s *Scratch) verdict {
	out := evalAny(n.rest, s)
	for i := 0; i < len(n.texts) && out != yes; i++ {
		if v := n.texts[i].eval(s); v != no {
			out = v
		}
	}
	return out
}

// evalAny evaluates the disjunction of terms.
func evalAny(terms group, s *Scratch) verdict {
	out := no
	for _, t := range terms {
		switch t.eval(s) {
		case yes:
			return yes
		case failed:
			out = failed
		}
	}
	return out
}

// Not returns the negation of n.
func Not(n Node) Node { return &not{n} }

type not struct{ Node }

func (n *not) eval(s *Scratch) verdict {
	switch n.Node.eval(s) {
	case yes:
		return no
	case no:
		return yes
	}
	return failed
}

// Choice returns cond ? then : other. It fails if cond does.
func Choice(cond, then, other Node) Node { return &choice{cond, then, other} }

type choice struct{ cond, then, other Node }

func (n *choice) typed() bool { return n.cond.typed() && n.then.typed() && n.other.typed() }

func (n *choice) weight() int { return max(n.cond.weight(), n.then.weight(), n.other.weight()) }

func (n *choice) eval(s *Scratch) verdict {
	switch n.cond.eval(s) {
	case yes:
		return n.then.eval(s)
	case no:
		return n.other.eval(s)
	}
	return failed
}

// Constant returns a node that always has the same verdict.
func Constant(holds bool) Node { return &constant{verdict: verdictOf(holds)} }

type constant struct {
	plain
	verdict verdict
}

func (n *constant) eval(*Scratch) verdict { return n.verdict }

// Computed returns a node whose verdict is the result of run. Package expr uses it for the parts of a condition that it
// leaves to CEL; run reads the values of slots with Scratch.Slot. fact is a fact of the node that run does not show.
func Computed(slots []Slot, fact Fact, run func(*Scratch) (bool, error)) Node {
	return &computed{slots, fact, run}
}

type computed struct {
	slots []Slot
	fact  Fact
	run   func(*Scratch) (bool, error)
}

func (*computed) typed() bool { return false }
func (*computed) weight() int { return weightComputed }

func (n *computed) eval(s *Scratch) verdict {
	s.slots = n.slots
	ok, err := n.run(s)
	if err != nil {
		return s.fail(err)
	}
	return verdictOf(ok)
}
