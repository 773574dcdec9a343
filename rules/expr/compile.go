package expr

import (
	"net/netip"
	"strings"
	"time"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/aidr-engine/aidr/schema"
)

// builder makes nodes of an expression that lenient has gone over. What it has no node for becomes a leaf.
//
// A decorator inside cel-go's planner would do the same within its interface, ref.Val, which boxes every result;
// nodes of our own answer without a box, and leave CEL out altogether where they cover the condition.
type builder struct {
	env *Env
	*checked
}

// condition makes a node of a bool expression.
func (b *builder) condition(e ast.Expr) (node, error) {
	if e.Kind() == ast.CallKind {
		c := e.AsCall()
		switch c.FunctionName() {
		case operators.LogicalAnd, operators.LogicalOr:
			return b.group(c)
		case operators.LogicalNot:
			inner, err := b.condition(c.Args()[0])
			return &not{inner}, err
		}
	}
	if n := b.test(e); n != nil {
		switch n.(type) {
		case *pattern, *secretKind, *secretCount:
			return b.env.share(n), nil
		}
		return n, nil
	}
	p, err := b.env.program(b.checked, e)
	if err != nil {
		return nil, err
	}
	return &leaf{program: p}, nil
}

// group flattens a && (b && c).
func (b *builder) group(c ast.CallExpr) (node, error) {
	var terms []node
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
		return &and{newGroup(terms)}, nil
	}
	return b.env.share(newOr(terms)), nil
}

