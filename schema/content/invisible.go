package content

import (
	"math/bits"
	"unicode"
	"unicode/utf8"
)

// InvisibleSet is a set of kinds of invisible characters.
type InvisibleSet uint8

// invisibleKinds are the kinds, sorted. The index of a kind is its bit in an InvisibleSet.
var invisibleKinds = [...]string{"bidi", "tag", "zero_width"}

const (
	bidiControls InvisibleSet = 1 << iota
	tagCharacters
	zeroWidth
)

// AllInvisible returns the names of all kinds of invisible characters, sorted.
func AllInvisible() []string { return append([]string(nil), invisibleKinds[:]...) }

// Has reports whether a kind is in the set.
func (s InvisibleSet) Has(kind string) bool {
	for i, k := range invisibleKinds {
		if k == kind {
			return s&(1<<i) != 0
		}
	}
	return false
}

// Len returns the number of kinds in the set.
func (s InvisibleSet) Len() int { return bits.OnesCount8(uint8(s)) }

// Names returns the names of the kinds in the set, sorted.
func (s InvisibleSet) Names() (names []string) {
	for i, k := range invisibleKinds {
		if s&(1<<i) != 0 {
			names = append(names, k)
		}
	}
	return names
}

// Invisible returns the kinds of invisible characters by which a text shows a model something else than a person:
//
//	zero_width  between two letters or digits of ASCII: zero-width space, joiner and non-joiner, word joiner, fillers and others
//	tag         tag characters, the invisible copies of ASCII, unless they follow a black flag, as in the flags of countries
//	bidi        overrides and isolates that change the order of ASCII letters: U+202A to U+202E and U+2066 to U+2069
//
// Joiners in emoji and in scripts that need them (Persian, Hindi), soft hyphens, marks of direction, and a byte order mark at
// the beginning are ordinary. The cost is linear in the text; it does not allocate.
//
// Measured (TestContentFunctionsOnSamples): none of the texts of the samples has any, of 12 spellings of hidden orders all
// are found.
func Invisible(text string) (found InvisibleSet) {
	if isASCII(text) {
		return 0
	}
	const blackFlag = 0x1f3f4
	inFlag, hasASCII, afterWord, hidden := false, false, false, false
	bidi := false
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			i++
			word := alnum(c)
			if word && hidden && afterWord {
				found |= zeroWidth
			}
			hasASCII = hasASCII || c|0x20-'a' < 26
			inFlag, afterWord, hidden = false, word, false
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		i += n
		switch {
		case r == blackFlag:
			inFlag, afterWord = true, false
			continue
		case r >= tagBase && r <= 0xe007f:
			if !inFlag {
				found |= tagCharacters
			}
			continue
		case r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			bidi = true
			continue
		case r == 0xad || r == 0x200e || r == 0x200f || r == 0x61c: // soft hyphen, marks of direction
			continue
		case revealed(r) < 0 && !unicode.Is(unicode.Variation_Selector, r):
			hidden = true
			continue
		}
		inFlag, afterWord, hidden = false, false, false
	}
	if bidi && hasASCII {
		found |= bidiControls
	}
	return found
}
