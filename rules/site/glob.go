package site

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Glob says whether the whole text matches the pattern: `*` is any characters, `?` is one, everything else stands for
// itself. It takes time in the order of len(text) x len(pattern) at most, and no memory.
func Glob(pattern, text string) bool {
	star, mark := -1, 0
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && pattern[p] == '?':
			_, n := utf8.DecodeRuneInString(text[t:])
			p, t = p+1, t+n
		case p < len(pattern) && pattern[p] == text[t]:
			p, t = p+1, t+1
		case star >= 0: // let the last star take one byte more
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// globs matches a text against many patterns: whole words, prefixes and suffixes by look-up, one per length that
// occurs; only patterns with a wildcard in the middle are tried one by one.
type globs struct {
	whole    map[string]struct{}
	prefixes affixes
	suffixes affixes
	patterns []string
}

// affixes are beginnings or ends and the lengths that occur, ascending.
type affixes struct {
	texts   map[string]struct{}
	lengths []int
}

func (a *affixes) add(s string) {
	if a.texts == nil {
		a.texts = make(map[string]struct{})
	}
	a.texts[s] = struct{}{}
	if at, found := slices.BinarySearch(a.lengths, len(s)); !found {
		a.lengths = slices.Insert(a.lengths, at, len(s))
	}
}

func (g *globs) add(pattern string) {
	wild := strings.Count(pattern, "*") + strings.Count(pattern, "?")
	switch {
	case wild == 0:
		if g.whole == nil {
			g.whole = make(map[string]struct{})
		}
		g.whole[pattern] = struct{}{}
	case wild == 1 && strings.HasSuffix(pattern, "*"):
		g.prefixes.add(pattern[:len(pattern)-1])
	case wild == 1 && strings.HasPrefix(pattern, "*"):
		g.suffixes.add(pattern[1:])
	default:
		g.patterns = append(g.patterns, pattern)
	}
}

func (g *globs) match(text string) bool {
	if _, ok := g.whole[text]; ok {
		return true
	}
	for _, n := range g.prefixes.lengths {
		if n > len(text) {
			break
		}
		if _, ok := g.prefixes.texts[text[:n]]; ok {
			return true
		}
	}
	for _, n := range g.suffixes.lengths {
		if n > len(text) {
			break
		}
		if _, ok := g.suffixes.texts[text[len(text)-n:]]; ok {
			return true
		}
	}
	for _, p := range g.patterns {
		if Glob(p, text) {
			return true
		}
	}
	return false
}
