package expr

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// Witness is a necessary condition that an index can look up: where it does not hold, the condition does not.
// It is a disjunction: any of Values in Field, or the field in List. The zero Witness (no values) says that there is
// none; Why tells why. It never holds for an event that lacks the field.
type Witness struct {
	Field  schema.Field
	Values []string // sorted, without ""
	List   List     // where the values are a whole list
	Why    string
}

// Witnesses returns the necessary conditions found, the most selective first; where there is none, one that has only
// Why. It is not to be changed.
func (c *Cond) Witnesses() []Witness { return c.witnesses }

// maxUnion is how many values the alternatives of || may have together; beyond it a list or a narrower condition is
// the better witness.
const maxUnion = 4096

// witnessesOf extracts the necessary conditions of a condition.
func witnessesOf(root node) []Witness {
	var w witnesser
	found := w.find(root, false)
	if len(found) == 0 {
		slices.Sort(w.reasons)
		return []Witness{{Why: "no part of it is == or in on a text field of the event: " + strings.Join(slices.Compact(w.reasons), "; ")}}
	}
	slices.SortStableFunc(found, func(a, b Witness) int {
		return cmp.Or(cmp.Compare(commonness(a.Field), commonness(b.Field)), cmp.Compare(a.size(), b.size()))
	})
	return found
}

func (w Witness) size() int {
	if w.List != nil {
		return w.List.Size()
	}
	return len(w.Values)
}

// commonness ranks fields by how many events share a value: what nearly all share is the last to look up.
func commonness(f schema.Field) int {
	switch f {
	case schema.EventClass, schema.EventDataset:
		return 2
	case schema.EventOutcome, schema.EventType, schema.Disposition, schema.UserType, schema.CredentialType,
		schema.CloudProvider, schema.CloudRegion, schema.HTTPRequestMethod, schema.GenAIOperationName, schema.GenAIProviderName,
		schema.AIAgentUIDSource, schema.AIAgentType:
		return 1
	}
	return 0
}

// witnesser walks the negation normal form without building it: negated says how many ! are above, odd or even.
type witnesser struct {
	reasons []string // why parts are no witness
}

func (w *witnesser) none(reason string) []Witness {
	w.reasons = append(w.reasons, reason)
	return nil
}

func (w *witnesser) find(n node, negated bool) []Witness {
	switch n := n.(type) {
	case *not:
		return w.find(n.node, !negated)
	case *shared:
		return w.find(n.node, negated)
	case *and:
		if negated {
			return w.anyOf(n.group, negated)
		}
		return w.allOf(n.group, negated)
	case *or:
		if negated {
			return w.allOf(n.group, negated)
		}
		return w.anyOf(n.group, negated)
	}
	if negated {
		return w.none("what a field is not (!=, !) cannot be looked up")
	}
	return w.test(n)
}

// test is the witness of a node that is neither &&, || nor !. An absent field is "": a test that holds for "" holds for
// events that lack the field, which no look-up finds.
func (w *witnesser) test(n node) []Witness {
	switch n := n.(type) {
	case *textEqual:
		if n.text == "" {
			return w.none(`an absent field equals "", too`)
		}
		return []Witness{{Field: n.field, Values: []string{n.text}}}
	case *textIn:
		if slices.Contains(n.texts, "") {
			return w.none(`an absent field equals "", too`)
		}
		return []Witness{{Field: n.field, Values: sortedSet(n.texts)}}
	case *listIn:
		if !n.slot.plainField() || n.slot.typ != schema.TypeString {
			return w.none("raw values and JSON are not indexed")
		}
		if n.list.Contains("") {
			return w.none(`the list matches "", which an absent field equals`)
		}
		return []Witness{{Field: schema.Field(n.slot.at), List: n.list}}
	case *fieldTester, *textTester, *pattern:
		return w.none("looking inside a text (startsWith, contains, iequals, matches ...) is not indexed")
	case *intOrder, *slotOrder:
		return w.none("numbers and ranges are not indexed")
	case *slotEqual, *slotPair, *slotPairOrder, *slotIn, *slotMissing, *slotBool:
		return w.none("raw values, JSON, agent.* and comparisons of two fields are not indexed")
	case *hasField, *always:
		return w.none("has(), true and false are not indexed")
	}
	return w.none("what is computed (functions, exists, addresses) is not indexed")
}

// allOf is the witnesses of a conjunction: each of an operand's.
func (w *witnesser) allOf(g group, negated bool) (out []Witness) {
	for _, n := range g {
		out = append(out, w.find(n, negated)...)
	}
	return out
}

// anyOf is the witnesses of a disjunction: on each field on which every operand has one, all their values.
func (w *witnesser) anyOf(g group, negated bool) []Witness {
	var common []Witness
	for i, n := range g {
		found := w.find(n, negated)
		if i == 0 {
			common = found
		} else {
			common = unite(common, found)
		}
		if len(common) == 0 && len(found) > 0 {
			return w.none("the alternatives of || ask different fields")
		}
		if len(common) == 0 {
			return nil
		}
	}
	return common
}

// unite returns, for each field on which both have a witness, one for either.
func unite(a, b []Witness) (out []Witness) {
	for _, x := range a {
		for _, y := range b {
			if x.Field != y.Field {
				continue
			}
			if x.List != nil && x.List == y.List {
				out = append(out, x)
				break
			}
			xs, ok := x.literals()
			ys, ok2 := y.literals()
			if ok && ok2 && len(xs)+len(ys) <= maxUnion {
				out = append(out, Witness{Field: x.Field, Values: sortedSet(append(slices.Clone(xs), ys...))})
				break
			}
		}
	}
	return out
}

func (w Witness) literals() ([]string, bool) {
	if w.List != nil {
		return w.List.Literals()
	}
	return w.Values, true
}

func sortedSet(texts []string) []string {
	out := slices.Clone(texts)
	slices.Sort(out)
	return slices.Compact(out)
}
