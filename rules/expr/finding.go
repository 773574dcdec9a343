package expr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"github.com/aidr-engine/aidr/rules/predicate"
)

// findingScope resolves the JSON names of a finding, and `type` if there are types of entries.
type findingScope struct{ names []predicate.FindingName }

func (findingScope) agents() (predicate.Registry, bool) { return nil, false }

func (findingScope) capabilities() (predicate.Capabilities, bool) { return nil, false }

func (sc findingScope) roots() []string {
	out := []string{"lists"}
	for _, n := range sc.names {
		out = append(out, n.Name)
	}
	return out
}

func (sc findingScope) resolve(names []string) resolved {
	at := slices.IndexFunc(sc.names, func(n predicate.FindingName) bool { return n.Name == names[0] })
	if at < 0 {
		return resolved{problem: unknownName("value of a finding", names[0], sc.roots()[1:])}
	}
	n := &sc.names[at]
	if n.Ordered {
		return resolved{problem: onlyCompared(n)}
	}
	return resolved{slot: slotOf(n, at), used: 1}
}

func slotOf(n *predicate.FindingName, at int) predicate.Slot {
	return predicate.Slot{Source: predicate.FromFinding, At: at, Type: n.Type}
}

// onlyCompared returns the text of an issue for a use of an ordered name other than a comparison. As a text it would be
// ordered by its spelling, in which critical is less than high.
func onlyCompared(n *predicate.FindingName) string {
	return fmt.Sprintf("%s can only be compared with a %s, as in %s >= %q: there are %s, in this order",
		n.Name, n.Name, n.Name, n.Values[len(n.Values)/2], strings.Join(n.Values, ", "))
}

// enumeration returns the name of a finding that e is, and its number, if its values are known; nil for other expressions.
func (r *resolver) enumeration(e ast.Expr) (n *predicate.FindingName, at int) {
	sc, ok := r.scope.(findingScope)
	if !ok || e.Kind() != ast.IdentKind {
		return nil, 0
	}
	names, _ := r.chain(e)
	if names == nil {
		return nil, 0
	}
	at = slices.IndexFunc(sc.names, func(n predicate.FindingName) bool { return n.Name == names[0] && len(n.Values) > 0 })
	if at < 0 {
		return nil, 0
	}
	return &sc.names[at], at
}

// enumerated resolves a comparison of a name whose values are known, such as severity >= "high", before its operands are
// visited. It replaces an ordered name, and each value that the name is compared with, by their ranks. It returns false for
// other calls, and for a comparison of an unordered name with something other than constants.
func (r *resolver) enumerated(e ast.Expr, c ast.CallExpr, function string) (done bool) {
	if len(c.Args()) != 2 || c.IsMemberFunction() {
		return false
	}
	x, y := c.Args()[0], c.Args()[1]
	n, at := r.enumeration(x)
	if n == nil && function != operators.In {
		x, y = y, x
		n, at = r.enumeration(x)
	}
	order, isComparison := orderOf(function)
	if n == nil || !isComparison && function != operators.In {
		return false
	}
	if isComparison && !n.Ordered && order != predicate.Equal && order != predicate.Less|predicate.Greater {
		r.unknown(e, fmt.Sprintf("the values of %s have no order: compare it with ==, != or in", n.Name))
		return true
	}
	values := []ast.Expr{y}
	if function == operators.In && y.Kind() == ast.ListKind {
		values = y.AsList().Elements()
	}
	for _, v := range values {
		if _, ok := literalText(v); !ok {
			if n.Ordered {
				r.unknown(e, onlyCompared(n))
			}
			return n.Ordered
		}
	}
	known := true
	for _, v := range values {
		known = r.enumerationValue(n, v) && known
	}
	if !known {
		r.call(e, "@unknown")
		return true
	}
	r.slotCall(x, slotOf(n, at))
	r.equality(e, c, function)
	return true
}

// enumerationValue replaces a constant text that is compared with n by its rank if n is ordered. It returns false, and
// records a problem, if n cannot have the value.
func (r *resolver) enumerationValue(n *predicate.FindingName, e ast.Expr) bool {
	text, _ := literalText(e)
	rank := slices.Index(n.Values, text)
	if rank < 0 {
		if text == "" {
			text = `""`
		}
		r.issue(e, unknownName(n.Name, text, n.Values))
		return false
	}
	if n.Ordered {
		e.SetKindCase(r.factory.NewLiteral(e.ID(), types.Int(rank)))
	}
	return true
}

// CompileFinding compiles a condition over a finding, such as the filter of a webhook. Its variables are the finding's JSON
// names: severity >= "high" && "owasp.asi08-2026" in tags && key["session.id"] != "x". If entryTypes are given, `type` is
// the type of the outbox entry that brings the finding, one of them.
//
// Severities are ordered: severity >= "high" holds for high and critical. A value that severity, status, kind or type cannot
// have is an issue. An absent value is the zero value of its type; in key, baseline, evidence and response it is missing.
//
// Several goroutines may call the filter at once. All issues are returned at once; filter is nil if there are any.
func (v *Env) CompileFinding(text string, entryTypes ...string) (filter predicate.Filter, issues []Issue) {
	c, issues := v.check(text, findingScope{predicate.FindingNames(entryTypes...)})
	if issues != nil {
		return nil, issues
	}
	root, issues := v.nodes(c)
	if issues != nil {
		return nil, issues
	}
	return predicate.NewFilter(root, c.slots), nil
}
