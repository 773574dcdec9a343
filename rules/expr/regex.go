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

// isFoldedAt is isAt by Unicode's simple case folding, where one of the two is not ASCII.
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

// requiredLiterals returns texts of which every match contains one; none where there are no good ones.
func requiredLiterals(tree *syntax.Regexp) []literal {
	switch tree.Op {
	case syntax.OpLiteral:
		return good(spelledOut(tree))
	case syntax.OpConcat:
		return requiredInRow(tree.Sub)
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

// requiredInRow is requiredLiterals of one part after another. Neighbours that are few texts each are taken together:
// your (new|real) task is looked for as "your new task" and "your real task".
func requiredInRow(parts []*syntax.Regexp) (best []literal) {
	take := func(found []literal) {
		if rarity(found) > rarity(best) {
			best = found
		}
	}
	var row []literal // of the parts just before; nil: none
	for _, part := range parts {
		whole := spelledOut(part)
		joined := product(row, whole)
		if joined == nil {
			take(good(row))
			joined = whole
		}
		row = joined
		if whole == nil {
			take(requiredLiterals(part))
		}
	}
	take(good(row))
	return best
}

// spelledOut returns texts among which are all that a pattern matches, nil where they are too many or not known.
func spelledOut(tree *syntax.Regexp) (all []literal) {
	switch tree.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
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

// product returns each of the texts followed by each of the others, nil where they are too many, or of one the case
// matters and of the other it does not.
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

// caseless says that the literal is the same in any case.
func (l literal) caseless() bool {
	for _, r := range l.text {
		if unicode.SimpleFold(r) != r {
			return false
		}
	}
	return true
}

// good returns the texts if all of them are worth looking for. U+FFFD stands for damaged text, too.
func good(texts []literal) []literal {
	for _, l := range texts {
		if len(l.text) < minLiteral || strings.ContainsRune(l.text, utf8.RuneError) {
			return nil
		}
	}
	return texts
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
