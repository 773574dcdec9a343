package expr

import (
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"github.com/aidr-engine/aidr/rules/predicate"
)

// existsFact returns the fact of list.exists(x, condition): the list contains one of the texts that the condition needs an
// element to have. It is unknown for other expressions, and for a condition that may fail without such a text.
func (b *builder) existsFact(e ast.Expr) predicate.Fact {
	if e.Kind() != ast.ComprehensionKind {
		return predicate.Fact{}
	}
	c := e.AsComprehension()
	step, list := c.LoopStep(), c.IterRange()
	if c.IterVar2() != "" || !isCall(step, operators.LogicalOr) || c.Result().Kind() != ast.IdentKind || hasLoop(step) {
		return predicate.Fact{}
	}
	if isCall(list, lenientName("range")) {
		list = list.AsCall().Args()[0]
	}
	slot := b.slot(list)
	element := step.AsCall().Args()[1]
	if slot == nil || step.AsCall().Args()[0].Kind() != ast.IdentKind || step.AsCall().Args()[0].AsIdent() != c.AccuVar() {
		return predicate.Fact{}
	}
	return predicate.ElementFact(slot, neededTexts(element, c.IterVar()))
}

// neededTexts returns texts one of which is in the element x if the condition on x is not false; nil if there are none.
func neededTexts(e ast.Expr, x string) (texts []string) {
	if e.Kind() != ast.CallKind {
		return nil
	}
	c := e.AsCall()
	args := c.Args()
	switch strings.TrimPrefix(c.FunctionName(), lenientPrefix) {
	case "bool":
		return neededTexts(args[0], x)
	case operators.LogicalAnd: // one operand that is false decides, even if another one fails
		for _, a := range args {
			if texts = neededTexts(a, x); texts != nil {
				return texts
			}
		}
	case operators.LogicalOr:
		for _, a := range args {
			more := neededTexts(a, x)
			if more == nil {
				return nil
			}
			texts = append(texts, more...)
		}
		return texts
	case operators.Equals:
		for i, a := range args {
			if text, ok := literalText(args[1-i]); ok && isPartOf(a, x) {
				return []string{text}
			}
		}
	case operators.In:
		if !isPartOf(args[0], x) || args[1].Kind() != ast.ListKind {
			return nil
		}
		for _, el := range args[1].AsList().Elements() {
			text, ok := literalText(el)
			if !ok {
				return nil
			}
			texts = append(texts, text)
		}
		return texts
	}
	return nil
}

// isPartOf reports whether an expression is x, or a value at constant keys below it.
func isPartOf(e ast.Expr, x string) bool {
	for isCall(e, lenientName(operators.Index)) {
		args := e.AsCall().Args()
		if args[1].Kind() != ast.LiteralKind {
			return false
		}
		if t := args[1].AsLiteral().Type(); t != types.StringType && t != types.IntType {
			return false
		}
		e = args[0]
	}
	return e.Kind() == ast.IdentKind && e.AsIdent() == x
}
