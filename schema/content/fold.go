package content

import (
	"unicode"
	"unicode/utf8"
)

// Folded returns a text as patterns search it, so that neither disguise nor layout decides: as [Normalised] gives it, in lower
// case, with one space for each run of blanks and line ends, and none at its ends. It is text itself if there is nothing to
// change. The cost is linear in the text.
func Folded(text string) string {
	if isFolded(text) {
		return text
	}
	return string(AppendFolded(nil, text))
}

// AppendFolded appends Folded(text) to dst. For ASCII it allocates only what dst lacks.
func AppendFolded(dst []byte, text string) []byte {
	text = Normalised(text)
	start, blank := len(dst), false
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c == ' ' || c-'\t' < 5:
				blank = len(dst) > start
				continue
			case c-'A' < 26:
				c |= 0x20
			}
			if blank {
				dst, blank = append(dst, ' '), false
			}
			dst = append(dst, c)
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		i += n
		if unicode.IsSpace(r) {
			blank = len(dst) > start
			continue
		}
		if blank {
			dst, blank = append(dst, ' '), false
		}
		if r = plain(unicode.ToLower(r)); r < 0 {
			continue
		}
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
	}
	return dst
}

// isFolded reports whether an ASCII text is folded already, as most names are.
func isFolded(text string) bool {
	last := byte(' ') // no blank at the beginning
	for i := range len(text) {
		c := text[i]
		if c >= utf8.RuneSelf || c-'A' < 26 || c-'\t' < 5 || c == ' ' && last == ' ' {
			return false
		}
		last = c
	}
	return text == "" || last != ' '
}
