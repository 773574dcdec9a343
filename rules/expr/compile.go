package expr

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// builder makes the nodes of a checked, lenient expression.
type builder struct {
	env *Env
	*checked
	ors map[ast.Expr]disjunction // by the outermost of nested calls
}

// nodes returns the root node of a checked condition.
func (v *Env) nodes(c *checked) (predicate.Node, []Issue) {
	b := builder{env: v, checked: c, ors: map[ast.Expr]disjunction{}}
	root, err := b.condition(c.ast.Expr())
	if err != nil {
		return nil, []Issue{{1, 1, fmt.Sprintf("the condition cannot be planned: %v", err)}}
	}
	c.reasons = b.reasons(c.ast.Expr(), c.text)
	return root, nil
}

// condition returns the node of a bool expression. A part without a node of its own stays CEL.
func (b *builder) condition(e ast.Expr) (predicate.Node, error) {
	if e.Kind() == ast.CallKind {
		c := e.AsCall()
		switch c.FunctionName() {
		case operators.LogicalAnd, operators.LogicalOr:
			return b.group(e, c)
		case operators.LogicalNot:
			inner, err := b.condition(c.Args()[0])
			return predicate.Not(inner), err
		case operators.Conditional:
			return b.choice(c.Args())
		}
	}
	if n := b.test(e); n != nil {
		return b.env.shared.Share(n), nil
	}
	p, err := b.env.program(b.checked, e)
	if err != nil {
		return nil, err
	}
	return predicate.Computed(b.slots, b.existsFact(e), p.holds), nil
}

// choice returns the node of args[0] ? args[1] : args[2].
func (b *builder) choice(args []ast.Expr) (predicate.Node, error) {
	var nodes [3]predicate.Node
	for i, a := range args {
		n, err := b.condition(a)
		if err != nil {
			return nil, err
		}
		nodes[i] = n
	}
	return predicate.Choice(nodes[0], nodes[1], nodes[2]), nil
}

// group returns the node of e, a call c of && or ||, with a && (b && c) flattened.
func (b *builder) group(e ast.Expr, c ast.CallExpr) (predicate.Node, error) {
	var terms []predicate.Node
	var add func(e ast.Expr) error
	add = func(e ast.Expr) error {
		if isCall(e, c.FunctionName()) {
			for _, a := range e.AsCall().Args() {
				if err := add(a); err != nil {
					return err
				}
			}
			return nil
		}
		n, err := b.condition(e)
		terms = append(terms, n)
		return err
	}
	for _, a := range c.Args() {
		if err := add(a); err != nil {
			return nil, err
		}
	}
	if c.FunctionName() == operators.LogicalAnd {
		return predicate.And(terms), nil
	}
	any := predicate.Or(terms)
	b.ors[e] = disjunction{terms, any}
	return b.env.shared.Share(any), nil
}

// test returns the node of an expression other than &&, || and !, or nil if it stays CEL.
func (b *builder) test(e ast.Expr) predicate.Node {
	switch e.Kind() {
	case ast.LiteralKind:
		if v, ok := e.AsLiteral().(types.Bool); ok {
			return predicate.Constant(bool(v))
		}
	case ast.IdentKind:
		if s := b.slot(e); s != nil {
			return predicate.IsTrue(s)
		}
	case ast.CallKind:
		c := e.AsCall()
		args := c.Args()
		if c.IsMemberFunction() {
			args = append([]ast.Expr{c.Target()}, args...)
		}
		return b.call(c.FunctionName(), args)
	}
	return nil
}

// call returns the node of a call, or nil if it stays CEL. The target of a member call is its first argument.
func (b *builder) call(function string, args []ast.Expr) predicate.Node {
	if op, ok := orderOf(function); ok {
		return b.comparison(op, args[0], args[1])
	}
	switch name := strings.TrimPrefix(function, lenientPrefix); name {
	case "bool":
		if s := b.slot(args[0]); s != nil {
			return predicate.IsTrue(s)
		}
	case operators.In:
		return b.membership(args[0], args[1])
	case "matches":
		if s := b.slot(args[0]); s != nil {
			return predicate.Matches(s, goValue[*predicate.Pattern](args[1]))
		}
	case "@network":
		if s := b.slot(args[1]); s != nil {
			return predicate.InNetwork(s, goValue[netip.Prefix](args[0]))
		}
	case "@address":
		if s := b.slot(args[1]); s != nil {
			kind, _ := literalText(args[0])
			return predicate.CheckAddress(s, kind)
		}
	case "@tool":
		text, isText := literalText(args[2])
		if s := b.slot(args[2]); s != nil || isText {
			label, _ := literalText(args[1])
			return predicate.ToolCan(goValue[predicate.Capabilities](args[0]), label, s, text)
		}
	default:
		if len(args) != 2 {
			return nil
		}
		arg, isText := literalText(args[1])
		if s := b.slot(args[0]); s != nil && isText {
			return predicate.CheckText(name, s, arg)
		}
	}
	return nil
}

