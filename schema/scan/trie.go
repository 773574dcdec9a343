package scan

import (
	"encoding/binary"
	"math/bits"
)

// Trie is the set of paths that Select looks for. Each path has a place, the number of its span in the result. A Trie is
// immutable after the last Add, and workers share it. The zero Trie is empty and ready to use.
type Trie struct {
	root   *node // the value itself; nil if no path was added
	places int
	nodes  int // number of nodes
}

// node is one key in the paths, or the root.
type node struct {
	number   int     // among the nodes of the trie
	place    int     // place of the path that ends here, or -1
	open     bool    // the values inside the value here are indexed
	records  bool    // if the value here is an array, it is an array of records
	children []child // wanted keys of the object here
	// buckets is a hash table of children with linear probing: a key is in the bucket of its hash, or in the next free one.
	// Its length is a power of two.
	buckets []bucket
	longest int // length in bytes of the longest key of children
	// bare is the number of this node among those of the object's wanted keys that were added without a place. bares is the
	// number of such nodes below this one.
	bare, bares int
}

// child is one wanted key.
type child struct {
	key  string
	node *node
}

// bucket holds one wanted key. The fields that distinguish most keys are together in it, so that most comparisons read no
// other memory.
type bucket struct {
	ends
	length int32 // of the key
	child  int32 // index in children
	node   *node // nil if the bucket is empty
}

// maxChildren is the largest number of wanted keys in one object, far more than the paths of all formats name.
const maxChildren = 1<<16 - 2

// Add adds a path of object keys and returns its place. A path may be a prefix of another. The empty path is the value
// itself. A path that was added before keeps its place. Add panics if one object would have more than 65,534 wanted keys.
func (t *Trie) Add(path ...string) int {
	n := t.nodeAt(path)
	if n.place < 0 {
		n.place = t.places
		t.places++
	}
	return n.place
}

// Open is Add for a value that the caller looks into: Found.Select also indexes the values inside it.
func (t *Trie) Open(path ...string) int {
	place := t.Add(path...)
	t.nodeAt(path).open = true
	return place
}

// OpenRecords is Open for an array of records, whose elements the caller passes to Found.SelectAt one after another.
// Found.Select selects from all of them in its one pass. The empty path is the value itself, if that is an array.
func (t *Trie) OpenRecords(path ...string) int {
	place := t.Add(path...)
	n := t.nodeAt(path)
	n.records, n.open = true, len(path) > 0
	return place
}

// nodeAt returns the node of a path and creates it if necessary. A node that it creates at the end of the path must get a
// place.
func (t *Trie) nodeAt(path []string) *node {
	if t.root == nil {
		t.root = &node{place: -1}
		t.nodes = 1
	}
	n := t.root
	for i, key := range path {
		known := len(n.children)
		parent := n
		if n = n.nodeFor(key, i < len(path)-1); len(parent.children) > known {
			n.number = t.nodes
			t.nodes++
		}
	}
	return n
}

// Find returns the place of the path that consists of one key, or -1 if that path was not added.
func (t *Trie) Find(key string) int {
	if t.root == nil {
		return -1
	}
	if s := t.root.match(key, 0, len(key), 0); s != nil {
		return s.node.place
	}
	return -1
}

// leaf reports whether the node has a place, and its value is only selected: nothing inside it is wanted or indexed.
func (n *node) leaf() bool { return n.place >= 0 && len(n.children) == 0 && !n.open && !n.records }

// Len returns the number of places.
func (t *Trie) Len() int { return t.places }

// nodeFor returns the node of a key of the object at n and creates it if necessary. bare is set if it gets no place for now.
func (n *node) nodeFor(key string, bare bool) *node {
	if s := n.match(key, 0, len(key), 0); s != nil {
		return s.node
	}
	if len(n.children) == maxChildren {
		panic("BUG: too many wanted keys in one object")
	}
	created := &node{place: -1}
	if bare {
		created.bare = n.bares
		n.bares++
	}
	n.children = append(n.children, child{key, created})
	n.longest = max(n.longest, len(key))
	if len(n.buckets) < bucketsPerKey*len(n.children) {
		n.buckets = make([]bucket, max(2*len(n.buckets), bucketsPerKey))
		for i := range n.children {
			n.insert(i)
		}
	} else {
		n.insert(len(n.children) - 1)
	}
	return created
}

