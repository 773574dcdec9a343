package expr

import (
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// sought is alternatives that each need some literal in one and the same text: a pattern, a contains, an && of such. One
// pass over the text tells which of them can hold at all, and only those are asked, so forty alternatives cost an
// ordinary text about what one does. The verdict is that of the alternatives asked one after another.
type sought struct {
	slot  *slot
	terms []node // at most maxSought
	// windows has, for each byte, the terms one of whose literals has it as first, second, third and fourth byte of its
	// window. A literal of three bytes may have any behind them.
	windows [256][window]uint64
	short   uint64 // the terms that have such a literal
	// tails are, for each term, its literals from their windows on: a text that has the literal has its tail.
	tails [][]literal
}

const (
	maxSought = 64 // bits of an element of sought.windows
	minSought = 2  // one alternative alone is searched for as fast without this
	window    = 4  // bytes by which a literal is noticed: in prose, three are often there by chance
)

// eval is the verdict of the alternatives.
func (n *sought) eval(s *Scratch) verdict {
	v := s.read(n.slot)
	if !v.Present() {
		return no // as each of them says of what is missing
	}
	text, ok := s.search(v)
	if !ok {
		return anyOf(n.terms, s)
	}
	out := no
	for found := n.find(text); found != 0; found &= found - 1 {
		switch n.terms[bits.TrailingZeros64(found)].eval(s) {
		case yes:
			return yes
		case failed:
			out = failed
		}
	}
	return out
}

// find returns the terms of which the text has a literal. The last bytes that were read are compared with all windows at
// once; what one of them fits is looked at closely.
func (n *sought) find(text string) (found uint64) {
	missing := ^uint64(0)
	var first, second, third uint64 // terms whose windows have begun with the last byte, the last two, the last three
	for i := range len(text) {
		w := &n.windows[text[i]]
		fits := third & w[3] & missing
		third, second, first = second&w[2], first&w[1], w[0]
		if fits != 0 {
			found |= n.confirm(fits, text[i-(window-1):])
			missing = ^found
		}
	}
	if last := third & n.short & missing; last != 0 {
		found |= n.confirm(last, text[len(text)-(window-1):])
	}
	return found
}

// confirm returns those of the terms whose literals' tail the text begins with.
func (n *sought) confirm(fits uint64, text string) (found uint64) {
	for ; fits != 0; fits &= fits - 1 {
		term := bits.TrailingZeros64(fits)
		for i := range n.tails[term] {
			if n.tails[term][i].isAt(text) {
				found |= 1 << term
				break
			}
		}
	}
	return found
}

// seek takes the alternatives that need literals out of the terms of an || and returns them by text.
func seek(terms []node) (rest []node, found []*sought) {
	bySlot := map[string][]node{}
	var slots []string // in order of the terms
	for _, t := range terms {
		s, literals := neededBy(t)
		if tailsOf(literals) == nil {
			rest = append(rest, t)
			continue
		}
		if bySlot[s.key()] == nil {
			slots = append(slots, s.key())
		}
		bySlot[s.key()] = append(bySlot[s.key()], t)
	}
	for _, slot := range slots {
		if len(bySlot[slot]) < minSought {
			rest = append(rest, bySlot[slot]...)
			continue
		}
		for some := range slices.Chunk(bySlot[slot], maxSought) {
			found = append(found, newSought(some))
		}
	}
	return rest, found
}

// newSought returns the alternatives made ready. Each needs literals of one and the same text.
func newSought(terms []node) *sought {
	n := &sought{}
	for _, t := range terms {
		s, literals := neededBy(t)
		n.slot = s
		n.add(t, tailsOf(literals))
	}
	return n
}

func (n *sought) add(t node, tails []literal) {
	bit := uint64(1) << len(n.terms)
	n.terms, n.tails = append(n.terms, found(t)), append(n.tails, tails)
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

// found returns what is asked once the text is known to have a literal of the node.
func found(n node) node {
	if s, ok := n.(*shared); ok {
		n = s.node
	}
	if p, ok := n.(*pattern); ok {
		return &pattern{slot: p.slot, re: &regex{re: p.re.re}}
	}
	return n
}

// neededBy returns literals of which a text has to contain one for the node to hold, and which text; none where there
// are no good ones. A node that is asked of another value than a text, or fails, is no matter here.
func neededBy(n node) (*slot, []literal) {
	switch n := n.(type) {
	case *shared:
		return neededBy(n.node)
	case *pattern:
		return n.slot, n.re.needs
	case *textTester:
		return n.slot, neededByTest(n.name, n.arg)
	case *fieldTester:
		return n.slot, neededByTest(n.name, n.arg)
	case *and:
		var slot *slot
		var best []literal
		for _, t := range n.group {
			if s, found := neededBy(t); rarity(found) > rarity(best) {
				slot, best = s, found
			}
		}
		return slot, best
	}
	return nil, nil
}

func neededByTest(name, arg string) []literal {
	switch name {
	case "contains", "startsWith", "endsWith":
		return []literal{{arg, false}}
	case "icontains", "iequals":
		return []literal{{arg, true}}
	}
	return nil
}

// tailsOf returns each literal from its rarest window on; nil where one of them has no window.
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

// foldsInASCII says whether the text equals ASCII only, whatever its case: k is the Kelvin sign, too, and s the long s.
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

// commonLetters are the bytes of prose, the commonest first.
const commonLetters = " etaonirshldcumfpgwybv,.k"

// rareness ranks windows by how rarely prose has them. It only matters for speed.
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

func upperByte(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - ('a' - 'A')
	}
	return c
}