// goValue returns the Go value of a constant.
func goValue[T any](e ast.Expr) (out T) {
	if c, ok := e.AsLiteral().(constant); ok {
		out, _ = c.value.(T)
	}
	return out
}

// slot returns the slot that e reads, nil if e is not an identifier of a slot.
func (b *builder) slot(e ast.Expr) *predicate.Slot {
	if e.Kind() != ast.IdentKind {
		return nil
	}
	n, ok := slotNumber(e.AsIdent())
	if !ok {
		return nil
	}
	return &b.slots[n]
}

// constantValue returns the value of a literal, or of timestamp("literal"); null is absent.
func constantValue(e ast.Expr) (v schema.Value, ok bool) {
	if isCall(e, "timestamp") && len(e.AsCall().Args()) == 1 {
		text, isText := literalText(e.AsCall().Args()[0])
		if !isText {
			return v, false
		}
		return unboxed(types.String(text).ConvertToType(types.TimestampType))
	}
	if e.Kind() != ast.LiteralKind {
		return v, false
	}
	return unboxed(e.AsLiteral())
}

// unboxed returns the value of a CEL scalar; ok is false for other values.
func unboxed(val ref.Val) (v schema.Value, ok bool) {
	switch c := val.(type) {
	case types.String:
		return schema.StringValue(string(c)), true
	case types.Int:
		return schema.IntValue(int64(c)), true
	case types.Double:
		return schema.DoubleValue(float64(c)), true
	case types.Bool:
		return schema.BoolValue(bool(c)), true
	case types.Null:
		return v, true
	case types.Timestamp:
		ns := c.UnixNano()
		return schema.TimestampValue(ns), time.Unix(0, ns).Equal(c.Time) // a year after 2262 is left to CEL
	}
	return v, false
}

// orderOf returns the order of a comparison operator; ok is false for other functions.
func orderOf(function string) (o predicate.Order, ok bool) {
	switch strings.TrimPrefix(function, lenientPrefix) {
	case operators.Equals:
		return predicate.Equal, true
	case operators.NotEquals:
		return predicate.Less | predicate.Greater, true
	case operators.Less:
		return predicate.Less, true
	case operators.LessEquals:
		return predicate.Less | predicate.Equal, true
	case operators.Greater:
		return predicate.Greater, true
	case operators.GreaterEquals:
		return predicate.Greater | predicate.Equal, true
	}
	return 0, false
}

// comparison returns the node of ==, !=, <, <=, > and >=, or nil if it stays CEL.
func (b *builder) comparison(op predicate.Order, x, y ast.Expr) predicate.Node {
	sx, sy := b.slot(x), b.slot(y)
	if sx != nil && sy != nil {
		return predicate.ComparePair(sx, sy, op, sameContainers)
	}
	if _, isConstant := constantValue(x); isConstant {
		sx, x, y, op = sy, y, x, op.Mirrored()
	}
	v, ok := constantValue(y)
	switch {
	case !ok:
		return nil
	case sx != nil:
		return predicate.Compare(sx, op, v)
	case v.Kind == schema.KindBool:
		return b.boolComparison(op, x, v.Bool())
	case v.Kind == schema.KindInt:
		return b.countSecrets(op, x, v.Int())
	}
	return nil
}

// sameContainers compares two JSON values or lists as CEL does, by their trees.
func sameContainers(a, b schema.Value) bool { return valuesEqual(box(a), box(b)) == types.True }

// boolComparison returns the node of condition == true and the like; nil if x is not a bool.
func (b *builder) boolComparison(op predicate.Order, x ast.Expr, v bool) predicate.Node {
	const differ = predicate.Less | predicate.Greater
	if b.ast.GetType(x.ID()).Kind() != types.BoolKind || op != predicate.Equal && op != differ {
		return nil
	}
	n := b.test(x)
	if n != nil && v != (op == predicate.Equal) {
		return predicate.Not(n)
	}
	return n
}

// membership returns the node of x in list, or nil if it stays CEL.
func (b *builder) membership(x, list ast.Expr) predicate.Node {
	if s := b.slot(list); s != nil {
		if text, ok := literalText(x); ok {
			return predicate.HasElement(s, text)
		}
		return nil
	}
	if n := b.hasSecret(x, list); n != nil {
		return n
	}
	s := b.slot(x)
	if s == nil {
		return nil
	}
	switch list.Kind() {
	case ast.LiteralKind:
		if l, ok := list.AsLiteral().(listValue); ok {
			return predicate.InList(s, l.list)
		}
	case ast.ListKind:
		var values []schema.Value
		for _, el := range list.AsList().Elements() {
			v, ok := constantValue(el)
			if !ok {
				return nil
			}
			values = append(values, v)
		}
		return predicate.In(s, values)
	}
	return nil
}
