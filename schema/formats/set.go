package formats

import (
	"strings"
	"time"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/scan"
)

// MaxContent is the maximum length in bytes of a prompt, a response, arguments or a result. Longer ones lose their
// middle, and event.truncated is set.
const MaxContent = 256 << 10

// Text returns the contents of a string, or a number as it is written; "" for a value of any other kind.
func (el *Element) Text(n Node) string {
	switch n.Kind {
	case scan.String:
		return scan.Text(n.Src, n.Span, &el.Arena)
	case scan.Number:
		return n.Raw()
	}
	return ""
}

// FirstText returns the first of the nodes' texts that is not empty, or "".
func (el *Element) FirstText(nodes ...Node) string {
	for i := range nodes {
		if n := &nodes[i]; n.Kind > scan.Null {
			if s := el.Text(*n); s != "" {
				return s
			}
		}
	}
	return ""
}

// CopyText sets a text field from a string or number. A value of any other kind, except null, is counted as a field error
// and leaves the field unchanged.
func (el *Element) CopyText(f schema.Field, n Node) {
	if n.Kind <= scan.Null || !el.Wanted(f) {
		return
	}
	if n.Kind != scan.String && n.Kind != scan.Number {
		el.CountFault(f)
		return
	}
	el.Event.SetText(f, el.Text(n))
}

// CopyFirstText sets a text field from the first value whose text is not empty.
func (el *Element) CopyFirstText(f schema.Field, nodes ...Node) {
	if !el.Wanted(f) {
		return
	}
	for i := range nodes {
		n := &nodes[i]
		if n.Kind > scan.Null {
			el.CopyText(f, *n)
		}
		if el.Event.Has(f) {
			return
		}
	}
}

// SetText sets a text field to a text, unless that is empty.
func (el *Element) SetText(f schema.Field, text string) {
	if text != "" && el.Wanted(f) {
		el.Event.SetText(f, text)
	}
}

// SetInt sets an integer field.
func (el *Element) SetInt(f schema.Field, v int64) {
	if el.Wanted(f) {
		el.Event.SetInt(f, v)
	}
}

// CopyInt sets an integer field from a number, or from a string that contains a number. A negative number is a field
// error, because all integer fields are counts, sizes or codes.
func (el *Element) CopyInt(f schema.Field, n Node) {
	if !n.Present() || !el.Wanted(f) || empty(n) {
		return
	}
	v, ok := scaledPlain(n, 1)
	if !ok {
		v, ok = scan.Int(n.Src, n.Span)
	}
	if !ok || v < 0 {
		el.CountFault(f)
		return
	}
	el.Event.SetInt(f, v)
}

// CopyFirstInt sets an integer field from the first value that CopyInt accepts.
func (el *Element) CopyFirstInt(f schema.Field, nodes ...Node) {
	if !el.Wanted(f) {
		return
	}
	for i := range nodes {
		n := &nodes[i]
		if n.Kind > scan.Null {
			el.CopyInt(f, *n)
		}
		if el.Event.Has(f) {
			return
		}
	}
}

// CopyDouble sets a decimal field from a number, or from a string that contains a number.
func (el *Element) CopyDouble(f schema.Field, n Node) {
	if !n.Present() || !el.Wanted(f) || empty(n) {
		return
	}
	v, ok := scan.Double(n.Src, n.Span)
	if !ok {
		el.CountFault(f)
		return
	}
	el.Event.Set(f, schema.DoubleValue(v))
}

// CopyDuration sets event.duration from a number of units of unit ns each. A negative number means that the duration is
// unknown: the field stays absent.
func (el *Element) CopyDuration(n Node, unit int64) {
	if !n.Present() || empty(n) {
		return
	}
	ns, ok := scaled(n, unit)
	if !ok {
		ns, ok = el.spelledDuration(n)
	}
	if !ok {
		el.CountFault(schema.EventDuration)
		return
	}
	if ns >= 0 {
		el.Event.SetInt(schema.EventDuration, ns)
	}
}

// spelledDuration returns a duration that is written with its unit, such as 69ms, 0.01s or 1m2.5s, as Go and Protocol Buffers
// write durations.
func (el *Element) spelledDuration(n Node) (ns int64, ok bool) {
	if n.Kind != scan.String || n.End-n.Start > maxSpelled {
		return 0, false
	}
	d, err := time.ParseDuration(el.Text(n))
	return int64(d), err == nil
}

// maxSpelled is the length in bytes of the longest text that is read as a duration with a unit.
const maxSpelled = 32

// maxScaled is the largest product that scaled accepts, 292 years in ns: the greatest float64 that fits into an int64.
const maxScaled = float64(1<<63 - 1025)

// scaled returns a number times unit, rounded to the nearest integer.
func scaled(n Node, unit int64) (int64, bool) {
	if v, ok := scaledPlain(n, unit); ok {
		return v, true
	}
	return scaledAny(n, unit)
}

// maxPlain bounds the digits and the products of scaledPlain. Below 2^49, the float64 that scaledAny computes is close
// enough to the exact product to be rounded to it, so both give the same result.
const maxPlain = 1 << 49

