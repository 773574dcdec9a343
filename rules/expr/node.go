package expr

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/cel-go/common/operators"

	"github.com/aidr-engine/aidr/schema"
)

// verdict is what a node says. As in CEL, a node that fails does not matter where the others decide: false && failed is
// false, true || failed is true.
type verdict uint8

const (
	no verdict = iota
	yes
	failed
)

func verdictOf(b bool) verdict {
	if b {
		return yes
	}
	return no
}

// node is one condition over slots, made ready. It is immutable; what it needs meanwhile is in the Scratch. All nodes
// but leaf are free of boxing and allocation.
type node interface {
	eval(s *Scratch) verdict
	usesCEL() bool
	// weight is how late it is asked among the operands of && and ||: their order never changes a verdict.
	weight() int
}

const (
	weightSlot = iota // compares one value
	weightText        // goes over a text
	weightCEL         // runs CEL
)

// plain is the part of a node that does not use CEL.
type plain struct{}

func (plain) usesCEL() bool { return false }
func (plain) weight() int   { return weightSlot }

// search is plain for nodes that go over a text.
type search struct{}

func (search) usesCEL() bool { return false }
func (search) weight() int   { return weightText }

// group is the operands of && or ||, the cheap ones first.
type group []node

func (g group) usesCEL() bool { return slices.ContainsFunc(g, node.usesCEL) }

func (g group) weight() (w int) {
	for _, n := range g {
		w = max(w, n.weight())
	}
	return w
}

func newGroup(terms []node) group {
	g := group(slices.Clone(terms))
	slices.SortStableFunc(g, func(a, b node) int { return a.weight() - b.weight() })
	return g
}

type and struct{ group }

func (n *and) eval(s *Scratch) verdict {
	out := yes
	for _, t := range n.group {
		switch t.eval(s) {
		case no:
			return no
		case failed:
			out = failed
		}
	}
	return out
}

type or struct {
	group           // all
	rest  group     // those that are asked one by one
	found []*sought // the others, by text
}

func newOr(terms []node) *or {
	n := &or{group: newGroup(terms)}
	n.rest, n.found = seek(n.group)
	return n
}

func (n *or) eval(s *Scratch) verdict {
	out := anyOf(n.rest, s)
	for i := 0; i < len(n.found) && out != yes; i++ {
		if v := n.found[i].eval(s); v != no {
			out = v
		}
	}
	return out
}

// anyOf is the verdict of alternatives.
func anyOf(terms group, s *Scratch) verdict {
	out := no
	for _, t := range terms {
		switch t.eval(s) {
		case yes:
			return yes
		case failed:
			out = failed
		}
	}
	return out
}

type not struct{ node }

func (n *not) eval(s *Scratch) verdict {
	switch n.node.eval(s) {
	case yes:
		return no
	case no:
		return yes
	}
	return failed
}

// always is a constant.
type always struct {
	plain
	verdict verdict
}

func (n *always) eval(*Scratch) verdict { return n.verdict }

// textEqual is field == "text"; an absent field is "".
type textEqual struct {
	plain
	field schema.Field
	text  string
}

func (n *textEqual) eval(s *Scratch) verdict { return verdictOf(s.event.Text(n.field) == n.text) }

// intOrder is an int field compared with an int.
type intOrder struct {
	plain
	field schema.Field
	op    order
	n     int64
}

func (n *intOrder) eval(s *Scratch) verdict {
	v := s.event.Int(n.field)
	switch {
	case v < n.n:
		return verdictOf(n.op&less != 0)
	case v > n.n:
		return verdictOf(n.op&greater != 0)
	}
	return verdictOf(n.op&equal != 0)
}

// order is the set of outcomes that a comparison accepts.
type order uint8

const (
	less order = 1 << iota
	equal
	greater
)

func orderOf(function string) (o order, ok bool) {
	switch strings.TrimPrefix(function, "@@") {
	case operators.Equals:
		return equal, true
	case operators.NotEquals:
		return less | greater, true
	case operators.Less:
		return less, true
	case operators.LessEquals:
		return less | equal, true
	case operators.Greater:
		return greater, true
	case operators.GreaterEquals:
		return greater | equal, true
	}
	return 0, false
}

// mirrored is the order for operands that change sides.
func (o order) mirrored() order {
	return o&equal | o&less<<2 | o&greater>>2
}

// slotEqual is slot == constant, of any type.
type slotEqual struct {
	plain
	slot  *slot
	value schema.Value
}

func (n *slotEqual) eval(s *Scratch) verdict { return verdictOf(equalValues(s.read(n.slot), n.value)) }

// slotOrder is <, <=, > or >= of a slot and a constant: false where the value is missing, an error where the two cannot
// be ordered.
type slotOrder struct {
	plain
	slot  *slot
	op    order
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
	return verdictOf(n.op&(1<<(c+1)) != 0)
}

// Errors of nodes are made once, so that hostile values cost no allocation.
var (
	errOrder   = errors.New("the values cannot be ordered: they are of different types")
	errText    = errors.New("a text is needed, the value is none")
	errBoolean = errors.New("a condition is needed, the value is not true or false")
)

func (s *Scratch) fail(err error) verdict {
	s.err = err
	return failed
}

// slotPair is == or != of two slots.
type slotPair struct {
	plain
	a, b   *slot
	differ bool
}

func (n *slotPair) eval(s *Scratch) verdict {
	a, b := s.read(n.a), s.read(n.b)
	if isContainer(a) && isContainer(b) {
		// Objects are equal whatever their order, texts however they are escaped: trees tell. It is rare, and allocates.
		return verdictOf((valuesEqual(box(a), box(b)) == valuesTrue) != n.differ)
	}
	return verdictOf(equalValues(a, b) != n.differ)
}

