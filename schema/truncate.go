package schema

import "unicode/utf8"

// Truncate returns the longest beginning of s that has at most n bytes and ends at a character's end.
func Truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
