package scan

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// The skip functions validate. They take a text and an offset in it and return the offset after the skipped part, or, with
// a bad verdict, the offset of the fault. They are fast because their arguments and results fit into registers.

// skipValue skips the value that begins at i; depth is the number of containers around it.
func skipValue(s string, i, depth int) (int, verdict) {
	if i >= len(s) {
		return i, badSyntax
	}
	switch c := s[i]; c {
	case '"':
		return skipString(s, i)
	case '{':
		return skipObject(s, i, depth)
	case '[':
		return skipArray(s, i, depth)
	case 't':
		return skipLiteral(s, i, "true", verdict(True))
	case 'f':
		return skipLiteral(s, i, "false", verdict(False))
	case 'n':
		return skipLiteral(s, i, "null", verdict(Null))
	default:
		return skipNumber(s, i)
	}
}

// skipObject skips an object; s[i] is its '{'.
func skipObject(s string, i, depth int) (int, verdict) {
	if depth >= MaxDepth {
		return i, badDepth
	}
	i = skipBlanks(s, i+1)
	if i < len(s) && s[i] == '}' {
		return i + 1, verdict(Object)
	}
	for {
		at, v := skipKey(s, i)
		if v.bad() {
			return at, v
		}
		if i = at; i < len(s) && s[i] == '"' { // most values, with one call less
			i, v = skipString(s, i)
		} else {
			i, v = skipValue(s, i, depth+1)
		}
		if v.bad() {
			return i, v
		}
		i = skipBlanks(s, i)
		switch {
		case i < len(s) && s[i] == ',':
			i = skipBlanks(s, i+1)
		case i < len(s) && s[i] == '}':
			return i + 1, verdict(Object)
		default:
			return i, badSyntax
		}
	}
}

// skipKey skips a key, the colon after it and the blanks around the colon.
func skipKey(s string, i int) (int, verdict) {
	if i >= len(s) || s[i] != '"' {
		return i, badSyntax
	}
	i, v := skipString(s, i)
	if v.bad() {
		return i, v
	}
	return skipColon(s, i)
}

// skipColon skips the colon after a key and the blanks around it.
func skipColon(s string, i int) (int, verdict) {
	i = skipBlanks(s, i)
	if i >= len(s) || s[i] != ':' {
		return i, badSyntax
	}
	return skipBlanks(s, i+1), 0
}

// skipArray skips an array; s[i] is its '['.
func skipArray(s string, i, depth int) (int, verdict) {
	if depth >= MaxDepth {
		return i, badDepth
	}
	i = skipBlanks(s, i+1)
	if i < len(s) && s[i] == ']' {
		return i + 1, verdict(Array)
	}
	for {
		var v verdict
		if i, v = skipValue(s, i, depth+1); v.bad() {
			return i, v
		}
		i = skipBlanks(s, i)
		switch {
		case i < len(s) && s[i] == ',':
			i = skipBlanks(s, i+1)
		case i < len(s) && s[i] == ']':
			return i + 1, verdict(Array)
		default:
			return i, badSyntax
		}
	}
}

// skipLiteral skips true, false or null.
func skipLiteral(s string, i int, word string, v verdict) (int, verdict) {
	if len(s)-i >= len(word) && s[i:i+len(word)] == word {
		return i + len(word), v
	}
	for k := 0; k < len(word) && i < len(s) && s[i] == word[k]; k++ {
		i++
	}
	return i, badSyntax
}

// skipNumber skips a number of RFC 8259: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
func skipNumber(s string, i int) (int, verdict) {
	if i < len(s) && s[i] == '-' {
		i++
	}
	start := i
	if i = skipDigits(s, i); i == start {
		return i, badSyntax
	}
	if s[start] == '0' && i > start+1 {
		return start + 1, badSyntax
	}
	if i < len(s) && s[i] == '.' {
		start = i + 1
		if i = skipDigits(s, start); i == start {
			return i, badSyntax
		}
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		start = i
		if i = skipDigits(s, start); i == start {
			return i, badSyntax
		}
	}
	return i, verdict(Number)
}

// skipDigits skips decimal digits.
func skipDigits(s string, i int) int {
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	return i
}

// skipBlanks skips blanks. It is small enough to be inlined, so that the usual case of no blank costs no call.
func skipBlanks(s string, i int) int {
	if i < len(s) && s[i] <= ' ' {
		return skipRun(s, i)
	}
	return i
}

