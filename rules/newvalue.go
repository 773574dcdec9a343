package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
)

// MaxNewValues is the largest max_values of new_value and rarity.
const MaxNewValues = 4096

// NewValue is a rule's `new_value` clause.
type NewValue struct {
	Of     []Operand // 1 to MaxOf values
	Learn  time.Duration
	Forget time.Duration // 30 days by default
	// Hold is the time after its first trigger for which a value stays new; 0 if it is not new any longer after that.
	Hold      time.Duration
	MaxValues int // 256 by default, at most MaxNewValues
}

func (v *NewValue) operands() []Operand           { return v.Of }
func (v *NewValue) conditions() []*predicate.Cond { return nil }
func (v *NewValue) lookback() time.Duration       { return v.Learn }

func (v *NewValue) appendShape(b *strings.Builder, _ *Rule) {
	fmt.Fprintf(b, "of=%s;learn=%s;forget=%s;max_values=%d;", operandShapes(v.Of), doc.FormatDuration(v.Learn),
		doc.FormatDuration(v.Forget), v.MaxValues)
	if v.Hold > 0 {
		fmt.Fprintf(b, "hold=%s;", doc.FormatDuration(v.Hold))
	}
}

func (r *reader) newValue(clause, when *doc.Node) {
	f := clause.Fields()
	v := &NewValue{Forget: defaultForget, MaxValues: defaultMaxValues}
	r.rule.NewValue = v
	v.Of, _ = r.operandList(f.Need("of"), MaxOf)
	learn := f.Get("learn")
	if learn == nil && clause.Kind == doc.Map {
		clause.Fail("learn is missing: write how old a key must be before its new values trigger, as in learn: 7d, or learn: 0s")
	}
	v.Learn = learn.Duration(0, MaxSpan)
	if n := f.Get("forget"); n != nil {
		v.Forget = n.Duration(time.Millisecond, MaxSpan)
	}
	if n := f.Get("max_values"); n != nil {
		v.MaxValues = int(n.Int(1, MaxNewValues))
	}
	if n := f.Get("hold"); n != nil {
		v.Hold = n.Duration(time.Millisecond, MaxSpan)
	}
	key := r.by(clause, f)
	f.Done()
	r.onlyRole(when, key)
}
