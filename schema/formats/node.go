package formats

import "github.com/aidr-engine/aidr/schema/scan"

// Node is one JSON value and the text that it stands in: the record's, or that of JSON inside a string.
type Node struct {
	Src string
	scan.Span
}

// Raw returns the value as it stands.
func (n Node) Raw() string { return n.Src[n.Start:n.End] }

// Present says that the value is there and not null.
func (n Node) Present() bool { return n.Kind > scan.Null }

// True says that the value is true, or the text "true".
func (n Node) True() bool {
	return n.Kind == scan.True || n.Kind == scan.String && n.Raw() == `"true"`
}

// First returns the array's first element, Absent where there is none.
func (r *Record) First(n Node) Node {
	first := Node{Src: n.Src}
	r.Index.Each(n.Src, n.Span, func(elem scan.Span) bool {
		first.Span = elem
		return false
	})
	return first
}

// Shape is the wanted keys of one kind of object below a record, with room for one object's values. It belongs to one
// worker; its values are valid until the next Select.
type Shape struct {
	trie   scan.Trie
	out    []scan.Span
	src    string
	places []int // in a record, of a shape that Paths.Shape made
}

// NewShape returns the shape with these paths; a path's place in the list is its place in At.
func NewShape(paths ...[]string) *Shape {
	s := new(Shape)
	for i, path := range paths {
		if s.trie.Add(path...) != i {
			panic("BUG: a path stands twice in a shape")
		}
	}
	s.out = make([]scan.Span, s.trie.Len())
	return s
}

// Select finds the paths in an already validated value. A key that stands twice counts as the last.
func (s *Shape) Select(r *Record, n Node) {
	s.src = n.Src
	r.Index.SelectAt(&s.trie, n.Src, n.Span, s.out)
}

// Each calls yield with each element of an array in an already validated value, selected, until it returns false.
func (s *Shape) Each(r *Record, n Node, yield func(elem Node) bool) {
	r.Index.EachSelect(&s.trie, n.Src, n.Span, s.out, func(elem scan.Span) bool {
		s.src = n.Src
		return yield(Node{n.Src, elem})
	})
}

// Take is Select of the value that Paths.Shape was told of: what stands there was found with the record.
func (s *Shape) Take(r *Record) {
	s.src = r.src
	for i, place := range s.places {
		s.out[i] = r.found[place]
	}
}

// Has says that the value at a place is there and not null.
func (s *Shape) Has(place int) bool { return s.out[place].Kind > scan.Null }

// At returns the value at a place.
func (s *Shape) At(place int) Node { return Node{s.src, s.out[place]} }
