package match

import (
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
	tests     map[predicate.Node]uint32 // -> index in Index.tests
	numbers   map[place]uint32          // of the atoms in the index
	formulas  []predicate.Formula       // by condition
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
	x := &Index{size: len(conds), planned: make([]planned, len(conds)), condAt: make(map[*predicate.Cond]uint32, len(conds))}
	for i, c := range conds {
		if c == nil {
			continue
		}
		at, ok := x.condAt[c]
		if !ok {
			at = uint32(len(x.conds))
			x.condAt[c] = at
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
		numbers: map[place]uint32{},
	}
	b.build()
	return x
}

// build finds the clauses of the conditions, and then makes the columns and programs.
func (b *builder) build() {
	x := b.x
	clauses := make([][]clause, len(x.conds))
	for i := range x.conds {
		c := &x.conds[i]
		f := c.cond.Formula()
		b.formulas = append(b.formulas, f)
		clauses[i] = b.clauses(&f, false)
		if d := c.datasets(); d != nil {
			clauses[i] = append(clauses[i], b.datasetClause(d))
		}
		clauses[i] = b.bestClauses(clauses[i])
	}
	uses := b.countUses(clauses)
	var all []filed
	for i := range x.conds {
		f, ok := b.file(uint32(i), clauses[i], uses)
		if ok {
			all = append(all, f)
		}
		b.plan(uint32(i), &f)
	}
	b.columns(b.arrange(all))
	for i := range b.atoms {
		x.facts = append(x.facts, b.atoms[i].Atom)
	}
	b.programs()
}

// countUses counts the atoms of all clauses.
func (b *builder) countUses(all [][]clause) *useCount {
	u := &useCount{atoms: map[int32]int{}, slots: map[int32]int{}}
	for _, cs := range all {
		for _, c := range cs {
			for _, a := range c {
				u.atoms[a]++
				u.slots[b.atoms[a].slot]++
			}
		}
	}
	return u
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
		x.conds[i].start = c.code(&b.formulas[i], stepTrue, stepFalse)
		x.conds[i].first = uint32(len(x.steps))
		x.steps = append(x.steps, c.steps...)
	}
	x.steps = slices.Clip(x.steps)
}

// test returns the number of a test.
func (b *builder) test(f *predicate.Formula) uint32 {
	bare := predicate.Bare(f.Test)
	if n, ok := b.tests[bare]; ok {
		return n
	}
	t := test{node: f.Test}
	if f.Op == predicate.OpOr {
		t = b.alternatives(f)
	} else if fact := b.fact(f.Test, false); fact.known {
		t.guards, t.exact = b.guards(fact.atoms), fact.exact
	}
	n := uint32(len(b.x.tests))
	b.tests[bare] = n
	b.x.tests = append(b.x.tests, t)
	return n
}

// maxGuards is the number of atoms up to which asking for them is faster than the test.
const maxGuards = 64

// guards returns the numbers of atoms in the index; nil if one of them is not in it.
func (b *builder) guards(atoms clause) (out []uint32) {
	if len(atoms) > maxGuards {
		return nil
	}
	for _, a := range atoms {
		n, ok := b.numbers[place{a, false}]
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
	var terms []uint32
	for i := range f.Terms {
		if f.Terms[i].Op != predicate.OpTest {
			return t
		}
		terms = append(terms, b.test(&f.Terms[i]))
	}
	t.terms = terms
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

// probe returns the probe of a part of a slot for atoms, which have their numbers.
func (b *builder) probe(slot int32, pt part, of []int32, several bool) probe {
	p := probe{slot: slot, part: pt, bools: [2]int32{-1, -1}}
	var texts []string
	var atoms []int32
	networks := map[int]*networkAtoms{}
	for _, n := range of {
		a, final := &b.atoms[n], int32(b.numbers[place{n, several}])
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
		case predicate.AtomRange:
			if several {
				p.ranges = append(p.ranges, rangeAtom{a.Low, a.High, final})
			}
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
