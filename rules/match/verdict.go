package match

import (
	"slices"

	"github.com/aidr-engine/aidr/schema"
)

// verdicts evaluates candidates. A condition has one witness on one field, and an event one value there, so no
// condition is named twice and no set of candidates has to be kept.
func (x *Index) verdicts(candidates []uint32, e *schema.Event, s *Scratch, out []int32) []int32 {
	for _, n := range candidates {
		out = x.verdict(&x.conds[n], e, s, out)
	}
	return out
}

// verdict evaluates one condition and appends those of its users whose dataset it is.
func (x *Index) verdict(c *cond, e *schema.Event, s *Scratch, out []int32) []int32 {
	holds, err := c.cond.Eval(e, s.Expr)
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
