package match

import (
	"cmp"
	"slices"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// filed is the clauses of a condition that the index uses: at most one for each column.
type filed struct {
	cond    uint32
	clauses []clause             // by slot, ascending; then one on several slots
	slots   []int32              // of the clauses; -1 for several slots
	decided []*predicate.Formula // by clause: the test that has the clause but is not decided by it; nil if there is none
	refutes clause               // atoms that make the condition false
	refuted []refuted
	opener  int   // index of the clause of which each atom has a bit of its own; -1 if there is none
	atom    int32 // the atom of the bit
	never   bool  // the condition never holds
}

// refuted is a test that the condition needs to be false, of which the atoms are necessary.
type refuted struct {
	atoms clause
	test  *predicate.Formula
}

// maxOpeners is the number of atoms of a clause up to which a condition has a bit for each.
const maxOpeners = 8

// file chooses the clauses of a condition. ok is false if it never holds.
func (b *builder) file(cond uint32, clauses []clause, uses *useCount) (f filed, ok bool) {
	f = filed{cond: cond, opener: -1, atom: -1}
	for _, a := range b.refuting(&b.formulas[cond], false) {
		if !isLong(b.x.slots[b.atoms[a].slot]) || partOf(b.atoms[a].Kind) != partContains {
			f.refutes = append(f.refutes, a)
		}
	}
	for _, r := range b.refutedTests(&b.formulas[cond], false, nil) {
		if slot := b.slotOf(r.atoms); slot >= 0 && !isLong(b.x.slots[slot]) {
			f.refuted = append(f.refuted, r)
		}
	}
	bySlot := map[int32]clause{}
	var several clause
	compare := func(x, y clause) int { return b.estimate(x, uses).compare(b.estimate(y, uses)) }
	selective := false
	for _, c := range clauses {
		if len(c) == 0 {
			f.never = true
			return f, false
		}
		slot := b.slotOf(c)
		if slot < 0 {
			if several == nil || compare(c, several) < 0 {
				several = c
			}
			continue
		}
		selective = selective || b.estimate(c, uses).rank == rankValue
		if old, twice := bySlot[slot]; !twice || compare(c, old) < 0 {
			bySlot[slot] = c
		}
	}
	for slot := range bySlot {
		f.slots = append(f.slots, slot)
	}
	slices.Sort(f.slots)
	f.slots = slices.DeleteFunc(f.slots, func(slot int32) bool {
		return selective && isLong(b.x.slots[slot]) && b.searches(bySlot[slot])
	})
	best := estimate{rank: rankCommon}
	for i, slot := range f.slots {
		c := bySlot[slot]
		f.clauses = append(f.clauses, c)
		f.decided = append(f.decided, b.testOf(&b.formulas[cond], c))
		if e := b.estimate(c, uses); len(c) <= maxOpeners && e.compare(best) < 0 && e.rank == rankValue && !b.hasRange(c) {
			f.opener, best = i, e
		}
	}
	if several != nil && !selective {
		f.clauses, f.slots, f.decided = append(f.clauses, several), append(f.slots, -1), append(f.decided, nil)
	}
	return f, true
}

// testOf returns the test among the operands of && whose clause is c, if the clause does not decide it, it reads no other
// value and its rows are kept: then the test runs once for a value.
func (b *builder) testOf(f *predicate.Formula, c clause) *predicate.Formula {
	switch f.Op {
	case predicate.OpAnd:
		for i := range f.Terms {
			if t := b.testOf(&f.Terms[i], c); t != nil {
				return t
			}
		}
	case predicate.OpTest:
		fact := b.fact(f.Test, false)
		if fact.known && !fact.exact && slices.Equal(fact.atoms, c) && !isLong(b.x.slots[b.slotOf(c)]) && predicate.ReadsOneValue(f.Test) {
			return f
		}
	}
	return nil
}

// refutedTests returns the tests that a formula needs to be false and that atoms do not decide.
func (b *builder) refutedTests(f *predicate.Formula, negated bool, out []refuted) []refuted {
	switch f.Op {
	case predicate.OpNot:
		return b.refutedTests(&f.Terms[0], !negated, out)
	case predicate.OpAnd, predicate.OpOr:
		if (f.Op == predicate.OpAnd) == negated {
			return out
		}
		for i := range f.Terms {
			out = b.refutedTests(&f.Terms[i], negated, out)
		}
	case predicate.OpTest:
		fact := b.fact(f.Test, false)
		if negated && fact.known && !fact.exact && len(fact.atoms) > 0 && predicate.ReadsOneValue(f.Test) {
			out = append(out, refuted{fact.atoms, f})
		}
	}
	return out
}

func (b *builder) hasRange(c clause) bool {
	return slices.ContainsFunc(c, func(a int32) bool { return b.atoms[a].Kind == predicate.AtomRange })
}

// searches reports whether a text has to be searched for the clause.
func (b *builder) searches(c clause) bool {
	return slices.ContainsFunc(c, func(a int32) bool { return partOf(b.atoms[a].Kind) == partContains })
}

// isLong reports whether the texts of a slot may be long, so that searching them for one candidate is cheaper than for all
// patterns of the index.
func isLong(s *predicate.Slot) bool {
	if s.Source != predicate.FromField {
		return false
	}
	switch schema.Field(s.At) {
	case schema.MessageContextPromptText, schema.MessageContextResponseText, schema.GenAIToolCallArguments, schema.GenAIToolCallResult:
		return true
	}
	return false
}

// arrange returns the conditions once for each bit that they have: a condition has a bit for each atom of its most selective
// clause.
func (b *builder) arrange(all []filed) []filed {
	var out []filed
	small := len(all) <= smallIndex*64
	for _, f := range all {
		if f.opener < 0 || small {
			f.opener = -1
			out = append(out, f)
			continue
		}
		for _, a := range f.clauses[f.opener] {
			f.atom = a
			out = append(out, f)
		}
	}
	return out
}

// sortBits puts the conditions into the order of their bits. asked holds the columns that matter for each of them. Conditions
// with the same selective atom are together, so that few words have a chance for an event; among them those with clauses in the
// same columns, so that few columns matter for a word; and among these those with the same atoms.
func sortBits(bits []filed, asked [][]int) ([]filed, [][]int) {
	order := make([]int, len(bits))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		f, g := &bits[i], &bits[j]
		if (f.atom < 0) != (g.atom < 0) {
			return cmp.Compare(g.atom, f.atom) // without an atom at the end
		}
		return cmp.Or(cmp.Compare(f.atom, g.atom), slices.Compare(asked[i], asked[j]), slices.CompareFunc(f.clauses, g.clauses, slices.Compare))
	})
	sorted, columns := make([]filed, len(bits)), make([][]int, len(bits))
	for n, i := range order {
		sorted[n], columns[n] = bits[i], asked[i]
	}
	return sorted, columns
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

