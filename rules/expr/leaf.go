package expr

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// leaf is the part of a condition that stays CEL.
type leaf struct{ program program }

func (*leaf) usesCEL() bool { return true }
func (*leaf) weight() int   { return weightCEL }

func (n *leaf) eval(s *Scratch) verdict {
	ok, err := n.program.run(&s.values)
	if err != nil {
		return s.fail(err)
	}
	return verdictOf(ok)
}

// program is CEL made ready. It is immutable.
type program struct {
	cel   cel.Program
	loops bool
	spent context.Context // is over
}

// maxSteps is how many elements the comprehensions of one evaluation may visit together: all of the largest list that an
// event can hold (256 KiB of "1,"), so that no padding hides an element, and at most about 50 ms.
const maxSteps = 1 << 17

var errSteps = fmt.Errorf("evaluate condition: its comprehensions visit more than %d elements", maxSteps)

// eval evaluates the program over slots.
func (p *program) eval(v *values) (out ref.Val, err error) {
	if p.loops {
		out, _, err = p.cel.ContextEval(p.spent, v)
	} else {
		out, _, err = p.cel.Eval(v)
	}
	switch {
	case errors.Is(err, interpreter.InterruptError{}):
		return nil, errSteps
	case err != nil:
		return nil, fmt.Errorf("evaluate condition: %w", err)
	}
	return out, nil
}

// run evaluates a condition.
func (p *program) run(v *values) (bool, error) {
	out, err := p.eval(v)
	if err != nil {
		return false, err
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("evaluate condition: the result is a %s, not true or false", out.Type().TypeName())
	}
	return bool(b), nil
}

// program plans a part of a checked expression. Only comprehensions need a limit at run time: everything else does each
// of its steps once. cel-go's own (CostLimit) will not do: its tracker takes time by the square of the steps, a second
// for 20,000 of them. Instead CEL looks every maxSteps steps whether its context is over, and it is over from the start.
func (v *Env) program(c *checked, e ast.Expr) (program, error) {
	part := ast.NewCheckedAST(ast.NewAST(e, c.ast.SourceInfo()), c.ast.TypeMap(), c.ast.ReferenceMap())
	p, err := v.cel.PlanProgram(part, cel.EvalOptions(cel.OptOptimize), cel.InterruptCheckFrequency(maxSteps))
	if err != nil {
		return program{}, fmt.Errorf("plan expression: %w", err)
	}
	return program{cel: p, loops: hasLoop(e), spent: v.spent}, nil
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
