package expr

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// lenient rewrites a checked expression in place. Slots become identifiers, constants become Go values, a constant key of a
// dyn value becomes part of a slot of its own, and a function with an operand that may be missing becomes its lenient form.
type lenient struct {
	*checked
	env    *Env
	vars   map[string]bool // whether a comprehension variable may be missing
	nextID int64
}

// root rewrites the whole expression. A condition that may be missing is made false.
func (l *lenient) root(condition bool) {
	l.nextID = ast.MaxID(l.ast) + 1
	e := l.ast.Expr()
	if l.visit(e) && condition {
		l.wrap(e, "bool")
	}
}

var factory = ast.NewExprFactory()

// visit rewrites e and reports whether its value may be missing. If no operand of a function may be missing, CEL's own
// function is kept.
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
		mayBeMissing := false
		for _, x := range e.AsList().Elements() {
			mayBeMissing = l.visit(x) || mayBeMissing
		}
		return mayBeMissing
	case ast.MapKind:
		for _, x := range e.AsMap().Entries() {
			l.visit(x.AsMapEntry().Key())
			l.visit(x.AsMapEntry().Value())
		}
		return false
	case ast.ComprehensionKind:
		return l.comprehension(e, e.AsComprehension())
	}
	return false
}

// comprehension rewrites a comprehension. If its list may be missing, so may its elements.
func (l *lenient) comprehension(e ast.Expr, c ast.ComprehensionExpr) bool {
	mayBeMissing := l.visit(c.IterRange())
	if mayBeMissing {
		l.wrap(c.IterRange(), "range")
	}
	outer := l.vars[c.IterVar()]
	l.vars[c.IterVar()] = mayBeMissing
	for _, x := range []ast.Expr{c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
		l.visit(x)
	}
	l.vars[c.IterVar()] = outer
	return l.isDyn(e)
}

func (l *lenient) isDyn(e ast.Expr) bool { return l.ast.GetType(e.ID()).Kind() == types.DynKind }

func (l *lenient) newID() int64 {
	l.nextID++
	return l.nextID - 1
}

// visitCall rewrites the operands, the target first, and then the call. It reports whether the result may be missing.
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
	mayMiss := make([]bool, len(args))
	for i, a := range args {
		mayMiss[i] = l.visit(a)
	}
	return l.replace(e, c.FunctionName(), args, mayMiss)
}

// replace rewrites a call whose operands are rewritten; mayMiss[i] is whether operand i may be missing. It reports whether
// the result may be missing.
func (l *lenient) replace(e ast.Expr, name string, args []ast.Expr, mayMiss []bool) bool {
	anyMissing := slices.Contains(mayMiss, true)
	switch name {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional:
		return l.logic(name, args, mayMiss)
	case "@has":
		l.has(e, args[0])
	case operators.Index:
		return l.index(e, args[0], args[1])
	case "matches":
		text, _ := literalText(args[1])
		re, _ := predicate.CompilePattern(text) // resolve.go has rejected a pattern that does not compile
		l.literal(args[1], constant{re})
		l.call(e, name, args...)
	case "@network":
		text, _ := literalText(args[0])
		l.literal(args[0], constant{netip.MustParsePrefix(text).Masked()}) // as for patterns
		l.call(e, name, args...)
	case "@address":
		l.call(e, name, args...)
	case "@url":
		part, _ := literalText(args[0])
		if !l.derive(e, args[1], part) {
			l.call(e, name, args...)
		}
	case "@allows":
		if !l.grant(e, args) {
			l.call(e, name, append([]ast.Expr{l.registry()}, args...)...)
		}
	case "@tool":
		can := factory.NewLiteral(l.newID(), constant{l.env.site.Capabilities})
		l.call(e, name, append([]ast.Expr{can}, args...)...)
	case "secrets", "invisible":
		l.call(e, name, args...)
	case predicate.Normalise, predicate.Decode, predicate.Inject, predicate.Entropy, predicate.Spelled:
		if !l.derive(e, args[0], name) {
			l.call(e, name, args...)
		}
	case "lowerAscii":
		if anyMissing {
			l.call(e, name, args...)
		} else {
			l.derive(e, args[0], "lower")
		}
		return anyMissing
	case operators.In:
		if anyMissing || isListValue(args[1]) { // CEL would look into the list's literals only
			l.call(e, name, args...)
		}
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater,
		operators.GreaterEquals, "size", "startsWith", "endsWith", "contains", "iequals", "icontains", "glob":
		if anyMissing {
			l.call(e, name, args...)
		}
	default:
		return l.isDyn(e)
	}
	return false
}

// logic turns the operands of &&, ||, ! and ?: that may be missing into conditions.
func (l *lenient) logic(name string, args []ast.Expr, mayMiss []bool) bool {
	if name == operators.Conditional {
		if mayMiss[0] {
			l.wrap(args[0], "bool")
		}
		return mayMiss[1] || mayMiss[2]
	}
	for i, a := range args {
		if mayMiss[i] {
			l.wrap(a, "bool")
		}
	}
	return false
}

