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
// The text is not translated: a Russian word becomes a mixture of letters, so the result is for searching only. It is text itself
// if there is nothing to change, as in ASCII. The cost is linear in the text, and so is the length of the result.
func Normalised(text string) string {
	at := strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
	if at < 0 {
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

// revealed returns the character that a tag character stands for, -1 for an invisible character, and any other character
// itself.
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

// plain returns the Latin letter or the ASCII character that a character looks like, -1 for an accent, and any other character
// itself.
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
	{"а\u03b1ɑ", 'a'}, {"ҽ\u0435ѐёҿ", 'e'}, {"о\u03bfօᴏ\u0585", 'o'}, {"рρ", 'p'}, {"сϲᴄ", 'c'}, {"уγү\u028f", 'y'}, {"хχ", 'x'}, {"іıιɩї", 'i'},
	{"ј\u03f3", 'j'}, {"ѕꜱ", 's'}, {"ԁɗ", 'd'}, {"һհ", 'h'}, {"ԛզ", 'q'}, {"ԝѡωա", 'w'}, {"ӏǀ", 'l'}, {"ѵνᴠ", 'v'}, {"ո\u0578", 'n'}, {"սυᴜ", 'u'},
	{"ɡց", 'g'}, {"кκᴋ", 'k'}, {"мᴍ", 'm'}, {"тτᴛ", 't'}, {"нʜ", 'h'}, {"вʙ", 'b'}, {"ᴢ", 'z'}, {"ꬵẝ", 'f'}, {"гᴦꭇ", 'r'}, {"Ьƅ", 'b'},
	{"АΑᎪᴀ", 'A'}, {"ВΒᏴ", 'B'}, {"СϹᏟ", 'C'}, {"ЕΕᎬ", 'E'}, {"НΗᎻ", 'H'}, {"ІΙӀ", 'I'}, {"ЈᎫ", 'J'}, {"КΚᏦ", 'K'}, {"МΜᎷ", 'M'}, {"ΝɴN", 'N'},
	{"ОΟՕ", 'O'}, {"РΡᏢ", 'P'}, {"ЅՏᏚ", 'S'}, {"ТΤᎢ", 'T'}, {"ΥҮУ", 'Y'}, {"ХΧ", 'X'}, {"ΖᏃ", 'Z'}, {"Ꮭʟ", 'L'}, {"Ꭰ", 'D'}, {"ᏙѴ", 'V'}, {"ԜᎳ", 'W'}, {"Ԍ", 'G'}, {"Ꭱʀ", 'R'},
	{"\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u02d7", '-'}, {"\u2044\u2215\u29f8", '/'}, {"\u3002\uff61\u0701\u06d4", '.'}, {"\u2236\u02d0\u0589\ua789", ':'},
	{"\u2018\u2019\u02bc\u02b9\u2032\u02c8", '\''}, {"\u201c\u201d\u2033", '"'}, {"\u01c3", '!'}, {"\u2216\u29f5\u29f9", '\\'}, {"\u2223\u01c0", '|'}, {"\u2024", '.'},
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
