package predicate

import (
	"slices"

	"github.com/aidr-engine/aidr/schema"
)

// Formula is the structure of a condition for an index: how its verdict follows from those of its tests.
type Formula struct {
	Op    Op
	Terms []Formula // of OpAnd, OpOr, OpNot; of OpChoice: the condition, and the two alternatives
	// Test is the test of an OpTest. Of an OpOr that searches a text for several alternatives, it is the whole, which one
	// pass over the text evaluates; otherwise nil.
	Test   Node
	Weight int // of the test; lighter tests should run first
	// MayFail is set for an OpChoice whose condition may fail. It then fails, whatever the alternatives are.
	MayFail bool
}

// Op is the operator of a Formula.
type Op uint8

// The operators of a Formula.
const (
	OpTest Op = iota
	OpAnd
	OpOr
	OpNot
	OpChoice // Terms[0] ? Terms[1] : Terms[2]
)

// Formula returns the structure of the condition. Nodes that conditions of one environment share are the same Node.
func (c *Cond) Formula() Formula { return formulaOf(c.root) }

func formulaOf(n Node) Formula {
	switch x := n.(type) {
	case *shared:
		f := formulaOf(x.Node)
		if f.Test != nil {
			f.Test = n
		}
		return f
	case *and:
		return Formula{Op: OpAnd, Terms: formulasOf(x.group), Weight: x.weight()}
	case *or:
		f := Formula{Op: OpOr, Terms: formulasOf(x.group), Weight: x.weight()}
		if len(x.texts) > 0 {
			f.Test = n
		}
		return f
	case *not:
		return Formula{Op: OpNot, Terms: []Formula{formulaOf(x.Node)}, Weight: x.weight()}
	}
	if x, ok := n.(*choice); ok {
		terms := formulasOf(group{x.cond, x.then, x.other})
		return Formula{Op: OpChoice, Terms: terms, Weight: x.weight(), MayFail: mayFail(x.cond)}
	}
	return Formula{Op: OpTest, Test: n, Weight: n.weight()}
}

// mayFail reports whether a node may fail. Tests of fields, of presence and of equality do not.
func mayFail(n Node) bool {
	switch n := n.(type) {
	case *shared:
		return mayFail(n.Node)
	case *not:
		return mayFail(n.Node)
	case *and:
		return slices.ContainsFunc(n.group, mayFail)
	case *or:
		return slices.ContainsFunc(n.group, mayFail)
	case *textEqual, *textIn, *intOrder, *hasField, *fieldTest, *listIn, *slotEqual, *slotIn, *slotMissing, *constant, *inNetwork, *checkAddress:
		return false
	case *slotBool:
		return n.slot.ResultType() == schema.TypeDyn
	}
	return true
}

func formulasOf(g group) []Formula {
	out := make([]Formula, len(g))
	for i, n := range g {
		out[i] = formulaOf(n)
	}
	return out
}

// Bare returns the test without the cache that conditions share: the same test has the same Bare, and its fact.
func Bare(n Node) Node {
	if s, ok := n.(*shared); ok {
		return s.Node
	}
	return n
}

// ReadsOneValue reports whether the verdict of a test depends on the value of one slot only, that of its fact. A test that is
// left to CEL may read several.
func ReadsOneValue(n Node) bool {
	c, ok := Bare(n).(*computed)
	return !ok || len(c.slots) == 1
}

// Verdict is the outcome of a test: Holds, or not, or Failed.
type Verdict = verdict

// The outcomes of a test.
const (
	False  = no
	True   = yes
	Failed = failed
)

// Test evaluates a test of an event condition on the event of Begin.
func (s *Scratch) Test(n Node) Verdict { return n.eval(s) }

// Value returns the value of a slot of the event of Begin, and its kind before an absent field becomes the zero value of its
// type.
func (s *Scratch) Value(slot *Slot) (v schema.Value, kind schema.Kind) {
	v = s.value(slot)
	kind = v.Kind
	switch {
	case slot.Presence:
		return schema.BoolValue(v.Present()), schema.KindBool
	case slot.Derive != "" && kind == schema.KindAbsent:
		return ZeroValue(derivedType(slot.Derive)), kind
	case slot.Derive != "":
		return v, kind
	case kind == schema.KindAbsent:
		return ZeroValue(slot.Type), kind
	}
	return v, kind
}

// Searchable returns the text in which text functions search a value: a text itself, or the text of an object or array with
// its escapes spelled out. ok is false for other values.
func (s *Scratch) Searchable(v schema.Value) (text string, ok bool) { return s.searchable(v) }

// Key is equal for slots that read the same value.
func (s *Slot) Key() string { return s.key() }
