package scan

import (
	"math/bits"
	"strings"
)

// The pass functions are for text that has been validated: they only look for the end of a value, which in long texts is
// ten times as fast as validating. For other text the results are meaningless, but they never read outside of it.

// passValue returns the offset after the value that begins at i.
func passValue(s string, i int) int {
	if i >= len(s) {
		return i
	}
	switch s[i] {
	case '"':
		return passString(s, i)
	case '{', '[':
		return passNested(s, i)
	}
	for i < len(s) && s[i] > ' ' && s[i] != ',' && s[i] != ']' && s[i] != '}' {
		i++
	}
	return i
}

// passNested returns the offset after the object or array that begins at i.
func passNested(s string, i int) int {
	depth := 0
	for i < len(s) {
		switch s[i] {
		case '"':
			i = passString(s, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return i
}

// passWords is the number of words of 8 bytes of a string that are tested one by one before a search for its end starts.
// Most strings end within them.
const passWords = 3

// passString returns the offset after the string whose opening quote is at i.
func passString(s string, i int) int {
	end, _ := passStringNote(s, i)
	return end
}

// passStringNote returns the offset after the string whose opening quote is at i, and the note of its span: 1 if it
// contains a backslash, else 0.
func passStringNote(s string, i int) (end int, note int32) {
	i++
	start := i
	for n := 0; n < passWords && len(s)-i >= 8; n++ {
		if m := stops(load8(s[i:])); m != 0 {
			if end := i + bits.TrailingZeros64(m)>>3; s[end] == '"' {
				return end + 1, 0
			}
			break
		}
		i += 8
	}
	if i = passLong(s, i); strings.IndexByte(s[start:i], '\\') >= 0 {
		note = 1
	}
	return i, note
}

// passLong returns the offset after the string that contains offset i.
func passLong(s string, i int) int {
	for i < len(s) {
		n := strings.IndexByte(s[i:], '"')
		if n < 0 {
			return len(s)
		}
		quote, slash := i+n, i+n
		for slash > i && s[slash-1] == '\\' {
			slash--
		}
		i = quote + 1
		if (quote-slash)%2 == 0 {
			return i
		}
	}
	return i
}

// passSpan returns the span of the value that begins at i.
func passSpan(s string, i int) Span {
	v := Span{Start: int32(i), Kind: Number}
	if i >= len(s) {
		v.End = v.Start
		return v
	}
	switch s[i] {
	case '"':
		end, note := passStringNote(s, i)
		return Span{Start: int32(i), End: int32(end), Kind: String, note: note}
	case '{':
		v.Kind = Object
	case '[':
		v.Kind = Array
	case 't':
		v.Kind = True
	case 'f':
		v.Kind = False
	case 'n':
		v.Kind = Null
	}
	v.End = int32(passValue(s, i))
	return v
}
