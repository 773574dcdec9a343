package expr

import (
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

// Costs are in cel-go's units, about 100 ns each.
const (
	// MaxCost is the highest estimate with which a condition loads: about 5 ms for one event.
	MaxCost = 50_000
	// WarnCost is the highest estimate that needs no second thought: about 0.1 ms.
	WarnCost = 1_000
)

// Sizes that values are taken to have when cost is estimated: characters of a text, elements of a list. An event may
// hold more (texts up to 256 KiB), which then costs more: one pass over a text is linear, and comprehensions stop
// after maxSteps.
const (
	textSize     = 1 << 10  // names, ids, addresses, paths
	longTextSize = 16 << 10 // what people and models write, tool arguments and results
	listSize     = 64       // finish_reasons and the like
	dynSize      = 256      // a raw value or a JSON argument
	innerSize    = 16       // a value inside one of those
)

// parseCost is the price of reading an address or a URL, or of asking the registry: up to 1 us.
const parseCost = 10

type costRange struct{ min, max uint64 }

// tooMuch says what a rejected condition costs and what to do.
func (c costRange) tooMuch() string {
	return fmt.Sprintf("the condition may cost %d units for one event, more than %d: use fewer nested exists/all/map, a list instead of many values, or startsWith/contains instead of matches", c.max, MaxCost)
}

// estimate returns the expression's cost for events of the sizes above.
func (v *Env) estimate(a *cel.Ast, slots []slot) costRange {
	est, err := v.cel.EstimateCost(a, estimator{slots, v.site.Lists})
	if err != nil { // an expression that was checked always has a cost
		return costRange{0, MaxCost + 1}
	}
	return costRange{est.Min, est.Max}
}

// estimator knows the sizes of slots and lists and the cost of our functions.
type estimator struct {
	slots []slot
	lists map[string]List
}

// EstimateSize is asked about what CEL does not know: comprehension variables and the results of our functions.
func (m estimator) EstimateSize(n checker.AstNode) *checker.SizeEstimate {
	if e := n.Expr(); e != nil && e.Kind() == ast.CallKind {
		if size := m.callSize(e.AsCall()); size != nil {
			return size
		}
	}
	return upTo(innerSize)
}

func upTo(n int) *checker.SizeEstimate { return &checker.SizeEstimate{Min: 0, Max: uint64(n)} }

// callSize returns the size of what a name became, nil for other calls.
func (m estimator) callSize(c ast.CallExpr) *checker.SizeEstimate {
	switch c.FunctionName() {
	case "@string", "@dyn", "@strings":
		n, _ := c.Args()[0].AsLiteral().(types.Int)
		return upTo(m.slots[n].size())
	case "@list":
		name, _ := literalText(c.Args()[0])
		return upTo(m.lists[name].Size())
	case "@url":
		return upTo(textSize)
	case "secrets":
		return upTo(len(content.AllKinds()))
	}
	return nil
}

// size is the largest size that the slot's value is taken to have.
func (s *slot) size() int {
	switch s.typ {
	case schema.TypeList:
		return listSize
	case schema.TypeDyn:
		return dynSize
	}
	if s.src == fromField && (s.at == int(schema.MessageContextPromptText) || s.at == int(schema.MessageContextResponseText)) {
		return longTextSize
	}
	return textSize
}

// EstimateCallCost is asked about every call; nil leaves it to CEL.
func (m estimator) EstimateCallCost(function, overload string, target *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
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
			return &checker.CallEstimate{CostEstimate: one} // a list of the site answers with one look-up
		}
	case "iequals", "icontains", "glob":
		return &checker.CallEstimate{CostEstimate: perCharacter(m.sizeOf(*target).Max * (1 + m.sizeOf(args[0]).Max/10))}
	case "lowerAscii":
		size := m.sizeOf(*target)
		return &checker.CallEstimate{CostEstimate: perCharacter(size.Max), ResultSize: &size}
	case "secrets":
		return &checker.CallEstimate{CostEstimate: perCharacter(m.sizeOf(args[0]).Max), ResultSize: upTo(len(content.AllKinds()))}
	case "@address", "@network", "@url", "@allows":
		return &checker.CallEstimate{CostEstimate: checker.CostEstimate{Min: 1, Max: parseCost}}
	}
	return nil
}

func (m estimator) callSizeOf(function string, args []checker.AstNode) *checker.SizeEstimate {
	if len(args) != 1 || args[0].Expr() == nil {
		return nil
	}
	return m.callSize(factory.NewCall(0, function, args[0].Expr()).AsCall())
}

// perCharacter is CEL's price of going over a text.
func perCharacter(n uint64) checker.CostEstimate {
	return checker.CostEstimate{Min: 1, Max: 1 + n/10}
}

func (m estimator) sizeOf(n checker.AstNode) checker.SizeEstimate {
	if s := n.ComputedSize(); s != nil {
		return *s
	}
	return *m.EstimateSize(n)
}

func isCall(e ast.Expr, name string) bool {
	return e != nil && e.Kind() == ast.CallKind && e.AsCall().FunctionName() == name
}
