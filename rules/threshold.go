package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// MaxCount is the largest count of a threshold, and the largest min of a ratio.
const MaxCount = 1_000_000_000

// Threshold is a rule's `threshold` clause. Exactly one of Count, Sum and Ratio is set.
type Threshold struct {
	Count  int64 // at least 1 if set
	Sum    *Sum
	Ratio  *Ratio
	Within time.Duration
}

// Sum is the `sum` of a threshold: the sum of a number over the items of the window.
type Sum struct {
	Of      Operand
	AtLeast Decimal // above 0
}

// Ratio is the `ratio` of a threshold: the share of the window's items for which Of is true.
type Ratio struct {
	Of      *predicate.Cond
	AtLeast int64 // in units of 10^-9, from 1 to 10^9
	Min     int64 // the least number of items in the window
}

func (t *Threshold) operands() []Operand {
	if t.Sum != nil {
		return []Operand{t.Sum.Of}
	}
	return nil
}

func (t *Threshold) conditions() []*predicate.Cond {
	if t.Ratio != nil && t.Ratio.Of != nil {
		return []*predicate.Cond{t.Ratio.Of}
	}
	return nil
}

func (t *Threshold) appendShape(b *strings.Builder, _ *Rule) {
	switch {
	case t.Sum != nil:
		fmt.Fprintf(b, "sum=%s;", t.Sum.Of.shape())
	case t.Ratio != nil:
		b.WriteString("ratio;")
	default:
		fmt.Fprintf(b, "count=%d;", t.Count)
	}
	fmt.Fprintf(b, "within=%s;", doc.FormatDuration(t.Within))
}

func (t *Threshold) lookback() time.Duration { return t.Within }

func (r *reader) threshold(clause, when *doc.Node) {
	f := clause.Fields()
	t := &Threshold{}
	r.rule.Threshold = t
	count, sum, ratio := f.Get("count"), f.Get("sum"), f.Get("ratio")
	t.Within = f.Need("within").Duration(time.Millisecond, MaxSpan)
	key := r.by(clause, f)
	f.Done()
	given := 0
	for _, n := range []*doc.Node{count, sum, ratio} {
		if n != nil {
			given++
		}
	}
	if given != 1 && clause.Kind == doc.Map {
		clause.Fail("needs exactly one of count, sum and ratio")
	}
	if count != nil {
		t.Count = count.Int(1, MaxCount)
	}
	if sum != nil {
		t.Sum = r.sum(sum)
	}
	if ratio != nil {
		t.Ratio = r.ratio(ratio)
	}
	r.onlyRole(when, key)
}

func (r *reader) sum(n *doc.Node) *Sum {
	f := n.Fields()
	of, atLeast := f.Need("of"), f.Need("at_least")
	f.Done()
	s := &Sum{}
	s.Of = r.number(of)
	var ok bool
	s.AtLeast, ok = r.decimal(atLeast)
	if ok && s.AtLeast.Sign() <= 0 {
		atLeast.Fail("must be above 0: every window reaches 0")
	}
	return s
}

func (r *reader) ratio(n *doc.Node) *Ratio {
	f := n.Fields()
	of, atLeast, min := f.Need("of"), f.Need("at_least"), f.Need("min")
	f.Done()
	q := &Ratio{}
	q.Of, _ = r.condition(of)
	q.AtLeast = r.share(atLeast)
	if min != nil {
		q.Min = min.Int(1, MaxCount)
	}
	return q
}

// number reads an operand whose value is a number. The value of a raw path counts as 0 if it is not a number.
func (r *reader) number(n *doc.Node) Operand {
	o, ok := r.operand(n)
	if t := o.valueType(); ok && t != schema.TypeInt && t != schema.TypeDouble && t != schema.TypeDyn {
		n.Fail("%s is not a number: sum adds numbers, such as gen_ai.usage.input_tokens", o.Name)
	}
	return o
}
