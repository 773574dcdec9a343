package match

import (
	"math/bits"

	"github.com/aidr-engine/aidr/schema"
)

// state is the conditions that are left after the rows of some columns.
type state struct {
	words []word // by index of the word of conditions, ascending; none is 0
	next  uint32 // the column to look at; noColumn: the words are looked at one by one
	same  uint32 // the state after a row that leaves all of them; 0: not known
}

const noColumn = ^uint32(0)

// smallIndex is the number of words up to which an index has no states: to look at all words is as fast. fewWords is the same
// for a state.
const (
	smallIndex = 4
	fewWords   = 16
)

// lastMask is the bit of all columns from that number on in a mask of columns.
const lastMask = 63

// states are the states that a worker met, and the moves between them. As far as rules mention the values of events, there are
// few combinations of them, so nearly every move is known: then it costs a look-up, whatever the number of conditions. A move
// that is not known costs a pass over the words that are left. If there is no room for another state, all are forgotten.
type states struct {
	kept   []state // by number; the first is Index.root
	words  []word  // of all states
	moves  []moves // by a hash
	oldest uint32  // of a group of moves: the next that is replaced
}

// move is the move from a state by the row of a class. It is the same for all events.
type move struct {
	class uint64 // its serial; 0: no move
	from  uint32
	to    uint32
}

// moves are the places in which a move may be. They fill a line of the cache. A single place would do for most moves, but two
// moves that replace each other all the time cost a new state each time, and so does every move after it.
type moves [4]move

// Limits of the states of a worker.
const (
	maxStates  = 1 << 14
	stateWords = 1 << 21 // of all states: 32 MiB
	moveBits   = 14      // of the hash of a move: 1 MiB
)

// all returns the state of all conditions.
func (x *Index) all() (st state) {
	mask := uint64(0)
	for w := range x.needs {
		st.words = append(st.words, word{uint32(w), x.full(uint32(w))})
		mask |= x.masks[w]
	}
	st.next = x.nextColumn(st.words, mask, 0)
	return st
}

// nextColumn returns the first column from the given one on that is in the mask.
func (x *Index) nextColumn(words []word, mask uint64, from uint32) uint32 {
	if len(words) <= fewWords {
		return noColumn
	}
	if from < lastMask {
		mask = mask >> from << from
		if mask == 0 {
			return noColumn
		}
		from = uint32(bits.TrailingZeros64(mask))
	}
	if from >= x.cheap {
		return noColumn
	}
	return from
}

// scan evaluates the candidates of the event.
func (x *Index) scan(e *schema.Event, s *Scratch, out []int32) []int32 {
	st := &x.root
	for n := uint32(0); st.next != noColumn; st = &s.states.kept[n] {
		n = s.move(n, st.next)
	}
	for _, w := range st.words {
		out = x.word(w, e, s, out)
	}
	return out
}

// move returns the number of the state after state n by the row of the event in a column.
func (s *Scratch) move(n, column uint32) uint32 {
	t, class := &s.states, s.load(column).serial
	if t.moves == nil {
		t.start(s.index)
	}
	const spread, other = 0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9
	group := &t.moves[((uint64(n)+1)*spread^class*other)*spread>>(64-moveBits)]
	for i := range group {
		if at := &group[i]; at.class == class && at.from == n {
			return at.to
		}
	}
	to, fits := s.narrow(n, column)
	if fits { // else it is from another state after a fresh start, so the next event will find it
		t.oldest++
		group[t.oldest%uint32(len(group))] = move{class, n, to}
	}
	return to
}

// start forgets all states.
func (t *states) start(x *Index) {
	if t.moves == nil {
		t.moves = make([]moves, 1<<moveBits)
		t.words = make([]word, 0, max(min(stateWords, len(x.root.words)*maxStates), len(x.root.words)))
	}
	clear(t.moves)
	t.kept, t.words = append(t.kept[:0], x.root), t.words[:0]
}

// narrow returns the number of the state after state n by the row of the event in a column. fits is false if all other states
// were forgotten.
func (s *Scratch) narrow(n, column uint32) (to uint32, fits bool) {
	t, x := &s.states, s.index
	old := t.kept[n].words
	fits = len(t.words)+len(old) <= cap(t.words) && len(t.kept) < maxStates
	if !fits {
		t.start(x) // the words of old are still there, and each is read before its place is taken
	}
	from := len(t.words)
	words, row := t.words[from:from+len(old)], s.load(column).row
	changed, mask, left := uint64(0), uint64(0), 0
	for _, w := range old {
		kept := w.bits & row[w.at]
		changed |= kept ^ w.bits
		words[left] = word{w.at, kept}
		if kept != 0 {
			mask |= x.masks[w.at]
			left++
		}
	}
	words = words[:left:left]
	if fits && changed == 0 {
		if same := t.kept[n].same; same != 0 {
			return same, true
		}
		words = old
		t.kept[n].same = uint32(len(t.kept))
	} else {
		t.words = t.words[:from+left]
	}
	t.kept = append(t.kept, state{words: words, next: x.nextColumn(words, mask, column+1)})
	return uint32(len(t.kept) - 1), fits
}

// word evaluates the candidates among the conditions of a word that are left.
func (x *Index) word(w word, e *schema.Event, s *Scratch, out []int32) []int32 {
	left := w.bits
	// The words of rows that are loaded do not depend on each other, so waiting for all of them is as fast as for one.
	n := &x.needs[w.at]
	for _, c := range x.needed[n.from:n.dear] {
		at := &s.current[c]
		if at.epoch != s.epoch {
			if left == 0 {
				return out
			}
			s.load(c)
		}
		left &= at.row[w.at]
	}
	for _, c := range x.needed[n.dear:n.to] {
		if left == 0 {
			return out
		}
		left &= s.load(c).row[w.at]
	}
	for ; left != 0; left &= left - 1 {
		out = x.candidate(x.order[int(w.at)*64+bits.TrailingZeros64(left)], e, s, out)
	}
	return out
}

// full returns the word with the bits of all conditions.
func (x *Index) full(w uint32) uint64 {
	if rest := len(x.order) - int(w)*64; rest < 64 {
		return 1<<rest - 1
	}
	return ^uint64(0)
}

// needs are the columns that matter for the conditions of a word: Index.needed[from:to], ascending. From dear on their
// values are dear to look up.
type needs struct{ from, dear, to uint32 }
