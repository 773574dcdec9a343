package rules

import (
	"slices"
	"strings"
)

// Alone returns a Set of r, one of s.All, and of the rules that feed it, with the registry and the parameters of the site. All of them
// are active whatever their stages; r makes findings even if it is a block or a draft. It is for a run of r over history.
func (s *Set) Alone(r *Rule) *Set {
	only := *r
	only.Stage = StageStable
	o := &Set{Rules: append([]*Rule{&only}, feeding(r, nil)...), env: s.env, raw: s.raw, wanted: s.wanted, agents: s.agents, capabilities: s.capabilities}
	slices.SortFunc(o.Rules, func(a, b *Rule) int { return strings.Compare(a.ID, b.ID) })
	o.All = o.Rules
	o.build(nil)
	return o
}
