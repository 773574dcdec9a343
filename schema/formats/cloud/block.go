package cloud

import (
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// block is an object of an element that some producers write as it is and others encode in a string. Its values come from
// the pass over the element in the first case, and from a pass over the decoded string in the second.
type block struct {
	whole   int   // place of the object or string
	places  []int // places of the paths, for an object
	shape   *formats.Shape
	encoded bool // the block of the current element is a string
}

// newBlock returns a block at the key path at, with the given paths below it.
func newBlock(p *formats.Paths, at []string, paths [][]string) *block {
	b := &block{whole: p.Add(at...), shape: formats.NewShape(paths...)}
	for _, path := range paths {
		b.places = append(b.places, p.Add(append(append([]string{}, at...), path...)...))
	}
	return b
}

// open decodes the block if it is a string. It must be called for each element before at.
func (b *block) open(el *formats.Element) {
	n := el.At(b.whole)
	b.encoded = n.Kind == scan.String && b.decode(el, n)
}

// decode selects the values in the object that is encoded in a string. It reports whether there is such an object.
func (b *block) decode(el *formats.Element, n formats.Node) bool {
	inner, ok := el.Unwrap(n)
	if !ok || inner.Kind != scan.Object {
		return false
	}
	b.shape.Select(el, inner)
	return true
}

// at returns the value at a path, by the path's index in the list given to newBlock.
func (b *block) at(el *formats.Element, path int) formats.Node {
	if b.encoded {
		return b.shape.At(path)
	}
	return el.At(b.places[path])
}
