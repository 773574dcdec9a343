package decode

import (
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// logRecord holds the places of the parts of a log record of OTLP in which a collector leaves the record of another format:
// the body, as text or as a map, or the attributes. It is content: whichever program logs to the collector wrote it.
type logRecord struct {
	time, observed int // timeUnixNano, observedTimeUnixNano
	text, values   int // body: stringValue, kvlistValue.values
	attributes     int // attributes
	attribute      *formats.Shape
}

// Places in the shape of an attribute.
const (
	attributeKey = iota
	attributeString
	attributeInt
	attributeDouble
	attributeBool
)

func openLogRecord(p *formats.Paths) logRecord {
	return logRecord{
		time: p.Add("timeUnixNano"), observed: p.Add("observedTimeUnixNano"),
		text: p.Add("body", "stringValue"), values: p.Add("body", "kvlistValue", "values"), attributes: p.Add("attributes"),
		attribute: formats.NewShape([][]string{
			attributeKey: {"key"}, attributeString: {"value", "stringValue"}, attributeInt: {"value", "intValue"},
			attributeDouble: {"value", "doubleValue"}, attributeBool: {"value", "boolValue"},
		}...),
	}
}

// decodeLogRecord decodes the record of another format in the log record whose paths are selected: the JSON in the body's text,
// else the attributes and the body's map, if they have the keys of a format. It returns false if there is no such record.
func (d *Decoder) decodeLogRecord(src string) bool {
	r := &d.envelope.logRecord
	if !d.has(r.time) && !d.has(r.observed) {
		return false // a span
	}
	level, outer := d.depth, d.workload
	d.workload = true
	defer func() { d.depth, d.workload = level, outer }()
	body := formats.Node{Src: src, Span: d.found[r.text]}
	record := d.appendLogRecord(src)
	if text := d.elem.Text(body); looksLikeRecord(text) {
		if p, ok := cutPrefix(text); ok {
			text = p.json
		}
		if d.decodeKnown(text, level) {
			return true
		}
	}
	return record != "" && d.decodeKnown(record, level)
}

// appendLogRecord returns the attributes and the body's map as a JSON object, with the record's time if they have none. It
// returns "" if there are none of them.
func (d *Decoder) appendLogRecord(src string) string {
	r := &d.envelope.logRecord
	record := append(d.json[:0], '{')
	hasTime := false
	for _, place := range [...]int{r.attributes, r.values} {
		list := formats.Node{Src: src, Span: d.found[place]}
		r.attribute.Each(d.elem, list, func(formats.Node) bool {
			key := d.elem.Text(r.attribute.At(attributeKey))
			hasTime = hasTime || key == "timestamp"
			record = appendAttribute(record, key, r.attribute)
			return true
		})
	}
	d.json = record
	if len(record) == 1 {
		return ""
	}
	if !hasTime {
		at := d.found[r.time]
		if at.Kind <= scan.Null {
			at = d.found[r.observed]
		}
		record = append(append(record, `"timestamp":`...), src[at.Start:at.End]...)
	} else {
		record = record[:len(record)-1] // the last comma
	}
	d.json = append(record, '}')
	d.elem.Charge(len(d.json))
	return d.elem.Arena.Copy(d.json)
}

// appendAttribute appends an attribute with a simple value as a member of an object, and a comma.
func appendAttribute(dst []byte, key string, attribute *formats.Shape) []byte {
	for _, place := range [...]int{attributeString, attributeInt, attributeDouble, attributeBool} {
		value := attribute.At(place)
		if !value.Present() || value.Kind == scan.Object || value.Kind == scan.Array {
			continue
		}
		dst = formats.AppendString(dst, key)
		return append(append(append(dst, ':'), value.Raw()...), ',')
	}
	return dst
}

// decodeKnown decodes a text if it is an object of a known format. Batches are left out: one is being read.
func (d *Decoder) decodeKnown(text string, level int) bool {
	v, next, dup, err := d.selection.Next(text, skipSeparators(text, 0))
	if err != nil || v.Kind != scan.Object || skipSeparators(text, next) != len(text) {
		return false
	}
	f, _ := d.detector.format(text, d.selection, true)
	if f < 0 || d.batches[f] {
		return false
	}
	d.elem.Charge(len(text))
	if d.explainer != nil {
		d.explainer.recognised(f, text, v)
	}
	d.depth = level
	d.readElement(f, text, v, dup)
	return true
}
