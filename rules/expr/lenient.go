package expr

import (
	"net/netip"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/aidr-engine/aidr/schema"
)

// lenient goes over a checked expression, in place: slots become identifiers, constants Go values, constant keys of a
// dyn value a slot of their own, and wherever an operand may be missing the function becomes its twin. It tells of each
// sub-expression whether it may be missing; where it cannot, CEL's own function stays.
type lenient struct {
	*checked
	env    *Env
	vars   map[string]bool // comprehension variables that may be missing
	nextID int64
}

func (l *lenient) root(condition bool) {
	l.nextID = ast.MaxID(l.ast) + 1
	e := l.ast.Expr()
	if l.visit(e) && condition {
		l.wrap(e, "bool")
	}
}

var factory = ast.NewExprFactory()

// visit returns whether e may be missing.
func (l *lenient) visit(e ast.Expr) bool {
	switch e.Kind() {
	case ast.IdentKind:
		return l.vars[e.AsIdent()] || l.isDyn(e)
	case ast.SelectKind:
		s := e.AsSelect()
		key := factory.NewLiteral(l.newID(), types.String(s.FieldName()))
		l.visit(s.Operand())
		return l.index(e, s.Operand(), key)
	case ast.CallKind:
		return l.visitCall(e)
	case ast.ListKind:
		some := false
		for _, x := range e.AsList().Elements() {
			some = l.visit(x) || some
		}
		return some
	case ast.MapKind:
		for _, x := range e.AsMap().Entries() {
			l.visit(x.AsMapEntry().Key())
			l.visit(x.AsMapEntry().Value())
		}
		return false
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		some := l.visit(c.IterRange())
		if some {
			l.wrap(c.IterRange(), "range")
		}
		outer := l.vars[c.IterVar()]
		l.vars[c.IterVar()] = some
		for _, x := range []ast.Expr{c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
			l.visit(x)
		}
		l.vars[c.IterVar()] = outer
		return l.isDyn(e)
	}
	return false
}

func (l *lenient) isDyn(e ast.Expr) bool { return l.ast.GetType(e.ID()).Kind() == types.DynKind }

func (l *lenient) newID() int64 {
	l.nextID++
	return l.nextID - 1
}

// visitCall visits the operands, the target first, and replaces the call where it must be.
func (l *lenient) visitCall(e ast.Expr) bool {
	c := e.AsCall()
	args := c.Args()
	if c.IsMemberFunction() {
		args = append([]ast.Expr{c.Target()}, args...)
	}
	switch name := c.FunctionName(); name {
	case "@string", "@int", "@double", "@bool", "@time", "@dyn", "@strings":
		n, _ := args[0].AsLiteral().(types.Int)
		l.ident(e, int(n))
		return name == "@dyn"
	case "@list":
		text, _ := literalText(args[0])
		l.literal(e, newListValue(l.env.site.Lists[text]))
		return false
	}
	some := make([]bool, len(args))
	for i, a := range args {
		some[i] = l.visit(a)
	}
	return l.replace(e, c.FunctionName(), args, some)
}

// replace decides what stands for a call whose operands are done; some says which of them may be missing.
func (l *lenient) replace(e ast.Expr, name string, args []ast.Expr, some []bool) bool {
	lax := false
	for _, s := range some {
		lax = lax || s
	}
	switch name {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional:
		return l.logic(name, args, some)
	case "@has":
		l.has(e, args[0])
	case operators.Index:
		return l.index(e, args[0], args[1])
	case "matches":
		text, _ := literalText(args[1])
		re, _ := newRegex(text) // resolve.go has refused what does not compile
		l.literal(args[1], constant{re})
		l.twin(e, name, args...)
	case "@network":
		text, _ := literalText(args[0])
		l.literal(args[0], constant{netip.MustParsePrefix(text).Masked()}) // as above
		l.twin(e, name, args...)
	case "@address":
		l.twin(e, name, args...)
	case "@url":
		part, _ := literalText(args[0])
		if !l.derive(e, args[1], part) {
			l.twin(e, name, args...)
		}
	case "@allows":
		registry := factory.NewLiteral(l.newID(), constant{l.env.site.Agents})
		l.twin(e, name, append([]ast.Expr{registry}, args...)...)
	case "secrets":
		l.twin(e, name, args...)
	case "lowerAscii":
		if lax {
			l.twin(e, name, args...)
		} else {
			l.derive(e, args[0], "lower")
		}
		return lax
	case operators.In:
		if lax || isListValue(args[1]) { // CEL would take the list's literals for all of it
			l.twin(e, name, args...)
		}
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater,
		operators.GreaterEquals, "size", "startsWith", "endsWith", "contains", "iequals", "icontains", "glob":
		if lax {
			l.twin(e, name, args...)
		}
	default:
		return l.isDyn(e)
	}
	return false
}

