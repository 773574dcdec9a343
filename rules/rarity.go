package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
)

// Rarity is a rule's `rarity` clause. It has one role.
type Rarity struct {
	Of         []Operand     // 1 to MaxOf values
	Share      int64         // a value that makes up less than this share triggers; in units of 10^-9, from 1 to 10^9
	MinSamples int64         // the least number of items before the one that triggers
	History    time.Duration // 30 days by default
	MaxValues  int           // 256 by default, at most MaxNewValues
}

func (y *Rarity) operands() []Operand           { return y.Of }
func (y *Rarity) conditions() []*predicate.Cond { return nil }
func (y *Rarity) lookback() time.Duration       { return y.History }

func (y *Rarity) appendShape(b *strings.Builder, _ *Rule) {
	fmt.Fprintf(b, "of=%s;history=%s;max_values=%d;", operandShapes(y.Of), doc.FormatDuration(y.History), y.MaxValues)
}

// rarity reads the clause of that name.
func (r *reader) rarity(clause, when *doc.Node) {
	f := clause.Fields()
	y := &Rarity{History: defaultForget, MaxValues: defaultMaxValues}
	r.rule.Rarity = y
	y.Of, _ = r.operandList(f.Need("of"), MaxOf)
	y.Share = r.share(f.Need("share"))
	if n := f.Need("min_samples"); n != nil {
		y.MinSamples = n.Int(1, MaxCount)
	}
	if n := f.Get("history"); n != nil {
		y.History = n.Duration(time.Millisecond, MaxSpan)
	}
	if n := f.Get("max_values"); n != nil {
		y.MaxValues = int(n.Int(1, MaxNewValues))
	}
	key := r.by(clause, f)
	f.Done()
	r.onlyRole(when, key)
}
