package scan

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns what a String spells: a view of src where nothing is escaped, else text in the arena. Lone surrogates
// become U+FFFD, as in encoding/json. A span of another kind gives "".
func Text(src string, v Span, a *Arena) string {
	if v.Kind != String {
		return ""
	}
	raw := src[v.Start+1 : v.End-1]
	if v.note == 0 {
		return raw
	}
	b := a.room(len(raw)) // no escape spells more bytes than it is written with
	from := b.Len()
	writeText(b, raw)
	return b.String()[from:]
}

// writeText writes what the validated raw spells.
func writeText(b *strings.Builder, raw string) {
	for len(raw) > 0 {
		k := strings.IndexByte(raw, '\\')
		if k < 0 {
			b.WriteString(raw)
			return
		}
		b.WriteString(raw[:k])
		r, n := unescape(raw[k:])
		b.WriteRune(r)
		raw = raw[k+n:]
	}
}

// unescape reads the escape sequence at the front of a validated text: what it spells and its length.
func unescape(raw string) (r rune, n int) {
	switch raw[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return unescapeUnicode(raw)
	default: // quote, backslash, slash
		return rune(raw[1]), 2
	}
}

// unescapeUnicode reads \uXXXX, or a pair of them that is one character.
func unescapeUnicode(raw string) (rune, int) {
	r, _ := hex4(raw, 2)
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(raw) >= 12 && raw[6] == '\\' && raw[7] == 'u' {
		low, _ := hex4(raw, 8)
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// spells says whether the escaped text raw spells want, without building it.
func spells(raw, want string) bool {
	for len(raw) > 0 {
		if raw[0] != '\\' {
			if len(want) == 0 || want[0] != raw[0] {
				return false
			}
			raw, want = raw[1:], want[1:]
			continue
		}
		r, n := unescape(raw)
		var buf [utf8.UTFMax]byte
		text := buf[:utf8.EncodeRune(buf[:], r)]
		if len(want) < len(text) || want[:len(text)] != string(text) {
			return false
		}
		raw, want = raw[n:], want[len(text):]
	}
	return want == ""
}
