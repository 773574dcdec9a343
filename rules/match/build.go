package match

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// builder builds an Index.
type builder struct {
	x         *Index
	slotAt    map[string]int32          // by key
	slotOfPtr map[*predicate.Slot]int32 // the same, without making the key
	atoms     []atom                    // by number while the index is built
	atomAt    map[atomKey]int32         // -> index in atoms
	facts     map[factKey]fact          // of the tests met so far
	tests     map[predicate.Node]uint32 // literals of tests
	exact     map[int32]bool            // the atoms that programs have as literals
	used      map[int32]bool            // the atoms of edges
	numbers   map[int32]uint32          // final numbers of the atoms in the index
	clausesOf [][]clause                // by condition
	coders    []predicate.Formula       // by condition
}

// atom is an atom with its slot's number.
type atom struct {
	predicate.Atom
	slot       int32
	commonness float64 // see predicate.Commonness
}

// atomKey is equal for atoms that are the same fact.
type atomKey struct {
	slot      int32
	kind      predicate.AtomKind
	kinds     predicate.KindMask
	text      string
	low, high float64
	network   netip.Prefix
	list      predicate.List
}

// Build returns an index over conditions, which must all be of one environment. datasets[i] restricts conds[i] to events of
// these datasets; if it is empty, or datasets is nil, any dataset will do. A nil condition never holds. The numbers that Eval
// returns are indexes in conds.
func Build(conds []*predicate.Cond, datasets [][]string) *Index {
	x := &Index{size: len(conds), planned: make([]planned, len(conds))}
	known := make(map[*predicate.Cond]int, len(conds)) // condition -> index in x.conds
	for i, c := range conds {
		if c == nil {
			continue
		}
		at, ok := known[c]
		if !ok {
			at = len(x.conds)
			known[c] = at
			x.conds = append(x.conds, cond{cond: c})
		}
		u := user{number: int32(i)}
		if datasets != nil {
			u.datasets = datasets[i]
		}
		x.conds[at].users = append(x.conds[at].users, u)
	}
	b := &builder{
		x: x, slotAt: map[string]int32{}, slotOfPtr: map[*predicate.Slot]int32{}, atomAt: map[atomKey]int32{},
		facts: map[factKey]fact{}, tests: map[predicate.Node]uint32{},
		exact: map[int32]bool{}, used: map[int32]bool{}, numbers: map[int32]uint32{},
	}
	b.build()
	return x
}

// build finds the clauses, then the tree, which determines the atoms that the index looks up, and then the probes and the
// programs.
func (b *builder) build() {
	x := b.x
	for i := range x.conds {
		c := &x.conds[i]
		f := c.cond.Formula()
		b.coders = append(b.coders, f)
		clauses := b.clauses(&f, false)
		if d := c.datasets(); d != nil {
			clauses = append(clauses, b.datasetClause(d))
		}
		b.clausesOf = append(b.clausesOf, b.bestClauses(clauses))
	}
	b.tree()
	for i := range b.atoms {
		x.facts = append(x.facts, b.atoms[i].Atom)
	}
	b.probes()
	b.programs()
}

