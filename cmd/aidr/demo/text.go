package demo

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// plain replaces control and format characters by blanks, because a terminal would execute them, and shortens s to limit
// characters.
func plain(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	r := []rune(s)
	switch {
	case len(r) <= limit:
		return s
	case limit < 4:
		return string(r[:max(limit, 0)])
	}
	return string(r[:limit-3]) + "..."
}

// fold wraps a text between words into lines of at most width characters. Longer words are split.
func fold(s string, width int) (lines []string) {
	width = max(width, 20) // narrower lines are not readable anyway
	line := []rune(nil)
	for _, word := range strings.Fields(s) {
		w := []rune(word)
		if len(line) > 0 && len(line)+1+len(w) > width {
			lines, line = append(lines, string(line)), nil
		}
		if len(line) > 0 {
			line = append(line, ' ')
		}
		for len(line)+len(w) > width {
			n := width - len(line)
			lines, line, w = append(lines, string(append(line, w[:n]...))), nil, w[n:]
		}
		line = append(line, w...)
	}
	if len(line) > 0 {
		lines = append(lines, string(line))
	}
	return lines
}
