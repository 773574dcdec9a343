package expr

import (
	"fmt"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"

	"github.com/aidr-engine/aidr/schema"
)

// CEL's checker accepts == for operands of one type only: bytes == 1000.0 would not compile, although bytes < 1000.0 does.
// Therefore == and != are checked here. The resolver replaces them by @equal and @differ, which take operands of any type;
// once the types are known, restoreEquality turns them back into CEL's own.

// equalityName returns the function that replaces == or != while types are checked, "" for other functions.
func equalityName(function string) string {
	switch function {
	case operators.Equals:
		return "@equal"
	case operators.NotEquals:
		return "@differ"
	}
	return ""
}

// equality turns e into @equal or @differ if it is == or !=. If the types of both operands are obvious, it compares them
// already, because the checker returns no types if it finds a problem elsewhere.
func (r *resolver) equality(e ast.Expr, c ast.CallExpr, name string) {
	eq := equalityName(name)
	if eq == "" {
		return
	}
	x, y := plainType(c.Args()[0]), plainType(c.Args()[1])
	if x != nil && y != nil && !comparable(x, y) {
		r.unknown(e, neverEqual(name, x, y))
		return
	}
	r.call(e, eq, c.Args()...)
}

// plainType returns the type of a literal or of a slot, nil for other expressions.
func plainType(e ast.Expr) *types.Type {
	if e.Kind() == ast.LiteralKind {
		t, _ := e.AsLiteral().Type().(*types.Type)
		return t
	}
	for t := schema.TypeString; t <= schema.TypeList; t++ {
		if isCall(e, slotFunction(t)) {
			return celType(t)
		}
	}
	return nil
}

func neverEqual(name string, x, y *types.Type) string {
	left, right := typeName(x.String()), typeName(y.String())
	return fmt.Sprintf("%s compares %s with %s: they are never equal", operatorName(name), left, right)
}

// restoreEquality turns @equal and @differ back into == and !=, and returns the issues of those whose operands are never
// equal.
func restoreEquality(a *ast.AST) (issues []Issue) {
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		name, overload := operators.Equals, overloads.Equals
		switch {
		case isCall(e, "@equal"):
		case isCall(e, "@differ"):
			name, overload = operators.NotEquals, overloads.NotEquals
		default:
			return
		}
		args := e.AsCall().Args()
		x, y := a.GetType(args[0].ID()), a.GetType(args[1].ID())
		if !comparable(x, y) {
			at := a.SourceInfo().GetStartLocation(e.ID())
			issues = append(issues, Issue{max(at.Line(), 1), at.Column() + 1, neverEqual(name, x, y)})
		}
		e.SetKindCase(factory.NewCall(e.ID(), name, args...))
		a.SetReference(e.ID(), ast.NewFunctionReference(overload))
	}))
	return issues
}

// comparable reports whether values of the two types can be equal.
func comparable(x, y *types.Type) bool {
	if x.Kind() == types.DynKind || y.Kind() == types.DynKind {
		return true
	}
	if isNumeric(x) && isNumeric(y) {
		return true
	}
	return x.IsAssignableType(y) || y.IsAssignableType(x)
}

func isNumeric(t *types.Type) bool {
	return t.Kind() == types.IntKind || t.Kind() == types.DoubleKind || t.Kind() == types.UintKind
}
