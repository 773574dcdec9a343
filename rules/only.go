package rules

import (
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/match"
)

// Only returns a Set of one rule of s: what its tests run against. Raw paths keep their places.
func (s *Set) Only(r *Rule) *Set {
	o := &Set{Rules: []*Rule{r}, All: []*Rule{r}, wanted: s.wanted}
	o.build()
	return o
}

// build indexes the conditions of the set's rules.
func (s *Set) build() {
	var conds []*expr.Cond
	var narrow [][]string
	for i, r := range s.Rules {
		for bit, role := range r.Roles {
			conds = append(conds, role.Cond)
			narrow = append(narrow, r.Datasets)
			s.roles = append(s.roles, roleOf{int32(i), 1 << bit})
		}
	}
	s.index = match.Build(conds, narrow)
}