// makeColumns makes the columns, without words, and returns them by slot.
func (b *builder) makeColumns(bits []filed) (columnOf map[int32]int) {
	x := b.x
	atoms := map[int32][]int32{} // by slot, -1 for several
	openers := map[int32]int{}   // by slot
	places := map[place]bool{}
	use := func(c clause, slot int32) {
		for _, a := range c {
			if p := (place{a, slot < 0}); !places[p] {
				places[p] = true
				atoms[slot] = append(atoms[slot], a)
			}
		}
	}
	for i := range bits {
		f := &bits[i]
		for i, c := range f.clauses {
			use(c, f.slots[i])
			if i == f.opener {
				openers[f.slots[i]]++
			}
		}
		for _, a := range f.refutes {
			use(clause{a}, b.atoms[a].slot)
		}
		for _, r := range f.refuted {
			use(r.atoms, b.slotOf(r.atoms))
		}
	}
	var slots []int32
	for slot := range atoms {
		slots = append(slots, slot)
	}
	slices.SortFunc(slots, func(s, t int32) int {
		return cmp.Or(
			cmp.Compare(b.price(s, atoms[s]), b.price(t, atoms[t])), cmp.Compare(openers[t], openers[s]),
			cmp.Compare(len(atoms[t]), len(atoms[s])), cmp.Compare(s, t))
	})
	columnOf = map[int32]int{}
	for _, slot := range slots {
		columnOf[slot] = len(x.columns)
		x.columns = append(x.columns, b.column(slot, atoms[slot]))
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
