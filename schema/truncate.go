package schema

import "unicode/utf8"

// Truncate returns the longest prefix of s that has at most n bytes and does not split a character.
func Truncate[T string | []byte](s T, n int) T {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
