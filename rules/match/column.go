package match

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
