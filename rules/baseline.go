package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
)

// Baseline is a rule's `baseline` clause. It has one role.
type Baseline struct {
	Of         BaselineOf
	Sum        Operand         // of BaselineSum
	Distinct   []Operand       // of BaselineDistinct: 1 to MaxOf values
	Ratio      *predicate.Cond // of BaselineRatio
	Bucket     time.Duration
	Season     Season
	History    int     // values that a slot remembers, at most MaxHistory
	Deviation  Decimal // the least distance from the median that triggers, in robust standard deviations; above 0, at most 1,000
	MinSamples int     // the least number of remembered values with which a bucket can trigger
	MinValue   Decimal
	Direction  Direction
	// Forget is the time without items after which a key is forgotten: 30 days, or the time in which History fills if
	// that is longer.
	Forget time.Duration
}

// BaselineOf is the value of a bucket.
type BaselineOf string

// The values that a baseline can follow.
const (
	BaselineCount    BaselineOf = "count"
	BaselineSum      BaselineOf = "sum"
	BaselineDistinct BaselineOf = "distinct"
	BaselineRatio    BaselineOf = "ratio"
)

// Season determines with which earlier buckets a bucket is compared.
type Season string

// The seasons.
const (
	SeasonNone       Season = "none"
	SeasonHourOfDay  Season = "hour_of_day"
	SeasonHourOfWeek Season = "hour_of_week"
)

// Direction determines whether high values, low values or both trigger.
type Direction string

// The directions.
const (
	DirectionUp   Direction = "up"
	DirectionDown Direction = "down"
	DirectionBoth Direction = "both"
)

const (
	// MaxHistory is the largest number of values that a slot of a baseline remembers.
	MaxHistory = 64
	// NewNormal is the number of buckets in a row in one slot that trigger and are then learnt all the same.
	NewNormal = 7
	// MaxBaselineDistinct is the number of different values of a bucket up to which a baseline counts.
	MaxBaselineDistinct = 1024
)

func (l *Baseline) operands() []Operand {
	if l.Of == BaselineSum {
		return []Operand{l.Sum}
	}
	return l.Distinct
}

func (l *Baseline) conditions() []*predicate.Cond {
	if l.Ratio == nil {
		return nil
	}
	return []*predicate.Cond{l.Ratio}
}

// period returns the time after which the season repeats; 0 without a season.
func (s Season) period() time.Duration {
	switch s {
	case SeasonHourOfDay:
		return 24 * time.Hour
	case SeasonHourOfWeek:
		return 7 * 24 * time.Hour
	}
	return 0
}

// lasting returns the time in which each slot of the season sees n buckets, if no bucket is empty.
func (l *Baseline) lasting(n int) time.Duration {
	period := max(l.Bucket, l.Season.period())
	if l.Season.period() > 0 {
		each := max(1, int(time.Hour/max(1, l.Bucket))) // the buckets of one hour have one slot
		n = (n + each - 1) / each
	}
	return period * time.Duration(n)
}

func (l *Baseline) lookback() time.Duration { return l.lasting(l.MinSamples) }

func (l *Baseline) appendShape(b *strings.Builder, _ *Rule) {
	fmt.Fprintf(b, "of=%s;sum=%s;distinct=%s;bucket=%s;season=%s;history=%d;", l.Of, l.Sum.shape(), operandShapes(l.Distinct),
		doc.FormatDuration(l.Bucket), l.Season, l.History)
}

// Defaults of a baseline.
const (
	defaultHistory    = 28
	defaultMinSamples = 7
	defaultDeviation  = 3_500_000_000 // 3.5, in units of 10^-9
	// maxDeviation is the largest deviation. A larger one asks for values that no bucket has.
	maxDeviation = 1000
)

// baseline reads the clause of that name.
func (r *reader) baseline(clause, when *doc.Node) {
	f := clause.Fields()
	l := &Baseline{
		History: defaultHistory, MinSamples: defaultMinSamples, Season: SeasonNone, Direction: DirectionUp,
		Deviation: DecimalUnits(defaultDeviation), Sum: Operand{Raw: -1},
	}
	r.rule.Baseline = l
	r.baselineOf(f.Need("of"), l)
	bucket := f.Need("bucket")
	l.Bucket = bucket.Duration(time.Millisecond, MaxSpan)
	if n := f.Get("history"); n != nil {
		l.History = int(n.Int(1, MaxHistory))
	}
	if n := f.Get("season"); n != nil {
		l.Season = Season(n.Enum(string(SeasonNone), string(SeasonHourOfDay), string(SeasonHourOfWeek)))
	}
	if p := l.Season.period(); p > 0 && l.Bucket > 0 && p%l.Bucket != 0 {
		bucket.Fail("does not divide %s, the period of season %s: use 15m, 1h or 6h, so that the same hours meet", doc.FormatDuration(p), l.Season)
	}
	r.deviation(f.Get("deviation"), l)
	samples := f.Get("min_samples")
	if samples != nil {
		l.MinSamples = int(samples.Int(1, MaxHistory))
	}
	if l.MinSamples > l.History {
		n := samples
		if n == nil {
			n = f.Get("history")
		}
		n.Fail("min_samples (%d) is above history (%d): a slot never has that many values; raise history or lower min_samples", l.MinSamples, l.History)
	}
	if n := f.Get("min_value"); n != nil {
		var ok bool
		if l.MinValue, ok = r.decimal(n); ok && l.MinValue.Sign() < 0 {
			n.Fail("is negative: no bucket has a value below 0")
		}
	}
	if n := f.Get("direction"); n != nil {
		l.Direction = Direction(n.Enum(string(DirectionUp), string(DirectionDown), string(DirectionBoth)))
	}
	l.Forget = max(defaultForget, l.lasting(l.History))
	key := r.by(clause, f)
	f.Done()
	r.onlyRole(when, key)
}

