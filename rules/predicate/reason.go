package predicate

import (
	"encoding/binary"
	"slices"

	"github.com/aidr-engine/aidr/schema"
)

// Reason is an operand of the top-level && of a condition, or of a branch of it. If the condition holds, the operand is
// true.
type Reason struct {
	Text string // the source text
	// Branches holds the operands of an ||, or a comparison with each element of the list after `in`, in the order of the
	// source. It is nil for other operands.
	Branches []Branch

	finder branchFinder // nil if Branches is
}

// Branch is one way in which an operand can be true. A branch with && has several reasons.
type Branch []Reason

// branchFinder finds the branch of an operand that holds for the event of the scratch; -1 if none does.
type branchFinder interface{ find(s *Scratch) int }

// OrReason returns the reason of an ||. any is the result of Or(terms), before SharedTests.Share; branches are those of
// the terms.
func OrReason(text string, any Node, terms []Node, branches []Branch) Reason {
	return Reason{text, branches, &orBranches{any.(*or), terms}}
}

type orBranches struct {
	*or
	terms []Node // in the order of the source
}

// find returns the branch that decides the ||, at the cost of evaluating it: several branches may hold, and evaluating them
// in the order of the source would pass over a long text once for each.
func (n *orBranches) find(s *Scratch) int {
	for _, t := range n.rest {
		if t.eval(s) == yes {
			return slices.Index(n.terms, t)
		}
	}
	for _, a := range n.texts {
		if t := a.first(s); t != nil {
			return slices.Index(n.terms, t)
		}
	}
	return -1
}

// InReason returns the reason of slot in [values]; texts are the source texts of the comparisons with each value.
func InReason(text string, slot *Slot, values []schema.Value, texts []string) Reason {
	r := Reason{Text: text, finder: &inBranches{slot, values}}
	for _, t := range texts {
		r.Branches = append(r.Branches, Branch{{Text: t}})
	}
	return r
}

type inBranches struct {
	slot   *Slot
	values []schema.Value
}

func (n *inBranches) find(s *Scratch) int {
	v := s.read(n.slot)
	return slices.IndexFunc(n.values, func(c schema.Value) bool { return equalValues(v, c) })
}

// HasBranches reports whether some reason of the condition has branches, so that AppendBranches appends anything.
func (c *Cond) HasBranches() bool {
	return slices.ContainsFunc(c.facts.Reasons, func(r Reason) bool { return r.Branches != nil })
}

// AppendBranches appends the branches that hold for an event for which the condition holds: for each reason with branches,
// a uvarint with the index of the branch + 1, or 0 if none was found, followed by the branches of the reasons of that
// branch. Several branches may hold; which of them is appended depends on the condition and the event alone. It does not
// allocate if Eval does not.
func (c *Cond) AppendBranches(dst []byte, e *schema.Event, s *Scratch) []byte {
	s.event, s.slots, s.err = e, c.slots, nil
	return appendBranches(dst, c.facts.Reasons, s)
}

func appendBranches(dst []byte, reasons []Reason, s *Scratch) []byte {
	for i := range reasons {
		r := &reasons[i]
		if r.Branches == nil {
			continue
		}
		n := r.finder.find(s)
		dst = binary.AppendUvarint(dst, uint64(n+1))
		if n >= 0 {
			dst = appendBranches(dst, r.Branches[n], s)
		}
	}
	return dst
}

// Held returns the texts of the reasons, with only those branches that AppendBranches appended. If branches is nil or ends
// too early, the text of an operand stays whole.
func (c *Cond) Held(branches []byte) []string {
	texts, _ := appendHeld(nil, c.facts.Reasons, branches)
	return texts
}

func appendHeld(texts []string, reasons []Reason, branches []byte) (_ []string, rest []byte) {
	for i := range reasons {
		r := &reasons[i]
		if r.Branches == nil {
			texts = append(texts, r.Text)
			continue
		}
		n, size := binary.Uvarint(branches)
		if size <= 0 || n > uint64(len(r.Branches)) {
			n, size = 0, len(branches) // damaged
		}
		branches = branches[size:]
		if n == 0 {
			texts = append(texts, r.Text)
			continue
		}
		texts, branches = appendHeld(texts, r.Branches[n-1], branches)
	}
	return texts, branches
}
