package expr

import (
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

// Limits of the estimated cost, in cel-go's units of about 100 ns.
const (
	// MaxCost is the highest estimate with which a condition is accepted: about 5 ms for one event.
	MaxCost = 50_000
	// WarnCost is the highest estimate without a warning: about 0.1 ms for one event.
	WarnCost = 1_000
)

// Sizes of values for the estimate: characters of a text, elements of a list. The values of an event may be larger (texts up
// to 256 KiB) and then cost more: one pass over a text is linear, and comprehensions stop after maxSteps.
const (
	textSize     = 1 << 10  // names, ids, addresses, paths
	longTextSize = 16 << 10 // prompts and responses
	listSize     = 64       // finish_reasons and the like
	dynSize      = 256      // a raw value or a JSON argument
	innerSize    = 16       // a value inside a raw value or an argument
)

// parseCost is the cost of parsing an address or a URL, or of a look-up in the registry: up to 1 us.
const parseCost = 10

type costRange struct{ min, max uint64 }

// tooHigh returns the text of the issue for a cost above MaxCost.
func (c costRange) tooHigh() string {
	return fmt.Sprintf("the condition may cost %d units for one event, more than %d: use fewer nested exists/all/map, "+
		"a list instead of many values, startsWith/contains instead of matches, "+
		"or patterns without large counted repeats such as {0,900}", c.max, MaxCost)
}

// estimate returns the cost of an expression for values of the sizes above.
func (v *Env) estimate(a *cel.Ast, slots []predicate.Slot) costRange {
	est, err := v.cel.EstimateCost(a, estimator{slots, v.site.Lists})
	if err != nil { // a checked expression always has a cost
		return costRange{0, MaxCost + 1}
	}
	return costRange{est.Min, est.Max}
}

// estimator gives CEL the sizes of slots and lists and the costs of the functions of this package.
type estimator struct {
	slots []predicate.Slot
	lists map[string]predicate.List
}

// EstimateSize returns the size of a value that CEL does not know: a comprehension variable, or the result of a function of
// this package.
func (m estimator) EstimateSize(n checker.AstNode) *checker.SizeEstimate {
	if e := n.Expr(); e != nil && e.Kind() == ast.CallKind {
		if size := m.callSize(e.AsCall()); size != nil {
			return size
		}
	}
	return upTo(innerSize)
}

func upTo(n int) *checker.SizeEstimate { return &checker.SizeEstimate{Min: 0, Max: uint64(n)} }

// callSize returns the size of the result of a call that the resolver made, nil for other calls.
func (m estimator) callSize(c ast.CallExpr) *checker.SizeEstimate {
	switch c.FunctionName() {
	case "@string", "@dyn", "@strings":
		n, _ := c.Args()[0].AsLiteral().(types.Int)
		return upTo(slotSize(&m.slots[n]))
	case "@list":
		name, _ := literalText(c.Args()[0])
		return upTo(m.lists[name].Size())
	case "@url":
		return upTo(textSize)
	case "secrets":
		return upTo(len(content.AllKinds()))
	case "invisible":
		return upTo(len(content.AllInvisible()))
	case predicate.Normalise, predicate.Decode, predicate.Spelled:
		return upTo(textSize)
	}
	return nil
}

// slotSize returns the size of a slot's value for the estimate.
func slotSize(s *predicate.Slot) int {
	switch s.Type {
	case schema.TypeList:
		return listSize
	case schema.TypeDyn:
		return dynSize
	}
	if s.Source == predicate.FromField {
		switch schema.Field(s.At) {
		case schema.MessageContextPromptText, schema.MessageContextResponseText:
			return longTextSize
		}
	}
	return textSize
}

// EstimateCallCost returns the cost of a call; nil leaves the estimate to CEL.
func (m estimator) EstimateCallCost(
	function, overload string, target *checker.AstNode, args []checker.AstNode,
) *checker.CallEstimate {
	one := checker.CostEstimate{Min: 1, Max: 1}
	switch function {
	case "@string", "@int", "@double", "@bool", "@time", "@dyn", "@strings", "@list":
		est := &checker.CallEstimate{CostEstimate: one}
		if size := m.callSizeOf(function, args); size != nil {
			est.ResultSize = size
		}
		return est
	case operators.In:
		if len(args) == 2 && isCall(args[1].Expr(), "@list") {
			return &checker.CallEstimate{CostEstimate: one} // one look-up in a list of the site
		}
	case "iequals", "icontains", "glob":
		return &checker.CallEstimate{CostEstimate: perCharacter(m.sizeOf(*target).Max * (1 + m.sizeOf(args[0]).Max/10))}
	case "lowerAscii":
		size := m.sizeOf(*target)
		return &checker.CallEstimate{CostEstimate: perCharacter(size.Max), ResultSize: &size}
	case "matches":
		return m.matchesCost(target, args)
	case predicate.Normalise, predicate.Decode, predicate.Spelled:
		// They are made once for all conditions that read them.
		size := m.sizeOf(args[0])
		return &checker.CallEstimate{CostEstimate: perCharacter(size.Max / 10), ResultSize: &size}
	case predicate.Inject, predicate.Entropy, "invisible":
		return &checker.CallEstimate{CostEstimate: perCharacter(m.sizeOf(args[0]).Max), ResultSize: upTo(len(content.AllInvisible()))}
	case "secrets":
		cost := perCharacter(m.sizeOf(args[0]).Max)
		return &checker.CallEstimate{CostEstimate: cost, ResultSize: upTo(len(content.AllKinds()))}
	case "@address", "@network", "@url", "@allows", "@tool":
		return &checker.CallEstimate{CostEstimate: checker.CostEstimate{Min: 1, Max: parseCost}}
	}
	return nil
}

// matchesCost returns the cost of matching a pattern with counted repeats. CEL's own estimate, which grows with the length of
// the pattern's text, stays if it is higher, and for all other patterns.
func (m estimator) matchesCost(target *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
	if target == nil || len(args) != 1 {
		return nil
	}
	pattern, ok := literalText(args[0].Expr())
	if !ok {
		return nil
	}
	each := repeatCost(pattern)                                  // hundredths of a unit for a character
	if usual := uint64(len(pattern)) * 100 / 40; each <= usual { // CEL: a tenth for a character, times a quarter of the length
		return nil
	}
	return &checker.CallEstimate{CostEstimate: checker.CostEstimate{Min: 1, Max: 1 + m.sizeOf(*target).Max*each/100}}
}

func (m estimator) callSizeOf(function string, args []checker.AstNode) *checker.SizeEstimate {
	if len(args) != 1 || args[0].Expr() == nil {
		return nil
	}
	return m.callSize(factory.NewCall(0, function, args[0].Expr()).AsCall())
}

// perCharacter returns CEL's cost of a pass over a text of n characters.
func perCharacter(n uint64) checker.CostEstimate {
	return checker.CostEstimate{Min: 1, Max: 1 + n/10}
}

func (m estimator) sizeOf(n checker.AstNode) checker.SizeEstimate {
	if s := n.ComputedSize(); s != nil {
		return *s
	}
	return *m.EstimateSize(n)
}

// isCall reports whether e is a call of the function name.
func isCall(e ast.Expr, name string) bool {
	return e != nil && e.Kind() == ast.CallKind && e.AsCall().FunctionName() == name
}
