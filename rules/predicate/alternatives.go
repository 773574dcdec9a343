package predicate

import (
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// alternatives is a disjunction of tests on one text, each of which requires some literal. One pass over the text finds the
// literals present, and only the tests they belong to run. See the package comment.
type alternatives struct {
	slot  *Slot
	terms []Node // the operands of the disjunction, at most maxAlternatives
	tests []Node // the same operands, without the searches that windows and tails replace
	// windows holds, for each byte, the tests that have a literal with this byte as the first, second, third and fourth
	// byte of its window. For a literal of three bytes, any fourth byte is right.
	windows [256][window]uint64
	short   uint64 // the tests that have a literal of three bytes
	// tails holds, for each test, its literals from their windows on: a text that contains a literal contains its tail.
	tails [][]literal
}

const (
	maxAlternatives = 64 // the number of bits in an element of alternatives.windows
	minAlternatives = 2  // a single test searches its text as fast alone
	window          = 4  // bytes; in prose, three given bytes are often there by chance
)

func (n *alternatives) eval(s *Scratch) verdict {
	v := s.read(n.slot)
	if !v.Present() {
		return no // every test is false on a missing value
	}
	text, ok := s.searchable(v)
	if !ok {
		return evalAny(n.tests, s)
	}
	out := no
	for present := n.find(text); present != 0; present &= present - 1 {
		switch n.tests[bits.TrailingZeros64(present)].eval(s) {
		case yes:
			return yes
		case failed:
			out = failed
		}
	}
	return out
}

// first returns an operand that holds, or nil.
func (n *alternatives) first(s *Scratch) Node {
	v := s.read(n.slot)
	if !v.Present() {
		return nil
	}
	present := uint64(1)<<len(n.tests) - 1
	if text, ok := s.searchable(v); ok {
		present = n.find(text)
	}
	for ; present != 0; present &= present - 1 {
		if i := bits.TrailingZeros64(present); n.tests[i].eval(s) == yes {
			return n.terms[i]
		}
	}
	return nil
}

// find returns the tests of which the text contains a literal. It compares the last bytes read with all windows at once, and
// examines the literals of those that fit.
func (n *alternatives) find(text string) (present uint64) {
	absent := ^uint64(0)
	var first, second, third uint64 // the tests with a window that begins with the last byte, the last two, the last three
	for i := range len(text) {
		w := &n.windows[text[i]]
		fits := third & w[3] & absent
		third, second, first = second&w[2], first&w[1], w[0]
		if fits != 0 {
			present |= n.confirm(fits, text[i-(window-1):])
			absent = ^present
		}
	}
	if last := third & n.short & absent; last != 0 {
		present |= n.confirm(last, text[len(text)-(window-1):])
	}
	return present
}

// confirm returns the tests among fits that have a literal whose tail the text begins with.
func (n *alternatives) confirm(fits uint64, text string) (present uint64) {
	for ; fits != 0; fits &= fits - 1 {
		test := bits.TrailingZeros64(fits)
		for i := range n.tails[test] {
			if n.tails[test][i].isAt(text) {
				present |= 1 << test
				break
			}
		}
	}
	return present
}

// groupAlternatives divides the operands of a || into alternatives by the text that they search, and the rest.
func groupAlternatives(terms []Node) (rest []Node, texts []*alternatives) {
	bySlot := map[string][]Node{}
	var slots []string // in the order of the terms
	for _, t := range terms {
		slot, literals := requiredBy(t)
		if tailsOf(literals) == nil {
			rest = append(rest, t)
			continue
		}
		if bySlot[slot.key()] == nil {
			slots = append(slots, slot.key())
		}
		bySlot[slot.key()] = append(bySlot[slot.key()], t)
	}
	for _, slot := range slots {
		if len(bySlot[slot]) < minAlternatives {
			rest = append(rest, bySlot[slot]...)
			continue
		}
		for chunk := range slices.Chunk(bySlot[slot], maxAlternatives) {
			texts = append(texts, newAlternatives(chunk))
		}
	}
	return rest, texts
}

// newAlternatives returns the alternatives of tests that all require literals of the same text.
func newAlternatives(tests []Node) *alternatives {
	n := &alternatives{}
	for _, t := range tests {
		slot, literals := requiredBy(t)
		n.slot = slot
		n.add(t, tailsOf(literals))
	}
	return n
}

func (n *alternatives) add(t Node, tails []literal) {
	bit := uint64(1) << len(n.tests)
	n.terms, n.tests, n.tails = append(n.terms, t), append(n.tests, withoutSearch(t)), append(n.tails, tails)
	for _, l := range tails {
		for i := range min(window, len(l.text)) {
			c := l.text[i]
			n.windows[c][i] |= bit
			if l.fold {
				n.windows[lowerByte(c)][i] |= bit
				n.windows[upperByte(c)][i] |= bit
			}
		}
		if len(l.text) < window {
			n.short |= bit
			for c := range n.windows {
				n.windows[c][window-1] |= bit
			}
		}
	}
}

// withoutSearch returns the test for a text that is known to contain a literal of it: a pattern need not search again.
func withoutSearch(n Node) Node {
	if s, ok := n.(*shared); ok {
		n = s.Node
	}
	if m, ok := n.(*matches); ok {
		return &matches{slot: m.slot, pattern: &Pattern{re: m.pattern.re}}
	}
	return n
}

// requiredBy returns the literals of which a text must contain one for the node to hold, and the slot of that text; it
// returns nil if no literals are worth searching. The caller handles values that are not texts.
func requiredBy(n Node) (*Slot, []literal) {
	switch n := n.(type) {
	case *shared:
		return requiredBy(n.Node)
	case *matches:
		return n.slot, n.pattern.literals
	case *slotTest:
		return n.slot, requiredByTest(n.name, n.arg)
	case *fieldTest:
		return n.slot, requiredByTest(n.name, n.arg)
	case *and:
		var slot *Slot
		var best []literal
		for _, t := range n.group {
			if s, literals := requiredBy(t); rarity(literals) > rarity(best) {
				slot, best = s, literals
			}
		}
		return slot, best
	}
	return nil, nil
}

func requiredByTest(name, arg string) []literal {
	switch name {
	case "contains", "startsWith", "endsWith":
		return []literal{{arg, false}}
	case "icontains", "iequals":
		return []literal{{arg, true}}
	}
	return nil
}

// tailsOf returns each literal from its rarest window on; nil if a literal is shorter than a window or folds beyond
// ASCII everywhere.
func tailsOf(literals []literal) (tails []literal) {
	for _, l := range literals {
		best, at := -1, 0
		for i := 0; i+minLiteral <= len(l.text); i++ {
			if w := l.text[i:min(i+window, len(l.text))]; (!l.fold || foldsInASCII(w)) && rareness(w) > best {
				best, at = rareness(w), i
			}
		}
		if best < 0 {
			return nil
		}
		tails = append(tails, literal{l.text[at:], l.fold})
	}
	return tails
}

// foldsInASCII reports whether the text equals, in any case, only ASCII texts. A k does not: it equals the Kelvin sign; nor
// does an s, which equals the long s.
func foldsInASCII(text string) bool {
	for _, r := range text {
		if r >= utf8.RuneSelf {
			return false
		}
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			if other >= utf8.RuneSelf {
				return false
			}
		}
	}
	return true
}

// commonLetters holds the bytes of prose, the most common first.
const commonLetters = " etaonirshldcumfpgwybv,.k"

// rareness ranks windows by how rarely they occur in prose. It only affects speed.
func rareness(text string) (sum int) {
	for i := range len(text) {
		at := strings.IndexByte(commonLetters, text[i])
		if at < 0 {
			at = len(commonLetters)
		}
		sum += at + 1
	}
	return sum
}