// logic makes conditions of what may be missing.
func (l *lenient) logic(name string, args []ast.Expr, some []bool) bool {
	if name == operators.Conditional {
		if some[0] {
			l.wrap(args[0], "bool")
		}
		return some[1] || some[2]
	}
	for i, a := range args {
		if some[i] {
			l.wrap(a, "bool")
		}
	}
	return false
}

// index reads a key. Below a slot, a constant key is a slot of its own, so that nothing else of the value is read.
func (l *lenient) index(e, operand, key ast.Expr) bool {
	text, constantText := literalText(key)
	n, isSlot := l.slotOf(operand)
	if isSlot && constantText && l.slots[n].typ == schema.TypeDyn && l.slots[n].derive == "" {
		below := l.slots[n]
		below.path = append(below.path[:len(below.path):len(below.path)], text)
		l.ident(e, l.slot(below))
		return true
	}
	l.twin(e, operators.Index, operand, key)
	return true
}

// has asks whether a slot's value is there, or what was found at run time.
func (l *lenient) has(e, x ast.Expr) {
	n, isSlot := l.slotOf(x)
	if !isSlot {
		l.twin(e, "has", x)
		return
	}
	asks := l.slots[n]
	asks.presence = true
	l.ident(e, l.slot(asks))
}

// derive makes a slot of its own of a text that is made from a slot; false where there is no slot below.
func (l *lenient) derive(e, x ast.Expr, how string) bool {
	n, isSlot := l.slotOf(x)
	if !isSlot || l.slots[n].presence || l.slots[n].derive != "" {
		return false
	}
	made := l.slots[n]
	made.derive = how
	l.ident(e, l.slot(made))
	return true
}

// slot returns the number of a slot, a new one where there is none like it.
func (l *lenient) slot(s slot) int {
	for n := range l.slots {
		if o := &l.slots[n]; o.src == s.src && o.at == s.at && o.name == s.name && o.presence == s.presence && o.derive == s.derive && pathKey(o.path) == pathKey(s.path) {
			return n
		}
	}
	l.slots = append(l.slots, s)
	return len(l.slots) - 1
}

// slotOf returns the slot that an identifier reads.
func (l *lenient) slotOf(e ast.Expr) (int, bool) {
	if e.Kind() != ast.IdentKind {
		return 0, false
	}
	return slotNumber(e.AsIdent())
}

func isListValue(e ast.Expr) bool {
	if e.Kind() != ast.LiteralKind {
		return false
	}
	_, ok := e.AsLiteral().(listValue)
	return ok
}

func (l *lenient) ident(e ast.Expr, n int) {
	e.SetKindCase(factory.NewIdent(e.ID(), slotName(n)))
	l.ast.SetReference(e.ID(), ast.NewIdentReference(slotName(n), nil))
	l.ast.SetType(e.ID(), celType(l.slots[n].resultType()))
}

func (l *lenient) literal(e ast.Expr, v ref.Val) {
	e.SetKindCase(factory.NewLiteral(e.ID(), v))
}

func (l *lenient) twin(e ast.Expr, name string, args ...ast.Expr) {
	e.SetKindCase(factory.NewCall(e.ID(), twin(name), args...))
	l.ast.SetReference(e.ID(), ast.NewFunctionReference(twin(name)))
}

// wrap puts a twin of one operand around e. What e was moves into a new expression with a number of its own.
func (l *lenient) wrap(e ast.Expr, name string) {
	inner := factory.NewUnspecifiedExpr(l.newID())
	inner.SetKindCase(e)
	l.ast.SetType(inner.ID(), l.ast.GetType(e.ID()))
	if r, ok := l.ast.ReferenceMap()[e.ID()]; ok {
		l.ast.SetReference(inner.ID(), r)
	}
	delete(l.ast.ReferenceMap(), e.ID())
	l.twin(e, name, inner)
	if name == "bool" {
		l.ast.SetType(e.ID(), types.BoolType)
	}
}
