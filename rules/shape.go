package rules

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
)

// shapeOf hashes what shapes State: State lives on over a reload where it is the same, whatever else of the rule has
// changed. The text is part of the format of State: what is added to it makes all State start anew.
//
//	kind=threshold;count=100;within=1m;by=ai_agent.uid,session.id;group=0,1
//
// How much a threshold asks for shapes State only where it sizes what is kept: the ring of a count up to 256, or panes.
// Conditions do not: items that were folded under the old condition stay folded.
func shapeOf(rule *Rule) [16]byte {
	var b strings.Builder
	fmt.Fprintf(&b, "kind=%s;", rule.Kind)
	switch {
	case rule.Threshold != nil:
		shapeThreshold(&b, rule.Threshold)
	case rule.Distinct != nil:
		d := rule.Distinct
		fmt.Fprintf(&b, "of=%s;count=%d;within=%s;", fieldNames(d.Of), d.Count, doc.FormatDuration(d.Within))
	case rule.NewValue != nil:
		v := rule.NewValue
		fmt.Fprintf(&b, "of=%s;learn=%s;forget=%s;max_values=%d;", fieldNames(v.Of), doc.FormatDuration(v.Learn),
			doc.FormatDuration(v.Forget), v.MaxValues)
	case rule.Sequence != nil:
		shapeSequence(&b, rule)
	}
	fmt.Fprintf(&b, "by=%s;optional=%t;group=%v;for=%s", fieldNames(rule.Key), rule.KeyOptional, rule.GroupBy,
		doc.FormatDuration(rule.GroupFor))
	sum := sha256.Sum256([]byte(b.String()))
	return [16]byte(sum[:16])
}

func shapeThreshold(b *strings.Builder, t *Threshold) {
	switch {
	case t.Sum != nil:
		fmt.Fprintf(b, "sum=%s;", t.Sum.Of)
	case t.Ratio != nil:
		b.WriteString("ratio;")
	default:
		fmt.Fprintf(b, "count=%d;", t.Count)
	}
	fmt.Fprintf(b, "within=%s;", doc.FormatDuration(t.Within))
}

func shapeSequence(b *strings.Builder, rule *Rule) {
	s := rule.Sequence
	for i, step := range s.Steps {
		fmt.Fprintf(b, "step=%s,%d,%s;", step.ID, step.Times, fieldNames(rule.Roles[i].Key))
	}
	if s.Unless {
		fmt.Fprintf(b, "unless=%s;", fieldNames(rule.Roles[len(s.Steps)].Key))
	}
	if s.Where != nil { // chains hold what where compares
		for _, need := range s.Where.Needs() {
			fmt.Fprintf(b, "need=%d,%s;", need.Step, need.Name)
		}
	}
	fmt.Fprintf(b, "within=%s;", doc.FormatDuration(s.Within))
}