// scaledPlain is scaled for numbers that consist of digits and at most one decimal point, as nearly all durations do, and
// whose product is an integer. ok is false for any other number.
func scaledPlain(n Node, unit int64) (product int64, ok bool) {
	text := n.Raw()
	if n.Kind == scan.String && !n.Escaped() {
		text = text[1 : len(text)-1]
	} else if n.Kind != scan.Number {
		return 0, false
	}
	if text == "" || text[0] == '0' && len(text) > 1 && text[1] != '.' {
		return 0, false
	}
	point := 0 // index of the decimal point, which is never the first character
	for i := range len(text) {
		switch digit := text[i] - '0'; {
		case digit <= 9 && product < maxPlain/10:
			product = product*10 + int64(digit)
			if point > 0 {
				if unit%10 != 0 {
					return 0, false
				}
				unit /= 10
			}
		case text[i] == '.' && i > 0 && point == 0 && i < len(text)-1:
			point = i
		default:
			return 0, false
		}
	}
	return product * unit, product < maxPlain/unit
}

// scaledAny is scaled for any number.
func scaledAny(n Node, unit int64) (int64, bool) {
	if v, ok := scan.Int(n.Src, n.Span); ok {
		p := v * unit
		return p, p/unit == v
	}
	f, ok := scan.Double(n.Src, n.Span)
	f *= float64(unit)
	if !ok || f > maxScaled || f < -maxScaled {
		return 0, false
	}
	if f < 0 {
		return int64(f - 0.5), true
	}
	return int64(f + 0.5), true
}

// empty reports whether a value is the empty string, which means absent in all formats.
func empty(n Node) bool { return n.Kind == scan.String && int(n.End-n.Start) == len(`""`) }

// SetContent sets one of the four content fields to a text, truncated to MaxContent.
func (el *Element) SetContent(f schema.Field, text string) {
	if text != "" && el.Wanted(f) {
		el.Event.SetText(f, el.truncate(text))
	}
}

// CopyUnwrapped sets a content field to a JSON value of any kind. A string that contains an object or array, itself perhaps
// encoded as a string again, counts as that object or array; any other string counts as text.
func (el *Element) CopyUnwrapped(f schema.Field, n Node) {
	if !n.Present() || !el.Wanted(f) {
		return
	}
	inner, ok := n, true
	for level := 0; level < maxStringLevels && ok; level++ {
		if inner, ok = el.unwrapOnce(inner); ok && inner.Kind != scan.String {
			n = inner
		}
	}
	el.CopyJSON(f, n)
}

// SetUnwrapped sets a content field to a text, or to the object or array that it contains, as CopyUnwrapped does.
func (el *Element) SetUnwrapped(f schema.Field, text string) {
	if !el.Wanted(f) || text == "" {
		return
	}
	if looksNested(text) {
		if v, err := el.Index.Valid(text); err == nil {
			n := Node{text, v}
			if n.Kind == scan.String {
				n, _ = el.unwrapOnce(n)
			}
			if n.Kind == scan.Object || n.Kind == scan.Array {
				el.CopyJSON(f, n)
				return
			}
		}
	}
	el.SetContent(f, text)
}

// CopyJSON sets a content field to a JSON value of any kind. A string counts as text, even if it contains JSON.
func (el *Element) CopyJSON(f schema.Field, n Node) {
	switch {
	case !n.Present() || !el.Wanted(f):
	case n.Kind == scan.String:
		el.SetContent(f, scan.Text(n.Src, n.Span, &el.Arena))
	case n.End-n.Start > MaxContent:
		el.Event.Set(f, schema.JSONValue(el.shortened(n)))
	default:
		el.Event.Set(f, schema.JSONValue(n.Raw()))
	}
}

// maxStringLevels is the number of string encodings that CopyUnwrapped removes from a JSON value. Some gateways encode
// arguments twice, none three times.
const maxStringLevels = 2

// unwrapOnce returns the object, array or string that is encoded in a string.
func (el *Element) unwrapOnce(n Node) (Node, bool) {
	if n.Kind != scan.String {
		return n, false
	}
	text := scan.Text(n.Src, n.Span, &el.Arena)
	if !looksNested(text) {
		return n, false
	}
	valid := scan.Valid
	if len(text) > MaxContent {
		valid = el.Index.Valid // the value is shortened, which walks it
	}
	v, err := valid(text)
	if err != nil {
		return n, false
	}
	return Node{text, v}, true
}

// Unwrap returns the object or array that is encoded in a string, or the value itself if it is an object or array. For any
// other value it returns the value and false.
func (el *Element) Unwrap(n Node) (Node, bool) {
	if n.Kind == scan.String {
		if text := scan.Text(n.Src, n.Span, &el.Arena); looksNested(text) {
			if v, err := el.Index.Valid(text); err == nil {
				n = Node{text, v}
			}
		}
	}
	return n, n.Kind == scan.Object || n.Kind == scan.Array
}

// looksNested reports whether a text may be an encoded object, array or string, by its first character.
func looksNested(text string) bool {
	text = strings.TrimLeft(text, " \t\r\n")
	return text != "" && (text[0] == '{' || text[0] == '[' || text[0] == '"')
}

// Join returns the texts with sep between them, held in the Arena.
func (el *Element) Join(texts []string, sep string) string {
	el.joinScratch(texts, sep)
	return el.Arena.Copy(el.scratch)
}

// joinScratch sets r.scratch to the texts with sep between them.
func (el *Element) joinScratch(texts []string, sep string) {
	el.scratch = el.scratch[:0]
	for i, t := range texts {
		if i > 0 {
			el.scratch = append(el.scratch, sep...)
		}
		el.scratch = append(el.scratch, t...)
	}
}
