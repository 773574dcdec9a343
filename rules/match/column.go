package match

import (
	"cmp"
	"maps"
	"slices"

	"github.com/aidr-engine/aidr/rules/predicate"
)

// Every condition has a bit, or several (see order.go). A column holds the clauses on one slot. For each value of the slot
// there is a row: the bits of the conditions for which the value leaves a chance, that is, those whose clause in the column
// holds and those without a clause there, unless the value makes them false. The candidates are the bits that are set in the
// rows of all columns.
type column struct {
	slot      int32 // -1: the clauses are on several slots
	price     int
	cached    bool       // values are kept, because they are short and may recur
	free      []uint64   // the row if no atom holds
	probes    []uint32   // mark the atoms
	first     uint32     // the atoms are numbered from here on
	sets      [][]word   // by atom - first: the bits of the conditions that have it in their clause
	clears    [][]word   // by atom - first: the bits of the conditions that it makes false
	checks    [][]check  // by atom - first: the tests to run if the atom holds
	intervals []interval // the atoms that are ranges
}

// word is the bits of one word of a row.
type word struct {
	at   uint32
	bits uint64
}

// check is a test of the value that its atoms do not decide. It runs once for a value that is kept.
type check struct {
	test   uint32
	sets   []word // the bits of the conditions that need the test
	clears []word // the bits of the conditions that need it to be false
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

// place is the place of an atom: in the column of its slot, or in that of the clauses on several slots.
type place struct {
	atom    int32
	several bool
}

// columns makes the columns of the clauses, and gives the conditions their bits.
func (b *builder) columns(bits []filed) {
	columnOf := b.makeColumns(bits)
	asked := make([][]int, len(bits))
	for n := range bits {
		asked[n] = bits[n].asked(b, columnOf)
	}
	bits, asked = sortBits(bits, asked)
	b.x.order = make([]uint32, len(bits))
	for n := range bits {
		b.x.order[n] = bits[n].cond
	}
	b.addWords(asked)
	for n := range bits {
		b.addBit(n, &bits[n], columnOf)
	}
	b.x.root = b.x.all()
}

// columnAtoms are the atoms of the columns to be made, by slot; -1 for several slots.
type columnAtoms struct {
	bySlot  map[int32][]int32
	known   map[place]bool
	openers map[int32]int // the number of bits whose clause opens there
}

// use adds the atoms of a clause to the column of a slot.
func (a *columnAtoms) use(c clause, slot int32) {
	for _, atom := range c {
		if p := (place{atom, slot < 0}); !a.known[p] {
			a.known[p] = true
			a.bySlot[slot] = append(a.bySlot[slot], atom)
		}
	}
}

// atomsOf collects the atoms that the conditions look for.
func (b *builder) atomsOf(bits []filed) *columnAtoms {
	a := &columnAtoms{map[int32][]int32{}, map[place]bool{}, map[int32]int{}}
	for n := range bits {
		f := &bits[n]
		for i, c := range f.clauses {
			a.use(c, f.slots[i])
		}
		if f.opener >= 0 {
			a.openers[f.slots[f.opener]]++
		}
		for _, atom := range f.refutes {
			a.use(clause{atom}, b.atoms[atom].slot)
		}
		for _, r := range f.refuted {
			a.use(r.atoms, b.slotOf(r.atoms))
		}
	}
	return a
}

// makeColumns makes the columns, without words, and returns them by slot. Those that are cheap to look up come first, and
// among these those that open the most conditions.
func (b *builder) makeColumns(bits []filed) (columnOf map[int32]int) {
	a := b.atomsOf(bits)
	slots := slices.SortedFunc(maps.Keys(a.bySlot), func(s, t int32) int {
		return cmp.Or(
			cmp.Compare(b.price(s, a.bySlot[s]), b.price(t, a.bySlot[t])), cmp.Compare(a.openers[t], a.openers[s]),
			cmp.Compare(len(a.bySlot[t]), len(a.bySlot[s])), cmp.Compare(s, t))
	})
	columnOf = map[int32]int{}
	for _, slot := range slots {
		columnOf[slot] = len(b.x.columns)
		b.x.columns = append(b.x.columns, b.column(slot, a.bySlot[slot]))
	}
	return columnOf
}

// asked returns the columns that matter for a condition, ascending.
func (f *filed) asked(b *builder, columnOf map[int32]int) (columns []int) {
	for _, slot := range f.slots {
		columns = append(columns, columnOf[slot])
	}
	for _, a := range f.refutes {
		columns = append(columns, columnOf[b.atoms[a].slot])
	}
	for _, r := range f.refuted {
		columns = append(columns, columnOf[b.atoms[r.atoms[0]].slot])
	}
	slices.Sort(columns)
	return slices.Compact(columns)
}

// addWords finds the columns that matter for each word. Those of dear values come last, as in the order of columns.
func (b *builder) addWords(asked [][]int) {
	x := b.x
	words := (len(asked) + 63) / 64
	x.masks = make([]uint64, words)
	var asks []int
	for w := range words {
		asks = asks[:0]
		for _, columns := range asked[w*64 : min(w*64+64, len(asked))] {
			asks = append(asks, columns...)
		}
		slices.Sort(asks)
		asks = slices.Compact(asks)
		n := needs{from: uint32(len(x.needed))}
		n.dear = n.from
		for _, at := range asks {
			x.needed = append(x.needed, uint32(at))
			if x.columns[at].price < priceSearch {
				n.dear++
				x.masks[w] |= 1 << min(at, lastMask)
				x.cheap = max(x.cheap, uint32(at)+1)
			}
		}
		n.to = uint32(len(x.needed))
		x.needs = append(x.needs, n)
	}
	for i := range x.columns {
		c := &x.columns[i]
		c.free = slices.Repeat([]uint64{^uint64(0)}, words)
	}
}

// addBit gives bit n to a condition.
func (b *builder) addBit(n int, f *filed, columnOf map[int32]int) {
	w, bit := uint32(n/64), uint64(1)<<(n%64)
	for i, c := range f.clauses {
		at := &b.x.columns[columnOf[f.slots[i]]]
		if i == f.opener {
			c = clause{f.atom} // the other atoms have their own bits
		}
		at.free[w] &^= bit
		for _, a := range c {
			atom := b.numbers[place{a, f.slots[i] < 0}] - at.first
			if t := f.decided[i]; t != nil {
				setBit(&checkOf(&at.checks[atom], b.test(t)).sets, w, bit)
			} else {
				setBit(&at.sets[atom], w, bit)
			}
		}
	}
	for _, r := range f.refuted {
		at := &b.x.columns[columnOf[b.slotOf(r.atoms)]]
		for _, a := range r.atoms {
			setBit(&checkOf(&at.checks[b.numbers[place{a, false}]-at.first], b.test(r.test)).clears, w, bit)
		}
	}
	for _, a := range f.refutes {
		at := &b.x.columns[columnOf[b.atoms[a].slot]]
		setBit(&at.clears[b.numbers[place{a, false}]-at.first], w, bit)
	}
}

// The prices of columns. Those that are cheap to look up come first, because a word that becomes 0 ends the scan.
const (
	priceValue   = iota
	priceDerived // a part of a value
	priceSearch  // a long text has to be searched
	priceSeveral // the values cannot be kept
)

func (b *builder) price(slot int32, atoms []int32) int {
	switch {
	case slot < 0:
		return priceSeveral
	case isLong(b.x.slots[slot]) && b.searches(atoms):
		return priceSearch
	}
	if s := b.x.slots[slot]; len(s.Path) > 0 || s.Derive != "" || s.Source == predicate.FromAgent || s.Source == predicate.FromGrant ||
		s.Source == predicate.FromCapability {
		return priceDerived
	}
	return priceValue
}

// column returns the column of a slot with probes for its atoms, which it numbers.
func (b *builder) column(slot int32, atoms []int32) column {
	x := b.x
	c := column{slot: slot, price: b.price(slot, atoms), first: x.atoms}
	c.cached = slot >= 0 && !isLong(x.slots[slot])
	slices.SortFunc(atoms, func(m, n int32) int {
		return cmp.Or(cmp.Compare(b.atoms[m].slot, b.atoms[n].slot), cmp.Compare(partOf(b.atoms[m].Kind), partOf(b.atoms[n].Kind)), cmp.Compare(m, n))
	})
	for from := 0; from < len(atoms); {
		first := &b.atoms[atoms[from]]
		to := from
		for ; to < len(atoms); to++ {
			a := &b.atoms[atoms[to]]
			if a.slot != first.slot || partOf(a.Kind) != partOf(first.Kind) {
				break
			}
			b.numbers[place{atoms[to], slot < 0}] = x.atoms
			x.probeOf = append(x.probeOf, uint32(len(x.probes)))
			x.atoms++
			if a.Kind == predicate.AtomRange && slot >= 0 {
				c.intervals = append(c.intervals, interval{low: a.Low, high: a.High, atom: b.numbers[place{atoms[to], false}]})
			}
		}
		c.probes = append(c.probes, uint32(len(x.probes)))
		x.probes = append(x.probes, b.probe(first.slot, partOf(first.Kind), atoms[from:to], slot < 0))
		from = to
	}
	c.intervals = arrangeIntervals(c.intervals)
	c.sets = make([][]word, len(atoms))
	c.clears = make([][]word, len(atoms))
	c.checks = make([][]check, len(atoms))
	return c
}

// setBit adds a bit to the words of an atom, in the order of the bits.
func setBit(words *[]word, at uint32, bit uint64) {
	if n := len(*words); n > 0 && (*words)[n-1].at == at {
		(*words)[n-1].bits |= bit
		return
	}
	*words = append(*words, word{at, bit})
}

// checkOf returns the check with a test, which it adds if it is new.
func checkOf(checks *[]check, test uint32) *check {
	for i := range *checks {
		if (*checks)[i].test == test {
			return &(*checks)[i]
		}
	}
	*checks = append(*checks, check{test: test})
	return &(*checks)[len(*checks)-1]
}
