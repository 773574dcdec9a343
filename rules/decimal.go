package rules

import (
	"math/bits"
	"strings"
)

// decimalOne is 1 in units of 10^-9.
const decimalOne = 1_000_000_000

// ParseDecimal reads a number as people write it, digits with at most one point, exactly: up to 20 digits before the
// point and 9 behind it.
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

func (d Decimal) negative() Decimal {
	lo, carry := bits.Add64(^d.Lo, 1, 0)
	hi, _ := bits.Add64(^uint64(d.Hi), 0, carry)
	return Decimal{Hi: int64(hi), Lo: lo}
}

// Sign is -1, 0 or 1.
func (d Decimal) Sign() int {
	switch {
	case d.Hi < 0:
		return -1
	case d.Hi == 0 && d.Lo == 0:
		return 0
	}
	return 1
}
