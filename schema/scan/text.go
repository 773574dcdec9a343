package scan

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Arena stores texts that are not a view of their source, such as unescaped ones. It consists of chunks that are only
// appended to, so a view of the arena stays valid for as long as it is held. A full chunk is replaced and never used
// again; it stays in memory until the last view of it is dropped.
//
// The zero Arena is ready to use. It belongs to one worker and must not be copied.
type Arena struct {
	chunk strings.Builder
	work  int
}

// Work returns the number of bytes for which the arena has been asked so far. It is never reset. See Index.Work.
func (a *Arena) Work() int { return a.work }

// arenaChunk is the size of a chunk in bytes. It holds the unescaped text of a few records, and is small enough that a
// view that is held for long keeps little memory alive.
const arenaChunk = 64 << 10

// builder returns a builder with room for n more bytes: the chunk, or for a longer text a builder of its own.
func (a *Arena) builder(n int) *strings.Builder {
	a.work += n
	if n > arenaChunk/4 {
		single := new(strings.Builder)
		single.Grow(n)
		return single
	}
	if a.chunk.Cap()-a.chunk.Len() < n {
		a.chunk = strings.Builder{}
		a.chunk.Grow(arenaChunk)
	}
	return &a.chunk
}

// Concat returns the concatenation of the parts, stored in the arena.
func (a *Arena) Concat(parts ...string) string {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b := a.builder(n)
	from := b.Len()
	for _, p := range parts {
		b.WriteString(p)
	}
	return b.String()[from:]
}

// Copy returns b as a text, stored in the arena.
func (a *Arena) Copy(b []byte) string {
	to := a.builder(len(b))
	from := to.Len()
	to.Write(b)
	return to.String()[from:]
}

// Text returns the text that a String spells: a view of src if the string contains no escape sequence, else a text in the
// arena. A lone surrogate becomes U+FFFD, as in encoding/json. For a span of another kind, Text returns "".
func Text(src string, v Span, a *Arena) string {
	if v.Kind != String {
		return ""
	}
	raw := src[v.Start+1 : v.End-1]
	if v.note == 0 {
		return raw
	}
	b := a.builder(len(raw)) // an escape sequence is never shorter than the text that it spells
	from := b.Len()
	writeText(b, raw)
	return b.String()[from:]
}

// writeText writes the text that raw spells; raw is a validated string without its quotes.
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

// unescape decodes the escape sequence at the front of a validated text. It returns the character and the length of the
// sequence.
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

// unescapeUnicode decodes \uXXXX, or a surrogate pair of two such sequences.
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

// spell writes the text that raw spells to dst and returns its length, or -1 if the text is longer than dst.
func spell(dst []byte, raw string) int {
	n := 0
	for len(raw) > 0 {
		if raw[0] != '\\' {
			if n == len(dst) {
				return -1
			}
			dst[n] = raw[0]
			raw = raw[1:]
			n++
			continue
		}
		r, size := unescape(raw)
		if n+utf8.RuneLen(r) > len(dst) {
			return -1
		}
		n += utf8.EncodeRune(dst[n:], r)
		raw = raw[size:]
	}
	return n
}

// spells reports whether the escaped text raw spells want, without building the text.
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
