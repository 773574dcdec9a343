package content

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Normalised returns a text as a person reads it, so that a pattern finds words whose spelling was disguised:
//
//   - invisible characters are removed: zero-width and bidirectional controls, variation selectors, fillers, soft hyphens,
//   - tag characters, which are invisible letters of ASCII, become these letters,
//   - compatibility forms become plain characters, as in Unicode's NFKC: fullwidth and mathematical letters, ligatures, spaces,
//   - letters that look like Latin ones become these: Cyrillic, Greek, Armenian, Cherokee and phonetic letters,
//   - accents that belong to no precomposed letter are removed, such as strokes through every letter.
//
// The text is not translated: a Russian word becomes a mixture of letters, so the result is for searching only. It is
// text itself if there is nothing to change, as in ASCII. The cost is linear in the text, and so is the length of the
// result.
func Normalised(text string) string {
	if isNormalised(text) {
		return text
	}
	var visible strings.Builder
	visible.Grow(len(text))
	for _, r := range text {
		if r >= utf8.RuneSelf {
			if r = revealed(r); r < 0 {
				continue
			}
		}
		visible.WriteRune(r)
	}
	composed := norm.NFKC.String(visible.String())
	if isASCII(composed) {
		return composed
	}
	return strings.Map(plain, composed)
}

// isNormalised reports whether there is nothing to change, as in ASCII and in most languages with accents. It does not
// allocate.
func isNormalised(text string) bool {
	ascii := true
	for _, r := range text {
		if r >= utf8.RuneSelf {
			if ascii = false; r == utf8.RuneError || revealed(r) != r || plain(r) != r {
				return false
			}
		}
	}
	return ascii || norm.NFKC.QuickSpanString(text) == len(text)
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// The tag characters U+E0020 to U+E007E are invisible copies of ASCII.
const (
	tagBase  = 0xe0000
	firstTag = tagBase + ' '
	lastTag  = tagBase + '~'
)

// revealed returns the ASCII character of a tag character, -1 for an invisible character, and any other character itself.
func revealed(r rune) rune {
	if r >= firstTag && r <= lastTag {
		return r - tagBase
	}
	if unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) {
		return -1
	}
	switch r {
	case 0x034f, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x3164, 0xffa0: // grapheme joiner, fillers, inherent vowels
		return -1
	}
	return r
}

// plain returns the Latin letter or the ASCII character that a character looks like, -1 for an accent, and any other
// character itself.
func plain(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		return r
	case r >= 0x0300 && r <= 0x036f: // NFKC has composed those that belong to a letter
		return -1
	case unicode.Is(unicode.Z, r) || r == 0x85:
		return ' '
	}
	if to, ok := lookalikes[r]; ok {
		return rune(to)
	}
	return r
}

// lookalikes lists the characters that are confusable with a letter or punctuation mark of ASCII, from the confusables of
// Unicode Technical Standard 39, as far as common fonts draw both alike. NFKC has replaced the compatibility forms already.
var lookalikes = tableOf([]lookalike{
	{"\u0430\u03b1\u0251", 'a'},
	{"\u04bd\u0435\u0450\u0451\u04bf", 'e'},
	{"\u043e\u03bf\u0585\u1d0f\u0585", 'o'},
	{"\u0440\u03c1", 'p'},
	{"\u0441\u03f2\u1d04", 'c'},
	{"\u0443\u03b3\u04af\u028f", 'y'},
	{"\u0445\u03c7", 'x'},
	{"\u0456\u0131\u03b9\u0269\u0457", 'i'},
	{"\u0458\u03f3", 'j'},
	{"\u0455\ua731", 's'},
	{"\u0501\u0257", 'd'},
	{"\u04bb\u0570", 'h'},
	{"\u051b\u0566", 'q'},
	{"\u051d\u0461\u03c9\u0561", 'w'},
	{"\u04cf\u01c0", 'l'},
	{"\u0475\u03bd\u1d20", 'v'},
	{"\u0578\u0578", 'n'},
	{"\u057d\u03c5\u1d1c", 'u'},
	{"\u0261\u0581", 'g'},
	{"\u043a\u03ba\u1d0b", 'k'},
	{"\u043c\u1d0d", 'm'},
	{"\u0442\u03c4\u1d1b", 't'},
	{"\u043d\u029c", 'h'},
	{"\u0432\u0299", 'b'},
	{"\u1d22", 'z'},
	{"\uab35\u1e9d", 'f'},
	{"\u0433\u1d26\uab47", 'r'},
	{"\u042c\u0185", 'b'},
	{"\u0410\u0391\u13aa\u1d00", 'A'},
	{"\u0412\u0392\u13f4", 'B'},
	{"\u0421\u03f9\u13df", 'C'},
	{"\u0415\u0395\u13ac", 'E'},
	{"\u041d\u0397\u13bb", 'H'},
	{"\u0406\u0399\u04c0", 'I'},
	{"\u0408\u13ab", 'J'},
	{"\u041a\u039a\u13e6", 'K'},
	{"\u041c\u039c\u13b7", 'M'},
	{"\u039d\u0274", 'N'},
	{"\u041e\u039f\u0555", 'O'},
	{"\u0420\u03a1\u13e2", 'P'},
	{"\u0405\u054f\u13da", 'S'},
	{"\u0422\u03a4\u13a2", 'T'},
	{"\u03a5\u04ae\u0423", 'Y'},
	{"\u0425\u03a7", 'X'},
	{"\u0396\u13c3", 'Z'},
	{"\u13dd\u029f", 'L'},
	{"\u13a0", 'D'},
	{"\u13d9\u0474", 'V'},
	{"\u051c\u13b3", 'W'},
	{"\u050c", 'G'},
	{"\u13a1\u0280", 'R'},
	{"\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u02d7", '-'},
	{"\u2044\u2215\u29f8", '/'},
	{"\u3002\uff61\u0701\u06d4", '.'},
	{"\u2236\u02d0\u0589\ua789", ':'},
	{"\u2018\u2019\u02bc\u02b9\u2032\u02c8", '\''},
	{"\u201c\u201d\u2033", '"'},
	{"\u01c3", '!'},
	{"\u2216\u29f5\u29f9", '\\'},
	{"\u2223\u01c0", '|'},
	{"\u2024", '.'},
})

// lookalike is a set of characters that look like the ASCII character as.
type lookalike struct {
	characters string
	as         byte
}

func tableOf(list []lookalike) map[rune]byte {
	table := make(map[rune]byte)
	for _, l := range list {
		for _, r := range l.characters {
			if _, ok := table[r]; !ok && r >= utf8.RuneSelf {
				table[r] = l.as
			}
		}
	}
	return table
}
