package capture

import (
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
)

// Plan is one rule prepared for capturing. It is immutable and shared by all workers.
type Plan struct {
	rule       *rules.Rule
	wholeGroup bool            // the group key is the whole key
	values     []rules.Operand // the values that the kind compares: `of`
	tag        uint32          // item.Tag of the names of the rule's Mentions

	carriedTag  uint32 // item.Tag of the names of the rule's Carries
	branching   uint32 // the roles whose condition has branches that evidence names, as bits
	branchesTag uint32 // item.Tag of the texts of the conditions
}

// NewPlan prepares a rule.
func NewPlan(r *rules.Rule) *Plan {
	p := &Plan{rule: r, wholeGroup: len(r.GroupBy) == len(r.Key)}
	var names []string
	for i := range r.Mentions {
		names = append(names, r.Mentions[i].Name)
	}
	p.tag, p.carriedTag = item.Tag(names), carriedTag(r)
	var texts []string
	for i := range r.Roles {
		if cond := r.Reasons(i); cond != nil {
			texts = append(texts, cond.Text())
			if cond.HasBranches() {
				p.branching |= 1 << i
			}
		}
	}
	p.branchesTag = item.Tag(texts)
	switch r.Kind {
	case rules.KindDistinct:
		p.values = r.Distinct.Of
	case rules.KindNewValue:
		p.values = r.NewValue.Of
	case rules.KindRarity:
		p.values = r.Rarity.Of
	case rules.KindBaseline:
		p.values = r.Baseline.Distinct
	}
	return p
}

// carriedTag returns the tag of the values that the items of a rule carry.
func carriedTag(r *rules.Rule) uint32 {
	names := make([]string, len(r.Carries))
	for i := range r.Carries {
		names[i] = r.Carries[i].Name
	}
	return item.Tag(names)
}
