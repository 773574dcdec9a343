package expr

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

// regex is a compiled RE2 pattern behind a search for texts of which every match contains one: most events contain none,
// and one pass over the text, at about a nanosecond a byte, is a twentieth of running the pattern. An author need not
// arrange a pattern for speed: (?i)(ignore|forget) .* instructions is looked for as ignore or forget in any case.
type regex struct {
	re    *regexp.Regexp
	needs []literal // empty where nothing can be looked for
	first [256]uint16
}

// literal is one text to look for.
type literal struct {
	text string
	fold bool // in any case
}

const (
	minLiteral  = 3  // shorter ones are everywhere
	maxLiterals = 16 // bits of regex.first's elements
)

func newRegex(text string) (*regex, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("compile pattern %q: %w", text, err)
	}
	r := &regex{re: re}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("parse pattern %q: %w", text, err)
	}
	r.needs = requiredLiterals(tree)
	for i, need := range r.needs {
		start, _ := utf8.DecodeRuneInString(need.text)
		r.mark(i, start)
		for other := unicode.SimpleFold(start); need.fold && other != start; other = unicode.SimpleFold(other) {
			r.mark(i, other)
		}
	}
	return r, nil
}

// mark notes that literal i may begin with the rune.
func (r *regex) mark(i int, start rune) {
	var b [utf8.UTFMax]byte
	utf8.EncodeRune(b[:], start)
	r.first[b[0]] |= 1 << i
}

func (r *regex) match(text string) bool {
	return (len(r.needs) == 0 || r.mayMatch(text)) && r.re.MatchString(text)
}

// mayMatch says whether the text contains one of the literals.
func (r *regex) mayMatch(text string) bool {
	if len(r.needs) == 1 && !r.needs[0].fold {
		return strings.Contains(text, r.needs[0].text)
	}
	for at := range len(text) {
		mask := r.first[text[at]]
		for i := 0; mask != 0; i, mask = i+1, mask>>1 {
			if mask&1 != 0 && r.needs[i].isAt(text[at:]) {
				return true
			}
		}
	}
	return false
}

// isAt says whether the text begins with the literal.
func (l *literal) isAt(text string) bool {
	if !l.fold {
		return strings.HasPrefix(text, l.text)
	}
	end := 0
	for range l.text {
		if end >= len(text) {
			return false
		}
		_, size := utf8.DecodeRuneInString(text[end:])
		end += size
	}
	return strings.EqualFold(text[:end], l.text)
}

// requiredLiterals returns texts of which every match contains one; none where there are no good ones.
func requiredLiterals(tree *syntax.Regexp) []literal {
	switch tree.Op {
	case syntax.OpLiteral:
		text := string(tree.Rune)
		// U+FFFD stands for damaged text, too.
		if len(text) < minLiteral || strings.ContainsRune(text, utf8.RuneError) {
			return nil
		}
		return []literal{{text, tree.Flags&syntax.FoldCase != 0}}
	case syntax.OpConcat:
		var best []literal
		for _, sub := range tree.Sub {
			if found := requiredLiterals(sub); rarity(found) > rarity(best) {
				best = found
			}
		}
		return best
	case syntax.OpAlternate:
		var all []literal
		for _, sub := range tree.Sub {
			found := requiredLiterals(sub)
			if found == nil || len(all)+len(found) > maxLiterals {
				return nil
			}
			all = append(all, found...)
		}
		return all
	case syntax.OpCapture, syntax.OpPlus:
		return requiredLiterals(tree.Sub[0])
	case syntax.OpRepeat:
		if tree.Min > 0 {
			return requiredLiterals(tree.Sub[0])
		}
	}
	return nil
}

// rarity ranks sets of literals: a text hits a set as often as its shortest literal, and each more is one more chance.
func rarity(set []literal) int {
	if len(set) == 0 {
		return 0
	}
	shortest := len(set[0].text)
	for _, l := range set {
		shortest = min(shortest, len(l.text))
	}
	return 2*shortest*maxLiterals - len(set)
}
