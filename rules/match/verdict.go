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
	steps := x.steps[c.first:]
	for at := c.start; ; {
		switch {
		case at == stepFalse:
			return out
		case at == stepTrue:
			return c.accept(true, false, e, s, out)
		}
		p := &steps[at]
		switch s.verdict(p.literal) {
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

// verdict returns the verdict of a literal.
func (s *Scratch) verdict(literal uint32) predicate.Verdict {
	m := s.memo[literal]
	if m&^verdictMask == s.epoch {
		return predicate.Verdict(m & verdictMask)
	}
	if literal < s.index.atoms {
		return s.atom(literal)
	}
	v := s.test(&s.index.tests[literal-s.index.atoms])
	s.memo[literal] = s.epoch | known(v)
	return v
}

// atom returns the verdict of an atom that is not marked.
func (s *Scratch) atom(atom uint32) predicate.Verdict {
	s.ensure(s.index.probe[atom])
	if s.memo[atom] != s.epoch|known(predicate.True) {
		s.memo[atom] = s.epoch | known(predicate.False)
		return predicate.False
	}
	return predicate.True
}

// test evaluates a test.
func (s *Scratch) test(t *test) predicate.Verdict {
	if len(t.guards) > 0 && s.isKnown(t.guards) {
		if !s.anyMarked(t.guards) {
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

// isKnown reports whether the atoms are known, or cheap to find: those of a value are, those of a search in a text only if
// it was made.
func (s *Scratch) isKnown(atoms []uint32) bool {
	for _, a := range atoms {
		n := s.index.probe[a]
		if s.ran[n].epoch == s.epoch {
			continue
		}
		if s.index.probes[n].part != partValue {
			return false
		}
		s.ensure(n)
	}
	return true
}

func (s *Scratch) anyMarked(atoms []uint32) bool {
	for _, a := range atoms {
		if s.memo[a] == s.epoch|known(predicate.True) {
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