// test makes a node of what is neither &&, || nor !; nil where there is none.
func (b *builder) test(e ast.Expr) node {
	switch e.Kind() {
	case ast.LiteralKind:
		if v, ok := e.AsLiteral().(types.Bool); ok {
			return &always{verdict: verdictOf(bool(v))}
		}
	case ast.IdentKind:
		if s := b.slot(e); s != nil {
			return boolNode(s)
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

func (b *builder) call(function string, args []ast.Expr) node {
	if op, ok := orderOf(function); ok {
		return b.comparison(op, args[0], args[1])
	}
	switch name := strings.TrimPrefix(function, "@@"); name {
	case "bool":
		if s := b.slot(args[0]); s != nil {
			return boolNode(s)
		}
	case operators.In:
		return b.membership(args[0], args[1])
	case "matches":
		if s := b.slot(args[0]); s != nil {
			return &pattern{slot: s, re: goValue[*regex](args[1])}
		}
	case "@network":
		if s := b.slot(args[1]); s != nil {
			return &network{slot: s, prefix: goValue[netip.Prefix](args[0])}
		}
	case "@address":
		if s := b.slot(args[1]); s != nil {
			kind, _ := literalText(args[0])
			return &address{slot: s, kind: kind}
		}
	case "@allows":
		text, isText := literalText(args[3])
		if s := b.slot(args[3]); s != nil || isText {
			what, _ := literalText(args[1])
			return &allows{agents: goValue[Registry](args[0]), what: what, slot: s, text: text}
		}
	default:
		arg, isText := "", false
		if len(args) == 2 {
			arg, isText = literalText(args[1])
		}
		if test := textTest(name); test != nil && isText {
			s := b.slot(args[0])
			switch {
			case s == nil:
			case s.plainField() && s.typ == schema.TypeString:
				return &fieldTester{name: name, slot: s, field: schema.Field(s.at), arg: arg, test: test}
			default:
				return &textTester{name: name, slot: s, arg: arg, test: test}
			}
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

// slot returns the slot that e reads, nil where it reads none.
func (b *builder) slot(e ast.Expr) *slot {
	if e.Kind() != ast.IdentKind {
		return nil
	}
	n, ok := slotNumber(e.AsIdent())
	if !ok {
		return nil
	}
	return &b.slots[n]
}

func boolNode(s *slot) node {
	if s.presence && s.src == fromField && len(s.path) == 0 && s.derive == "" {
		return &hasField{field: schema.Field(s.at)}
	}
	return &slotBool{slot: s}
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
		return schema.TimestampValue(ns), time.Unix(0, ns).Equal(c.Time) // the years beyond 2262 stay CEL's
	}
	return v, false
}

// comparison makes a node of ==, !=, <, <=, > and >=.
func (b *builder) comparison(op order, x, y ast.Expr) node {
	sx, sy := b.slot(x), b.slot(y)
	if sx != nil && sy != nil {
		if op == equal || op == less|greater {
			return &slotPair{a: sx, b: sy, differ: op != equal}
		}
		return &slotPairOrder{a: sx, b: sy, op: op}
	}
	if _, isConstant := constantValue(x); isConstant {
		sx, x, y, op = sy, y, x, op.mirrored()
	}
	v, ok := constantValue(y)
	switch {
	case !ok:
		return nil
	case sx == nil && v.Kind == schema.KindBool:
		return b.boolComparison(op, x, v.Bool())
	case sx == nil && v.Kind == schema.KindInt:
		return b.secretCount(op, x, v.Int())
	case sx == nil:
		return nil
	}
	switch op {
	case equal:
		return equalNode(sx, v)
	case less | greater:
		return &not{equalNode(sx, v)}
	}
	if !v.Present() {
		return nil
	}
	if sx.plainField() && sx.typ == schema.TypeInt && v.Kind == schema.KindInt {
		return &intOrder{field: schema.Field(sx.at), op: op, n: v.Int()}
	}
	return &slotOrder{slot: sx, op: op, value: v}
}

// boolComparison makes a node of condition == true and the like; nil where x may be something else than a bool.
func (b *builder) boolComparison(op order, x ast.Expr, v bool) node {
	if b.ast.GetType(x.ID()).Kind() != types.BoolKind || op != equal && op != less|greater {
		return nil
	}
	n := b.test(x)
	if n != nil && v != (op == equal) {
		return &not{n}
	}
	return n
}

func equalNode(s *slot, v schema.Value) node {
	switch {
	case !v.Present():
		return &slotMissing{slot: s}
	case s.plainField() && s.typ == schema.TypeString && v.Kind == schema.KindString:
		return &textEqual{field: schema.Field(s.at), text: v.Text}
	case s.plainField() && s.typ == schema.TypeInt && v.Kind == schema.KindInt:
		return &intOrder{field: schema.Field(s.at), op: equal, n: v.Int()}
	}
	return &slotEqual{slot: s, value: v}
}

// plainField says that the slot is a field and nothing below it.
func (s *slot) plainField() bool {
	return s.src == fromField && len(s.path) == 0 && !s.presence && s.derive == ""
}

// membership makes a node of x in list.
func (b *builder) membership(x, list ast.Expr) node {
	if s := b.slot(list); s != nil {
		text, ok := literalText(x)
		if ok && s.typ == schema.TypeList && !s.presence {
			return &listHas{slot: s, text: text}
		}
		return nil
	}
	if n := b.secretKind(x, list); n != nil {
		return n
	}
	s := b.slot(x)
	if s == nil {
		return nil
	}
	if list.Kind() == ast.LiteralKind {
		if l, ok := list.AsLiteral().(listValue); ok {
			return &listIn{slot: s, list: l.list}
		}
		return nil
	}
	if list.Kind() != ast.ListKind {
		return nil
	}
	var values []schema.Value
	var texts []string
	for _, el := range list.AsList().Elements() {
		v, ok := constantValue(el)
		if !ok {
			return nil
		}
		values = append(values, v)
		if v.Kind == schema.KindString {
			texts = append(texts, v.Text)
		}
	}
	if s.plainField() && s.typ == schema.TypeString && len(texts) == len(values) {
		return newTextIn(schema.Field(s.at), texts)
	}
	return &slotIn{slot: s, values: values}
}
