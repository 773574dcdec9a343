package scan

import (
	"math"
	"strconv"
	"strings"
)

// maxNumberText is the longest text in bytes that is read as a number: 64-bit integers and the shortest form of every
// float64 are far shorter, and it bounds what a hostile number costs.
const maxNumberText = 400

// Int returns an integer of 64 bits from a Number, or from a String that spells one as JSON would; 12.0 and 1e3 are
// integers, 12.5 is none. Out of range is not ok.
func Int(src string, v Span) (n int64, ok bool) {
	text, ok := numberText(src, v)
	if !ok {
		return 0, false
	}
	d, ok := parseDecimal(text)
	if !ok || d.cut {
		return 0, false
	}
	return d.int64()
}

// Double returns a finite float64, the nearest one, from a Number, or from a String that spells one as JSON would.
func Double(src string, v Span) (f float64, ok bool) {
	text, ok := numberText(src, v)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

// numberText returns the digits of a Number or of a String that holds one and nothing else.
func numberText(src string, v Span) (text string, ok bool) {
	switch v.Kind {
	case Number:
		text = src[v.Start:v.End]
	case String:
		text, ok = shortText(src, v)
		if !ok {
			return "", false
		}
		if end, v := skipNumber(text, 0); v.bad() || end != len(text) {
			return "", false
		}
	}
	return text, text != "" && len(text) <= maxNumberText
}

// shortText is Text for a number or a time: no arena, and not ok where it is too long to be one.
func shortText(src string, v Span) (text string, ok bool) {
	raw := src[v.Start+1 : v.End-1]
	if len(raw) > maxNumberText {
		return "", false
	}
	if v.note == 0 {
		return raw, true
	}
	var b strings.Builder
	writeText(&b, raw)
	return b.String(), true
}

// decimal is coef * 10^exp, negative or not, exactly. If digits did not fit into coef they
// are cut off at its end, and the value is a little larger in magnitude than that.
type decimal struct {
	neg  bool
	cut  bool
	coef uint64
	exp  int
}

// parseDecimal reads a number that is valid JSON; not ok where its exponent is absurd.
func parseDecimal(s string) (d decimal, ok bool) {
	if d, ok = plainDecimal(s); ok {
		return d, true
	}
	i := 0
	if s[0] == '-' {
		d.neg, i = true, 1
	}
	zeros := 0 // digits 0 since the last other one: taken into coef only if another follows
	fraction := false
	for ; i < len(s) && s[i]|0x20 != 'e'; i++ {
		c := s[i]
		if c == '.' {
			fraction = true
			continue
		}
		if fraction {
			d.exp--
		}
		zeros++
		if c != '0' && !d.push(c-'0', &zeros) {
			d.cut = true // and what follows stays in zeros, which keeps the magnitude
		}
	}
	d.exp += zeros
	if i < len(s) {
		exp, err := strconv.Atoi(s[i+1:])
		if err != nil || exp > maxExponent || exp < -maxExponent {
			return decimal{}, d.coef == 0 && !d.cut
		}
		d.exp += exp
	}
	if d.coef == 0 {
		d.exp = 0
	}
	return d, true
}

// plainDecimal reads digits alone, as most numbers are, of which 19 always fit; not ok where it is more than that.
func plainDecimal(s string) (d decimal, ok bool) {
	if len(s) > 19 {
		return decimal{}, false
	}
	for i := range len(s) {
		digit := s[i] - '0'
		if digit > 9 {
			return decimal{}, false
		}
		d.coef = d.coef*10 + uint64(digit)
	}
	return d, true
}

// maxExponent bounds exponents: beyond it a number of at most maxNumberText digits is 0 or out of range everywhere here.
const maxExponent = 1000

// push takes the digit after zeros-1 zeros into coef, if it fits and nothing was cut before.
func (d *decimal) push(digit byte, zeros *int) bool {
	if d.cut {
		return false
	}
	coef := d.coef
	for range *zeros {
		if coef > math.MaxUint64/10 {
			return false
		}
		coef *= 10
	}
	if coef > math.MaxUint64-uint64(digit) {
		return false
	}
	d.coef, *zeros = coef+uint64(digit), 0
	return true
}

// int64 returns the integer that d is. A coefficient of 0 is 0 whatever the exponent.
func (d decimal) int64() (int64, bool) {
	if d.exp < 0 {
		return 0, false
	}
	n := d.coef
	for range d.exp {
		if n > math.MaxInt64/10 { // also ends the loop early for n != 0
			return 0, false
		}
		n *= 10
	}
	switch {
	case d.neg && n <= 1<<63:
		return -int64(n), true
	case !d.neg && n <= math.MaxInt64:
		return int64(n), true
	}
	return 0, false
}
