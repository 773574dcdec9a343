package match

import (
	"slices"

	"github.com/aidr-engine/aidr/rules/predicate"
)

// pending is a condition on its way down the tree: it is below edges of some of its clauses.
type pending struct {
	cond uint32
	done uint32 // bit i is set if an atom of clause i holds on the way
}

// Limits of the tree.
const (
	// smallGroup is the number of conditions that are evaluated rather than divided further.
	smallGroup = 4
	// searchGroup is the number of conditions for which a text is searched below the root, where an edge for a look-up of a
	// value is not available. For fewer, their own tests are cheaper.
	searchGroup = 8
)

// tree builds the tree.
func (b *builder) tree() {
	var all []pending
	for i := range b.x.conds {
		if !slices.ContainsFunc(b.clausesOf[i], func(c clause) bool { return len(c) == 0 }) { // else it never holds
			all = append(all, pending{cond: uint32(i)})
		}
	}
	if len(all) == 0 {
		return
	}
	b.grow(all, true)
	b.x.tree.conds = slices.Clip(b.x.tree.conds)
}

// grow adds a node with the conditions and returns its number.
func (b *builder) grow(group []pending, root bool) uint32 {
	t := &b.x.tree
	n := uint32(len(t.nodes))
	t.nodes = append(t.nodes, node{})
	chosen := b.choose(group, root)
	var at node
	at.conds.from = uint32(len(t.conds))
	groups := map[int32][]pending{}
	var atoms []int32 // of the edges
	for i, p := range group {
		if chosen[i] < 0 {
			t.conds = append(t.conds, p.cond)
			if root {
				b.plan(p.cond, nil)
			}
			continue
		}
		c := b.clausesOf[p.cond][chosen[i]]
		if root {
			b.plan(p.cond, c)
		}
		for _, a := range c {
			if groups[a] == nil {
				atoms = append(atoms, a)
			}
			groups[a] = append(groups[a], pending{p.cond, p.done | b.satisfied(p.cond, a)})
		}
	}
	at.conds.to = uint32(len(t.conds))
	slices.Sort(atoms)
	ranges := map[int32]*intervals{}
	var edges []treeEdge
	for _, a := range atoms {
		child := b.grow(groups[a], false)
		if b.atoms[a].Kind == predicate.AtomRange {
			b.addInterval(ranges, a, child)
			continue
		}
		b.used[a] = true
		edges = append(edges, treeEdge{uint32(a), child})
	}
	at.edges.from = uint32(len(t.edges))
	t.edges = append(t.edges, edges...)
	at.edges.to = uint32(len(t.edges))
	at.large = len(edges) > smallNode
	at.intervals.from = uint32(len(t.intervals))
	for slot := range int32(len(b.x.slots)) {
		if v := ranges[slot]; v != nil {
			v.arrange()
			t.intervals = append(t.intervals, *v)
		}
	}
	at.intervals.to = uint32(len(t.intervals))
	t.nodes[n] = at
	return n
}

// satisfied returns the clauses of a condition that an atom satisfies.
func (b *builder) satisfied(cond uint32, atom int32) (done uint32) {
	for i, c := range b.clausesOf[cond] {
		if slices.Contains(c, atom) {
			done |= 1 << i
		}
	}
	return done
}

func (b *builder) addInterval(ranges map[int32]*intervals, n int32, child uint32) {
	a := &b.atoms[n]
	v := ranges[a.slot]
	if v == nil {
		v = &intervals{slot: a.slot}
		ranges[a.slot] = v
	}
	v.items = append(v.items, interval{low: a.Low, high: a.High, child: child})
}

// choose returns, for each condition of a group, the clause under which it is filed; -1 if it is evaluated in the node.
func (b *builder) choose(group []pending, root bool) []int {
	chosen := make([]int, len(group))
	for i := range chosen {
		chosen[i] = -1
	}
	if !root && len(group) <= smallGroup {
		return chosen
	}
	uses := b.countUses(group)
	searches := 0
	for i, p := range group {
		var best estimate
		for n, c := range b.clausesOf[p.cond] {
			if p.done&(1<<n) != 0 {
				continue
			}
			e := b.estimate(c, uses)
			if !root && e.rank == rankLast {
				continue
			}
			if chosen[i] < 0 || e.compare(best) < 0 {
				chosen[i], best = n, e
			}
		}
		if chosen[i] >= 0 && (best.rank == rankSearch || best.rank == rankPrefix) {
			searches++
		}
	}
	if root || searches == 0 || searches >= searchGroup {
		return chosen
	}
	for i, p := range group {
		if chosen[i] >= 0 {
			if e := b.estimate(b.clausesOf[p.cond][chosen[i]], uses); e.rank == rankSearch || e.rank == rankPrefix {
				chosen[i] = -1
			}
		}
	}
	return chosen
}

// countUses counts the atoms of the clauses that are left.
func (b *builder) countUses(group []pending) *useCount {
	u := &useCount{atoms: map[int32]int{}, slots: map[int32]int{}}
	for _, p := range group {
		for n, c := range b.clausesOf[p.cond] {
			if p.done&(1<<n) != 0 {
				continue
			}
			for _, a := range c {
				u.atoms[a]++
				u.slots[b.atoms[a].slot]++
			}
		}
	}
	return u
}

// renumber replaces the numbers of atoms in the tree by those in the index, lists the probes of each node, and fills
// the table of the edges of large nodes.
func (b *builder) renumber() {
	x := b.x
	t := &x.tree
	count := 0
	for i := range t.nodes {
		if at := &t.nodes[i]; at.large {
			count += int(at.edges.to - at.edges.from)
		}
	}
	t.children = newEdgeTable(count)
	for i := range t.nodes {
		at := &t.nodes[i]
		at.probes.from = uint32(len(t.probes))
		for j := at.edges.from; j < at.edges.to; j++ {
			g := &t.edges[j]
			g.atom = b.numbers[int32(g.atom)]
			if p := x.probe[g.atom]; !slices.Contains(t.probes[at.probes.from:], p) {
				t.probes = append(t.probes, p)
			}
			if at.large {
				t.children.add(uint32(i), g.atom, g.child)
			}
		}
		at.probes.to = uint32(len(t.probes))
		slices.Sort(t.probes[at.probes.from:])
	}
}
