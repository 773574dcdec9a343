package rules

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// DecimalOne is the number of units of a Decimal that make 1.
const DecimalOne = 1_000_000_000

// Decimal is a number in units of 10^-9, in two's complement with 128 bits. Unlike a sum of floats, a sum of Decimals does
// not depend on the order of its terms. The zero Decimal is 0.
type Decimal struct {
	Hi int64
	Lo uint64
}

// NewDecimal returns whole + nanos x 10^-9.
func NewDecimal(whole, nanos uint64) Decimal {
	hi, lo := bits.Mul64(whole, DecimalOne)
	lo, carry := bits.Add64(lo, nanos, 0)
	return Decimal{Hi: int64(hi + carry), Lo: lo}
}

// DecimalUnits returns n x 10^-9.
func DecimalUnits(n int64) Decimal { return Decimal{Hi: n >> 63, Lo: uint64(n)} }

// Share returns part/whole, rounded down to a multiple of 10^-9 and limited to the range 0 to 1. It is 0 if whole is 0.
func Share(part, whole int64) Decimal {
	if part <= 0 || whole <= 0 {
		return Decimal{}
	}
	if part >= whole {
		return Decimal{Lo: DecimalOne}
	}
	hi, lo := bits.Mul64(uint64(part), DecimalOne)
	quotient, _ := bits.Div64(hi, lo, uint64(whole))
	return Decimal{Lo: quotient}
}

// ShareReaches reports whether part/whole >= share x 10^-9, exactly. None of the three may be negative.
func ShareReaches(part, whole, share int64) bool {
	partHi, partLo := bits.Mul64(uint64(part), DecimalOne)
	needHi, needLo := bits.Mul64(uint64(whole), uint64(share))
	return partHi > needHi || partHi == needHi && partLo >= needLo
}

// ParseDecimal reads a decimal number exactly: at most 20 digits before the point and 9 after it, with an optional sign
// and underscores between digits. Exponents are not accepted.
func ParseDecimal(s string) (d Decimal, ok bool) {
	s = strings.ReplaceAll(s, "_", "")
	negative := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	whole, part, _ := strings.Cut(s, ".")
	if whole+part == "" || len(whole) > 20 || len(part) > 9 {
		return Decimal{}, false
	}
	digits := whole + part + strings.Repeat("0", 9-len(part))
	var hi, lo uint64
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return Decimal{}, false
		}
		carry, low := bits.Mul64(lo, 10)
		var up uint64
		lo, up = bits.Add64(low, uint64(c-'0'), 0)
		hi = hi*10 + carry + up
	}
	d = Decimal{Hi: int64(hi), Lo: lo} // 29 digits are less than 2^97
	if negative {
		d = d.negative()
	}
	return d, true
}

// Add returns d + o. A sum of two positive numbers that is too large is the largest Decimal. Two negative numbers must
// not add up to less than the smallest Decimal.
func (d Decimal) Add(o Decimal) Decimal {
	lo, carry := bits.Add64(d.Lo, o.Lo, 0)
	hi := d.Hi + o.Hi + int64(carry)
	if d.Hi >= 0 && o.Hi >= 0 && hi < 0 {
		return Decimal{Hi: math.MaxInt64, Lo: math.MaxUint64}
	}
	return Decimal{Hi: hi, Lo: lo}
}

// Sub returns d - o, which must be in the range of a Decimal. It undoes Add only if the sum was not limited.
func (d Decimal) Sub(o Decimal) Decimal {
	lo, borrow := bits.Sub64(d.Lo, o.Lo, 0)
	return Decimal{Hi: d.Hi - o.Hi - int64(borrow), Lo: lo}
}

func (d Decimal) negative() Decimal { return Decimal{}.Sub(d) }

// Less reports whether d < o.
func (d Decimal) Less(o Decimal) bool { return d.Hi < o.Hi || d.Hi == o.Hi && d.Lo < o.Lo }

// Sign returns -1, 0 or 1, depending on whether d is negative, 0 or positive.
func (d Decimal) Sign() int {
	switch {
	case d.Hi < 0:
		return -1
	case d.Hi == 0 && d.Lo == 0:
		return 0
	}
	return 1
}

// String returns the number with as many digits as it needs and no trailing zeros: 12, 0.5, -1.25.
func (d Decimal) String() string {
	sign := ""
	if d.Hi < 0 {
		sign, d = "-", d.negative()
	}
	// Divide by 10^9, the high word first. The smallest Decimal is its own negative, but correct as an unsigned number.
	hi, rest := uint64(d.Hi)/DecimalOne, uint64(d.Hi)%DecimalOne
	lo, nanos := bits.Div64(rest, d.Lo, DecimalOne)
	text := sign + wholeText(hi, lo)
	if nanos == 0 {
		return text
	}
	digits := strconv.FormatUint(nanos+DecimalOne, 10)[1:]
	return text + "." + strings.TrimRight(digits, "0")
}

// wholeText returns the digits of hi x 2^64 + lo.
func wholeText(hi, lo uint64) string {
	const chunk = 1e18 // the largest power of ten that leaves room for the leading 1 below
	if hi == 0 {
		return strconv.FormatUint(lo, 10)
	}
	qhi, rest := hi/chunk, hi%chunk
	qlo, remainder := bits.Div64(rest, lo, chunk)
	return wholeText(qhi, qlo) + strconv.FormatUint(remainder+chunk, 10)[1:]
}
