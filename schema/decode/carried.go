package decode

import (
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// decodeCarried decodes a record that the current element carries, such as the line of an access log in the body of a log
// record of OpenTelemetry. It is the text of a workload. It returns false if the element carries no record of a format that
// counts there, so that the element itself is passed over.
func (d *Decoder) decodeCarried() bool {
	for _, n := range d.elem.Carried() {
		if n = d.carriedObject(n); n.Kind != scan.Object {
			continue
		}
		outer := d.workload
		d.workload = true
		dup := d.selection.SelectAt(n.Src, n.Span)
		f, _ := d.detector.format(n.Src, d.selection, true)
		if f >= 0 && !d.batches[f] {
			d.readCarried(f, n, dup)
		}
		d.workload = outer
		if f >= 0 && !d.batches[f] {
			return true
		}
	}
	return false
}

// carriedObject returns the object that a carried value is: itself, that after the prefix of a line, or the form in JSON of a
// line of keys and values.
func (d *Decoder) carriedObject(n formats.Node) formats.Node {
	if n.Kind != scan.String {
		return n
	}
	text := d.elem.Text(n)
	record, ok := d.lineRecord(text)
	if p, prefixed := d.cutPrefix(text); !ok && prefixed {
		record, ok = p.json, true
	}
	if !ok {
		return formats.Node{}
	}
	v, err := d.elem.Index.Valid(record)
	if err != nil {
		return formats.Node{}
	}
	return formats.Node{Src: record, Span: v}
}

// readCarried passes a carried record to the reader of its format.
func (d *Decoder) readCarried(format int, n formats.Node, dup int) {
	body := n.Raw()
	d.elem.ResetCarried(d.index, body, n.Src, d.found)
	if d.explainer != nil {
		d.explainer.recognised(format, n.Src, n.Span)
	}
	d.readers[format].Read(d.elem)
	if dup > 0 {
		d.duplicates(n.Src, n.Span)
	}
	switch reason := d.elem.Refusal(); reason {
	case "":
	case formats.ReasonUnknownFormat: // applications log objects with any keys
		d.skip(unknownDataset, formats.SkipNotActivity)
	default:
		d.deadLetter(reason, refusalDetail(reason), body)
		return
	}
	if dataset, reason, ok := d.elem.Skipped(); ok {
		d.skip(dataset, reason)
	}
	if d.explainer != nil {
		d.explainer.done(d.index, "")
	}
	d.index++
}