// index rewrites the access to a key. A constant key below a slot becomes a slot of its own, so that the rest of the value is
// not read.
func (l *lenient) index(e, operand, key ast.Expr) bool {
	text, constantText := literalText(key)
	n, isSlot := l.slotOf(operand)
	if isSlot && constantText && l.slots[n].Type == schema.TypeDyn && l.slots[n].Derive == "" {
		below := l.slots[n]
		below.Path = append(slices.Clip(below.Path), text)
		l.ident(e, l.slot(below))
		return true
	}
	l.call(e, operators.Index, operand, key)
	return true
}

// has rewrites has(x): as a slot of its own if x is a slot, otherwise as a lenient function.
func (l *lenient) has(e, x ast.Expr) {
	n, isSlot := l.slotOf(x)
	if !isSlot {
		l.call(e, "has", x)
		return
	}
	presence := l.slots[n]
	presence.Presence = true
	l.ident(e, l.slot(presence))
}

// derive turns e, a text made from x, into a slot of its own. It returns false if x is not a slot that allows this.
func (l *lenient) derive(e, x ast.Expr, how string) bool {
	n, isSlot := l.slotOf(x)
	if !isSlot || l.slots[n].Presence || !derivable(l.slots[n].Derive, how) {
		return false
	}
	derived := l.slots[n]
	derived.Derive = strings.TrimPrefix(derived.Derive+" "+how, " ")
	l.ident(e, l.slot(derived))
	return true
}

// derivable reports whether a slot can have one more part of a Derive: at most two, of which the first makes a text.
func derivable(old, how string) bool {
	switch old {
	case "":
		return true
	case predicate.Normalise, predicate.Decode, predicate.Spelled:
		return how != old
	}
	return false
}

// grant turns agent.allows(kind, x), whose arguments are the kind, the agent's uid and x, into a slot of its own, so that the
// index finds rules by it. It returns false if x is neither a slot nor a constant text.
func (l *lenient) grant(e ast.Expr, args []ast.Expr) bool {
	kind, _ := literalText(args[0])
	s := predicate.Slot{Source: predicate.FromGrant, Name: kind, Type: schema.TypeBool, Agents: l.env.site.Agents}
	n, isSlot := l.slotOf(args[2])
	text, isText := literalText(args[2])
	switch {
	case isSlot:
		of := l.slots[n]
		s.Of = &of
	case isText:
		s.Text = text
	default:
		return false
	}
	l.ident(e, l.slot(s))
	return true
}

// registryName is the identifier of the registry in a lenient expression.
const registryName = "@registry"

// registry returns the identifier of the registry, which an evaluation may replace.
func (l *lenient) registry() ast.Expr {
	e := factory.NewIdent(l.newID(), registryName)
	l.ast.SetReference(e.ID(), ast.NewIdentReference(registryName, nil))
	l.ast.SetType(e.ID(), types.DynType)
	return e
}

// slot returns the number of a slot, which it adds if it is new.
func (l *lenient) slot(s predicate.Slot) int {
	for n := range l.slots {
		o := &l.slots[n]
		if o.SameSource(&s) && o.Presence == s.Presence && o.Derive == s.Derive && slices.Equal(o.Path, s.Path) {
			return n
		}
	}
	l.slots = append(l.slots, s)
	return len(l.slots) - 1
}

// slotOf returns the number of the slot that an identifier reads.
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

// ident turns e into the identifier of slot n.
func (l *lenient) ident(e ast.Expr, n int) {
	e.SetKindCase(factory.NewIdent(e.ID(), slotName(n)))
	l.ast.SetReference(e.ID(), ast.NewIdentReference(slotName(n), nil))
	l.ast.SetType(e.ID(), celType(l.slots[n].ResultType()))
}

func (l *lenient) literal(e ast.Expr, v ref.Val) {
	e.SetKindCase(factory.NewLiteral(e.ID(), v))
}

// call turns e into a call of the lenient form of a function.
func (l *lenient) call(e ast.Expr, name string, args ...ast.Expr) {
	e.SetKindCase(factory.NewCall(e.ID(), lenientName(name), args...))
	l.ast.SetReference(e.ID(), ast.NewFunctionReference(lenientName(name)))
}

// wrap turns e into a lenient function of itself. The former e moves into a new expression with a new number.
func (l *lenient) wrap(e ast.Expr, name string) {
	inner := factory.NewUnspecifiedExpr(l.newID())
	inner.SetKindCase(e)
	l.ast.SetType(inner.ID(), l.ast.GetType(e.ID()))
	if r, ok := l.ast.ReferenceMap()[e.ID()]; ok {
		l.ast.SetReference(inner.ID(), r)
	}
	delete(l.ast.ReferenceMap(), e.ID())
	l.call(e, name, inner)
	if name == "bool" {
		l.ast.SetType(e.ID(), types.BoolType)
	}
}

// slotName returns the identifier of slot n in a lenient expression.
func slotName(n int) string { return "@" + strconv.Itoa(n) }

// slotNumber returns the number of the slot with the identifier name; ok is false for other names.
func slotNumber(name string) (n int, ok bool) {
	if len(name) < 2 || name[0] != '@' {
		return 0, false
	}
	n, err := strconv.Atoi(name[1:])
	return n, err == nil
}
