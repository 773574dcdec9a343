package content

import "unicode/utf8"

// Glob reports whether the whole text matches the pattern: `*` matches any text, also the empty one, `?` any one character,
// and every other character itself. A `*` or `?` in the pattern cannot be escaped.
//
// On a mismatch Glob goes back to the last `*` only, so it takes at most len(text) x len(pattern) steps and no memory.
func Glob(pattern, text string) bool {
	p, t := 0, 0
	star, resume := -1, 0 // offsets of the last `*` in the pattern, and of the end of its match in the text
	for t < len(text) {
		_, size := utf8.DecodeRuneInString(text[t:])
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, t
			p++
		case p < len(pattern) && pattern[p] == '?':
			p, t = p+1, t+size
		case p < len(pattern) && pattern[p] == text[t]:
			p, t = p+1, t+1
		case star >= 0: // the last `*` takes one more character
			_, step := utf8.DecodeRuneInString(text[resume:])
			resume += step
			p, t = star+1, resume
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
