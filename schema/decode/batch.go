package decode

import (
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// batch hands each element of a record that holds many to its reader. The elements are records of their own: in their
// size, in their identity, and in what stands at the paths.
func (d *Decoder) batch(format int, src string, v scan.Span, dup int) {
	d.record.Reset(d.index, src[v.Start:v.End], src, d.found)
	d.batched = format
	d.step(d.depth, d.names[format])
	d.depth++
	d.readers[format].(formats.Batch).Split(d.record, d.splits)
	if dup > 0 {
		d.duplicates(src, v)
	}
}

// split takes one element of a batch; false where the record may give no more.
func (d *Decoder) split(element formats.Node) bool {
	dup := d.places.SelectAt(element.Src, element.Span)
	d.read(d.batched, element.Src, element.Span, dup)
	return !d.record.Full()
}
