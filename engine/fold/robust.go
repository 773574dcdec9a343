package fold

import (
	"math"
	"math/bits"
	"slices"

	"github.com/aidr-engine/aidr/rules"
)

// The distance of a value from the values of a history, robust against a few that are far off:
//
//	z = (value - median) / max(1.4826 MAD, 0.05 median, 10^-9)
//
// MAD is the median of the distances from the median; 1.4826 MAD estimates the standard deviation of normal values. The
// median of an even number of values lies between the two in the middle, and MAD once more between two distances from
// it, so the exact arithmetic below is in quarters of a unit of 10^-9. No value is negative, and none is above
// maxValue.

// maxValue is the largest value of a bucket, about 10^28: four times as much, in quarters, still is a Decimal.
var maxValue = rules.Decimal{Hi: 1 << 59}

// noLimit is a limit that no value reaches.
var noLimit = rules.Decimal{Hi: math.MaxInt64, Lo: math.MaxUint64}

const (
	// zUnits is the number by which a distance in quarters is multiplied to compare it with deviation x scale: 10^9 for
	// the units of the deviation and 10^4 for those of the scale.
	zUnits = 1_000_000_000 * scaleUnits
	// scaleUnits makes the factors of the scale whole numbers.
	scaleUnits = 10_000
	madScale   = 14_826 // 1.4826
	minScale   = 500    // 0.05
	leastScale = 4      // 10^-9, in quarters of 10^-9
)

// spread describes the values of a history, in quarters of 10^-9.
type spread struct {
	median, mad rules.Decimal
}

// spreadOf returns the spread of values, of which there is at least one. It overwrites them.
func spreadOf(values []rules.Decimal) (s spread) {
	middle := doubleMedian(values) // in halves
	for i, v := range values {
		if v = v.Add(v); v.Less(middle) {
			values[i] = middle.Sub(v)
		} else {
			values[i] = v.Sub(middle)
		}
	}
	return spread{median: middle.Add(middle), mad: doubleMedian(values)}
}

// doubleMedian sorts the values and returns twice their median.
func doubleMedian(values []rules.Decimal) rules.Decimal {
	slices.SortFunc(values, compareDecimals)
	n := len(values)
	return values[(n-1)/2].Add(values[n/2])
}

func compareDecimals(a, b rules.Decimal) int {
	switch {
	case a.Less(b):
		return -1
	case b.Less(a):
		return 1
	}
	return 0
}

// scale returns the divisor of z, in quarters of 10^-9 / scaleUnits.
func (s spread) scale() wide {
	return wideOf(s.mad).times(madScale).max(wideOf(s.median).times(minScale)).max(wide{leastScale * scaleUnits})
}

// limits returns the least value whose z is at least deviation, and the largest whose z is at most -deviation; ok is
// false if there is none of the latter. The deviation is in units of 10^-9.
func (s spread) limits(deviation uint64) (high, low rules.Decimal, ok bool) {
	median, distance := wideOf(s.median).times(zUnits), s.scale().times(deviation)
	high = median.plus(distance).over(4*zUnits, true)
	if median.less(distance) {
		return high, rules.Decimal{}, false
	}
	return high, median.minus(distance).over(4*zUnits, false), true
}

// wide is a number of 192 bits, the lowest word first. Nothing here exceeds 2^181.
type wide [3]uint64

// wideOf returns d, which is not negative.
func wideOf(d rules.Decimal) wide { return wide{d.Lo, uint64(d.Hi)} }

func (w wide) times(n uint64) (p wide) {
	var carry uint64
	for i := range w {
		hi, lo := bits.Mul64(w[i], n)
		var c uint64
		p[i], c = bits.Add64(lo, carry, 0)
		carry = hi + c
	}
	return p
}

func (w wide) plus(o wide) (sum wide) {
	var carry uint64
	for i := range w {
		sum[i], carry = bits.Add64(w[i], o[i], carry)
	}
	return sum
}

// minus returns w - o, for w >= o.
func (w wide) minus(o wide) (d wide) {
	var borrow uint64
	for i := range w {
		d[i], borrow = bits.Sub64(w[i], o[i], borrow)
	}
	return d
}

func (w wide) less(o wide) bool {
	for i := len(w) - 1; i > 0; i-- {
		if w[i] != o[i] {
			return w[i] < o[i]
		}
	}
	return w[0] < o[0]
}

func (w wide) max(o wide) wide {
	if w.less(o) {
		return o
	}
	return w
}

// over returns w/n, rounded up or down; noLimit if that is not a Decimal.
func (w wide) over(n uint64, up bool) rules.Decimal {
	var q wide
	var rest uint64
	for i := len(w) - 1; i >= 0; i-- {
		q[i], rest = bits.Div64(rest, w[i], n)
	}
	if up && rest > 0 {
		q = q.plus(wide{1})
	}
	if q[2] > 0 || q[1] > math.MaxInt64 {
		return noLimit
	}
	return rules.Decimal{Hi: int64(q[1]), Lo: q[0]}
}
