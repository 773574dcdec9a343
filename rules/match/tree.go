package match

import (
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// tree finds candidates. Each condition is below an edge for each atom of one of its clauses, so an event for which the
// condition holds takes one of these edges. Below an edge, the conditions are divided in the same way by their
// remaining clauses. A node is only visited if the atoms on the way to it hold.
type tree struct {
	nodes     []node
	conds     []uint32 // of the nodes, one after another: they are candidates if the node is visited
	edges     []treeEdge
	probes    []uint32 // of the nodes: the probes that their edges need
	intervals []intervals
	children  edgeTable // the edges of large nodes
}

type node struct {
	conds, edges, probes, intervals span
	large                           bool // find the edges with tree.children
}

// span is a part of a slice.
type span struct{ from, to uint32 }

type treeEdge struct{ atom, child uint32 }

// smallNode is the number of edges up to which trying all of them is faster than looking up the atoms that hold.
const smallNode = 6

// visit evaluates the candidates of a node and visits its children.
func (t *tree) visit(n uint32, e *schema.Event, s *Scratch, out []int32) []int32 {
	x := s.index
	at := &t.nodes[n]
	for _, c := range t.conds[at.conds.from:at.conds.to] {
		out = x.candidate(c, e, s, out)
	}
	probes := t.probes[at.probes.from:at.probes.to]
	for _, p := range probes {
		s.ensure(p)
	}
	if !at.large {
		for _, g := range t.edges[at.edges.from:at.edges.to] {
			if s.memo[g.atom] == s.epoch|known(predicate.True) {
				out = t.visit(g.child, e, s, out)
			}
		}
	} else {
		for _, p := range probes {
			r := &s.ran[p]
			for i := r.from; i < r.to; i++ {
				if child, ok := t.children.find(n, s.marked[i]); ok {
					out = t.visit(child, e, s, out)
				}
			}
		}
	}
	for i := at.intervals.from; i < at.intervals.to; i++ {
		v := &t.intervals[i]
		if f, ok := s.number(v.slot); ok {
			out = t.stab(v.items, f, e, s, out)
		}
	}
	return out
}

// stab visits the children of the intervals that contain a number.
func (t *tree) stab(items []interval, f float64, e *schema.Event, s *Scratch, out []int32) []int32 {
	for len(items) > 0 {
		mid := len(items) / 2
		v := &items[mid]
		if f > v.highest {
			return out
		}
		out = t.stab(items[:mid], f, e, s, out)
		if f < v.low {
			return out
		}
		if f <= v.high {
			out = t.visit(v.child, e, s, out)
		}
		items = items[mid+1:]
	}
	return out
}

// edgeTable is a hash table of the edges of large nodes, with open addressing.
type edgeTable struct {
	keys     []uint64 // node << 32 | atom + 1; 0: empty
	children []uint32
	shift    uint
}

func newEdgeTable(n int) edgeTable {
	bits := uint(4)
	for 1<<bits < 2*n {
		bits++
	}
	return edgeTable{make([]uint64, 1<<bits), make([]uint32, 1<<bits), 64 - bits}
}

func edgeKey(node, atom uint32) uint64 { return uint64(node)<<32 | uint64(atom) + 1 }

// slot returns the first place for a key: Fibonacci hashing.
func (t *edgeTable) slot(key uint64) uint64 { return key * 0x9e3779b97f4a7c15 >> t.shift }

func (t *edgeTable) add(node, atom, child uint32) {
	key := edgeKey(node, atom)
	mask := uint64(len(t.keys) - 1)
	i := t.slot(key)
	for t.keys[i] != 0 {
		i = (i + 1) & mask
	}
	t.keys[i], t.children[i] = key, child
}

func (t *edgeTable) find(node, atom uint32) (child uint32, ok bool) {
	key := edgeKey(node, atom)
	mask := uint64(len(t.keys) - 1)
	for i := t.slot(key); t.keys[i] != 0; i = (i + 1) & mask {
		if t.keys[i] == key {
			return t.children[i], true
		}
	}
	return 0, false
}
