package rules

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/aidr-engine/aidr/rules/match"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// Plan returns how the index finds the condition of a role. rule is an index into Rules, role an index into Rule.Roles.
func (s *Set) Plan(rule, role int) match.Plan {
	n, _ := slices.BinarySearchFunc(s.roles, rule, func(ref roleRef, rule int) int { return int(ref.rule) - rule })
	for ; n < len(s.roles) && int(s.roles[n].rule) == rule; n++ {
		if s.roles[n].bit == 1<<role {
			return s.index.Load().Plan(n)
		}
	}
	return match.Plan{}
}

// Witness describes the facts by which the index finds the condition of a role, such as event.action == "chat". It describes
// the reason if the condition is evaluated for every event.
func (s *Set) Witness(rule, role int) string {
	p := s.Plan(rule, role)
	switch {
	case p.Always:
		return "none: evaluated for every event: " + p.Why
	case len(p.Atoms) == 0:
		return "never holds"
	}
	return describeAtoms(p.Atoms, s.Rules[rule].Roles[role].Cond.Mentions())
}

// maxDescribed is the number of facts that a description lists.
const maxDescribed = 4

func describeAtoms(atoms []predicate.Atom, mentions []predicate.Mention) string {
	var facts, values []string // values: of the first slot that is compared with texts
	var slot *predicate.Slot
	for i := range atoms {
		a := &atoms[i]
		switch {
		case a.Kind == predicate.AtomText && (slot == nil || slot.Key() == a.Slot.Key()):
			slot = a.Slot
			values = append(values, strconv.Quote(a.Text))
		case a.Kind == predicate.AtomKinds && predicate.IsUnexpected(a.Kinds) && len(atoms) > 1:
			// The value is not a text, and the condition fails: a detail of no use to an author.
		default:
			facts = append(facts, describeAtom(a, slotName(a.Slot, mentions)))
		}
	}
	switch {
	case len(values) > maxDescribed:
		facts = append(facts, fmt.Sprintf("%s in %d values", slotName(slot, mentions), len(values)))
	case len(values) > 1:
		facts = append(facts, slotName(slot, mentions)+" in ["+strings.Join(values, ", ")+"]")
	case len(values) == 1:
		facts = append(facts, slotName(slot, mentions)+" == "+values[0])
	}
	slices.Sort(facts)
	if more := len(facts) - maxDescribed; more > 0 {
		facts = append(facts[:maxDescribed], fmt.Sprintf("%d more", more))
	}
	return strings.Join(facts, " or ")
}

// slotName returns the name of a slot as an author writes it.
func slotName(s *predicate.Slot, mentions []predicate.Mention) (name string) {
	switch s.Source {
	case predicate.FromField:
		name = schema.Field(s.At).String()
	case predicate.FromCapability:
		name = "cap." + s.Name
	case predicate.FromAgent:
		name = "agent." + s.Name
	case predicate.FromGrant:
		of := strconv.Quote(s.Text)
		if s.Of != nil {
			of = slotName(s.Of, mentions)
		}
		name = "agent.allows_" + s.Name + "(" + of + ")"
	case predicate.FromRaw:
		for _, m := range mentions {
			if m.Raw == s.At {
				name = m.Name
			}
		}
	}
	for _, key := range s.Path {
		name += "[" + strconv.Quote(key) + "]"
	}
	if s.Derive != "" {
		name = s.Derive + " of " + name
	}
	return name
}

func describeAtom(a *predicate.Atom, name string) string {
	quoted := strconv.Quote(a.Text)
	switch a.Kind {
	case predicate.AtomText:
		return name + " == " + quoted
	case predicate.AtomFold:
		return name + " equals " + quoted + " in any case"
	case predicate.AtomPrefix:
		return name + " starts with " + quoted
	case predicate.AtomSuffix:
		return name + " ends with " + quoted
	case predicate.AtomContains:
		return name + " contains " + quoted
	case predicate.AtomElement:
		return quoted + " in " + name
	case predicate.AtomNumber:
		return name + " == " + number(a.Low)
	case predicate.AtomBool:
		return name + " is " + strconv.FormatBool(a.Low == 1)
	case predicate.AtomNetwork:
		return name + " in " + a.Network.String()
	case predicate.AtomList:
		return fmt.Sprintf("%s in a list of %d", name, a.List.Size())
	case predicate.AtomRange:
		switch {
		case math.IsInf(a.Low, -1):
			return name + " up to " + number(a.High)
		case math.IsInf(a.High, 1):
			return name + " from " + number(a.Low)
		}
		return name + " from " + number(a.Low) + " to " + number(a.High)
	}
	if a.Kinds.Has(schema.KindAbsent) {
		return name + " is absent"
	}
	return name + " is present"
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
