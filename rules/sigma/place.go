package sigma

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// place is one place of an event that holds a field of a rule: a field of the normalised event, or a path of the original
// record. Keys of the path that end with [] are lists, whose elements are searched one by one. A field may have the path of
// the record from which it is copied: a field is never empty, so whether the record has a value is only known from the path.
type place struct {
	field schema.Field
	isRaw bool
	path  []string
}

// rawPlace returns the place of a path with dots.
func rawPlace(path string) place { return place{isRaw: true, path: strings.Split(path, ".")} }

func fieldPlace(f schema.Field) place { return place{field: f} }

// record returns the place in the record, if it is known, else the field.
func (p place) record() place {
	p.isRaw = len(p.path) > 0
	return p
}

// isList reports whether the place is below a list.
func (p place) isList() bool {
	for _, k := range p.path {
		if strings.HasSuffix(k, "[]") {
			return true
		}
	}
	return false
}

// name returns the place as an operand of a rule. Only places that are not below a list are operands.
func (p place) name() string {
	if !p.isRaw {
		return p.field.String()
	}
	out := "raw"
	for _, k := range p.path {
		out += keyText(k)
	}
	return out
}

// number reports whether the place is a field of numbers, true or false, or a time, and not a text.
func (p place) typed() (t schema.Type, ok bool) {
	if p.isRaw {
		return 0, false
	}
	t = p.field.Info().Type
	return t, t != schema.TypeString && t != schema.TypeDyn
}

// value returns the expression of the value at the place.
func (p place) value() string { return p.name() }

// text returns the expression of the text at the place, which is "" if the place is empty.
func textOf(p place, value string) string {
	if !p.isRaw && p.field.Info().Type == schema.TypeString {
		return value
	}
	return "text(" + value + ")"
}

// each returns a test of the value at the place. Of a place below lists it holds if it does for one of the elements.
func (p place) each(test func(value string) string) string {
	return eachOf("raw", p.path, 0, func(value string) string {
		if !p.isRaw {
			value = p.field.String()
		}
		return test(value)
	})
}

// listVariables are the names of the elements of nested lists. No field begins with one of them.
var listVariables = [...]string{"item", "part", "piece", "bit"}

func eachOf(base string, path []string, depth int, test func(string) string) string {
	for i, k := range path {
		list, isList := strings.CutSuffix(k, "[]")
		base += keyText(list)
		if isList {
			v := listVariables[min(depth, len(listVariables)-1)]
			return base + ".exists(" + v + ", " + eachOf(v, path[i+1:], depth+1, test) + ")"
		}
	}
	return test(base)
}
