package match

import (
	"cmp"
	"slices"
	"strings"
)

// prefixes finds the patterns that a text begins with, or ends with. The patterns are sorted, so all of those that the text
// begins with are beginnings of the last pattern that is not after the text.
type prefixes struct {
	patterns []string // sorted
	atoms    []int32
	parent   []int32 // the longest other pattern that the pattern begins with; -1 if there is none
	backward bool    // the patterns are reversed, and compared with the end of the text
}

func newPrefixes(patterns []string, atoms []int32, backward bool) *prefixes {
	p := &prefixes{backward: backward}
	if backward {
		patterns = slices.Clone(patterns)
		for i := range patterns {
			patterns[i] = reversed(patterns[i])
		}
	}
	order := make([]int, len(patterns))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(patterns[i], patterns[j]) })
	for n, i := range order {
		p.patterns, p.atoms = append(p.patterns, patterns[i]), append(p.atoms, atoms[i])
		parent := int32(n - 1)
		for parent >= 0 && !strings.HasPrefix(patterns[i], p.patterns[parent]) {
			parent = p.parent[parent]
		}
		p.parent = append(p.parent, parent)
	}
	return p
}

// find marks the patterns that the text begins with, or ends with.
func (p *prefixes) find(text string, s *Scratch) {
	from, to := 0, len(p.patterns) // the number of patterns that are not after the text is from..to
	for from < to {
		if mid := (from + to) / 2; !p.isAfter(p.patterns[mid], text) {
			from = mid + 1
		} else {
			to = mid
		}
	}
	for n := int32(from - 1); n >= 0; n = p.parent[n] {
		if p.isAt(p.patterns[n], text) {
			for ; n >= 0; n = p.parent[n] {
				s.mark(uint32(p.atoms[n]))
			}
			return
		}
	}
}

// isAfter reports whether a pattern is after the text in the order of the patterns.
func (p *prefixes) isAfter(pattern, text string) bool {
	if !p.backward {
		return pattern > text
	}
	for i := range len(pattern) {
		if i == len(text) {
			return true
		}
		if c := text[len(text)-1-i]; pattern[i] != c {
			return pattern[i] > c
		}
	}
	return false
}

// isAt reports whether the text begins with a pattern, or ends with it.
func (p *prefixes) isAt(pattern, text string) bool {
	if !p.backward {
		return strings.HasPrefix(text, pattern)
	}
	if len(pattern) > len(text) {
		return false
	}
	for i := range len(pattern) {
		if pattern[i] != text[len(text)-1-i] {
			return false
		}
	}
	return true
}

// reversed returns the bytes of a text in the opposite order.
func reversed(text string) string {
	b := []byte(text)
	slices.Reverse(b)
	return string(b)
}
