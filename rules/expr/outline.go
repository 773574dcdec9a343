package expr

import "strings"

// Outline is a condition with its parts, for people: the operands of &&, || and ! are conditions of their own.
type Outline struct {
	Text string // without the brackets and comments around it
	// Operator is "&&", "||" or "!", the operator of the parts; "" if there are none.
	Operator string
	Parts    []Outline
}

// maxOutlineDepth bounds the depth of an outline. It is that of the nesting of expressions.
const maxOutlineDepth = maxNesting

// OutlineOf returns the outline of a valid condition.
func OutlineOf(text string) Outline { return outline(text, 0) }

func outline(text string, depth int) Outline {
	o := Outline{Text: unwrap(text)}
	if depth == maxOutlineDepth {
		return o
	}
	parts := splitConjuncts(o.Text)
	if o.Operator = "&&"; len(parts) < 2 {
		parts, o.Operator = splitDisjuncts(o.Text), "||"
	}
	if len(parts) < 2 {
		parts, o.Operator = negated(o.Text), "!"
	}
	if len(parts) == 0 {
		o.Operator = ""
		return o
	}
	for _, p := range parts {
		o.Parts = append(o.Parts, outline(p, depth+1))
	}
	return o
}

// negated returns the operand of ! if the whole text is a negation, in a list; else nil. As ! binds more than every other
// operator, the operand is a text in brackets.
func negated(text string) []string {
	rest, ok := strings.CutPrefix(text, "!")
	inner := unwrap(rest)
	if !ok || inner == trimComments(rest) {
		return nil
	}
	return []string{inner}
}