// bucketsPerKey is the least number of buckets for each wanted key. With so many, the hash of most other keys leads to an
// empty bucket.
const bucketsPerKey = 4

// insert puts child i into a free bucket.
func (n *node) insert(i int) {
	c := &n.children[i]
	e := endsOf(c.key, 0, len(c.key))
	at := e.hash(len(c.key))
	for n.buckets[at&(len(n.buckets)-1)].node != nil {
		at++
	}
	n.buckets[at&(len(n.buckets)-1)] = bucket{e, int32(len(c.key)), int32(i), c.node}
}

// match returns the bucket of the key that is written as src[from:to] between its quotes, or nil if the key is not wanted.
// v is the verdict of the key.
func (n *node) match(src string, from, to int, v verdict) *bucket {
	if v&escaped != 0 {
		return n.findEscaped(src[from:to])
	}
	if len(n.buckets) == 0 {
		return nil
	}
	length := to - from
	var e ends
	switch { // endsOf, without a call for almost all keys
	case length >= 8:
		e = ends{load8(src[from:]), load8(src[to-8:])}
	case len(src)-from >= 8:
		e.first = load8(src[from:]) & (1<<(8*length&63) - 1)
	default:
		e = endsOf(src, from, to)
	}
	for at := e.hash(length); ; at++ {
		s := &n.buckets[at&(len(n.buckets)-1)]
		if s.node == nil {
			return nil
		}
		if s.ends == e && int(s.length) == length && (length <= 16 || n.children[s.child].key == src[from:to]) {
			return s
		}
	}
}

// maxEscapedKey is the length in bytes of the longest wanted key that an escaped key is looked up by its hash for. The
// keys of all formats are shorter; longer ones, which only a field map or a rule can have, are compared one by one.
const maxEscapedKey = 128

// findEscaped is match for a key that contains escape sequences. It spells the key once, and then looks it up like any
// other: comparing the escaped key with each wanted one cost a thousand comparisons for each key of an object.
func (n *node) findEscaped(raw string) *bucket {
	var buf [maxEscapedKey]byte
	length := spell(buf[:min(n.longest, maxEscapedKey)], raw)
	if length >= 0 {
		return n.matchText(buf[:length])
	}
	if n.longest <= maxEscapedKey {
		return nil
	}
	for i := range n.children {
		if key := n.children[i].key; len(key) > maxEscapedKey && spells(raw, key) {
			return n.match(key, 0, len(key), 0)
		}
	}
	return nil
}

// matchText is match for the text of a key. It does not keep the text.
func (n *node) matchText(text []byte) *bucket {
	if len(n.buckets) == 0 {
		return nil
	}
	// The conversion for a call of endsOf would allocate, so the ends are put together here.
	var e ends
	if len(text) >= 8 {
		e = ends{binary.LittleEndian.Uint64(text), binary.LittleEndian.Uint64(text[len(text)-8:])}
	} else {
		for i := len(text) - 1; i >= 0; i-- {
			e.first = e.first<<8 | uint64(text[i])
		}
	}
	for at := e.hash(len(text)); ; at++ {
		s := &n.buckets[at&(len(n.buckets)-1)]
		if s.node == nil {
			return nil
		}
		if s.ends == e && int(s.length) == len(text) && n.children[s.child].key == string(text) {
			return s
		}
	}
}

// ends holds the first and the last 8 bytes of a key, which overlap in a key of less than 16 bytes. A key of less than 8
// bytes is in first, and last is 0. Two keys of equal length, at most 16 bytes, are equal if their ends are.
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

// hash is cheap, and good enough for the keys of one object. n is the length of the key.
func (e ends) hash(n int) int {
	h := uint64(n) + (e.first ^ bits.RotateLeft64(e.last, 29))
	return int(h * 0x9e3779b97f4a7c15 >> 40) // 2^64 / golden ratio, which spreads similar values over all bits
}
