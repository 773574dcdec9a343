package match

import (
	"math"
	"slices"

	"github.com/aidr-engine/aidr/rules/predicate"
)

// clause is a disjunction of atoms, by number, ascending. If none holds, the condition is false and does not fail.
type clause []int32

// Limits of clauses. Beyond them a condition keeps fewer, which costs time but never a verdict.
const (
	maxClauses = 16   // of a condition
	maxAtoms   = 4096 // of a clause: a longer || should be a list
)

// clauses returns the clauses of a formula, or of its negation: negations are pushed down to the tests.
func (b *builder) clauses(f *predicate.Formula, negated bool) []clause {
	switch f.Op {
	case predicate.OpNot:
		return b.clauses(&f.Terms[0], !negated)
	case predicate.OpAnd, predicate.OpOr:
		if (f.Op == predicate.OpAnd) != negated {
			return b.allOf(f.Terms, negated)
		}
		return b.anyOf(f.Terms, negated)
	case predicate.OpChoice:
		if f.MayFail {
			return nil
		}
		return b.anyOf(f.Terms[1:], negated)
	}
	fact := b.fact(f.Test, negated)
	if !fact.known {
		return nil
	}
	return []clause{fact.atoms}
}

// allOf returns the clauses of a conjunction: those of all terms. Two bounds of one number become a range.
func (b *builder) allOf(terms []predicate.Formula, negated bool) (out []clause) {
	for i := range terms {
		for _, c := range b.clauses(&terms[i], negated) {
			if !b.narrow(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

// narrow replaces a clause of out by its conjunction with c, if both are ranges of the same number.
func (b *builder) narrow(out []clause, c clause) bool {
	at := b.rangeIn(c)
	if at < 0 {
		return false
	}
	r := b.atoms[c[at]]
	for i, o := range out {
		other := b.rangeIn(o)
		if other < 0 || b.atoms[o[other]].slot != r.slot || !slices.Equal(without(c, at), without(o, other)) {
			continue
		}
		both := r.Atom
		both.Low, both.High = max(r.Low, b.atoms[o[other]].Low), min(r.High, b.atoms[o[other]].High)
		joined := append(without(o, other), b.atom(both))
		slices.Sort(joined)
		out[i] = joined
		return true
	}
	return false
}

// rangeIn returns the index of the only range in a clause; -1 if there is none, or more.
func (b *builder) rangeIn(c clause) int {
	found := -1
	for i, a := range c {
		if b.atoms[a].Kind == predicate.AtomRange {
			if found >= 0 {
				return -1
			}
			found = i
		}
	}
	return found
}

func without(c clause, i int) clause { return slices.Delete(slices.Clone(c), i, i+1) }

// anyOf returns the clauses of a disjunction: the union of the best clause of each term, and for each slot on which all
// terms have a clause, the union of these.
func (b *builder) anyOf(terms []predicate.Formula, negated bool) (out []clause) {
	all := make([][]clause, len(terms))
	for i := range terms {
		if all[i] = b.clauses(&terms[i], negated); all[i] == nil {
			return nil
		}
	}
	var best clause
	for _, cs := range all {
		best = union(best, slices.MinFunc(cs, b.compareAlone))
	}
	out = appendClause(out, best)
	for _, c := range all[0] {
		slot := b.slotOf(c)
		if slot < 0 {
			continue
		}
		joined := slices.Clone(c)
		for _, cs := range all[1:] {
			i := slices.IndexFunc(cs, func(o clause) bool { return b.slotOf(o) == slot })
			if i < 0 {
				joined = nil
				break
			}
			joined = union(joined, cs[i])
		}
		if joined != nil {
			out = appendClause(out, joined)
		}
	}
	return out
}

// appendClause appends a clause that is not among the others and not too long.
func appendClause(out []clause, c clause) []clause {
	if len(c) > maxAtoms || slices.ContainsFunc(out, func(o clause) bool { return slices.Equal(o, c) }) {
		return out
	}
	return append(out, c)
}

func union(a, b clause) clause {
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}

// slotOf returns the slot of all atoms of a clause; -1 if they are of several.
func (b *builder) slotOf(c clause) int32 {
	if len(c) == 0 {
		return -1
	}
	slot := b.atoms[c[0]].slot
	for _, a := range c[1:] {
		if b.atoms[a].slot != slot {
			return -1
		}
	}
	return slot
}

// refuting returns atoms each of which makes a formula false, or its negation: those that decide a test that the formula
// needs to be false, as in !(user.name in ["a", "b"]).
func (b *builder) refuting(f *predicate.Formula, negated bool) (atoms clause) {
	switch f.Op {
	case predicate.OpNot:
		return b.refuting(&f.Terms[0], !negated)
	case predicate.OpAnd, predicate.OpOr:
		if (f.Op == predicate.OpAnd) == negated {
			return nil
		}
		for i := range f.Terms {
			atoms = union(atoms, b.refuting(&f.Terms[i], negated))
		}
		return atoms
	case predicate.OpTest:
		if fact := b.fact(f.Test, false); negated && fact.known && fact.exact {
			return fact.atoms
		}
	}
	return nil
}

// fact is the fact of a test with its atoms by number.
type fact struct {
	atoms clause
	known bool
	exact bool
}

type factKey struct {
	node    predicate.Node
	negated bool
}

// fact returns the fact of a test.
func (b *builder) fact(n predicate.Node, negated bool) fact {
	key := factKey{predicate.Bare(n), negated}
	f, ok := b.facts[key]
	if ok {
		return f
	}
	from := predicate.FactOf(key.node, negated)
	f = fact{known: from.Known && len(from.Clause) <= maxAtoms, exact: from.Exact}
	if f.known {
		for _, a := range from.Clause {
			f.atoms = append(f.atoms, b.atom(a))
		}
		slices.Sort(f.atoms)
		f.atoms = slices.Compact(f.atoms)
	}
	b.facts[key] = f
	return f
}

// rank orders clauses by the price of finding out whether they hold, before their selectivity.
type rank uint8

const (
	rankValue  rank = iota // a look-up of a value that few events have
	rankPrefix             // a search in the beginning or end of a text
	rankSearch             // a search through a text
	rankCommon             // a fact about many events
	rankLast               // a fact about nearly all events
)

// estimate is the expected usefulness of a clause. The smaller is the better.
type estimate struct {
	rank  rank
	share float64 // of the events for which it holds
}

func (e estimate) compare(o estimate) int {
	switch {
	case e.rank != o.rank:
		return int(e.rank) - int(o.rank)
	case e.share < o.share:
		return -1
	case e.share > o.share:
		return 1
	}
	return 0
}

// Bounds of the estimated share of events by which a look-up of a value is ranked.
const (
	fewEvents  = 0.25
	mostEvents = 0.6
)

// estimate estimates a clause by the uses of its atoms: values of many rules are values of many events. The events
// themselves are unknown when a Set is built.
func (b *builder) estimate(c clause, uses *useCount) (e estimate) {
	for _, a := range c {
		r, share := b.estimateAtom(&b.atoms[a], a, uses)
		e.rank, e.share = max(e.rank, r), e.share+share
	}
	switch {
	case e.share > mostEvents:
		e.rank = rankLast
	case e.rank == rankValue && e.share > fewEvents:
		e.rank = rankCommon
	}
	return e
}

func (b *builder) estimateAtom(a *atom, n int32, uses *useCount) (rank, float64) {
	switch a.Kind {
	case predicate.AtomText, predicate.AtomFold, predicate.AtomNumber:
		const prior = 200 // a few rules show nothing of the events
		share := (float64(uses.atoms[n]) + 1) / (float64(uses.slots[a.slot]) + prior)
		return rankValue, max(share, a.commonness)
	case predicate.AtomPrefix, predicate.AtomSuffix:
		return rankPrefix, textShare(len(a.Text))
	case predicate.AtomContains:
		return rankSearch, textShare(len(a.Text))
	case predicate.AtomRange:
		if math.IsInf(a.Low, 0) || math.IsInf(a.High, 0) {
			return rankCommon, 0.5
		}
		return rankCommon, 0.35
	case predicate.AtomBool:
		return rankCommon, 0.5
	case predicate.AtomKinds:
		return rankValue, kindShare(a.Kinds)
	case predicate.AtomNetwork:
		return rankValue, 0.2 / float64(1+a.Network.Bits())
	}
	return rankValue, 0.05 // a list or an element of one
}

// textShare returns the estimated share of texts that contain a text of n bytes.
func textShare(n int) float64 { return 0.5 / float64(1+n/3) }

// kindShare returns the estimated share of values of the kinds. Those that exclude texts are of values that a rule does not
// expect.
func kindShare(m predicate.KindMask) float64 {
	if predicate.IsUnexpected(m) {
		return 0.001
	}
	return 0.5
}

// compareAlone compares clauses without the other conditions.
func (b *builder) compareAlone(x, y clause) int {
	none := &useCount{}
	return b.estimate(x, none).compare(b.estimate(y, none))
}

// useCount counts the conditions that have an atom in a clause, by atom and by slot.
type useCount struct {
	atoms map[int32]int
	slots map[int32]int
}
