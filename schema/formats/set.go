package formats

import (
	"strings"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/scan"
)

// MaxText is the most bytes of a prompt, a response, arguments or a result that rules see: 256 KiB. What is longer is
// cut, and event.truncated says so.
const MaxText = 256 << 10

// Text returns the text of a string, or of a number as it is written; "" where the value is another.
func (r *Record) Text(n Node) string {
	switch n.Kind {
	case scan.String:
		return scan.Text(n.Src, n.Span, &r.Arena)
	case scan.Number:
		return n.Raw()
	}
	return ""
}

// FirstText returns the first text that is not empty.
func (r *Record) FirstText(nodes ...Node) string {
	for _, n := range nodes {
		if s := r.Text(n); s != "" {
			return s
		}
	}
	return ""
}

// SetText sets a text field from a string or number. A value of another kind is counted, and the field stays absent.
func (r *Record) SetText(f schema.Field, n Node) {
	if n.Kind <= scan.Null || !r.Wants(f) {
		return
	}
	if n.Kind != scan.String && n.Kind != scan.Number {
		r.Fault(f)
		return
	}
	r.Event.SetText(f, r.Text(n))
}

// SetFirst sets a text field from the first value that gives a text that is not empty.
func (r *Record) SetFirst(f schema.Field, nodes ...Node) {
	if !r.Wants(f) {
		return
	}
	for _, n := range nodes {
		if r.SetText(f, n); r.Event.Has(f) {
			return
		}
	}
}

// Put sets a text field that is wanted.
func (r *Record) Put(f schema.Field, text string) {
	if text != "" && r.Wants(f) {
		r.Event.SetText(f, text)
	}
}

// SetInt sets an integer field from a number, or from a string that spells one. Negative ones are impossible: every
// integer of the event counts something.
func (r *Record) SetInt(f schema.Field, n Node) {
	if !n.Present() || !r.Wants(f) || empty(n) {
		return
	}
	v, ok := scaledPlain(n, 1)
	if !ok {
		v, ok = scan.Int(n.Src, n.Span)
	}
	if !ok || v < 0 {
		r.Fault(f)
		return
	}
	r.Event.SetInt(f, v)
}

// SetFirstInt sets an integer field from the first value that is there.
func (r *Record) SetFirstInt(f schema.Field, nodes ...Node) {
	if !r.Wants(f) {
		return
	}
	for _, n := range nodes {
		if r.SetInt(f, n); r.Event.Has(f) {
			return
		}
	}
}

// SetDouble sets a decimal field.
func (r *Record) SetDouble(f schema.Field, n Node) {
	if !n.Present() || !r.Wants(f) || empty(n) {
		return
	}
	v, ok := scan.Double(n.Src, n.Span)
	if !ok {
		r.Fault(f)
		return
	}
	r.Event.Set(f, schema.DoubleValue(v))
}

// SetDuration sets event.duration from a number of units, each of unit ns; a negative one means that it is not known.
func (r *Record) SetDuration(n Node, unit int64) {
	if !n.Present() || empty(n) {
		return
	}
	ns, ok := scaled(n, unit)
	if !ok {
		r.Fault(schema.EventDuration)
		return
	}
	if ns >= 0 {
		r.Event.SetInt(schema.EventDuration, ns)
	}
}

// maxScaled is the largest count of a unit that is read: 292 years in ns.
const maxScaled = float64(1<<63 - 1025)

// scaled returns a number times unit, to the nearest whole.
func scaled(n Node, unit int64) (int64, bool) {
	if v, ok := scaledPlain(n, unit); ok {
		return v, true
	}
	return scaledAny(n, unit)
}

// maxPlain is what scaledPlain stays below, 2^49: up to it a float64 is near enough to the product to be rounded to it.
const maxPlain = 1 << 49

// scaledPlain is scaled of digits with at most one point among them, as nearly all durations are, where the product is
// whole; not ok where it is more than that.
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
	point := 0 // where it is
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

// scaledAny is scaled of every number.
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

// empty says that a value is the empty string, which means absent everywhere.
func empty(n Node) bool { return n.Kind == scan.String && int(n.End-n.Start) == len(`""`) }

// SetContent sets one of the four content fields to a text, cut to MaxText.
func (r *Record) SetContent(f schema.Field, text string) {
	if text != "" && r.Wants(f) {
		r.Event.SetText(f, r.cut(text))
	}
}

// SetDyn sets a content field to any JSON value. An object or array inside a string counts as itself, through at most
// two strings; everything else in a string is text.
func (r *Record) SetDyn(f schema.Field, n Node) {
	if !n.Present() || !r.Wants(f) {
		return
	}
	inner, ok := n, true
	for level := 0; level < maxStringLevels && ok; level++ {
		if inner, ok = r.inside(inner); ok && inner.Kind != scan.String {
			n = inner
		}
	}
	r.SetAsIs(f, n)
}

// SetAsIs sets a content field to a JSON value, taking a string as text.
func (r *Record) SetAsIs(f schema.Field, n Node) {
	switch {
	case !n.Present() || !r.Wants(f):
	case n.Kind == scan.String:
		r.SetContent(f, scan.Text(n.Src, n.Span, &r.Arena))
	case n.End-n.Start > MaxText:
		r.Event.SetText(f, r.cut(n.Raw()))
	default:
		r.Event.Set(f, schema.JSONValue(n.Raw()))
	}
}

// maxStringLevels is how many strings around a JSON value are undone: some gateways encode arguments twice, nobody
// three times.
const maxStringLevels = 2

// inside returns the object, the array or the further string that a string holds.
func (r *Record) inside(n Node) (Node, bool) {
	if n.Kind != scan.String || n.End-n.Start > MaxText {
		return n, false
	}
	text := scan.Text(n.Src, n.Span, &r.Arena)
	if !looksNested(text) {
		return n, false
	}
	v, err := scan.Valid(text)
	if err != nil {
		return n, false
	}
	return Node{text, v}, true
}

// Inside returns the object or array that a string holds, or the value itself if it is one; ok is false for all else.
func (r *Record) Inside(n Node) (Node, bool) {
	if n.Kind == scan.String {
		if text := scan.Text(n.Src, n.Span, &r.Arena); looksNested(text) {
			if v, err := r.Index.Valid(text); err == nil {
				n = Node{text, v}
			}
		}
	}
	return n, n.Kind == scan.Object || n.Kind == scan.Array
}

func looksNested(text string) bool {
	text = strings.TrimLeft(text, " \t\r\n")
	return text != "" && (text[0] == '{' || text[0] == '[' || text[0] == '"')
}

// cut shortens a text to MaxText at the end of a character.
func (r *Record) cut(text string) string {
	if len(text) <= MaxText {
		return text
	}
	n := MaxText
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	if r.Wants(schema.EventTruncated) {
		r.Event.Set(schema.EventTruncated, schema.BoolValue(true))
	}
	return text[:n]
}

// Join returns the texts with sep between them.
func (r *Record) Join(texts []string, sep string) string {
	r.joinScratch(texts, sep)
	return r.Arena.Hold(r.scratch)
}

func (r *Record) joinScratch(texts []string, sep string) {
	r.scratch = r.scratch[:0]
	for i, t := range texts {
		if i > 0 {
			r.scratch = append(r.scratch, sep...)
		}
		r.scratch = append(r.scratch, t...)
	}
}
