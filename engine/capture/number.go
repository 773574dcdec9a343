package capture

import (
	"math"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// decimalOf returns the number in the nearest units of 10^-9, at most item.MaxSummand. A value that is absent, negative
// or not a number counts as 0.
func decimalOf(v schema.Value) rules.Decimal {
	switch v.Kind {
	case schema.KindInt:
		if v.Int() <= 0 {
			return rules.Decimal{}
		}
		return rules.NewDecimal(min(uint64(v.Int()), item.MaxSummand), 0)
	case schema.KindDouble:
		x := v.Double()
		if !(x > 0) {
			return rules.Decimal{}
		}
		if x >= item.MaxSummand {
			return rules.NewDecimal(item.MaxSummand, 0)
		}
		whole, part := math.Modf(x)
		return rules.NewDecimal(uint64(whole), uint64(math.RoundToEven(part*rules.DecimalOne)))
	}
	return rules.Decimal{}
}
