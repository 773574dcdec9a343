package capture

import (
	"math"
	"math/bits"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// nano is how many units of a Decimal make one.
const nano = 1_000_000_000

// decimalOf returns the number in the nearest units of 10^-9, at most item.MaxSummand. A value that is absent, negative
// or not a number counts as 0.
func decimalOf(v schema.Value) rules.Decimal {
	switch v.Kind {
	case schema.KindInt, schema.KindTimestamp, schema.KindBool:
		if v.Int() <= 0 {
			return rules.Decimal{}
		}
		return units(min(uint64(v.Int()), item.MaxSummand), 0)
	case schema.KindDouble:
		x := v.Double()
		if !(x > 0) {
			return rules.Decimal{}
		}
		if x >= item.MaxSummand {
			return units(item.MaxSummand, 0)
		}
		whole, part := math.Modf(x)
		return units(uint64(whole), uint64(math.RoundToEven(part*nano)))
	}
	return rules.Decimal{}
}

// units returns whole x 10^9 + part.
func units(whole, part uint64) rules.Decimal {
	hi, lo := bits.Mul64(whole, nano)
	lo, carry := bits.Add64(lo, part, 0)
	return rules.Decimal{Hi: int64(hi + carry), Lo: lo}
}