func (r *reader) deviation(n *doc.Node, l *Baseline) {
	if n == nil {
		return
	}
	d, ok := r.decimal(n)
	if ok && (d.Sign() <= 0 || NewDecimal(maxDeviation, 0).Less(d)) {
		n.Fail("must be above 0 and at most %d: 3.5 is usual", maxDeviation)
	}
	l.Deviation = d
}

// baselineOf reads `of`: count, sum(FIELD), distinct(FIELD, ...) or ratio(CONDITION).
func (r *reader) baselineOf(n *doc.Node, l *Baseline) {
	text := n.Filled()
	if strings.TrimSpace(text) == "" {
		return
	}
	open := strings.IndexByte(text, '(')
	name := strings.TrimSpace(text)
	if open >= 0 {
		name = strings.TrimSpace(text[:open])
	}
	end := len(strings.TrimRight(text, " \t\r\n"))
	l.Of = BaselineOf(name)
	switch {
	case l.Of != BaselineCount && baselineForm[l.Of] == "":
		n.Fail("%q is not a value of a bucket%s: write count, sum(FIELD), distinct(FIELD, ...) or ratio(CONDITION)",
			doc.Short(name), nearForm(name))
	case l.Of == BaselineCount && open >= 0:
		n.Part(open, len(text)).Fail("count takes nothing in parentheses: write count, and put conditions into when")
	case l.Of == BaselineCount:
	case open < 0:
		n.Fail("%s needs its argument: write %s", name, baselineForm[l.Of])
	case text[end-1] != ')' || strings.TrimSpace(text[open+1:end-1]) == "":
		n.Fail("%q has no argument that ends with a parenthesis: write %s, in quotes if it is in {...} and has a comma",
			doc.Short(text), baselineForm[l.Of])
	default:
		r.baselineArgument(n, l, open+1, end-1)
	}
}

// baselineForm is the way in which a value of a bucket that has an argument is written.
var baselineForm = map[BaselineOf]string{
	BaselineSum:      "sum(gen_ai.usage.input_tokens)",
	BaselineDistinct: "distinct(gen_ai.tool.name)",
	BaselineRatio:    `ratio(event.outcome == "failure")`,
}

func nearForm(name string) string {
	near := doc.Nearest(name, []string{string(BaselineCount), string(BaselineSum), string(BaselineDistinct), string(BaselineRatio)})
	if near == "" {
		return ""
	}
	return " (did you mean " + near + "?)"
}

// baselineArgument reads the argument, the bytes from to to of n.
func (r *reader) baselineArgument(n *doc.Node, l *Baseline, from, to int) {
	switch l.Of {
	case BaselineSum:
		l.Sum = r.number(trimmedPart(n, from, to))
	case BaselineRatio:
		l.Ratio, _ = r.condition(trimmedPart(n, from, to))
	case BaselineDistinct:
		var parts []*doc.Node
		text := n.String()
		for at := from; at < to; at++ {
			switch text[at] {
			case '"', '\'':
				at = min(afterLiteral(text[:to], at), to) - 1
			case ',':
				parts = append(parts, trimmedPart(n, from, at))
				from = at + 1
			}
		}
		parts = append(parts, trimmedPart(n, from, to))
		if len(parts) > MaxOf {
			n.Fail("names %d fields: name 1 to %d", len(parts), MaxOf)
			return
		}
		l.Distinct, _ = r.operands(parts)
	}
}

// trimmedPart returns the bytes from to to of n without the white space around them.
func trimmedPart(n *doc.Node, from, to int) *doc.Node {
	text := n.String()[from:to]
	left := len(text) - len(strings.TrimLeft(text, " \t\r\n"))
	return n.Part(from+left, from+max(left, len(strings.TrimRight(text, " \t\r\n"))))
}
