package formats

import (
	"math/bits"

	"github.com/aidr-engine/aidr/schema/scan"
)

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
	picked scan.Picked
	values []scan.Span // picked.Spans: by place
	held   Places      // the places that have a value
	src    string
	places []int // for a shape made by Paths.AddShape: the places of its paths in the element
}

// Places is a set of places in a shape, which are less than 64. An object has values at few of the places of a shape, so a
// reader asks Shape.HasAny for all alternatives of a fact at once before it looks at each of them.
type Places uint64

// PlacesOf returns the set of some places.
func PlacesOf(places ...int) (set Places) {
	for _, place := range places {
		set |= 1 << place
	}
	return set
}

// PlacesBetween returns the set of the places from first to last.
func PlacesBetween(first, last int) Places { return 1<<(last+1) - 1<<first }

// First returns the least place of a set that is not empty. Without it, the set is set & (set - 1).
func (set Places) First() int { return bits.TrailingZeros64(uint64(set)) }

// NewShape returns a Shape for the given paths. The place of a path is its index in the list.
func NewShape(paths ...[]string) *Shape {
	s := new(Shape)
	for i, path := range paths {
		if s.trie.Add(path...) != i {
			panic("BUG: a shape has the same path twice")
		}
	}
	s.picked = s.trie.Picked()
	s.values = s.picked.Spans
	return s
}

// Select selects the paths in a value, which must be valid JSON. If a key occurs twice, its last occurrence counts.
func (s *Shape) Select(el *Element, n Node) {
	s.src = n.Src
	el.Index.Pick(&s.picked, n.Src, n.Span)
	s.hold()
}

// hold sets the places that have a value.
func (s *Shape) hold() {
	s.held = 0
	for _, place := range s.picked.Filled() {
		if s.values[place].Kind > scan.Null {
			s.held |= 1 << (place & 63)
		}
	}
}

// Each applies Select to each element of an array in turn and calls yield with that element, until yield returns false.
func (s *Shape) Each(el *Element, n Node, yield func(elem Node) bool) {
	el.Index.EachPicked(&s.picked, n.Src, n.Span, func(elem scan.Span) bool {
		s.src = n.Src
		s.hold()
		return yield(Node{n.Src, elem})
	})
}

// SelectFromElement is Select for a Shape made by Paths.AddShape, applied to the value at the path
// given there. It only copies spans, because the pass over the element already selected them.
func (s *Shape) SelectFromElement(el *Element) {
	s.src = el.src
	s.picked.Clear()
	for i, place := range s.places {
		if v := el.values[place]; v.Kind != scan.Absent {
			s.picked.Put(i, v)
		}
	}
	s.hold()
}

// Has reports whether the value at a path, by its place, exists and is not null.
func (s *Shape) Has(place int) bool { return s.values[place].Kind > scan.Null }

// HasAny reports whether the object has a value other than null at one of the places. In a shape of more than 64 paths it
// may report true although there is none.
func (s *Shape) HasAny(set Places) bool { return s.held&set != 0 }

// Held returns the places of the values other than null, for a shape of at most 64 paths.
func (s *Shape) Held() Places { return s.held }

// At returns the value at a path, by its place.
func (s *Shape) At(place int) Node { return Node{s.src, s.values[place]} }