// slotPairOrder is <, <=, > or >= of two slots, as slotOrder.
type slotPairOrder struct {
	plain
	a, b *slot
	op   order
}

func (n *slotPairOrder) eval(s *Scratch) verdict {
	a, b := s.read(n.a), s.read(n.b)
	if !a.Present() || !b.Present() {
		return no
	}
	c, ok := compareValues(a, b)
	if !ok {
		return s.fail(errOrder)
	}
	return verdictOf(n.op&(1<<(c+1)) != 0)
}

func isContainer(v schema.Value) bool { return v.Kind == schema.KindJSON || v.Kind == schema.KindList }

// slotMissing is slot == null.
type slotMissing struct {
	plain
	slot *slot
}

func (n *slotMissing) eval(s *Scratch) verdict { return verdictOf(!s.read(n.slot).Present()) }

// slotBool is a slot as a condition; what is missing is false.
type slotBool struct {
	plain
	slot *slot
}

func (n *slotBool) eval(s *Scratch) verdict {
	v := s.read(n.slot)
	switch v.Kind {
	case schema.KindBool:
		return verdictOf(v.Bool())
	case schema.KindAbsent:
		return no
	}
	return s.fail(errBoolean)
}

// hasField is has(field).
type hasField struct {
	plain
	field schema.Field
}

func (n *hasField) eval(s *Scratch) verdict { return verdictOf(s.event.Has(n.field)) }

// textIn is field in ["a", "b"].
type textIn struct {
	plain
	field schema.Field
	texts []string
	set   map[string]struct{} // nil where texts are few
}

// maxScan is how many texts are compared one by one; a map is faster from there on.
const maxScan = 8

func newTextIn(f schema.Field, texts []string) *textIn {
	n := &textIn{field: f, texts: texts}
	if len(texts) > maxScan {
		n.set = make(map[string]struct{}, len(texts))
		for _, t := range texts {
			n.set[t] = struct{}{}
		}
	}
	return n
}

func (n *textIn) eval(s *Scratch) verdict {
	text := s.event.Text(n.field)
	if n.set != nil {
		_, ok := n.set[text]
		return verdictOf(ok)
	}
	return verdictOf(slices.Contains(n.texts, text))
}

// slotIn is slot in [constants].
type slotIn struct {
	plain
	slot   *slot
	values []schema.Value
}

func (n *slotIn) eval(s *Scratch) verdict {
	v := s.read(n.slot)
	for _, c := range n.values {
		if equalValues(v, c) {
			return yes
		}
	}
	return no
}

// listIn is slot in lists.NAME.
type listIn struct {
	plain
	slot *slot
	list List
}

func (n *listIn) eval(s *Scratch) verdict {
	v := s.read(n.slot)
	return verdictOf(v.Kind == schema.KindString && n.list.Contains(v.Text))
}

// listHas is "text" in slot, where the slot is a list of texts.
type listHas struct {
	search
	slot *slot
	text string
}

func (n *listHas) eval(s *Scratch) verdict {
	it := jsonItems{text: s.read(n.slot).Text, at: 1}
	for it.next() {
		if jsonSpells(it.value, n.text) {
			return yes
		}
	}
	return no
}

// textTester is slot.startsWith("text") and its like.
type textTester struct {
	search
	name string
	slot *slot
	arg  string
	test func(text, arg string) bool
}

func (n *textTester) eval(s *Scratch) verdict {
	v := s.read(n.slot)
	if !v.Present() {
		return no
	}
	text, ok := s.search(v)
	if !ok {
		return s.fail(errText)
	}
	return verdictOf(n.test(text, n.arg))
}

// fieldTester is textTester on a field itself: an absent one is "".
type fieldTester struct {
	search
	name  string
	slot  *slot // the field
	field schema.Field
	arg   string
	test  func(text, arg string) bool
}

func (n *fieldTester) eval(s *Scratch) verdict {
	return verdictOf(n.test(s.event.Text(n.field), n.arg))
}

// pattern is slot.matches("re").
type pattern struct {
	search
	slot *slot
	re   *regex
}

func (n *pattern) eval(s *Scratch) verdict {
	v := s.read(n.slot)
	if !v.Present() {
		return no
	}
	text, ok := s.search(v)
	if !ok {
		return s.fail(errText)
	}
	return verdictOf(n.re.match(text))
}

// address is ip(slot).isPrivate() and its like.
type address struct {
	search
	slot *slot
	kind string
}

func (n *address) eval(s *Scratch) verdict {
	v := s.read(n.slot)
	return verdictOf(v.Kind == schema.KindString && addressIs(n.kind, v.Text))
}

// network is cidr("10.0.0.0/8").contains(slot).
type network struct {
	search
	slot   *slot
	prefix netip.Prefix
}

func (n *network) eval(s *Scratch) verdict {
	v := s.read(n.slot)
	return verdictOf(v.Kind == schema.KindString && networkHas(n.prefix, v.Text))
}

// allows is agent.allows_tool(slot), or of a constant.
type allows struct {
	search
	agents Registry
	what   string
	slot   *slot  // nil: text
	text   string // the constant
}

func (n *allows) eval(s *Scratch) verdict {
	v := schema.StringValue(n.text)
	if n.slot != nil {
		v = s.read(n.slot)
	}
	ok := n.agents != nil && v.Kind == schema.KindString
	return verdictOf(ok && n.agents.Allows(s.event.Text(schema.AIAgentUID), n.what, v.Text))
}
