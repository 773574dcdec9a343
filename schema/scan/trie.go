package scan

import "math/bits"

// Trie is the paths that one Select looks for: immutable after the last Add, shared by workers. The zero Trie is empty
// and ready.
type Trie struct {
	root   *node // the value itself, nil where no path was added
	places int
}

// node is one key of the paths.
type node struct {
	place    int     // in Select's out, -1 where no path ends here
	open     bool    // what stands here is looked into: an Index notes it
	records  bool    // an array here is one of records: the whole trie looks into its elements
	children []child // wanted keys of the object here
	slots    []slot  // of them: by the hash of a key as far as it fits, or the next free one; a power of two of them
}

// child is one wanted key.
type child struct {
	key  string
	node *node
}

// slot is where a wanted key is looked for: all that tells most keys stands together.
type slot struct {
	ends
	length int32 // of the key
	child  int32 // index in children
	node   *node // nil: nothing is here
}

// maxChildren is how many keys of one object paths may name: far more than anybody asks for.
const maxChildren = 1<<16 - 2

// Add adds a path of object keys and returns its place in Select's out. A path may be a prefix of another; the empty
// path is the value itself; a path that was added before keeps its place. It panics where one object would have more
// than 65,534 wanted keys.
func (t *Trie) Add(path ...string) int {
	n := t.at(path)
	if n.place < 0 {
		n.place = t.places
		t.places++
	}
	return n.place
}

// Open is Add for a value that whoever finds it looks into: Found.Select notes in its Index what stands inside.
func (t *Trie) Open(path ...string) int {
	place := t.Add(path...)
	t.at(path).open = true
	return place
}

// OpenRecords is Open for an array whose elements are to be selected as values of their own: Found.Select finds, in the pass
// over all, what Found.SelectAt is asked for of each. At the empty path it is the value itself where that is an array.
func (t *Trie) OpenRecords(path ...string) int {
	place := t.Add(path...)
	n := t.at(path)
	n.records, n.open = true, len(path) > 0
	return place
}

// at returns the node of a path, made where there is none.
func (t *Trie) at(path []string) *node {
	if t.root == nil {
		t.root = &node{place: -1}
	}
	n := t.root
	for _, key := range path {
		n = n.below(key)
	}
	return n
}

// Find returns the place of the path of one key, -1 where there is none.
func (t *Trie) Find(key string) int {
	if t.root == nil {
		return -1
	}
	if s := t.root.match(key, 0, len(key), 0); s != nil {
		return s.node.place
	}
	return -1
}

// Len returns the number of places.
func (t *Trie) Len() int { return t.places }

// below returns the node of a key of the object at n, made where there is none.
func (n *node) below(key string) *node {
	if s := n.match(key, 0, len(key), 0); s != nil {
		return s.node
	}
	if len(n.children) == maxChildren {
		panic("BUG: too many wanted keys in one object")
	}
	made := &node{place: -1}
	n.children = append(n.children, child{key, made})
	if len(n.slots) < slotsPerKey*len(n.children) {
		n.slots = make([]slot, max(2*len(n.slots), slotsPerKey))
		for i := range n.children {
			n.slot(i)
		}
	} else {
		n.slot(len(n.children) - 1)
	}
	return made
}

// slotsPerKey is how many slots a node has for each key, at least: so most keys that are not wanted meet none.
const slotsPerKey = 4

// slot puts child i into a free slot.
func (n *node) slot(i int) {
	c := &n.children[i]
	e := endsOf(c.key, 0, len(c.key))
	at := e.hash(len(c.key))
	for n.slots[at&(len(n.slots)-1)].node != nil {
		at++
	}
	n.slots[at&(len(n.slots)-1)] = slot{e, int32(len(c.key)), int32(i), c.node}
}

// match returns the slot of the key that is written as src[from:to] between its quotes, nil where it is not wanted.
func (n *node) match(src string, from, to int, v verdict) *slot {
	if v&escaped != 0 {
		return n.findEscaped(src[from:to])
	}
	if len(n.slots) == 0 {
		return nil
	}
	length := to - from
	var e ends
	switch { // endsOf, without a call for nearly all keys
	case length >= 8:
		e = ends{load8(src[from:]), load8(src[to-8:])}
	case len(src)-from >= 8:
		e.first = load8(src[from:]) & (1<<(8*length&63) - 1)
	default:
		e = endsOf(src, from, to)
	}
	for at := e.hash(length); ; at++ {
		s := &n.slots[at&(len(n.slots)-1)]
		if s.node == nil {
			return nil
		}
		if s.ends == e && int(s.length) == length && (length <= 16 || n.children[s.child].key == src[from:to]) {
			return s
		}
	}
}

// findEscaped is match for a key that is written with escapes.
func (n *node) findEscaped(raw string) *slot {
	for i := range n.children {
		if key := n.children[i].key; spells(raw, key) {
			return n.match(key, 0, len(key), 0)
		}
	}
	return nil
}

// ends are the first and the last 8 bytes of a key, which may share some; of one of less than 8 bytes, all and 0. A key of
// at most 16 bytes is nothing else.
type ends struct{ first, last uint64 }

// endsOf returns the ends of src[from:to].
func endsOf(src string, from, to int) (e ends) {
	if to-from >= 8 {
		return ends{load8(src[from:]), load8(src[to-8:])}
	}
	for i := to - 1; i >= from; i-- {
		e.first = e.first<<8 | uint64(src[i])
	}
	return e
}

// hash is cheap, and good enough for the keys of one object; n is the key's length.
func (e ends) hash(n int) int {
	h := uint64(n) + (e.first ^ bits.RotateLeft64(e.last, 29))
	return int(h * 0x9e3779b97f4a7c15 >> 40) // the golden ratio: it spreads what is near over all bits
}
