package doc

import (
	"slices"
	"strings"
)

// Fields reads a mapping whose keys are fixed. Read each key with Get or Need, then call Done, which reports the unknown
// keys.
type Fields struct {
	node  *Node    // nil for an empty mapping
	known []string // the keys that were read
}

// Fields returns a reader of a mapping. For any other kind of node it records a problem and reads an empty mapping; for
// nil it reads an empty mapping.
func (n *Node) Fields() *Fields {
	f := &Fields{node: n}
	if n != nil && n.Kind != Map {
		n.wrong("a mapping", ": write key: value")
		f.node = nil
	}
	return f
}

// Get returns the value of a key, or nil if the key is absent.
func (f *Fields) Get(key string) *Node {
	f.known = append(f.known, key)
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

// Need is Get for a required key: if the key is absent, it records a problem.
func (f *Fields) Need(key string) *Node {
	n := f.Get(key)
	if n == nil && f.node != nil {
		f.node.Fail("%q is missing", key)
	}
	return n
}

// Name returns the key itself as a node, for problems with its presence rather than its value, or nil if it is absent.
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

// Refuse records a problem with the given cause if the key is present.
func (f *Fields) Refuse(key, cause string) {
	f.known = append(f.known, key)
	if k := f.Name(key); k != nil {
		k.Fail("%s", cause)
	}
}

// Allow accepts keys whose values are read elsewhere.
func (f *Fields) Allow(keys ...string) { f.known = append(f.known, keys...) }

// Done records a problem for each key that was neither read nor accepted.
func (f *Fields) Done() {
	if f.node == nil {
		return
	}
	for _, k := range f.node.names {
		if !slices.Contains(f.known, k.text) {
			known := slices.Clone(f.known)
			slices.Sort(known)
			k.Fail("unknown key%s; known are %s", didYouMean(k.text, known), strings.Join(slices.Compact(known), ", "))
		}
	}
}

// didYouMean returns the nearest known word as the end of a message, or "" if no word is near.
func didYouMean(word string, known []string) string {
	if near := Nearest(word, known); near != "" {
		return ": did you mean " + near + "?"
	}
	return ""
}

// Nearest returns the known word that word is probably a misspelling of: the first of those with the smallest
// Levenshtein distance, if that distance is at most 2 bytes, or 3 for a word of more than 12 bytes. Otherwise it returns
// "". Case matters.
func Nearest(word string, known []string) string {
	limit, nearest := 3, ""
	if len(word) > 12 {
		limit = 4
	}
	for _, k := range known {
		if d := distance(word, k, limit); d < limit && d < len(k) {
			limit, nearest = d, k
		}
	}
	return nearest
}

// distance returns the Levenshtein distance between two words, in bytes. It returns limit if the distance is not below
// limit or if a word is long.
func distance(a, b string, limit int) int {
	const longest = 64 // bytes; known words are shorter, and a long hostile word must cost nothing
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
