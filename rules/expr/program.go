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

	"github.com/aidr-engine/aidr/rules/predicate"
)

// program is a planned CEL expression over slots. It is immutable.
type program struct {
	cel       cel.Program
	loops     bool // whether it has a comprehension
	agents    predicate.Registry
	cancelled context.Context // see Env.program
}

// maxSteps is the number of elements that the comprehensions of one evaluation may visit together: all elements of the
// largest list that an event can hold (256 KiB of "1,"), so that padding does not hide an element. They take at most about
// 50 ms.
const maxSteps = 1 << 17

var errSteps = fmt.Errorf("evaluate condition: its comprehensions visit more than %d elements", maxSteps)

// eval returns the value of the program.
func (p *program) eval(s *predicate.Scratch) (out ref.Val, err error) {
	if p.loops {
		out, _, err = p.cel.ContextEval(p.cancelled, activation{s, p.agents})
	} else {
		out, _, err = p.cel.Eval(activation{s, p.agents})
	}
	switch {
	case errors.Is(err, interpreter.InterruptError{}):
		return nil, errSteps
	case err != nil:
		return nil, fmt.Errorf("evaluate condition: %w", err)
	}
	return out, nil
}

// holds reports whether a condition holds.
func (p *program) holds(s *predicate.Scratch) (bool, error) {
	out, err := p.eval(s)
	if err != nil {
		return false, err
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("evaluate condition: the result is a %s, not true or false", out.Type().TypeName())
	}
	return bool(b), nil
}

// program plans a part of a checked expression.
//
// Only comprehensions need a limit at run time: every other step runs once. cel-go's own limit (CostLimit) is not usable: the
// time of its tracker grows with the square of the steps, to a second for 20,000 steps. Instead, CEL checks every maxSteps
// steps whether its context is cancelled, and the context is cancelled from the start.
func (v *Env) program(c *checked, e ast.Expr) (*program, error) {
	part := ast.NewCheckedAST(ast.NewAST(e, c.ast.SourceInfo()), c.ast.TypeMap(), c.ast.ReferenceMap())
	p, err := v.cel.PlanProgram(part, cel.EvalOptions(cel.OptOptimize), cel.InterruptCheckFrequency(maxSteps))
	if err != nil {
		return nil, fmt.Errorf("plan expression: %w", err)
	}
	return &program{cel: p, loops: hasLoop(e), agents: v.site.Agents, cancelled: v.cancelled}, nil
}

// hasLoop reports whether the expression contains a comprehension.
func hasLoop(e ast.Expr) (found bool) {
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(x ast.Expr) {
		found = found || x.Kind() == ast.ComprehensionKind
	}))
	return found
}

// activation gives CEL the values of slots, and the registry.
type activation struct {
	scratch *predicate.Scratch
	agents  predicate.Registry // that of the condition; the scratch may have another
}

// ResolveName returns the value of the slot with the identifier name.
func (a activation) ResolveName(name string) (any, bool) {
	if name == registryName {
		if a.scratch.Agents != nil {
			return constant{a.scratch.Agents}, true
		}
		return constant{a.agents}, true
	}
	n, ok := slotNumber(name)
	if !ok {
		return nil, false
	}
	v, ok := a.scratch.Slot(n)
	if !ok {
		return nil, false
	}
	return box(v), true
}

// Parent returns nil, because slots are the only names.
func (a activation) Parent() interpreter.Activation { return nil }
