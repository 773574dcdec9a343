// Package formats holds what every log format needs to become events: the keys that tell a format, the record that its
// reader fills, the rules of normalisation, and the format aidr. The other formats are in gateway, cloud and llm, one
// file each; the list of all is in schema/decode.
//
// A new format is one file with a function that returns its Format, a line in that list, and cases of it in
// testdata/cases/decode.
package formats

import (
	"slices"

	"github.com/aidr-engine/aidr/schema/scan"
)

// Format is one log format: how it is told from others, and how its records are read. It is a value; nothing registers
// itself.
type Format struct {
	Name     string   // as in a source's configuration
	Aliases  []string // shorter names that mean the same
	Datasets []string // what event.dataset can be, sorted; empty for the format aidr, whose records say it
	Tells    []Tell   // any of them tells the format

	// Open returns a reader for one worker. It adds the paths that it looks at, from the top of a record.
	Open func(p *Paths) Reader
}

// Tell is one set of top-level keys that tells a format. What stands deeper in a record is content, which attackers
// write: it never tells anything.
type Tell struct {
	Keys []string // all of them have to be there, whatever their values

	// Path and Text, where given: the text that has to stand there, for formats that share their keys with others.
	Path []string
	Text string
}

// Reader makes events of records of one format: it fills r.Event and calls r.Emit once for each. It keeps nothing from
// one record to the next.
type Reader interface {
	Read(r *Record)
}

// Batch is a reader of records that hold many elements with something around them that all share. Each element is read
// as a record of its own, also by what stands at the paths.
type Batch interface {
	Reader

	// Split calls yield with each element, until it returns false. What stands around the element in hand is what Read
	// may look at beside it.
	Split(r *Record, yield func(element Node) bool)
}

// Paths collects the paths of all readers of one decoder, so that one pass over a record finds them all.
type Paths struct {
	trie   scan.Trie
	tree   pathNode
	shapes [][]string // the paths of Shape
}

// pathNode is one key of the paths, for finding out which key stands twice.
type pathNode struct {
	key      string
	children []*pathNode
	byKey    map[string]int // index in children
}

// Add adds a path of keys and returns its place in a record.
func (p *Paths) Add(path ...string) int {
	at := &p.tree
	for _, key := range path {
		at = at.child(key)
	}
	return p.trie.Add(path...)
}

// Open is Add for a value whose reader looks further into it, at whatever it finds there: it is noted what stands inside.
func (p *Paths) Open(path ...string) int {
	p.Add(path...)
	return p.trie.Open(path...)
}

// OpenRecords is Add for an array of records: each is found as a value of its own, at all paths.
func (p *Paths) OpenRecords(path ...string) int {
	p.Add(path...)
	return p.trie.OpenRecords(path...)
}

// Shape returns the shape of the value at the key path at, with these paths below it. The pass over a record finds them
// too, for Shape.Take; they are not among those that Duplicates looks at.
func (p *Paths) Shape(at []string, paths ...[]string) *Shape {
	s := NewShape(paths...)
	for _, path := range paths {
		whole := slices.Concat(at, path)
		s.places = append(s.places, p.trie.Add(whole...))
		p.shapes = append(p.shapes, whole)
	}
	return s
}

// Note says that whoever finds the value at a path looks into it, as Open does, of a path that a Shape has.
func (p *Paths) Note(path ...string) { p.trie.Open(path...) }

func (n *pathNode) child(key string) *pathNode {
	if i, ok := n.byKey[key]; ok {
		return n.children[i]
	}
	if n.byKey == nil {
		n.byKey = map[string]int{}
	}
	c := &pathNode{key: key}
	n.byKey[key] = len(n.children)
	n.children = append(n.children, c)
	return c
}

// All returns the paths in the order of the text of their keys.
func (p *Paths) All() (list [][]string) {
	var walk func(n *pathNode, path []string)
	walk = func(n *pathNode, path []string) {
		if len(n.children) == 0 && len(path) > 0 {
			list = append(list, path)
		}
		for _, c := range n.children {
			walk(c, append(path[:len(path):len(path)], c.key))
		}
	}
	walk(&p.tree, nil)
	list = append(list, p.shapes...)
	slices.SortFunc(list, slices.Compare[[]string])
	return slices.CompactFunc(list, slices.Equal[[]string])
}

// Trie returns what finds the paths. It is complete when all readers are open.
func (p *Paths) Trie() *scan.Trie { return &p.trie }

// Duplicates calls yield with the dotted path of each wanted key that stands twice in one object at span of an already
// validated src. It is slower than selecting: it is for records in which something stood twice.
func (p *Paths) Duplicates(src string, at scan.Span, a *scan.Arena, yield func(path string)) {
	duplicates(&p.tree, "", src, at, a, yield)
}

func duplicates(n *pathNode, prefix, src string, object scan.Span, a *scan.Arena, yield func(path string)) {
	if object.Kind != scan.Object || len(n.children) == 0 {
		return
	}
	last := make([]scan.Span, len(n.children)) // the value that counts
	twice := make([]bool, len(n.children))
	scan.Members(src, object, a, func(key string, v scan.Span) bool {
		if i, ok := n.byKey[key]; ok {
			twice[i] = twice[i] || last[i].Kind != scan.Absent
			last[i] = v
		}
		return true
	})
	for i, c := range n.children {
		if twice[i] {
			yield(prefix + c.key)
		}
		duplicates(c, prefix+c.key+".", src, last[i], a, yield)
	}
}
