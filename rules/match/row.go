package match

import (
	"math/bits"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// A worker keeps two things for each column, so that the cost of a value depends on the value: the values that it met last,
// and rows. Values for which the same atoms and tests hold are of one class, and a class has one row. So a value that was
// never met before costs the look-ups of the column's probes; a row is made only for a class that was not met before. A value
// without an atom, which no condition mentions, is of the class whose row the column itself has.
//
// Both are bounded, whatever the values are: a worker keeps at most valueMemory of values, each with at most maxValueText,
// and rowMemory of rows. In a flood of new values each one costs its look-ups; in a flood of new classes each one also costs a
// copy of a row and the bits of its atoms.
const (
	// maxValueText is the largest length in bytes of a text that is kept: nearly all names, addresses and user agents.
	maxValueText = 512
	// maxValues is the largest number of values of a column, and valueMemory the bytes of the values of all columns: 16 MiB.
	maxValues   = 1 << 11
	valueMemory = 16 << 20
	valueSize   = maxValueText + 128
	// maxClasses is the largest number of classes of a column, and rowMemory the number of words of all rows: 64 MiB.
	maxClasses = 1 << 10
	rowMemory  = 8 << 20
	// groupSize is the number of places in which a value or class may be: its hash gives the first.
	groupSize = 4
)

// manyMisses is the number of new values in a row after which the values of a column are taken not to recur: the tests of a
// value are then left to the few conditions that become candidates.
const manyMisses = 64

// keptMisses is the number of such values of which one is kept, to find out whether values recur after all.
const keptMisses = 8

// rows are the values and rows of one column.
type rows struct {
	last      *value   // of the event before
	hashes    []uint64 // of values
	values    []value  // in groups of groupSize
	classes   []class  // in groups of groupSize; none: the column is not prepared
	none      class    // that of values without an atom
	oldest    uint32   // of a group of values: the next that is replaced
	oldestRow uint32   // of a group of classes
	misses    int      // new values since the last that was met before, at most manyMisses
}

// value is a value that was met before. It takes a line of the cache.
type value struct {
	text   []byte // a copy of the value's text
	num    uint64
	class  *class
	serial uint64      // of the class; another one has taken its place if it has another serial
	before schema.Kind // before an absent field becomes a zero value
	kind   schema.Kind
	_      [6]byte
}

// class is the values for which the same atoms and tests hold.
type class struct {
	serial   uint64 // no other class that the worker had has the same
	row      []uint64
	hash     uint64 // 0 for none
	tested   bool   // the tests ran
	atoms    []uint32
	verdicts []uint32 // of the tests that are not false: test<<2 | verdict
}

// current is the row of the current event in one column.
type current struct {
	epoch  uint32 // of the event
	row    []uint64
	serial uint64 // of the class
}

// prepare makes room for the values and classes of a column.
func (r *rows) prepare(c *column, columns int) {
	size := groupSize
	for size < maxClasses && 2*size*columns*len(c.free) <= rowMemory {
		size *= 2
	}
	r.classes = make([]class, size)
	r.none = class{tested: true, row: c.free}
	if !c.cached {
		return
	}
	size = groupSize
	for size < maxValues && 2*size*columns*valueSize <= valueMemory {
		size *= 2
	}
	r.hashes, r.values = make([]uint64, size), make([]value, size)
}

// load makes the row of the event's value the current one of column n.
func (s *Scratch) load(n uint32) *current {
	at := &s.current[n]
	if at.epoch == s.epoch {
		return at
	}
	c, r := &s.index.columns[n], &s.rows[n]
	if r.classes == nil {
		r.prepare(c, len(s.index.columns))
		s.serial++
		r.none.serial = s.serial
	}
	k := s.class(c, r)
	at.epoch, at.row, at.serial = s.epoch, k.row, k.serial
	return at
}

// class returns the class of the event's value in a column.
func (s *Scratch) class(c *column, r *rows) *class {
	if r.values == nil {
		return s.classify(c, r, false)
	}
	v := s.slotValue(c.slot)
	if r.last != nil && r.last.is(v) {
		r.misses = 0
		return r.last.class
	}
	if len(v.value.Text) > maxValueText {
		return s.classify(c, r, false)
	}
	hash := hashOf(v)
	first := hash & uint64(len(r.values)-1) &^ (groupSize - 1)
	for i := first; i < first+groupSize; i++ {
		if at := &r.values[i]; r.hashes[i] == hash && at.is(v) {
			r.last, r.misses = at, 0
			return at.class
		}
	}
	r.misses = min(r.misses+1, manyMisses)
	r.oldest++
	if r.misses == manyMisses && r.oldest%keptMisses != 0 {
		return s.classify(c, r, false) // it would take the place of a value that may recur
	}
	i := first + uint64(r.oldest%groupSize)
	at := &r.values[i]
	r.hashes[i], at.before, at.kind, at.num = hash, v.kind, v.value.Kind, v.value.Num
	at.text = append(at.text[:0], v.value.Text...)
	at.class = s.classify(c, r, r.misses < manyMisses)
	at.serial = at.class.serial
	r.last = at
	return at.class
}

// is reports whether the value is that of an event, and its class still exists.
func (at *value) is(v *slotValue) bool {
	return at.before == v.kind && at.kind == v.value.Kind && at.num == v.value.Num && string(at.text) == v.value.Text &&
		at.serial == at.class.serial
}

// classify finds the class of the event's value. If tested is false, the tests of the value are left to the conditions that
// become candidates.
func (s *Scratch) classify(c *column, r *rows, tested bool) *class {
	from := len(s.marked)
	for _, p := range c.probes {
		s.probe(p)
	}
	if c.intervals != nil {
		if f, ok := s.number(c.slot); ok {
			s.stab(c.intervals, f)
		}
	}
	atoms := s.marked[from:]
	if len(atoms) == 0 {
		return &r.none
	}
	s.verdicts = s.verdicts[:0]
	hash := uint64(0) // does not depend on the order
	for _, atom := range atoms {
		hash += scatter(uint64(atom))
		if !tested {
			continue
		}
		for i := range c.checks[atom-c.first] {
			t := c.checks[atom-c.first][i].test
			if v := s.verdict(t); v != predicate.False {
				s.verdicts = append(s.verdicts, t<<2|uint32(v))
				hash += scatter(uint64(t)<<2 | uint64(v) | 1<<40)
			}
		}
	}
	hash |= 1
	first := hash >> 1 & uint64(len(r.classes)-1) &^ (groupSize - 1)
	group := r.classes[first : first+groupSize]
	for i := range group {
		if k := &group[i]; k.hash == hash && k.tested == tested && s.isOf(k, atoms) {
			return k
		}
	}
	r.oldestRow++
	k := &group[r.oldestRow%groupSize]
	s.serial++
	k.hash, k.tested, k.serial = hash, tested, s.serial
	k.atoms, k.verdicts = append(k.atoms[:0], atoms...), append(k.verdicts[:0], s.verdicts...)
	s.fill(c, k)
	return k
}

// isOf reports whether a class is that of the event's value, of which atoms hold.
func (s *Scratch) isOf(k *class, atoms []uint32) bool {
	if len(k.atoms) != len(atoms) || len(k.verdicts) != len(s.verdicts) {
		return false
	}
	for _, a := range k.atoms {
		if s.held[a] != s.epoch {
			return false
		}
	}
	for _, v := range k.verdicts { // the tests ran, because the same atoms hold
		if s.memo[v>>2] != s.epoch|v&verdictMask {
			return false
		}
	}
	return true
}

// fill makes the row of the class of the event's value.
func (s *Scratch) fill(c *column, k *class) {
	k.row = append(k.row[:0], c.free...)
	for _, atom := range k.atoms {
		setBits(k.row, c.sets[atom-c.first])
		for i := range c.checks[atom-c.first] {
			if t := &c.checks[atom-c.first][i]; !k.tested || s.verdict(t.test) != predicate.False {
				setBits(k.row, t.sets)
			}
		}
	}
	for _, atom := range k.atoms {
		clearBits(k.row, c.clears[atom-c.first])
		for i := 0; k.tested && i < len(c.checks[atom-c.first]); i++ {
			if t := &c.checks[atom-c.first][i]; len(t.clears) > 0 && s.verdict(t.test) == predicate.True {
				clearBits(k.row, t.clears)
			}
		}
	}
}

func setBits(row []uint64, words []word) {
	for _, w := range words {
		row[w.at] |= w.bits
	}
}

func clearBits(row []uint64, words []word) {
	for _, w := range words {
		row[w.at] &^= w.bits
	}
}

// scatter spreads a small number over 64 bits.
func scatter(n uint64) uint64 {
	hi, lo := bits.Mul64(n^0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9)
	hi, lo = bits.Mul64(hi^lo^n, 0x94d049bb133111eb)
	return hi ^ lo
}

// hashOf returns the hash of a value, never 0.
func hashOf(v *slotValue) uint64 {
	const prime, second = 0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9
	h := (uint64(v.kind)<<8|uint64(v.value.Kind))*prime ^ v.value.Num
	mix := func(x, y uint64) {
		hi, lo := bits.Mul64(h^x, y^second)
		h = hi ^ lo
	}
	text := v.value.Text
	mix(uint64(len(text)), prime)
	for ; len(text) > 16; text = text[16:] {
		mix(load64(text), load64(text[8:]))
	}
	switch n := len(text); { // the two ends, which may overlap
	case n >= 8:
		mix(load64(text), load64(text[n-8:]))
	case n >= 4:
		mix(load32(text), load32(text[n-4:]))
	case n > 0:
		mix(uint64(text[0])|uint64(text[n/2])<<8|uint64(text[n-1])<<16, prime)
	}
	return h | 1<<63
}

// load64 returns the first eight bytes of a text.
func load64(text string) uint64 {
	_ = text[7]
	return uint64(text[0]) | uint64(text[1])<<8 | uint64(text[2])<<16 | uint64(text[3])<<24 |
		uint64(text[4])<<32 | uint64(text[5])<<40 | uint64(text[6])<<48 | uint64(text[7])<<56
}

// load32 returns the first four bytes of a text.
func load32(text string) uint64 {
	_ = text[3]
	return uint64(text[0]) | uint64(text[1])<<8 | uint64(text[2])<<16 | uint64(text[3])<<24
}