// skipRun skips blanks, 8 spaces at a time in indentation. s[i] must exist.
func skipRun(s string, i int) int {
	if s[i] == ' ' && i+1 < len(s) && s[i+1] > ' ' { // a single space, as many encoders write
		return i + 1
	}
	for i < len(s) {
		switch s[i] {
		case ' ', '\n', '\r', '\t':
			i++
		default:
			return i
		}
		for len(s)-i >= 8 && load8(s[i:]) == spaces {
			i += 8
		}
	}
	return i
}

// Words of 8 equal bytes, for looking at 8 bytes at once.
const (
	ones   = 0x0101010101010101
	tops   = ones * 0x80
	spaces = ones * ' '
)

// load8 returns the first 8 bytes of s as a little-endian number. The compiler turns it into one load.
func load8(s string) uint64 { return binary.LittleEndian.Uint64([]byte(s)[:8]) }

// stops returns a word in which the lowest set bit is the top bit of the first byte in w that is a quote, a backslash or a
// control character, or 0 without such a byte. Bits above that one may be wrong. x^2 maps the quote (0x22) to 0x20 and
// keeps control characters below it, so that one comparison with 0x21 finds both.
func stops(w uint64) uint64 {
	return (((w ^ ones*2) - ones*0x21) | ((w ^ ones*'\\') - ones)) &^ w & tops
}

// skipString skips a string; s[i] is its opening quote.
func skipString(s string, i int) (int, verdict) {
	start := i
	v := verdict(String)
	var seen uint64 // all bytes combined by or: if no top bit is set, the string is ASCII, which is valid UTF-8
	i++
	for len(s)-i >= 8 {
		w := load8(s[i:])
		m := stops(w)
		if m == 0 {
			seen |= w
			if i += 8; i-start > longString {
				i, seen = skipLong(s, i, seen)
			}
			continue
		}
		n := bits.TrailingZeros64(m) // 8k+7 if k bytes precede the stop
		seen |= w & (1<<(n&^7) - 1)
		i += n >> 3
		if s[i] == '"' {
			if seen&tops != 0 {
				if at := invalidUTF8(s, start, i); at >= 0 {
					return at, badUTF8
				}
			}
			return i + 1, v
		}
		next := skipEscape(s, i)
		if next < 0 {
			return ^next, badSyntax
		}
		i, v = next, v|escaped
	}
	return skipStringEnd(s, start, i, v)
}

// longString is the number of bytes of a string that are skipped in words of 8. Most strings end within it.
const longString = 32

// skipLong skips blocks of 32 bytes that contain no stop. In long texts that takes a quarter of the branches.
func skipLong(s string, i int, seen uint64) (int, uint64) {
	for len(s)-i >= 32 {
		a, b, c, d := load8(s[i:]), load8(s[i+8:]), load8(s[i+16:]), load8(s[i+24:])
		if stops(a)|stops(b)|stops(c)|stops(d) != 0 {
			break
		}
		seen |= a | b | c | d
		i += 32
	}
	return i, seen
}

// skipStringEnd is skipString for the end of a text, from which no word of 8 bytes can be read.
func skipStringEnd(s string, start, i int, v verdict) (int, verdict) {
	for i < len(s) {
		switch c := s[i]; {
		case c == '"':
			if at := invalidUTF8(s, start, i); at >= 0 {
				return at, badUTF8
			}
			return i + 1, v
		case c == '\\' || c < ' ':
			next := skipEscape(s, i)
			if next < 0 {
				return ^next, badSyntax
			}
			i, v = next, v|escaped
		default:
			i++
		}
	}
	if at := invalidUTF8(s, start, i); at >= 0 {
		return at, badUTF8
	}
	return i, badSyntax
}

// skipEscape skips the escape sequence at i. If it is not a valid one, skipEscape returns the bitwise complement of the
// offset of the fault, which is negative.
func skipEscape(s string, i int) int {
	if s[i] != '\\' || i+1 >= len(s) {
		return ^i
	}
	switch s[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if _, ok := hex4(s, i+2); ok {
			return i + 6
		}
	}
	return ^i
}

// hex4 parses the 4 hex digits at i.
func hex4(s string, i int) (r rune, ok bool) {
	if len(s)-i < 4 {
		return 0, false
	}
	for _, c := range []byte(s[i : i+4]) {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// invalidUTF8 returns the offset of the first byte in s[from:to] that is not UTF-8, or -1.
func invalidUTF8(s string, from, to int) int {
	if utf8.ValidString(s[from:to]) {
		return -1
	}
	for i := from; i < to; {
		r, size := utf8.DecodeRuneInString(s[i:to])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}
