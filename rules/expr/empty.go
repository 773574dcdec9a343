package expr

import (
	"slices"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// outlook reports whether a condition never holds or always holds, whatever the event. It is neither for most conditions. An
// empty list decides some; lists holds the names of these lists.
type outlook struct {
	never, always bool
	lists         []string
}

// emptyLists returns the names of the empty lists because of which the condition never holds, sorted. It returns nil if the
// condition may hold, or never holds for another reason.
func (o outlook) emptyLists() []string {
	if !o.never {
		return nil
	}
	lists := slices.Clone(o.lists)
	slices.Sort(lists)
	return slices.Compact(lists)
}

// outlook examines a condition whose names are resolved. Conditions of other forms are neither never nor always true.
func (v *Env) outlook(e ast.Expr) (o outlook) {
	switch e.Kind() {
	case ast.LiteralKind:
		b, ok := e.AsLiteral().(types.Bool)
		return outlook{never: ok && !bool(b), always: ok && bool(b)}
	case ast.ComprehensionKind:
		return v.comprehensionOutlook(e.AsComprehension())
	case ast.CallKind:
		return v.callOutlook(e.AsCall())
	}
	return outlook{}
}

func (v *Env) callOutlook(c ast.CallExpr) outlook {
	args := c.Args()
	switch c.FunctionName() {
	case operators.In:
		if list := args[1]; isCall(list, "@list") {
			if name, _ := literalText(list.AsCall().Args()[0]); v.site.Lists[name].Size() == 0 {
				return outlook{never: true, lists: []string{name}}
			}
		}
	case operators.LogicalNot:
		o := v.outlook(args[0])
		o.never, o.always = o.always, o.never
		return o
	case operators.LogicalAnd:
		return and(v.outlook(args[0]), v.outlook(args[1]))
	case operators.LogicalOr:
		return not(and(not(v.outlook(args[0])), not(v.outlook(args[1]))))
	case operators.Conditional:
		x, y := v.outlook(args[1]), v.outlook(args[2])
		return outlook{x.never && y.never, x.always && y.always, slices.Concat(x.lists, y.lists)}
	}
	return outlook{}
}

// comprehensionOutlook examines exists and exists_one, which never hold if the condition on their elements never does. An
// empty value decides the others.
func (v *Env) comprehensionOutlook(c ast.ComprehensionExpr) outlook {
	step := c.LoopStep()
	if step.Kind() != ast.CallKind {
		return outlook{}
	}
	var element ast.Expr // the condition on an element
	switch args := step.AsCall().Args(); step.AsCall().FunctionName() {
	case operators.LogicalOr: // exists: accumulated || element
		element = args[1]
	case operators.Conditional: // exists_one: element ? accumulated + 1 : accumulated
		if c.Result().Kind() != ast.CallKind {
			return outlook{} // filter: the result is a list
		}
		element = args[0]
	default:
		return outlook{}
	}
	o := v.outlook(element)
	return outlook{never: o.never, lists: o.lists}
}

func not(o outlook) outlook { return outlook{o.always, o.never, o.lists} }

// and returns the outlook of a conjunction: it never holds if one operand never does.
func and(a, b outlook) outlook {
	switch {
	case a.never && !b.never:
		return a
	case b.never && !a.never:
		return b
	}
	return outlook{a.never && b.never, a.always && b.always, slices.Concat(a.lists, b.lists)}
}
