package predicate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// Witness is a necessary condition that an index can look up: if it does not hold, neither does the condition. It holds if
// the value of Field is one of Values, or is in List, and never for an event without the field. If a condition cannot
// be looked up, its only Witness is without Values and List, and Why is the reason.
type Witness struct {
	Field  schema.Field
	Values []string // sorted, without ""
	List   List     // instead of Values, if any value of a list will do
	Why    string
}

// Witnesses returns the witnesses, the most selective first, or a single Witness that has only Why. The slice must not be
// changed.
func (c *Cond) Witnesses() []Witness { return c.witnesses }

// maxUnion is the largest number of values of a witness that the operands of || have together. Beyond it, a list or a
// narrower condition is the better witness.
const maxUnion = 4096

// witnessesOf returns the witnesses of a condition.
func witnessesOf(root Node) []Witness {
	var f witnessFinder
	found := f.find(root, false)
	if len(found) == 0 {
		slices.Sort(f.reasons)
		reasons := strings.Join(slices.Compact(f.reasons), "; ")
		return []Witness{{Why: "no part of it is == or in on a text field of the event: " + reasons}}
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

// commonness ranks fields by how many events share a value. A value that nearly all events share selects the least.
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

// Commonness returns a lower bound for the share of events that have a given value of the slot: nearly all events of a
// source share the values of some fields.
func Commonness(s *Slot) float64 {
	if s.isPlainField() {
		switch commonness(schema.Field(s.At)) {
		case 2:
			return 0.9
		case 1:
			return 0.3
		}
	}
	return 0
}

// witnessFinder walks the negation normal form of a condition without building it: negated is true below an odd number of !.
type witnessFinder struct {
	reasons []string // why nodes are not witnesses
}

func (f *witnessFinder) none(reason string) []Witness {
	f.reasons = append(f.reasons, reason)
	return nil
}

func (f *witnessFinder) find(n Node, negated bool) []Witness {
	switch n := n.(type) {
	case *not:
		return f.find(n.Node, !negated)
	case *shared:
		return f.find(n.Node, negated)
	case *and:
		if negated {
			return f.anyOf(n.group, negated)
		}
		return f.allOf(n.group, negated)
	case *or:
		if negated {
			return f.allOf(n.group, negated)
		}
		return f.anyOf(n.group, negated)
	}
	if negated {
		return f.none("negations (!=, !) cannot be looked up")
	}
	return f.test(n)
}

// test returns the witness of a node that is neither &&, || nor !. An absent field is "": a test that holds for "" holds for
// events without the field, which a look-up does not find.
func (f *witnessFinder) test(n Node) []Witness {
	switch n := n.(type) {
	case *textEqual:
		if n.text == "" {
			return f.none(`an absent field equals "", too`)
		}
		return []Witness{{Field: n.field, Values: []string{n.text}}}
	case *textIn:
		if slices.Contains(n.texts, "") {
			return f.none(`an absent field equals "", too`)
		}
		return []Witness{{Field: n.field, Values: sortedSet(n.texts)}}
	case *listIn:
		if !n.slot.isTextField() {
			return f.none("raw values and JSON are not indexed")
		}
		if n.list.Contains("") {
			return f.none(`the list matches "", which an absent field equals`)
		}
		return []Witness{{Field: schema.Field(n.slot.At), List: n.list}}
	case *fieldTest, *slotTest, *matches:
		return f.none("looking inside a text (startsWith, contains, iequals, matches ...) is not indexed")
	case *intOrder, *slotOrder:
		return f.none("numbers and ranges are not indexed")
	case *slotEqual, *pairEqual, *pairOrder, *slotIn, *slotMissing, *slotBool:
		return f.none("raw values, JSON, agent.* and comparisons of two fields are not indexed")
	case *hasField, *constant:
		return f.none("has(), true and false are not indexed")
	}
	return f.none("computed values (functions, exists, addresses) are not indexed")
}

// allOf returns the witnesses of a conjunction: those of all operands.
func (f *witnessFinder) allOf(g group, negated bool) (out []Witness) {
	for _, n := range g {
		out = append(out, f.find(n, negated)...)
	}
	return out
}

// anyOf returns the witnesses of a disjunction: for each field on which every operand has a witness, all their values.
func (f *witnessFinder) anyOf(g group, negated bool) []Witness {
	var common []Witness
	for i, n := range g {
		found := f.find(n, negated)
		if i == 0 {
			common = found
		} else {
			common = unite(common, found)
		}
		if len(common) == 0 && len(found) > 0 {
			return f.none("the alternatives of || are on different fields")
		}
		if len(common) == 0 {
			return nil
		}
	}
	return common
}

// unite returns, for each field on which a and b each have a witness, a witness that holds if either of the two holds.
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

// literals returns the values of the witness; ok is false for a list without literals.
func (w Witness) literals() (values []string, ok bool) {
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
