package fold

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
)

// nano is the number of units of a Decimal in 1.
const nano = 1_000_000_000

// summand returns the number in an item's Data, at most item.MaxSummand; 0 if Data is not a number.
func summand(it *item.Item) rules.Decimal {
	if len(it.Data) != 16 {
		return rules.Decimal{}
	}
	b := []byte(it.Data)
	d := rules.Decimal{Hi: int64(binary.BigEndian.Uint64(b)), Lo: binary.BigEndian.Uint64(b[8:])}
	if d.Hi < 0 {
		return rules.Decimal{}
	}
	hi, lo := bits.Mul64(item.MaxSummand, nano)
	if most := (rules.Decimal{Hi: int64(hi), Lo: lo}); less(most, d) {
		return most
	}
	return d
}

// integer returns n as a Decimal whose unit is 1.
func integer(n int64) rules.Decimal { return rules.Decimal{Hi: n >> 63, Lo: uint64(n)} }

// plus returns a + b. A sum that does not fit in 127 bits is the largest Decimal.
func plus(a, b rules.Decimal) rules.Decimal {
	lo, carry := bits.Add64(a.Lo, b.Lo, 0)
	hi := a.Hi + b.Hi + int64(carry)
	if a.Hi >= 0 && b.Hi >= 0 && hi < 0 {
		return rules.Decimal{Hi: math.MaxInt64, Lo: math.MaxUint64}
	}
	return rules.Decimal{Hi: hi, Lo: lo}
}

// minus returns a - b. b is a part of the sum a, and neither was ever the largest Decimal, so the result is not negative.
func minus(a, b rules.Decimal) rules.Decimal {
	lo, borrow := bits.Sub64(a.Lo, b.Lo, 0)
	return rules.Decimal{Hi: a.Hi - b.Hi - int64(borrow), Lo: lo}
}

// less reports whether a < b.
func less(a, b rules.Decimal) bool { return a.Hi < b.Hi || a.Hi == b.Hi && a.Lo < b.Lo }

// atLeast reports whether part/whole >= share x 10^-9.
func atLeast(part, whole, share int64) bool {
	ph, pl := bits.Mul64(uint64(part), nano)
	sh, sl := bits.Mul64(uint64(whole), uint64(share))
	return ph > sh || ph == sh && pl >= sl
}

// shareOf returns part/whole in units of 10^-9, rounded down; part <= whole.
func shareOf(part, whole int64) rules.Decimal {
	if part <= 0 || whole <= 0 {
		return rules.Decimal{}
	}
	if part >= whole {
		return rules.Decimal{Lo: nano}
	}
	hi, lo := bits.Mul64(uint64(part), nano)
	q, _ := bits.Div64(hi, lo, uint64(whole))
	return rules.Decimal{Lo: q}
}

// A unit is the unit in which a Decimal holds the values of a kind's triggers.
type unit uint8

const (
	unitNone  unit = iota // the kind has no value
	unitWhole             // 1
	unitNano              // 10^-9
)

// number renders d, which is not negative.
func (u unit) number(d rules.Decimal) json.Number {
	switch u {
	case unitWhole:
		return json.Number(strconv.FormatUint(d.Lo, 10))
	case unitNano:
		return json.Number(decimalText(d))
	}
	return ""
}

// decimalText renders units of 10^-9 without trailing zeros.
func decimalText(d rules.Decimal) string {
	sign := ""
	hi, lo := uint64(d.Hi), d.Lo
	if d.Hi < 0 {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
		sign = "-"
	}
	// The high word first: hi x 2^64 + lo = whole x 10^9 + part.
	wh, rest := hi/nano, hi%nano
	wl, part := bits.Div64(rest, lo, nano)
	text := sign + wholeText(wh, wl)
	if part == 0 {
		return text
	}
	frac := strconv.FormatUint(part+nano, 10)[1:]
	return text + "." + strings.TrimRight(frac, "0")
}

// wholeText renders a whole number of 128 bits.
func wholeText(hi, lo uint64) string {
	const chunk = 1e18
	if hi == 0 {
		return strconv.FormatUint(lo, 10)
	}
	qh, rest := hi/chunk, hi%chunk
	ql, rem := bits.Div64(rest, lo, chunk)
	return wholeText(qh, ql) + strconv.FormatUint(rem+chunk, 10)[1:]
}
