package reference_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

func drawBaseline(t *rapid.T, r *rules.Rule) {
	l := &rules.Baseline{
		Of:  rapid.SampledFrom([]rules.BaselineOf{rules.BaselineCount, rules.BaselineSum, rules.BaselineDistinct, rules.BaselineRatio}).Draw(t, "of"),
		Sum: rules.FieldOperand(schema.GenAIUsageCost), Distinct: r.Key[:1], Season: rules.SeasonNone,
		Bucket:    rapid.SampledFrom([]time.Duration{4, 16, 64, 128}).Draw(t, "bucket"),
		History:   rapid.IntRange(1, 10).Draw(t, "history"),
		Direction: rapid.SampledFrom([]rules.Direction{rules.DirectionUp, rules.DirectionDown, rules.DirectionBoth}).Draw(t, "direction"),
		Deviation: rules.DecimalUnits(rapid.SampledFrom([]int64{1, 5e8, 1e9, 35e8, 40e9}).Draw(t, "deviation")),
		Forget:    duration(t, "forget", 20, 2000),
	}
	l.MinSamples = rapid.IntRange(1, min(3, l.History)).Draw(t, "min samples")
	if rapid.Bool().Draw(t, "with min value") {
		l.MinValue = rules.DecimalUnits(rapid.Int64Range(1, 30).Draw(t, "min value") * 1e8)
	}
	r.Baseline = l
	switch rapid.IntRange(0, 4).Draw(t, "season") {
	case 3:
		l.Season = rules.SeasonHourOfDay
		l.Bucket = rapid.SampledFrom([]time.Duration{30 * time.Minute, time.Hour, 6 * time.Hour}).Draw(t, "bucket of season")
	case 4:
		l.Season = rules.SeasonHourOfWeek
		l.Bucket = rapid.SampledFrom([]time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour}).Draw(t, "bucket of season")
	}
	r.GroupFor *= time.Duration(unitOf(r))
	l.Forget *= time.Duration(unitOf(r))
}

// unitOf returns the unit of the times of a rule's items: 1 ns, or for a season a time of which the hours of the season
// have a few.
func unitOf(r *rules.Rule) schema.Instant {
	if r.Baseline != nil {
		switch r.Baseline.Season {
		case rules.SeasonHourOfDay:
			return schema.Instant(20 * time.Minute)
		case rules.SeasonHourOfWeek:
			return schema.Instant(3 * time.Hour)
		}
	}
	return 1
}

func TestBaselineIsAsWritten(t *testing.T) { property(t, rules.KindBaseline) }

// drawBucketData returns the Data of an item with one of a few values.
func drawBucketData(l *rules.Baseline, v int) string {
	switch l.Of {
	case rules.BaselineSum:
		return string(binary.BigEndian.AppendUint64(make([]byte, 8), uint64(v)*15e8))
	case rules.BaselineDistinct:
		return fmt.Sprintf("value%03d", v%1000)
	case rules.BaselineRatio:
		return string([]byte{byte(v & 1)})
	}
	return ""
}
