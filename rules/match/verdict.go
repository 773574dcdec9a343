package match

import (
	"slices"

	"github.com/aidr-engine/aidr/schema"
)

// verdicts evaluates candidates. The index holds a condition under one witness, on one field, and an event has one
// value there. So no condition is a candidate twice, and the candidates need not be collected in a set.
func (x *Index) verdicts(candidates []uint32, e *schema.Event, s *Scratch, out []int32) []int32 {
	for _, n := range candidates {
		out = x.verdict(&x.conds[n], e, s, out)
	}
	return out
}

// verdict evaluates one condition and appends the numbers of its users that accept the dataset of the event.
func (x *Index) verdict(c *cond, e *schema.Event, s *Scratch, out []int32) []int32 {
	holds, err := c.cond.Eval(e, s.Predicate)
	if !holds && err == nil {
		return out
	}
	dataset := e.Text(schema.EventDataset)
	for i := range c.users {
		u := &c.users[i]
		if len(u.datasets) > 0 && !slices.Contains(u.datasets, dataset) {
			continue
		}
		if err != nil {
			s.Failed = append(s.Failed, u.number)
			continue
		}
		out = append(out, u.number)
	}
	return out
}
