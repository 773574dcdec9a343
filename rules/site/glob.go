package site

import (
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema/content"
)

// globs matches a text against many patterns. Literals, prefixes (abc*) and suffixes (*abc) are found by look-up, one for
// each length that occurs; only the patterns with a wildcard elsewhere are tried one by one.
type globs struct {
	literals map[string]struct{}
	prefixes affixes
	suffixes affixes
	patterns []string
}

// affixes is a set of prefixes or of suffixes.
type affixes struct {
	texts   map[string]struct{}
	lengths []int // the lengths that occur, ascending
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
		g.addLiteral(pattern)
	case wild == 1 && strings.HasSuffix(pattern, "*"):
		g.prefixes.add(pattern[:len(pattern)-1])
	case wild == 1 && strings.HasPrefix(pattern, "*"):
		g.suffixes.add(pattern[1:])
	default:
		g.patterns = append(g.patterns, pattern)
	}
}

// addLiteral adds a text in which * and ? have no meaning of their own.
func (g *globs) addLiteral(text string) {
	if g.literals == nil {
		g.literals = make(map[string]struct{})
	}
	g.literals[text] = struct{}{}
}

func (g *globs) match(text string) bool {
	if _, ok := g.literals[text]; ok {
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
		if content.Glob(p, text) {
			return true
		}
	}
	return false
}
