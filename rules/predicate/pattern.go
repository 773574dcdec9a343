package predicate

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pattern is a compiled RE2 pattern that runs only on texts that contain one of the literals that every match contains: most
// events contain none, and the search for them, at about a nanosecond a byte, takes a twentieth of the time of the pattern.
// Authors need not arrange a pattern for speed: (?i)(ignore|forget) .* instructions is first searched as ignore or forget,
// in any case.
type Pattern struct {
	re       *regexp.Regexp
	literals []literal   // every match contains one of them; empty if no literals are worth searching
	first    [256]uint16 // for each byte, the literals that may begin with it, one bit each
}

// literal is a text that a search looks for.
type literal struct {
	text string
	fold bool // in any case
}

const (
	minLiteral  = 3  // shorter literals are in nearly every text
	maxLiterals = 16 // the number of bits in an element of Pattern.first
)

// CompilePattern compiles a pattern in RE2 syntax.
func CompilePattern(text string) (*Pattern, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("compile pattern %q: %w", text, err)
	}
	r := &Pattern{re: re}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("parse pattern %q: %w", text, err)
	}
	r.literals = requiredLiterals(tree)
	for i, l := range r.literals {
		start, _ := utf8.DecodeRuneInString(l.text)
		r.addFirst(i, start)
		for other := unicode.SimpleFold(start); l.fold && other != start; other = unicode.SimpleFold(other) {
			r.addFirst(i, other)
		}
	}
	return r, nil
}

// addFirst records that literal i may begin with the rune.
func (r *Pattern) addFirst(i int, start rune) {
	var b [utf8.UTFMax]byte
	utf8.EncodeRune(b[:], start)
	r.first[b[0]] |= 1 << i
}

// Match reports whether the text contains a match of the pattern.
func (r *Pattern) Match(text string) bool {
	return (len(r.literals) == 0 || r.mayMatch(text)) && r.re.MatchString(text)
}

// mayMatch reports whether the text contains one of the literals.
func (r *Pattern) mayMatch(text string) bool {
	if len(r.literals) == 1 && !r.literals[0].fold {
		return strings.Contains(text, r.literals[0].text)
	}
	for at := range len(text) {
		mask := r.first[text[at]]
		for i := 0; mask != 0; i, mask = i+1, mask>>1 {
			if mask&1 != 0 && r.literals[i].isAt(text[at:]) {
				return true
			}
		}
	}
	return false
}

// isAt reports whether the text begins with the literal.
func (l *literal) isAt(text string) bool {
	if !l.fold {
		return strings.HasPrefix(text, l.text)
	}
	for i := range len(l.text) {
		if i == len(text) {
			return false
		}
		if l.text[i]|text[i] >= utf8.RuneSelf {
			return l.isFoldedAt(text)
		}
		if lowerByte(l.text[i]) != lowerByte(text[i]) {
			return false
		}
	}
	return true
}

// isFoldedAt is isAt by Unicode's simple case folding, for characters that are not ASCII.
func (l *literal) isFoldedAt(text string) bool {
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

// requiredLiterals returns literals of which every match contains one, or nil if no literals are worth searching.
func requiredLiterals(tree *syntax.Regexp) []literal {
	switch tree.Op {
	case syntax.OpLiteral:
		return worthwhile(spelledOut(tree))
	case syntax.OpConcat:
		return requiredInConcat(tree.Sub)
	case syntax.OpAlternate:
		var all []literal
		for _, sub := range tree.Sub {
			literals := requiredLiterals(sub)
			if literals == nil || len(all)+len(literals) > maxLiterals {
				return nil
			}
			all = append(all, literals...)
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

// requiredInConcat is requiredLiterals of a concatenation. Adjacent parts that match few texts each are joined:
// your (new|real) task is searched as "your new task" and "your real task".
func requiredInConcat(parts []*syntax.Regexp) (best []literal) {
	take := func(set []literal) {
		if rarity(set) > rarity(best) {
			best = set
		}
	}
	var row []literal // the texts of the preceding parts, joined; nil if they are too many or unknown
	for _, part := range parts {
		whole := spelledOut(part)
		joined := product(row, whole)
		if joined == nil {
			take(worthwhile(row))
			joined = whole
		}
		row = joined
		if whole == nil {
			take(requiredLiterals(part))
		}
	}
	take(worthwhile(row))
	return best
}

// spelledOut returns all texts that a pattern matches, and possibly others; nil if they are too many or unknown.
func spelledOut(tree *syntax.Regexp) (all []literal) {
	switch tree.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return []literal{{}}
	case syntax.OpLiteral:
		return []literal{{string(tree.Rune), tree.Flags&syntax.FoldCase != 0}}
	case syntax.OpCapture:
		return spelledOut(tree.Sub[0])
	case syntax.OpQuest:
		if all = spelledOut(tree.Sub[0]); len(all) == 0 || len(all) == maxLiterals {
			return nil
		}
		return append(all, literal{})
	case syntax.OpCharClass:
		for i := 0; i < len(tree.Rune); i += 2 {
			if int(tree.Rune[i+1]-tree.Rune[i]) >= maxLiterals-len(all) {
				return nil
			}
			for r := tree.Rune[i]; r <= tree.Rune[i+1]; r++ {
				all = append(all, literal{text: string(r)})
			}
		}
	case syntax.OpAlternate:
		for _, sub := range tree.Sub {
			texts := spelledOut(sub)
			if texts == nil || len(all)+len(texts) > maxLiterals {
				return nil
			}
			all = append(all, texts...)
		}
	case syntax.OpConcat:
		all = []literal{{}}
		for _, sub := range tree.Sub {
			if all = product(all, spelledOut(sub)); all == nil {
				return nil
			}
		}
	}
	return all
}

// product returns each head followed by each tail. It is nil if they are too many, or if the case matters for the head and
// not for the tail, or the other way round.
func product(heads, tails []literal) (all []literal) {
	if len(heads)*len(tails) > maxLiterals {
		return nil
	}
	for _, h := range heads {
		for _, t := range tails {
			if h.fold != t.fold && !h.caseless() && !t.caseless() {
				return nil
			}
			all = append(all, literal{h.text + t.text, h.fold && !h.caseless() || t.fold && !t.caseless()})
		}
	}
	return all
}

// caseless reports whether the literal is the same in any case.
func (l literal) caseless() bool {
	for _, r := range l.text {
		if unicode.SimpleFold(r) != r {
			return false
		}
	}
	return true
}

// worthwhile returns the literals if all of them are worth searching, otherwise nil. U+FFFD is not, because the pattern
// matches it in damaged text, which does not contain its bytes.
func worthwhile(texts []literal) []literal {
	for _, l := range texts {
		if len(l.text) < minLiteral || strings.ContainsRune(l.text, utf8.RuneError) {
			return nil
		}
	}
	return texts
}

// rarity ranks sets of literals by how rarely a text contains one of them: the shortest literal decides, then the number of
// literals.
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
