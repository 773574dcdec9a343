package expr

import (
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"
)

// leaf is the part of a condition that stays CEL.
type leaf struct{ program cel.Program }

func (*leaf) usesCEL() bool { return true }
func (*leaf) weight() int   { return weightCEL }

func (n *leaf) eval(s *Scratch) verdict {
	ok, err := run(n.program, &s.values)
	if err != nil {
		return s.fail(err)
	}
	return verdictOf(ok)
}

// run evaluates a program over slots.
func run(p cel.Program, v *values) (bool, error) {
	out, _, err := p.Eval(v)
	if err != nil {
		return false, err
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("evaluate condition: the result is a %s, not true or false", out.Type().TypeName())
	}
	return bool(b), nil
}

// program plans a part of a checked expression. Only one with a comprehension gets a limit at run time: everything
// else does each of its steps once, and counting them costs ten times what they do.
func (v *Env) program(c *checked, e ast.Expr) (cel.Program, error) {
	part := ast.NewCheckedAST(ast.NewAST(e, c.ast.SourceInfo()), c.ast.TypeMap(), c.ast.ReferenceMap())
	opts := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if hasLoop(e) {
		opts = append(opts, cel.CostLimit(maxRunCost))
	}
	p, err := v.cel.PlanProgram(part, opts...)
	if err != nil {
		return nil, fmt.Errorf("plan expression: %w", err)
	}
	return p, nil
}

func hasLoop(e ast.Expr) (found bool) {
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(x ast.Expr) {
		found = found || x.Kind() == ast.ComprehensionKind
	}))
	return found
}

// ResolveName gives CEL the value of a slot.
func (v *values) ResolveName(name string) (any, bool) {
	n, ok := slotNumber(name)
	if !ok || n < 0 || n >= len(v.slots) {
		return nil, false
	}
	return box(v.read(&v.slots[n])), true
}

// Parent returns nil: slots are all there is.
func (v *values) Parent() interpreter.Activation { return nil }
