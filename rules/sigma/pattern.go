package sigma

import (
	"encoding/base64"
	"regexp"
	"strings"
	"unicode/utf8"
)

// pattern is a text of a rule with its wildcards. A wildcard is a part of its own.
type pattern []part

// part is a literal, or a wildcard if wild is '*' or '?'.
type part struct {
	text string
	wild byte
}

// parsePattern reads a text with the wildcards * and ?. A backslash before a wildcard or a backslash makes it a plain
// character; any other backslash is one itself.
func parsePattern(s string) pattern {
	var p pattern
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			p = append(p, part{text: lit.String()})
			lit.Reset()
		}
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s) && (s[i+1] == '*' || s[i+1] == '?' || s[i+1] == '\\'):
			i++
			lit.WriteByte(s[i])
		case c == '*' || c == '?':
			flush()
			if c == '*' && len(p) > 0 && p[len(p)-1].wild == '*' {
				continue // ** is *
			}
			p = append(p, part{wild: c})
		default:
			lit.WriteByte(c)
		}
	}
	flush()
	return p
}

// plain returns the text of a pattern without wildcards.
func (p pattern) plain() (text string, ok bool) {
	switch {
	case len(p) == 0:
		return "", true
	case len(p) == 1 && p[0].wild == 0:
		return p[0].text, true
	}
	return "", false
}

// isAny reports whether the pattern is a single *.
func (p pattern) isAny() bool { return len(p) == 1 && p[0].wild == '*' }

// open returns the pattern with a * before it, after it, or both.
func (p pattern) open(before, after bool) pattern {
	out := p
	if before && (len(out) == 0 || out[0].wild != '*') {
		out = append(pattern{{wild: '*'}}, out...)
	}
	if after && (len(out) == 0 || out[len(out)-1].wild != '*') {
		out = append(out[:len(out):len(out)], part{wild: '*'})
	}
	return out
}

// closed returns the pattern without a * at its ends, and whether it had one at each.
func (p pattern) closed() (inner pattern, before, after bool) {
	if len(p) > 0 && p[0].wild == '*' {
		p, before = p[1:], true
	}
	if len(p) > 0 && p[len(p)-1].wild == '*' {
		p, after = p[:len(p)-1], true
	}
	return p, before, after
}

// expression returns the pattern as a regular expression in the syntax of RE2, with flags for upper and lower case, and
// whether it matches the empty text.
func (p pattern) expression(cased bool) string {
	inner, before, after := p.closed()
	var b strings.Builder
	if cased {
		b.WriteString("(?s)")
	} else {
		b.WriteString("(?is)")
	}
	if !before {
		b.WriteByte('^')
	}
	for _, x := range inner {
		switch x.wild {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteByte('.')
		default:
			b.WriteString(regexp.QuoteMeta(x.text))
		}
	}
	if !after {
		b.WriteByte('$')
	}
	return b.String()
}

// The dashes that windash makes interchangeable.
const dashes = "-/\u2013\u2014\u2015"

// maxDashes is the largest number of dashes in a text with windash: each has five forms, so four make 625 texts.
const maxDashes = 4

// withDashes returns the forms of a text with every dash replaced by each of dashes; ok is false if there are too many.
func withDashes(text string) (forms []string, ok bool) {
	forms = []string{""}
	n := 0
	for _, r := range text {
		if !strings.ContainsRune(dashes, r) {
			for i := range forms {
				forms[i] += string(r)
			}
			continue
		}
		if n++; n > maxDashes {
			return nil, false
		}
		var next []string
		for _, f := range forms {
			for _, d := range dashes {
				next = append(next, f+string(d))
			}
		}
		forms = next
	}
	return forms, true
}

// wide returns a text as UTF-16, little-endian or big-endian.
func wide(text string, bigEndian bool) string {
	var b strings.Builder
	put := func(u uint16) {
		hi, lo := byte(u>>8), byte(u)
		if bigEndian {
			b.WriteByte(hi)
			b.WriteByte(lo)
			return
		}
		b.WriteByte(lo)
		b.WriteByte(hi)
	}
	for _, r := range text {
		if r >= 0x10000 {
			r -= 0x10000
			put(uint16(0xd800 + r>>10))
			put(uint16(0xdc00 + r&0x3ff))
			continue
		}
		put(uint16(r))
	}
	return b.String()
}

// base64Offsets returns the three texts of which one is in the base64 of any text that contains s: one for each place of s
// in a group of three bytes, without the characters that depend on the neighbours of s.
func base64Offsets(s string) (forms []string) {
	skip := [...]int{0, 2, 3} // characters at the start that depend on the bytes before s
	drop := [...]int{0, 3, 2} // characters at the end that depend on the bytes after s, by the length modulo 3
	for offset := range 3 {
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", offset) + s))
		end := len(encoded) - drop[(len(s)+offset)%3]
		if skip[offset] < end {
			forms = append(forms, encoded[skip[offset]:end])
		}
	}
	return forms
}

// isText reports whether a value can be a text of a condition, which is UTF-8.
func isText(s string) bool { return utf8.ValidString(s) }
