package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
)

// MaxDistinct is the largest count of distinct. State holds four times as many values for each key.
const MaxDistinct = 10_000

// Distinct is a rule's `distinct` clause.
type Distinct struct {
	Of     []Operand // 1 to MaxOf values
	Count  int       // 1 to MaxDistinct
	Within time.Duration
}

func (d *Distinct) operands() []Operand           { return d.Of }
func (d *Distinct) conditions() []*predicate.Cond { return nil }
func (d *Distinct) lookback() time.Duration       { return d.Within }

func (d *Distinct) appendShape(b *strings.Builder, _ *Rule) {
	fmt.Fprintf(b, "of=%s;count=%d;within=%s;", operandShapes(d.Of), d.Count, doc.FormatDuration(d.Within))
}

func (r *reader) distinct(clause, when *doc.Node) {
	f := clause.Fields()
	d := &Distinct{}
	r.rule.Distinct = d
	d.Of, _ = r.operandList(f.Need("of"), MaxOf)
	if n := f.Need("count"); n != nil {
		d.Count = int(n.Int(1, MaxDistinct))
	}
	d.Within = f.Need("within").Duration(time.Millisecond, MaxSpan)
	key := r.by(clause, f)
	f.Done()
	r.onlyRole(when, key)
}
