package expr

import (
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// disjunction is the nodes of an || in the order of the source, and the node of the whole.
type disjunction struct {
	terms []predicate.Node
	any   predicate.Node
}

// reasons returns the operands of the top-level && of an expression with their texts. The syntax tree and the text are
// split separately; if the parts do not correspond, the text of an operand stays whole.
func (b *builder) reasons(e ast.Expr, text string) (out []predicate.Reason) {
	texts, exprs := splitConjuncts(text), operands(e, operators.LogicalAnd)
	for i, t := range texts {
		if len(texts) == len(exprs) {
			out = append(out, b.reason(exprs[i], t))
		} else {
			out = append(out, predicate.Reason{Text: t})
		}
	}
	return out
}

// reason returns an operand of && as a reason, with its branches if it has any.
func (b *builder) reason(e ast.Expr, text string) predicate.Reason {
	if d, ok := b.ors[e]; ok {
		texts, exprs := splitDisjuncts(text), operands(e, operators.LogicalOr)
		if len(texts) == len(exprs) && len(texts) == len(d.terms) {
			branches := make([]predicate.Branch, len(texts))
			for i := range texts {
				branches[i] = b.reasons(exprs[i], texts[i])
			}
			return predicate.OrReason(text, d.any, d.terms, branches)
		}
	}
	if slot, values := b.constantList(e); slot != nil {
		name, elements := splitIn(text)
		if len(elements) == len(values) {
			for i := range elements {
				elements[i] = name + " == " + elements[i]
			}
			return predicate.InReason(text, slot, values, elements)
		}
	}
	return predicate.Reason{Text: text}
}

// constantList returns the slot and the values of slot in [constants]; nil if e is another expression.
func (b *builder) constantList(e ast.Expr) (slot *predicate.Slot, values []schema.Value) {
	if e.Kind() != ast.CallKind || strings.TrimPrefix(e.AsCall().FunctionName(), lenientPrefix) != operators.In {
		return nil, nil
	}
	args := e.AsCall().Args()
	if len(args) != 2 || args[1].Kind() != ast.ListKind {
		return nil, nil
	}
	for _, el := range args[1].AsList().Elements() {
		v, ok := constantValue(el)
		if !ok {
			return nil, nil
		}
		values = append(values, v)
	}
	return b.slot(args[0]), values
}

// operands returns the operands of an operator, && or ||, with a && (b && c) flattened; e itself if it is not a call of it.
func operands(e ast.Expr, operator string) []ast.Expr {
	if !isCall(e, operator) {
		return []ast.Expr{e}
	}
	var out []ast.Expr
	for _, a := range e.AsCall().Args() {
		out = append(out, operands(a, operator)...)
	}
	return out
}

// splitIn returns the texts of name and of the elements of a valid expression name in [elements]; nil for other
// expressions.
func splitIn(text string) (name string, elements []string) {
	text = unwrap(text)
	open := strings.IndexByte(text, '[')
	if i := slices.IndexFunc([]byte(text), func(c byte) bool { return c == '"' || c == '\'' }); i >= 0 && i < open || !strings.HasSuffix(text, "]") {
		return "", nil // a name with a string in it
	}
	name, ok := strings.CutSuffix(trimComments(text[:max(open, 0)]), "in")
	if !ok || name == "" || isNameByte(name[len(name)-1]) {
		return "", nil
	}
	list := text[open+1 : len(text)-1]
	depth, start := 0, 0
	for i := 0; i < len(list); {
		switch c := list[i]; {
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' || c == ']' || c == '}':
			depth--
		case c == ',' && depth == 0:
			elements = append(elements, trimComments(list[start:i]))
			start = i + 1
		}
		i = skipToken(list, i)
	}
	if last := trimComments(list[start:]); last != "" {
		elements = append(elements, last)
	}
	return trimComments(name), elements
}
