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
	Deviation  Decimal // the least distance from the median that triggers, in robust standard deviations; above 0
	MinSamples int     // the least number of remembered values with which a bucket can trigger
	MinValue   Decimal
	Direction  Direction
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

// lookback is the time in which the slots of the season see MinSamples buckets.
func (l *Baseline) lookback() time.Duration {
	period := l.Bucket
	switch l.Season {
	case SeasonHourOfDay:
		period = max(l.Bucket, 24*time.Hour)
	case SeasonHourOfWeek:
		period = max(l.Bucket, 7*24*time.Hour)
	}
	return period * time.Duration(l.MinSamples)
}

func (l *Baseline) appendShape(b *strings.Builder, _ *Rule) {
	fmt.Fprintf(b, "of=%s;sum=%s;distinct=%s;bucket=%s;season=%s;history=%d;", l.Of, l.Sum.shape(), operandShapes(l.Distinct),
		doc.FormatDuration(l.Bucket), l.Season, l.History)
}

// baseline reads the clause of that name.
func (r *reader) baseline(clause, when *doc.Node) {
	r.rule.Baseline = &Baseline{}
	clause.Fail("is not supported yet")
}
