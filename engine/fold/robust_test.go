package fold

import (
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/rules"
)

// ratOf returns d in whole units.
func ratOf(d rules.Decimal) *big.Rat {
	n := new(big.Int).Lsh(big.NewInt(d.Hi), 64)
	n.Add(n, new(big.Int).SetUint64(d.Lo))
	return new(big.Rat).SetFrac(n, big.NewInt(rules.DecimalOne))
}

// median returns the median of values.
func median(values []*big.Rat) *big.Rat {
	values = slices.Clone(values)
	slices.SortFunc(values, func(a, b *big.Rat) int { return a.Cmp(b) })
	n := len(values)
	sum := new(big.Rat).Add(values[(n-1)/2], values[n/2])
	return sum.Quo(sum, big.NewRat(2, 1))
}

// zOf computes z from its definition.
func zOf(value *big.Rat, values []*big.Rat) *big.Rat {
	m := median(values)
	var distances []*big.Rat
	for _, v := range values {
		d := new(big.Rat).Sub(v, m)
		distances = append(distances, d.Abs(d))
	}
	scale := new(big.Rat).Mul(big.NewRat(14826, 10000), median(distances))
	for _, least := range []*big.Rat{new(big.Rat).Mul(big.NewRat(5, 100), m), big.NewRat(1, 1e9)} {
		if scale.Cmp(least) < 0 {
			scale = least
		}
	}
	z := new(big.Rat).Sub(value, m)
	return z.Quo(z, scale)
}

// TestLimitsOfSpread checks that the limits separate the values whose z reaches the deviation from those next to them.
func TestLimitsOfSpread(t *testing.T) {
	unit := rules.DecimalUnits(1)
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.SampledFrom([]int64{0, 1, 9, 1 << 40, 1 << 59}).Draw(t, "most")
		draw := rapid.Custom(func(t *rapid.T) rules.Decimal {
			if most < 1<<50 {
				return rules.DecimalUnits(rapid.Int64Range(0, most).Draw(t, "units"))
			}
			d := rules.Decimal{Hi: rapid.Int64Range(0, most-1).Draw(t, "high"), Lo: rapid.Uint64().Draw(t, "low")}
			return rapid.SampledFrom([]rules.Decimal{d, maxValue}).Draw(t, "value")
		})
		values := rapid.SliceOfN(draw, 1, rules.MaxHistory).Draw(t, "values")
		var exact []*big.Rat
		for _, v := range values {
			exact = append(exact, ratOf(v))
		}
		deviation := rapid.SampledFrom([]uint64{1, 5e8, 35e8, 1000e9}).Draw(t, "deviation")
		least := ratOf(rules.DecimalUnits(int64(deviation)))
		high, low, ok := spreadOf(slices.Clone(values)).limits(deviation)
		if high != noLimit && zOf(ratOf(high), exact).Cmp(least) < 0 {
			t.Fatalf("z of the limit %s is below the deviation", high)
		}
		if high != noLimit && high.Sign() > 0 && zOf(ratOf(high.Sub(unit)), exact).Cmp(least) >= 0 {
			t.Fatalf("z of less than the limit %s reaches the deviation", high)
		}
		if high == noLimit && zOf(ratOf(maxValue), exact).Cmp(least) >= 0 {
			t.Fatalf("no limit, but z of the largest value reaches the deviation")
		}
		least.Neg(least)
		if ok && zOf(ratOf(low), exact).Cmp(least) > 0 {
			t.Fatalf("z of the low limit %s is above the deviation", low)
		}
		if next := low.Add(unit); ok && zOf(ratOf(next), exact).Cmp(least) <= 0 {
			t.Fatalf("z of more than the low limit %s reaches the deviation", low)
		}
		if !ok && zOf(new(big.Rat), exact).Cmp(least) <= 0 {
			t.Fatalf("no low limit, but z of 0 reaches the deviation")
		}
	})
}
