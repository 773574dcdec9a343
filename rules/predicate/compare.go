package predicate

import (
	"cmp"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// Order is the set of outcomes that a comparison accepts: <= is Less|Equal, != is Less|Greater.
type Order uint8

// The outcomes of a comparison.
const (
	Less Order = 1 << iota
	Equal
	Greater
)

// Mirrored returns the order for exchanged operands.
func (o Order) Mirrored() Order {
	return o&Equal | o&Less<<2 | o&Greater>>2
}

// accepts reports whether the order accepts c, a result of cmp.Compare.
func (o Order) accepts(c int) bool { return o&(1<<(c+1)) != 0 }

// Compare returns the comparison of a slot with a constant. An absent constant is null. It returns nil for an order with
// null, which is meaningless.
func Compare(slot *Slot, op Order, v schema.Value) Node {
	switch {
	case op == Equal:
		return equalTo(slot, v)
	case op == Less|Greater:
		return &not{equalTo(slot, v)}
	case !v.Present():
		return nil
	case slot.isPlainField() && slot.Type == schema.TypeInt && v.Kind == schema.KindInt:
		return &intOrder{field: schema.Field(slot.At), op: op, n: v.Int()}
	}
	return &slotOrder{slot: slot, op: op, value: v}
}

func equalTo(slot *Slot, v schema.Value) Node {
	switch {
	case !v.Present():
		return &slotMissing{slot: slot}
	case slot.isTextField() && v.Kind == schema.KindString:
		return &textEqual{field: schema.Field(slot.At), text: v.Text}
	case slot.isPlainField() && slot.Type == schema.TypeInt && v.Kind == schema.KindInt:
		return &intOrder{field: schema.Field(slot.At), op: Equal, n: v.Int()}
	}
	return &slotEqual{slot: slot, value: v}
}

// ComparePair returns the comparison of two slots. same compares two JSON values or lists: objects are equal in any order
// of their keys, and texts however they are escaped, so it takes trees, which allocate. Such comparisons are rare.
func ComparePair(a, b *Slot, op Order, same func(a, b schema.Value) bool) Node {
	if op == Equal || op == Less|Greater {
		return &pairEqual{a: a, b: b, differ: op != Equal, same: same}
	}
	return &pairOrder{a: a, b: b, op: op}
}

// textEqual is field == "text"; an absent field is "".
type textEqual struct {
	plain
	field schema.Field
	text  string
}

func (n *textEqual) eval(s *Scratch) verdict { return verdictOf(s.event.Text(n.field) == n.text) }

// intOrder compares an integer field with an integer.
type intOrder struct {
	plain
	field schema.Field
	op    Order
	n     int64
}

func (n *intOrder) eval(s *Scratch) verdict {
	v := s.event.Int(n.field)
	switch {
	case v < n.n:
		return verdictOf(n.op&Less != 0)
	case v > n.n:
		return verdictOf(n.op&Greater != 0)
	}
	return verdictOf(n.op&Equal != 0)
}

// slotEqual is slot == constant, of any type.
type slotEqual struct {
	plain
	slot  *Slot
	value schema.Value
}

func (n *slotEqual) eval(s *Scratch) verdict { return verdictOf(equalValues(s.read(n.slot), n.value)) }

// slotOrder is <, <=, > or >= of a slot and a constant. It is false if the value is missing, and fails if the two cannot be
// ordered.
type slotOrder struct {
	plain
	slot  *Slot
	op    Order
	value schema.Value
}

func (n *slotOrder) eval(s *Scratch) verdict {
	v := s.read(n.slot)
	if !v.Present() {
		return no
	}
	c, ok := compareValues(v, n.value)
	if !ok {
		return s.fail(errOrder)
	}
	return verdictOf(n.op.accepts(c))
}

// pairEqual is == or != of two slots.
type pairEqual struct {
	plain
	a, b   *Slot
	differ bool
	same   func(a, b schema.Value) bool
}

func (n *pairEqual) eval(s *Scratch) verdict {
	a, b := s.read(n.a), s.read(n.b)
	if isContainer(a) && isContainer(b) {
		return verdictOf(n.same(a, b) != n.differ)
	}
	return verdictOf(equalValues(a, b) != n.differ)
}

func isContainer(v schema.Value) bool { return v.Kind == schema.KindJSON || v.Kind == schema.KindList }

// pairOrder is <, <=, > or >= of two slots.
type pairOrder struct {
	plain
	a, b *Slot
	op   Order
}

func (n *pairOrder) eval(s *Scratch) verdict {
	a, b := s.read(n.a), s.read(n.b)
	if !a.Present() || !b.Present() {
		return no
	}
	c, ok := compareValues(a, b)
	if !ok {
		return s.fail(errOrder)
	}
	return verdictOf(n.op.accepts(c))
}

// slotMissing is slot == null.
type slotMissing struct {
	plain
	slot *Slot
}

func (n *slotMissing) eval(s *Scratch) verdict { return verdictOf(!s.read(n.slot).Present()) }

// IsTrue returns the condition that consists of one slot. It is false if the value is missing, and fails if the value is not
// a bool.
func IsTrue(slot *Slot) Node {
	if slot.Presence && slot.Source == FromField && len(slot.Path) == 0 && slot.Derive == "" {
		return &hasField{field: schema.Field(slot.At)}
	}
	return &slotBool{slot: slot}
}

type slotBool struct {
	plain
	slot *Slot
}

func (n *slotBool) eval(s *Scratch) verdict {
	v := s.read(n.slot)
	switch v.Kind {
	case schema.KindBool:
		return verdictOf(v.Bool())
	case schema.KindAbsent:
		return no
	}
	return s.fail(errNotBool)
}

// hasField is has(field).
type hasField struct {
	plain
	field schema.Field
}

func (n *hasField) eval(s *Scratch) verdict { return verdictOf(s.event.Has(n.field)) }

func isNumber(v schema.Value) bool { return v.Kind == schema.KindInt || v.Kind == schema.KindDouble }

// equalValues is CEL's == of two scalars, without boxing. A missing value equals nothing.
func equalValues(a, b schema.Value) bool {
	if isNumber(a) && isNumber(b) {
		return compareNumbers(a, b) == 0
	}
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case schema.KindString:
		return a.Text == b.Text
	case schema.KindBool, schema.KindTimestamp:
		return a.Num == b.Num
	}
	return false
}

// compareValues orders two scalars as CEL does; ok is false if CEL does not order them.
func compareValues(a, b schema.Value) (order int, ok bool) {
	if isNumber(a) && isNumber(b) {
		return compareNumbers(a, b), true
	}
	if a.Kind != b.Kind {
		return 0, false
	}
	switch a.Kind {
	case schema.KindString:
		return strings.Compare(a.Text, b.Text), true
	case schema.KindBool:
		return cmp.Compare(a.Num, b.Num), true
	case schema.KindTimestamp:
		return cmp.Compare(a.Int(), b.Int()), true
	}
	return 0, false
}

// compareNumbers orders integers and doubles. As in CEL, an integer is compared with a double as a double.
func compareNumbers(a, b schema.Value) int {
	if a.Kind == schema.KindInt && b.Kind == schema.KindInt {
		return cmp.Compare(a.Int(), b.Int())
	}
	return cmp.Compare(asDouble(a), asDouble(b))
}

func asDouble(v schema.Value) float64 {
	if v.Kind == schema.KindInt {
		return float64(v.Int())
	}
	return v.Double()
}
