package match

import (
	"cmp"
	"maps"
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
	f.refutes, f.refuted = b.refutations(&b.formulas[cond])
	bySlot := map[int32]clause{} // the best of each slot; -1 for several slots
	selective := false
	for _, c := range clauses {
		if len(c) == 0 {
			f.never = true
			return f, false
		}
		slot, e := b.slotOf(c), b.estimate(c, uses)
		selective = selective || slot >= 0 && e.rank == rankValue
		if old, twice := bySlot[slot]; !twice || e.compare(b.estimate(old, uses)) < 0 {
			bySlot[slot] = c
		}
	}
	for _, slot := range slices.Sorted(maps.Keys(bySlot)) {
		if slot < 0 || selective && isLong(b.x.slots[slot]) && b.searches(bySlot[slot]) {
			continue
		}
		f.add(bySlot[slot], slot, b.testOf(&b.formulas[cond], bySlot[slot]))
	}
	f.opener = b.openerOf(&f, uses)
	if several, has := bySlot[-1]; has && !selective {
		f.add(several, -1, nil)
	}
	return f, true
}

func (f *filed) add(c clause, slot int32, decided *predicate.Formula) {
	f.clauses, f.slots, f.decided = append(f.clauses, c), append(f.slots, slot), append(f.decided, decided)
}

// refutations returns the atoms and the tests that make a formula false, without those for which a long text has to be
// searched.
func (b *builder) refutations(f *predicate.Formula) (atoms clause, tests []refuted) {
	for _, a := range b.refuting(f, false) {
		if !isLong(b.x.slots[b.atoms[a].slot]) || partOf(b.atoms[a].Kind) != partContains {
			atoms = append(atoms, a)
		}
	}
	for _, r := range b.refutedTests(f, false, nil) {
		if slot := b.slotOf(r.atoms); slot >= 0 && !isLong(b.x.slots[slot]) {
			tests = append(tests, r)
		}
	}
	return atoms, tests
}

// openerOf returns the index of the most selective clause of which each atom can have a bit of its own; -1 if there is none.
func (b *builder) openerOf(f *filed, uses *useCount) (opener int) {
	opener = -1
	best := estimate{rank: rankCommon}
	for i, c := range f.clauses {
		if e := b.estimate(c, uses); len(c) <= maxOpeners && e.compare(best) < 0 && e.rank == rankValue && !b.hasRange(c) {
			opener, best = i, e
		}
	}
	return opener
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