// datasets returns the datasets of the users, nil if one of them accepts any.
func (c *cond) datasets() (all []string) {
	for _, u := range c.users {
		if len(u.datasets) == 0 {
			return nil
		}
		all = append(all, u.datasets...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (b *builder) datasetClause(datasets []string) (c clause) {
	slot := &predicate.Slot{Source: predicate.FromField, At: int(schema.EventDataset), Type: schema.TypeString}
	for _, d := range datasets {
		c = union(c, clause{b.atom(predicate.Atom{Slot: slot, Kind: predicate.AtomText, Text: d})})
	}
	return c
}

// bestClauses returns at most maxClauses clauses, the most selective.
func (b *builder) bestClauses(all []clause) []clause {
	if len(all) > maxClauses {
		slices.SortStableFunc(all, b.compareAlone)
		all = all[:maxClauses]
	}
	return all
}

// slot returns the number of a slot.
func (b *builder) slot(s *predicate.Slot) int32 {
	if n, ok := b.slotOfPtr[s]; ok {
		return n
	}
	n, ok := b.slotAt[s.Key()]
	if !ok {
		n = int32(len(b.x.slots))
		b.slotAt[s.Key()] = n
		b.x.slots = append(b.x.slots, s)
	}
	b.slotOfPtr[s] = n
	return n
}

// atom returns the number of an atom.
func (b *builder) atom(a predicate.Atom) int32 {
	key := atomKey{b.slot(a.Slot), a.Kind, a.Kinds, a.Text, a.Low, a.High, a.Network, a.List}
	n, ok := b.atomAt[key]
	if !ok {
		n = int32(len(b.atoms))
		b.atomAt[key] = n
		b.atoms = append(b.atoms, atom{a, key.slot, predicate.Commonness(a.Slot)})
	}
	return n
}

// programs writes the programs of all conditions.
func (b *builder) programs() {
	x := b.x
	for i := range x.conds {
		c := coder{b: b}
		x.conds[i].start = c.code(&b.coders[i], stepTrue, stepFalse)
		x.conds[i].first = uint32(len(x.steps))
		x.steps = append(x.steps, c.steps...)
	}
	x.steps = slices.Clip(x.steps)
}

// literal returns the literal of a test: an atom that decides it, or the test.
func (b *builder) literal(f *predicate.Formula) uint32 {
	bare := predicate.Bare(f.Test)
	if n, ok := b.tests[bare]; ok {
		return n
	}
	fact := b.fact(f.Test, false)
	if a := b.decisive(fact); a >= 0 {
		n := b.numbers[a]
		b.tests[bare] = n
		return n
	}
	t := test{node: f.Test, exact: fact.exact}
	if f.Op == predicate.OpOr {
		t = b.alternatives(f)
	} else if fact.known {
		t.guards = b.guards(fact.atoms)
	}
	n := b.x.atoms + uint32(len(b.x.tests))
	b.tests[bare] = n
	b.x.tests = append(b.x.tests, t)
	return n
}

// decisive returns the atom that decides a test with the fact; -1 if there is none.
func (b *builder) decisive(f fact) int32 {
	if f.known && f.exact && len(f.atoms) == 1 {
		if a := &b.atoms[f.atoms[0]]; partOf(a.Kind) == partValue && a.Kind != predicate.AtomRange {
			return f.atoms[0]
		}
	}
	return -1
}

// maxGuards is the number of atoms up to which asking for them is faster than the test.
const maxGuards = 64

// guards returns the numbers of atoms in the index; nil if one of them is not in it.
func (b *builder) guards(atoms clause) (out []uint32) {
	if len(atoms) > maxGuards {
		return nil
	}
	for _, a := range atoms {
		n, ok := b.numbers[a]
		if !ok {
			return nil
		}
		out = append(out, n)
	}
	return out
}

// alternatives returns the test of a || of searches.
func (b *builder) alternatives(f *predicate.Formula) test {
	t := test{node: f.Test}
	var all clause
	for i := range f.Terms {
		cs := b.clauses(&f.Terms[i], false)
		if len(cs) == 0 {
			return t
		}
		all = union(all, slices.MinFunc(cs, b.compareAlone))
	}
	if t.guards = b.guards(all); t.guards == nil {
		return t
	}
	for i := range f.Terms {
		if f.Terms[i].Op != predicate.OpTest {
			return t
		}
		t.terms = append(t.terms, b.literal(&f.Terms[i]))
	}
	return t
}

func partOf(k predicate.AtomKind) part {
	switch k {
	case predicate.AtomPrefix:
		return partPrefix
	case predicate.AtomSuffix:
		return partSuffix
	case predicate.AtomContains:
		return partContains
	}
	return partValue
}

// probes numbers the atoms and builds the probes: those of edges, and those that decide a test by a look-up of a value.
func (b *builder) probes() {
	for i := range b.coders {
		b.decide(&b.coders[i])
	}
	type place struct {
		slot int32
		part part
	}
	byPlace := map[place][]int32{}
	var places []place
	for n := range int32(len(b.atoms)) {
		a := &b.atoms[n]
		if a.Kind == predicate.AtomRange || !b.used[n] && !b.exact[n] {
			continue
		}
		p := place{a.slot, partOf(a.Kind)}
		if byPlace[p] == nil {
			places = append(places, p)
		}
		byPlace[p] = append(byPlace[p], n)
	}
	slices.SortFunc(places, func(p, q place) int { return cmp.Or(cmp.Compare(p.slot, q.slot), cmp.Compare(p.part, q.part)) })
	x := b.x
	for _, p := range places {
		for _, n := range byPlace[p] {
			b.numbers[n] = x.atoms
			x.probe = append(x.probe, uint32(len(x.probes)))
			x.atoms++
		}
		x.probes = append(x.probes, b.probe(p.slot, p.part, byPlace[p]))
	}
	b.renumber()
}

// decide collects the atoms that decide tests.
func (b *builder) decide(f *predicate.Formula) {
	if f.Test != nil && f.Op == predicate.OpTest {
		if a := b.decisive(b.fact(f.Test, false)); a >= 0 {
			b.exact[a] = true
		}
	}
	for i := range f.Terms {
		b.decide(&f.Terms[i])
	}
}

// probe returns the probe of a part of a slot, with the atoms of the numbers.
func (b *builder) probe(slot int32, pt part, numbers []int32) probe {
	p := probe{slot: slot, part: pt, bools: [2]int32{-1, -1}}
	var texts []string
	var atoms []int32
	networks := map[int]*networkAtoms{}
	for _, n := range numbers {
		a, final := &b.atoms[n], int32(b.numbers[n])
		switch a.Kind {
		case predicate.AtomPrefix, predicate.AtomSuffix, predicate.AtomContains:
			texts, atoms = append(texts, a.Text), append(atoms, final)
		case predicate.AtomText:
			put(&p.texts, a.Text, final)
		case predicate.AtomFold:
			put(&p.folds, a.Text, final)
		case predicate.AtomElement:
			put(&p.elements, a.Text, final)
		case predicate.AtomNumber:
			put(&p.numbers, a.Low, final)
		case predicate.AtomBool:
			p.bools[int(a.Low)] = final
		case predicate.AtomKinds:
			p.kinds = append(p.kinds, kindAtom{a.Kinds, final})
		case predicate.AtomList:
			p.lists = append(p.lists, listAtom{a.List, final})
		case predicate.AtomNetwork:
			of := networks[a.Network.Bits()]
			if of == nil {
				of = &networkAtoms{bits: a.Network.Bits()}
				networks[of.bits] = of
			}
			put(&of.atoms, a.Network, final)
		}
	}
	for bits := range 129 {
		if of := networks[bits]; of != nil {
			p.networks = append(p.networks, *of)
		}
	}
	switch pt {
	case partPrefix, partSuffix:
		p.prefixes = newPrefixes(texts, atoms, pt == partSuffix)
	case partContains:
		p.contains = newAutomaton(texts, atoms)
	}
	return p
}

func put[K comparable](m *map[K]int32, key K, atom int32) {
	if *m == nil {
		*m = map[K]int32{}
	}
	if text, ok := any(key).(string); ok {
		key = any(strings.Clone(text)).(K)
	}
	(*m)[key] = atom
}
