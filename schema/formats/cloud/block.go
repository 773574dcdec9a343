package cloud

import (
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// block is an object of a record that some producers write as JSON inside a string. What stands at its paths is found by
// the pass over the record, or by one over the string's text.
type block struct {
	whole  int // place of the object
	places []int
	shape  *formats.Shape
	inside bool // the last open found a string
}

// openBlock adds the paths below the key path at.
func openBlock(p *formats.Paths, at []string, paths [][]string) *block {
	b := &block{whole: p.Add(at...), shape: formats.NewShape(paths...)}
	for _, path := range paths {
		b.places = append(b.places, p.Add(append(append([]string{}, at...), path...)...))
	}
	return b
}

// open looks whether the block of this record is a string. What it is decides where values are looked for.
func (b *block) open(r *formats.Record) {
	n := r.At(b.whole)
	b.inside = n.Kind == scan.String && b.find(r, n)
}

// find looks into a string; false where it holds no object.
func (b *block) find(r *formats.Record, n formats.Node) bool {
	inner, ok := r.Inside(n)
	if !ok || inner.Kind != scan.Object {
		return false
	}
	b.shape.Select(r, inner)
	return true
}

// at returns the value at a path, by its place in the list of paths.
func (b *block) at(r *formats.Record, path int) formats.Node {
	if b.inside {
		return b.shape.At(path)
	}
	return r.At(b.places[path])
}
