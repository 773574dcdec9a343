package expr

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/rules/predicate"
)

// Rules share most of their parts: the source of an event, its action, an exception of the site. The operands of the
// top-level && of a condition are therefore compiled one by one and kept by their text, and a condition is put together from
// them. It is the condition that compiling the whole text returns: no operand can see another one.

// operand is a compiled operand of &&.
type operand struct {
	root predicate.Node // nil: the operand does not compile alone
	checked
}

// maxOperandDepth is the nesting of brackets up to which a condition is put together from its operands. Deeper ones may be
// beyond maxNesting, which counts from the outermost.
const maxOperandDepth = 16

// conjunction returns the condition that is put together from the operands of &&; nil if the whole has to be compiled,
// because it has one operand, or to report a problem.
func (v *Env) conjunction(text string) *predicate.Cond {
	if utf8.RuneCountInString(text) > maxExpressionRunes || !utf8.ValidString(text) || depthOf(text) > maxOperandDepth {
		return nil
	}
	texts := splitConjuncts(text)
	if len(texts) < 2 {
		return nil
	}
	var whole checked
	var terms []predicate.Node
	o := outlook{}
	for i, t := range texts {
		x := v.operand(t)
		if x.root == nil {
			return nil
		}
		terms = append(terms, x.root)
		whole.reasons = append(whole.reasons, x.reasons...)
		for _, m := range x.mentions {
			if !slices.ContainsFunc(whole.mentions, func(o predicate.StepMention) bool { return sameValue(o, m) }) {
				whole.mentions = append(whole.mentions, m)
			}
		}
		if i == 0 {
			o, whole.cost = x.outlook, x.cost
			continue
		}
		o = and(o, x.outlook)
		whole.cost.max = saturatingAdd(whole.cost.max, x.cost.max) // the first operand may decide alone: it is the minimum
	}
	if whole.cost.max > MaxCost {
		return nil
	}
	whole.empty = o.emptyLists()
	return whole.cond(text, predicate.And(terms))
}

// operand returns the compiled operand with the text.
func (v *Env) operand(text string) *operand {
	x, ok := v.operands[text]
	if ok {
		return x
	}
	x = &operand{}
	if c, issues := v.check(text, eventScope{env: v}); issues == nil {
		if root, issues := v.nodes(c); issues == nil {
			x.root, x.checked = root, *c
			x.ast, x.slots = nil, nil // only needed to compile
		}
	}
	v.operands[strings.Clone(text)] = x
	return x
}

// depthOf returns the deepest nesting of brackets in a text.
func depthOf(text string) (deepest int) {
	depth := 0
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case !isSpecial[c]:
			i++
			continue
		case c == '(' || c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ')' || c == ']' || c == '}':
			depth--
		}
		i = skipToken(text, i)
	}
	return deepest
}

func saturatingAdd(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}
