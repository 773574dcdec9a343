package formats

import "github.com/aidr-engine/aidr/schema/scan"

// Node is a JSON value: a span of the text that contains it, which is the record, or JSON that was encoded in a string.
type Node struct {
	Src string
	scan.Span
}

// Raw returns the value as it is written.
func (n Node) Raw() string { return n.Src[n.Start:n.End] }

// Present reports whether the value exists and is not null.
func (n Node) Present() bool { return n.Kind > scan.Null }

// True reports whether the value is true or the string "true".
func (n Node) True() bool {
	return n.Kind == scan.True || n.Kind == scan.String && n.Raw() == `"true"`
}

// FirstItem returns the first element of an array. The result is Absent if the array is empty or n is not an array.
func (el *Element) FirstItem(n Node) Node {
	first := Node{Src: n.Src}
	el.Index.Each(n.Src, n.Span, func(elem scan.Span) bool {
		first.Span = elem
		return false
	})
	return first
}

// Shape selects a fixed list of paths in one kind of object that occurs inside an element, and holds the values of the
// object it was last applied to. A Shape belongs to one worker. Its values are valid until the shape is applied again.
type Shape struct {
	trie   scan.Trie
	values []scan.Span // by place
	src    string
	places []int // for a shape made by Paths.AddShape: the places of its paths in the element
}

// NewShape returns a Shape for the given paths. The place of a path is its index in the list.
func NewShape(paths ...[]string) *Shape {
	s := new(Shape)
	for i, path := range paths {
		if s.trie.Add(path...) != i {
			panic("BUG: a shape has the same path twice")
		}
	}
	s.values = make([]scan.Span, s.trie.Len())
	return s
}

// Select selects the paths in a value, which must be valid JSON. If a key occurs twice, its last occurrence counts.
func (s *Shape) Select(el *Element, n Node) {
	s.src = n.Src
	el.Index.SelectAt(&s.trie, n.Src, n.Span, s.values)
}

// Each applies Select to each element of an array in turn and calls yield with that element, until yield returns false.
func (s *Shape) Each(el *Element, n Node, yield func(elem Node) bool) {
	el.Index.EachSelect(&s.trie, n.Src, n.Span, s.values, func(elem scan.Span) bool {
		s.src = n.Src
		return yield(Node{n.Src, elem})
	})
}

// SelectFromElement is Select for a Shape made by Paths.AddShape, applied to the value at the path
// given there. It only copies spans, because the pass over the element already selected them.
func (s *Shape) SelectFromElement(el *Element) {
	s.src = el.src
	for i, place := range s.places {
		s.values[i] = el.values[place]
	}
}

// Has reports whether the value at a path, by its place, exists and is not null.
func (s *Shape) Has(place int) bool { return s.values[place].Kind > scan.Null }

// At returns the value at a path, by its place.
func (s *Shape) At(place int) Node { return Node{s.src, s.values[place]} }
