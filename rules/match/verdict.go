package match

import (
	"slices"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// candidate evaluates a condition, unless it was a candidate for this event before, and appends the numbers of its users
// that accept the dataset of the event.
func (x *Index) candidate(n uint32, e *schema.Event, s *Scratch, out []int32) []int32 {
	if s.seen[n] == s.epoch {
		return out
	}
	s.seen[n] = s.epoch
	s.Candidates++
	c := &x.conds[n]
	if s.Traces {
		for i := range c.users {
			s.Traced = append(s.Traced, c.users[i].number)
		}
	}
	steps := x.steps[c.first:]
	for at := c.start; ; {
		switch {
		case at == stepFalse:
			return out
		case at == stepTrue:
			return c.accept(true, false, e, s, out)
		}
		p := &steps[at]
		switch s.verdict(p.test) {
		case predicate.True:
			at = p.yes
		case predicate.False:
			at = p.no
		default:
			holds, err := c.cond.Eval(e, s.Predicate)
			return c.accept(holds, err != nil, e, s, out)
		}
	}
}

// accept appends the users that accept the dataset of the event.
func (c *cond) accept(holds, failed bool, e *schema.Event, s *Scratch, out []int32) []int32 {
	if !holds && !failed {
		return out
	}
	for i := range c.users {
		u := &c.users[i]
		if len(u.datasets) > 0 && !slices.Contains(u.datasets, e.Text(schema.EventDataset)) {
			continue
		}
		if failed {
			s.Failed = append(s.Failed, u.number)
			continue
		}
		out = append(out, u.number)
	}
	return out
}

// verdict returns the verdict of test n.
func (s *Scratch) verdict(n uint32) predicate.Verdict {
	m := s.memo[n]
	if m&^verdictMask == s.epoch {
		return predicate.Verdict(m & verdictMask)
	}
	v := s.test(&s.index.tests[n])
	s.memo[n] = s.epoch | uint32(v)
	return v
}

// test evaluates a test.
func (s *Scratch) test(t *test) predicate.Verdict {
	if len(t.guards) > 0 && s.isKnown(t.guards) {
		if !s.anyHeld(t.guards) {
			return predicate.False
		}
		if t.exact {
			return predicate.True
		}
		if t.terms != nil {
			return s.anyTerm(t.terms)
		}
	}
	return s.Predicate.Test(t.node)
}

// isKnown reports whether the probes of the atoms have run for this event.
func (s *Scratch) isKnown(atoms []uint32) bool {
	for _, a := range atoms {
		if s.ran[s.index.probeOf[a]] != s.epoch {
			return false
		}
	}
	return true
}

func (s *Scratch) anyHeld(atoms []uint32) bool {
	for _, a := range atoms {
		if s.held[a] == s.epoch {
			return true
		}
	}
	return false
}

// anyTerm returns the verdict of a ||.
func (s *Scratch) anyTerm(terms []uint32) predicate.Verdict {
	out := predicate.False
	for _, t := range terms {
		switch s.verdict(t) {
		case predicate.True:
			return predicate.True
		case predicate.Failed:
			out = predicate.Failed
		}
	}
	return out
}
