package match

import (
	"cmp"
	"slices"
)

// automaton finds all patterns that occur in a text, in one pass (Aho and Corasick): each state is the longest end of the
// text read so far that begins a pattern.
//
// States are numbered by depth. Those up to a depth that fits denseSize have a row with the next state for each byte; the
// few bytes that lead on from a deeper state are listed, and any other byte continues at the state of the next shorter end.
// All bytes that are in no pattern share a class, and so do the two cases of a letter.
type automaton struct {
	class  [256]uint8 // 0: in no pattern
	width  uint32     // number of classes
	dense  uint32     // number of states with a row
	rows   []uint32   // width for each dense state: the next state, and hitBit
	edges  []edge     // of the other states
	states []sparse   // the other states
	hits   []hit      // by state
}

// sparse is a state without a row: edges[first:last].
type sparse struct {
	first, last uint32
	fail        uint32
}

// edge leads to a state, with hitBit.
type edge struct {
	next  uint32
	class uint8
}

// hit is the pattern that ends in a state, and the next shorter state in which a pattern ends.
type hit struct {
	atom    int32 // -1: none
	shorter uint32
}

const (
	hitBit    = 1 << 31
	denseSize = 1 << 19 // elements of rows: 2 MiB, about the size of a second-level cache
)

// trieNode is a state while the automaton is built.
type trieNode struct {
	next  []edge // by class, ascending
	fail  uint32
	depth int32
	atom  int32
}

// newAutomaton returns the automaton of folded patterns, which are distinct and not "". atoms holds the atom of each.
func newAutomaton(patterns []string, atoms []int32) *automaton {
	a := &automaton{width: 1}
	for _, p := range patterns {
		for i := range len(p) {
			if a.class[p[i]] == 0 {
				if a.width == 256 { // cannot happen: patterns are folded, so capital letters are in none
					continue
				}
				a.class[p[i]] = uint8(a.width)
				a.width++
			}
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		a.class[c] = a.class[c+'a'-'A']
	}
	trie := a.trie(patterns, atoms)
	a.link(trie)
	a.pack(trie)
	return a
}

// trie returns the states, numbered by depth. State 0 is the root.
func (a *automaton) trie(patterns []string, atoms []int32) []trieNode {
	// Patterns in order share their beginnings with their neighbours, so each level is built in one pass over them.
	order := make([]int, len(patterns))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(patterns[i], patterns[j]) })
	nodes := []trieNode{{atom: -1}}
	at := make([]uint32, len(patterns)) // the state of each pattern at the current depth
	for depth := 0; len(order) > 0; depth++ {
		longer := order[:0]
		last, lastFrom := uint32(0), uint32(0)
		var lastByte byte
		for _, i := range order {
			p := patterns[i]
			if c := p[depth]; last == 0 || at[i] != lastFrom || c != lastByte {
				last, lastFrom, lastByte = uint32(len(nodes)), at[i], c
				nodes = append(nodes, trieNode{atom: -1, depth: int32(depth + 1)})
				from := &nodes[lastFrom]
				from.next = append(from.next, edge{last, a.class[c]})
			}
			at[i] = last
			if len(p) == depth+1 {
				nodes[last].atom = atoms[i]
			} else {
				longer = append(longer, i)
			}
		}
		order = longer
	}
	for i := range nodes {
		slices.SortFunc(nodes[i].next, func(x, y edge) int { return cmp.Compare(x.class, y.class) })
	}
	return nodes
}

// child returns the state after a class; ok is false if no pattern continues with it.
func (n *trieNode) child(class uint8) (next uint32, ok bool) {
	for _, e := range n.next {
		if e.class == class {
			return e.next, true
		}
	}
	return 0, false
}

// link finds, for each state, that of the next shorter end, and the patterns that end there.
func (a *automaton) link(trie []trieNode) {
	a.hits = make([]hit, len(trie))
	for n := range trie {
		if n == 0 {
			a.hits[0].atom = -1
		}
		for _, e := range trie[n].next {
			child := &trie[e.next]
			child.fail = a.step(trie, trie[n].fail, e.class, n == 0)
			h := &a.hits[e.next]
			h.atom = child.atom
			// The state of the next shorter end has a lower number, so its hits are known.
			if f := child.fail; f != 0 && a.hits[f].atom >= 0 {
				h.shorter = f
			} else {
				h.shorter = a.hits[f].shorter
			}
		}
	}
}

// step returns the state after a class in a state that is shorter than the current one.
func (a *automaton) step(trie []trieNode, state uint32, class uint8, fromRoot bool) uint32 {
	if fromRoot {
		return 0
	}
	for {
		if next, ok := trie[state].child(class); ok {
			return next
		}
		if state == 0 {
			return 0
		}
		state = trie[state].fail
	}
}

// pack writes the rows and lists.
func (a *automaton) pack(trie []trieNode) {
	a.dense = uint32(min(len(trie), max(denseSize/int(a.width), 1)))
	a.rows = make([]uint32, a.dense*a.width)
	for n := range a.dense {
		row := a.rows[n*a.width : (n+1)*a.width]
		if n > 0 { // every byte that does not lead on continues as after the next shorter end, which has a row
			f := trie[n].fail
			copy(row, a.rows[f*a.width:(f+1)*a.width])
		}
		for _, e := range trie[n].next {
			row[e.class] = a.marked(e.next)
		}
	}
	for n := a.dense; n < uint32(len(trie)); n++ {
		s := sparse{first: uint32(len(a.edges)), fail: trie[n].fail}
		for _, e := range trie[n].next {
			a.edges = append(a.edges, edge{a.marked(e.next), e.class})
		}
		s.last = uint32(len(a.edges))
		a.states = append(a.states, s)
	}
}

// marked returns a state with hitBit if any pattern ends there.
func (a *automaton) marked(state uint32) uint32 {
	if a.hits[state].atom >= 0 || a.hits[state].shorter != 0 {
		return state | hitBit
	}
	return state
}

// find marks the patterns that occur in the text.
func find[T string | []byte](a *automaton, text T, s *Scratch) {
	state := uint32(0)
	for i := 0; i < len(text); i++ {
		class := a.class[text[i]]
		if class == 0 {
			state = 0
			continue
		}
		next := uint32(0)
		for {
			if state < a.dense {
				next = a.rows[state*a.width+uint32(class)]
				break
			}
			t := &a.states[state-a.dense]
			if n, ok := findEdge(a.edges[t.first:t.last], class); ok {
				next = n
				break
			}
			state = t.fail
		}
		state = next &^ hitBit
		if next != state {
			a.report(state, s)
		}
	}
}

func findEdge(edges []edge, class uint8) (uint32, bool) {
	for i := range edges {
		if edges[i].class == class {
			return edges[i].next, true
		}
	}
	return 0, false
}

// report marks the patterns that end in a state, the longest first. If one is marked already, so are the shorter ones.
func (a *automaton) report(state uint32, s *Scratch) {
	for {
		h := a.hits[state]
		if h.atom >= 0 && !s.mark(uint32(h.atom)) {
			return
		}
		if h.shorter == 0 {
			return
		}
		state = h.shorter
	}
}
