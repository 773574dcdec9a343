package match

import (
	"math/bits"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// Every condition has a bit, or several (see order.go). A column holds the clauses on one slot. For each value of the slot
// there is a row: the bits of the conditions for which the value leaves a chance, that is, those whose clause in the column
// holds and those without a clause there, unless the value makes them false. The candidates are the bits that are set in the rows of all columns.
type column struct {
	slot      int32 // -1: the clauses are on several slots
	price     int
	cached    bool       // rows are kept, because values are short and recur
	free      []uint64   // the row if no atom holds
	probes    []uint32   // mark the atoms
	first     uint32     // the atoms are numbered from here on
	sets      [][]word   // by atom - first: the bits of the conditions that have it in their clause
	clears    [][]word   // by atom - first: the bits of the conditions that it makes false
	checks    [][]check  // by atom - first: the tests to run if the atom holds
	opens     []section  // by atom - first: the words that the atom opens; empty if it opens none
	intervals []interval // the atoms that are ranges
}

// word is the bits of one word of a row.
type word struct {
	at   uint32
	bits uint64
}

// check is a test of the value that its atoms do not decide. It runs once for a value whose row is kept.
type check struct {
	test   uint32
	sets   []word // the bits of the conditions that need the test
	clears []word // the bits of the conditions that need it to be false
}

// section is a range of words of a row. The conditions of a section have in common an atom of which few events have one, and
// the section is only looked at if the event has it.
type section struct{ from, to uint32 }

// row is the row of one value.
type row struct {
	hash uint64
	kind schema.Kind // before an absent field becomes a zero value
	v    schema.Value
	text []byte // a copy of the value's text
	bits []uint64
	open []section
}

// Limits of the rows that a worker keeps.
const (
	// maxRowText is the largest length of a text whose row is kept: nearly all names, addresses and user agents.
	maxRowText = 512
	// maxRows is the largest number of rows of a column, and rowMemory that of the words of all rows: 32 MiB.
	maxRows   = 1 << 11
	rowMemory = 4 << 20
	// rowGroup is the number of rows in which the row of a value may be.
	rowGroup = 4
	// minRows is the least number of rows of a column.
	minRows = 16
)

// manyMisses is the number of rows in a row that were made, after which the values of a column are taken not to recur: the
// tests of a value are then left to the few conditions that become candidates.
const manyMisses = 64

// rows are the rows of one column, by the hash of the value.
type rows struct {
	last   *row   // of the event before
	kept   []row  // groups of rowGroup
	mask   uint64 // of the hash: the first row of the value's group
	oldest uint32 // of the group in which a row is replaced next
	misses int    // rows made since the last value whose row was kept, at most manyMisses
	single row    // of a value that is not kept
}

// current is the row of the current event in one column.
type current struct {
	epoch uint32 // of the event
	bits  []uint64
	open  []section
}

// prepare makes room for the rows of a column, of the given number of words each.
func (r *rows) prepare(c *column, words, columns int) {
	r.single.bits = make([]uint64, words)
	room := rowMemory / (words * columns)
	if !c.cached || room < minRows {
		return
	}
	size := minRows
	for size < maxRows && 2*size <= room {
		size *= 2
	}
	r.mask = uint64(size-1) &^ (rowGroup - 1)
	r.kept = make([]row, size)
	memory := make([]uint64, size*words)
	for i := range r.kept {
		r.kept[i].bits = memory[i*words : (i+1)*words]
	}
}

// load makes the row of the event's value the current one of column n.
func (s *Scratch) load(n int) *current {
	at := &s.current[n]
	if at.epoch == s.epoch {
		return at
	}
	at.epoch = s.epoch
	c, r := &s.index.columns[n], &s.rows[n]
	if r.single.bits == nil {
		r.prepare(c, len(c.free), len(s.index.columns))
	}
	row := s.row(c, r)
	at.bits, at.open = row.bits, row.open
	return at
}

// row returns the row of the event's value in a column.
func (s *Scratch) row(c *column, r *rows) *row {
	if r.kept == nil {
		s.fill(c, &r.single, false)
		return &r.single
	}
	v := s.slotValue(c.slot)
	if r.last != nil && r.last.is(v) {
		r.misses = 0
		return r.last
	}
	if len(v.value.Text) > maxRowText {
		s.fill(c, &r.single, false)
		return &r.single
	}
	hash := hashOf(v)
	group := r.kept[hash&r.mask:][:rowGroup]
	for i := range group {
		if at := &group[i]; at.hash == hash && at.is(v) {
			r.last, r.misses = at, 0
			return at
		}
	}
	r.misses = min(r.misses+1, manyMisses)
	r.oldest++
	at := &group[r.oldest%rowGroup]
	at.hash, at.kind, at.v = hash, v.kind, schema.Value{Kind: v.value.Kind, Num: v.value.Num}
	at.text = append(at.text[:0], v.value.Text...)
	s.fill(c, at, r.misses < manyMisses)
	r.last = at
	return at
}

// is reports whether the row is that of a value.
func (r *row) is(v *slotValue) bool {
	return r.kind == v.kind && r.v.Kind == v.value.Kind && r.v.Num == v.value.Num && string(r.text) == v.value.Text
}

// fill computes the row of the event's value. If recurs is false, the tests of the value are left to the conditions that
// become candidates.
func (s *Scratch) fill(c *column, r *row, recurs bool) {
	copy(r.bits, c.free)
	r.open = r.open[:0]
	from := len(s.marked)
	for _, p := range c.probes {
		s.probe(p)
	}
	if c.intervals != nil {
		if f, ok := s.number(c.slot); ok {
			s.stab(c.intervals, f)
		}
	}
	marked := s.marked[from:]
	for _, atom := range marked {
		setBits(r.bits, c.sets[atom-c.first])
		for i := range c.checks[atom-c.first] {
			if k := &c.checks[atom-c.first][i]; !recurs || s.verdict(k.test) != predicate.False {
				setBits(r.bits, k.sets)
			}
		}
		if o := c.opens[atom-c.first]; o.from < o.to {
			r.open = append(r.open, o)
		}
	}
	for _, atom := range marked {
		clearBits(r.bits, c.clears[atom-c.first])
		for i := 0; recurs && i < len(c.checks[atom-c.first]); i++ {
			if k := &c.checks[atom-c.first][i]; len(k.clears) > 0 && s.verdict(k.test) == predicate.True {
				clearBits(r.bits, k.clears)
			}
		}
	}
}

func setBits(bits []uint64, words []word) {
	for _, w := range words {
		bits[w.at] |= w.bits
	}
}

func clearBits(bits []uint64, words []word) {
	for _, w := range words {
		bits[w.at] &^= w.bits
	}
}

// stab marks the intervals that contain a number.
func (s *Scratch) stab(items []interval, f float64) {
	for len(items) > 0 {
		mid := len(items) / 2
		v := &items[mid]
		if f > v.highest {
			return
		}
		s.stab(items[:mid], f)
		if f < v.low {
			return
		}
		if f <= v.high {
			s.mark(v.atom)
		}
		items = items[mid+1:]
	}
}

// hashOf returns the hash of a value, never 0, which is that of an empty row.
func hashOf(v *slotValue) uint64 {
	const prime, second = 0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9
	h := (uint64(v.kind)<<8|uint64(v.value.Kind))*prime ^ v.value.Num
	mix := func(x, y uint64) {
		hi, lo := bits.Mul64(h^x, y^second)
		h = hi ^ lo
	}
	text := v.value.Text
	mix(uint64(len(text)), prime)
	for ; len(text) >= 16; text = text[16:] {
		mix(load64(text), load64(text[8:]))
	}
	last := uint64(0)
	if len(text) >= 8 {
		last, text = load64(text), text[8:]
	}
	rest := uint64(0)
	for i := range len(text) {
		rest = rest<<8 | uint64(text[i])
	}
	mix(last, rest^prime)
	return h | 1<<63
}

// load64 returns the first eight bytes of a text.
func load64(text string) uint64 {
	_ = text[7]
	return uint64(text[0]) | uint64(text[1])<<8 | uint64(text[2])<<16 | uint64(text[3])<<24 |
		uint64(text[4])<<32 | uint64(text[5])<<40 | uint64(text[6])<<48 | uint64(text[7])<<56
}

// stretch is consecutive words that have their first two columns in common.
type stretch struct {
	to            uint32
	first, second uint16 // the same if there is one column
	any           bool   // there is no column
}

// continuesAs reports whether the words of o look at the same columns.
func (t stretch) continuesAs(o stretch) bool {
	return t.any == o.any && t.first == o.first && t.second == o.second
}

// needs are the columns, beyond those of the stretch, that matter for the conditions of a word: Index.needed[from:to]. From
// dear on their values are dear to look up.
type needs struct{ from, dear, to uint32 }

// scan evaluates the candidates of a section.
func (x *Index) scan(from, to uint32, e *schema.Event, s *Scratch, out []int32) []int32 {
	for w := from; w < to; {
		t := &x.stretches[x.stretchOf[w]]
		end := min(t.to, to)
		if t.any {
			for ; w < end; w++ {
				out = x.word(w, x.full(w), e, s, out)
			}
			continue
		}
		first := s.load(int(t.first)).bits[:end]
		if s.current[t.second].epoch != s.epoch && isZero(first[w:]) {
			w = end
			continue
		}
		second := s.load(int(t.second)).bits[:end]
		for ; w < end; w++ {
			if left := first[w] & second[w]; left != 0 {
				out = x.word(w, left, e, s, out)
			}
		}
	}
	return out
}

func isZero(words []uint64) bool {
	for _, w := range words {
		if w != 0 {
			return false
		}
	}
	return true
}

// word evaluates the candidates of a word, which are among left.
func (x *Index) word(w uint32, left uint64, e *schema.Event, s *Scratch, out []int32) []int32 {
	left &= x.full(w)
	// The words of rows that are loaded do not depend on each other, so waiting for all of them is as fast as for one.
	n := &x.needs[w]
	for _, c := range x.needed[n.from:n.dear] {
		at := &s.current[c]
		if at.epoch != s.epoch {
			if left == 0 {
				return out
			}
			s.load(int(c))
		}
		left &= at.bits[w]
	}
	for _, c := range x.needed[n.dear:n.to] {
		if left == 0 {
			return out
		}
		left &= s.load(int(c)).bits[w]
	}
	for ; left != 0; left &= left - 1 {
		out = x.candidate(x.order[int(w)*64+bits.TrailingZeros64(left)], e, s, out)
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
