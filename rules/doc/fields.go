package doc

import (
	"slices"
	"strings"
)

// Fields reads a mapping whose keys are known. Get each, then call Done, which notes the keys that nobody asked for.
type Fields struct {
	node  *Node
	asked []string
}

// Fields begins to read a mapping. A node that is none gives an empty one, with a problem; so does nil, without.
func (n *Node) Fields() *Fields {
	f := &Fields{node: n}
	if n != nil && n.Kind != Map {
		n.wrong("a mapping", ": write key: value")
		f.node = nil
	}
	return f
}

// Get returns the value of a key, nil where it is not there.
func (f *Fields) Get(key string) *Node {
	f.asked = append(f.asked, key)
	if f.node == nil {
		return nil
	}
	for i, k := range f.node.names {
		if k.text == key {
			return f.node.items[i]
		}
	}
	return nil
}

// Need is Get of a key that has to be there.
func (f *Fields) Need(key string) *Node {
	n := f.Get(key)
	if n == nil && f.node != nil {
		f.node.Fail("%q is missing", key)
	}
	return n
}

// Name returns the key itself as a node, for problems that are about its being there; nil where it is not.
func (f *Fields) Name(key string) *Node {
	if f.node != nil {
		for _, k := range f.node.names {
			if k.text == key {
				return k
			}
		}
	}
	return nil
}

// Refuse notes, where the key is there, why it cannot be.
func (f *Fields) Refuse(key, cause string) {
	f.asked = append(f.asked, key)
	if k := f.Name(key); k != nil {
		k.Fail("%s", cause)
	}
}

// Pass asks for keys whose values are somebody else's.
func (f *Fields) Pass(keys ...string) { f.asked = append(f.asked, keys...) }

// Done notes every key that was not asked for.
func (f *Fields) Done() {
	if f.node == nil {
		return
	}
	for _, k := range f.node.names {
		if !slices.Contains(f.asked, k.text) {
			known := slices.Clone(f.asked)
			slices.Sort(known)
			k.Fail("unknown key%s; known are %s", didYouMean(k.text, known), strings.Join(slices.Compact(known), ", "))
		}
	}
}

// didYouMean is Nearest as the end of a sentence.
func didYouMean(word string, known []string) string {
	if at := Nearest(word, known); at != "" {
		return ": did you mean " + at + "?"
	}
	return ""
}

// Nearest returns the known word that is nearest to word, "" where none is near: at most two letters away, or three in a
// long one.
func Nearest(word string, known []string) string {
	best, at := 3, ""
	if len(word) > 12 {
		best = 4
	}
	for _, k := range known {
		if d := distance(word, k, best); d < best && d < len(k) {
			best, at = d, k
		}
	}
	return at
}

// distance is the Levenshtein distance of two short words, limit where it is not less or a word is long.
func distance(a, b string, limit int) int {
	const longest = 64 // bytes; keys are shorter, and a hostile one costs nothing
	if len(a) > longest || len(b) > longest || len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return min(row[len(b)], limit)
}
