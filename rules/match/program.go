package match

import (
	"cmp"
	"slices"

	"github.com/aidr-engine/aidr/rules/predicate"
)

// step is a step of a program, which is a condition: a step asks for the verdict of one test and continues at the step for
// it. A program takes a shortcut in every && and ||, so it may end without having met a test that would fail; then the
// condition has the same verdict, because a test that fails decides neither. If a test that it meets does fail, the verdict
// is left to the condition itself.
type step struct {
	test    uint32
	yes, no int32 // the next step, relative to the program; stepTrue or stepFalse
}

const (
	stepTrue  = -1
	stepFalse = -2
)

// test is a test that is evaluated at most once per event.
type test struct {
	node predicate.Node
	// guards are atoms of which one must hold, or else the test is false; nil if there are none in the index.
	guards []uint32
	exact  bool // the test holds if a guard does
	// terms are the tests of an || of searches in one text; nil otherwise. They are used if their guards are known,
	// otherwise the node evaluates all of them in one pass.
	terms []uint32
}

// coder appends the program of a formula.
type coder struct {
	b     *builder
	steps []step
}

// code appends the steps of a formula, which continue at yes or no, and returns the first of them. Steps are appended from
// the last to the first.
func (c *coder) code(f *predicate.Formula, yes, no int32) int32 {
	switch f.Op {
	case predicate.OpNot:
		return c.code(&f.Terms[0], no, yes)
	case predicate.OpAnd:
		for _, t := range slices.Backward(c.inOrder(f.Terms)) {
			yes = c.code(t, yes, no)
		}
		return yes
	case predicate.OpOr:
		if f.Test != nil {
			break
		}
		for _, t := range slices.Backward(c.inOrder(f.Terms)) {
			no = c.code(t, yes, no)
		}
		return no
	case predicate.OpChoice:
		then := c.code(&f.Terms[1], yes, no)
		other := c.code(&f.Terms[2], yes, no)
		return c.code(&f.Terms[0], then, other)
	}
	c.steps = append(c.steps, step{c.b.test(f), yes, no})
	return int32(len(c.steps) - 1)
}

// inOrder returns the terms of a && or ||, the lightest first.
func (c *coder) inOrder(terms []predicate.Formula) []*predicate.Formula {
	out := make([]*predicate.Formula, len(terms))
	for i := range terms {
		out[i] = &terms[i]
	}
	slices.SortStableFunc(out, func(x, y *predicate.Formula) int { return cmp.Compare(x.Weight, y.Weight) })
	return out
}
