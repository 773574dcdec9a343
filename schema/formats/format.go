// Package formats defines log formats, and provides the means by which the reader of a format turns an element of a log
// into events: the paths to select in the element, the values found there, and setters that normalise values on their way
// into an event. The package also contains the format aidr. The other formats are in the packages gateway, cloud and llm,
// one file each; schema/decode lists them all.
//
// A new format takes a file with a function that returns its Format, a line in that list, and test cases in
// testdata/cases/decode.
//
// The page of a format has a line that begins with "Carries:" and names the facts that its events can hold, as far as those
// cases show them: a call (of a tool, or an operation of an API), the arguments and the result of a tool, the prompt, the
// answer, the caller, the session and the cost.
package formats

import (
	"slices"

	"github.com/aidr-engine/aidr/schema/scan"
)

// Format describes a log format: how to recognise its elements and how to read them. A Format is a plain value; formats
// do not register themselves.
type Format struct {
	Name     string   // the name in a source's configuration
	Aliases  []string // other names accepted in the configuration
	Datasets []string // possible values of event.dataset, sorted; empty for aidr, whose elements name their own dataset
	Families []string // the families of its datasets, sorted; empty for aidr
	// Apart holds the families of those datasets that have others than Families. It may be nil.
	Apart      map[string][]string
	Signatures []Signature // an element is of this format if any of them matches
	Scope      Scope       // the texts in which elements of this format are recognised

	// NewReader returns a reader for one worker. It adds to p the paths that the reader needs, each from the root of an
	// element.
	NewReader func(p *Paths) Reader
}

// Scope limits the texts in which a format is recognised, for sources that do not name the format. A workload can write any
// text to its log, so such a text must not become the record of a platform.
type Scope uint8

// The scopes, from the widest.
const (
	// ScopeAny is for gateways, models and agents, which are workloads and log to standard output.
	ScopeAny Scope = iota
	// ScopePlatform is for audit trails and for normalised events, which platforms and collectors deliver as records of
	// their own, never inside the text of a log line.
	ScopePlatform
	// ScopeNamed is for a format whose records can claim to be of any dataset and agent.
	ScopeNamed
)

// Signature is a set of top-level keys that identifies a format. Deeper values are content, which attackers can write, so
// they never decide the format.
type Signature struct {
	Keys []string // all of them must be present, with any value

	// If Path is set, the value at Path must be the string Text. This separates formats that have the same keys.
	Path []string
	Text string
}

// Reader turns elements of one format into events. For each event, Read fills the Event and calls Emit. A Reader carries
// no state from one element to the next.
type Reader interface {
	Read(el *Element)
}

// BatchReader is a Reader of elements that contain further elements inside shared context, such as the spans of a resource.
// Each inner element is read as an element of its own, at the same paths.
type BatchReader interface {
	Reader

	// Split calls yield with each inner element until yield returns false. During the call of yield, Read may also use the
	// context that surrounds that element.
	Split(el *Element, yield func(element Node) bool)
}

// Paths collects the paths of all readers of one decoder, so that a single pass over an element selects them all. Each
// path has a place, a small integer: the index of its value among the selected values.
type Paths struct {
	trie   scan.Trie
	tree   pathNode
	shapes [][]string // the paths added by AddShape
}

// pathNode is a key in the tree of paths, which Duplicates walks to name the keys that occur twice.
type pathNode struct {
	key      string
	children []*pathNode
	byKey    map[string]int // index into children
}

// Add adds a path of object keys and returns its place.
func (p *Paths) Add(path ...string) int {
	at := &p.tree
	for _, key := range path {
		at = at.child(key)
	}
	return p.trie.Add(path...)
}

// AddIndexed is Add for a value whose contents the reader will walk. The pass also indexes the values inside, so that walking
// them does not scan the text again.
func (p *Paths) AddIndexed(path ...string) int {
	p.Add(path...)
	return p.trie.Open(path...)
}

// AddElements is Add for an array of elements. The pass also selects all paths in each element of the array.
func (p *Paths) AddElements(path ...string) int {
	p.Add(path...)
	return p.trie.OpenRecords(path...)
}

// AddShape returns a Shape with the given paths below the value at the key path at. The pass over an element selects these
// paths too, and Shape.SelectFromElement uses that selection. Duplicates ignores them.
func (p *Paths) AddShape(at []string, paths ...[]string) *Shape {
	s := NewShape(paths...)
	for _, path := range paths {
		whole := slices.Concat(at, path)
		s.places = append(s.places, p.trie.Add(whole...))
		p.shapes = append(p.shapes, whole)
	}
	return s
}

// Index is AddIndexed for a path that AddShape already added: the pass also indexes the values inside.
func (p *Paths) Index(path ...string) { p.trie.Open(path...) }

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

// All returns the paths, sorted by their keys.
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

// Trie returns the trie that selects the paths. It is complete once all readers are open.
func (p *Paths) Trie() *scan.Trie { return &p.trie }

// Duplicates calls yield with the dotted path of each wanted key that occurs more than once in its object, below the
// value at the span at of src, which must be valid JSON. It is slower than the selecting pass, and is meant for elements
// in which that pass reported a duplicate.
func (p *Paths) Duplicates(src string, at scan.Span, a *scan.Arena, yield func(path string)) {
	duplicates(&p.tree, "", src, at, a, yield)
}

func duplicates(n *pathNode, prefix, src string, object scan.Span, a *scan.Arena, yield func(path string)) {
	if object.Kind != scan.Object || len(n.children) == 0 {
		return
	}
	last := make([]scan.Span, len(n.children)) // the value of the key's last occurrence, which is the one that counts
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
		if last[i].Kind != scan.Object {
			continue // most of a thousand children are absent: their prefixes are not worth an allocation each
		}
		duplicates(c, prefix+c.key+".", src, last[i], a, yield)
	}
}
