package scan

import (
	"math"
	"strconv"
	"strings"
)

// maxNumberText is the length in bytes of the longest text that is read as a number. It bounds the cost of a hostile
// number; 64-bit integers and the shortest form of every float64 are far shorter.
const maxNumberText = 400

// Int returns the value of a Number, or of a String that spells a JSON number, as an integer. 12.0 and 1e3 are integers.
// If the value is not an integer, as 12.5, or does not fit into 64 bits, ok is false.
func Int(src string, v Span) (n int64, ok bool) {
	text, ok := numberText(src, v)
	if !ok {
		return 0, false
	}
	d, ok := parseDecimal(text)
	if !ok || d.truncated {
		return 0, false
	}
	return d.int64()
}

// Double returns the nearest float64 to the value of a Number, or of a String that spells a JSON number. If the value is too
// large for a finite float64, ok is false.
func Double(src string, v Span) (f float64, ok bool) {
	text, ok := numberText(src, v)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

// numberText returns the text of a Number, or of a String that contains a JSON number and nothing else.
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

// shortText is Text for a number or a time. It needs no arena; if the text is too long for either, ok is false.
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

// decimal is the number ±coef * 10^exp. If truncated is set, its last digits did not fit into coef, and the magnitude of
// the number is a little larger.
type decimal struct {
	neg       bool
	truncated bool
	coef      uint64
	exp       int
}

// parseDecimal parses a valid JSON number. If its exponent is beyond maxExponent, ok is false, unless the number is 0.
func parseDecimal(s string) (d decimal, ok bool) {
	if d, ok = plainDecimal(s); ok {
		return d, true
	}
	i := 0
	if s[0] == '-' {
		d.neg, i = true, 1
	}
	zeros := 0 // digits since the last one that is in coef: zeros go into coef only if another digit follows them
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
			d.truncated = true // the digit and all that follow count as zeros, which keeps the magnitude
		}
	}
	d.exp += zeros
	if i < len(s) {
		exp, err := strconv.Atoi(s[i+1:])
		if err != nil || exp > maxExponent || exp < -maxExponent {
			return decimal{}, d.coef == 0 && !d.truncated
		}
		d.exp += exp
	}
	if d.coef == 0 {
		d.exp = 0
	}
	return d, true
}

// plainDecimal parses a number that consists of digits only, as most numbers do. 19 digits always fit; for a longer number,
// or one with another character, ok is false.
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

// maxExponent bounds exponents. A number of at most maxNumberText digits with a larger exponent is 0 or out of range for
// all conversions here.
const maxExponent = 1000

// push appends zeros-1 zeros and a digit to coef and resets zeros. It reports false if they do not fit, or if the decimal is
// already truncated.
func (d *decimal) push(digit byte, zeros *int) bool {
	if d.truncated {
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

// int64 returns d as an integer, or false if it is not one of 64 bits. The exponent of parseDecimal is 0 or more for every
// integer, because trailing zeros are not in coef.
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
