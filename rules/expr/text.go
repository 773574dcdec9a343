package expr

import (
	"strings"
	"unicode/utf8"
)

// textTests are the functions that ask something of one text with another. All of them compare whole characters and
// are linear in the text, or in the text times a pattern that stands in the rule.
func textTest(name string) func(text, arg string) bool {
	switch name {
	case "startsWith":
		return strings.HasPrefix
	case "endsWith":
		return strings.HasSuffix
	case "contains":
		return strings.Contains
	case "iequals":
		return strings.EqualFold
	case "icontains":
		return containsFold
	case "glob":
		return globMatch
	}
	return nil
}

// textTestNames are the names that textTest knows.
var textTestNames = [...]string{"startsWith", "endsWith", "contains", "iequals", "icontains", "glob"}

// containsFold is strings.Contains under Unicode's simple case folding, the folding of strings.EqualFold.
func containsFold(text, sub string) bool {
	if sub == "" {
		return true
	}
	n := utf8.RuneCountInString(sub)
	first := lowerByte(sub[0])
	for from := 0; from < len(text); {
		// A letter can only begin what equals sub when it is sub's first letter, or no ASCII: the Kelvin sign is a k.
		if c := text[from]; c < utf8.RuneSelf && first < utf8.RuneSelf && lowerByte(c) != first {
			from++
			continue
		}
		to := from
		for range n {
			if to >= len(text) {
				return false
			}
			_, size := utf8.DecodeRuneInString(text[to:])
			to += size
		}
		if strings.EqualFold(text[from:to], sub) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[from:])
		from += size
	}
	return false
}

// globMatch says whether the whole text matches: * is any text, ? any one character, all else itself. On a mismatch it
// goes back to the last * only, so it costs at most the length of the text times that of the pattern.
func globMatch(text, pattern string) bool {
	t, p := 0, 0
	star, mark := -1, 0
	for t < len(text) {
		_, size := utf8.DecodeRuneInString(text[t:])
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
			continue
		case p < len(pattern) && pattern[p] == '?':
			t, p = t+size, p+1
			continue
		case p < len(pattern) && pattern[p] == text[t]:
			t, p = t+1, p+1
			continue
		case star >= 0:
			_, step := utf8.DecodeRuneInString(text[mark:])
			mark += step
			t, p = mark, star+1
			continue
		}
		return false
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// lowerASCII lowers A-Z; it returns text itself where there is nothing to lower.
func lowerASCII(text string) string {
	for i := range len(text) {
		if text[i] >= 'A' && text[i] <= 'Z' {
			return strings.Map(lowerLetter, text)
		}
	}
	return text
}

func lowerByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func lowerLetter(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}
