package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// copied is a field that events of a standard (ECS, OCSF) have under a path of their own and that is copied from there.
type copied struct {
	field schema.Field
	paths []string // dotted; the first that is present counts
}

// copies reads the fields that are copied from events of a standard.
type copies struct {
	fields []schema.Field
	places [][]int // of each field's paths
}

// newCopies returns the copies of a list. If flat is set, each path may also be a single dotted key.
func newCopies(p *formats.Paths, list []copied, flat bool) copies {
	var c copies
	for _, field := range list {
		var places []int
		for _, path := range field.paths {
			places = append(places, addPath(p, path, flat)...)
		}
		c.fields = append(c.fields, field.field)
		c.places = append(c.places, places)
	}
	return c
}

// addPath adds a dotted path as nested keys and, if flat is set, also as a single key. It returns the places.
func addPath(p *formats.Paths, path string, flat bool) []int {
	places := []int{p.Add(strings.Split(path, ".")...)}
	if flat && strings.Contains(path, ".") {
		places = append(places, p.Add(path))
	}
	return places
}

// read sets the fields that are present.
func (c *copies) read(el *formats.Element) {
	for i, f := range c.fields {
		for _, place := range c.places[i] {
			n := el.At(place)
			if !n.Present() || el.Event.Has(f) {
				continue
			}
			set(el, f, n)
		}
	}
}

// set sets a field by the setter for the field's type.
func set(el *formats.Element, f schema.Field, n formats.Node) {
	switch f.Info().Type {
	case schema.TypeInt:
		el.CopyInt(f, n)
	case schema.TypeDouble:
		el.CopyDouble(f, n)
	case schema.TypeList:
		el.CopyList(f, n)
	case schema.TypeDyn:
		el.CopyUnwrapped(f, n)
	default:
		if f == schema.MessageContextPromptText || f == schema.MessageContextResponseText {
			el.SetContent(f, el.Text(n))
			return
		}
		el.CopyText(f, n)
	}
}

// either returns the first value that is present.
func either(el *formats.Element, places []int) formats.Node {
	for _, place := range places {
		if n := el.At(place); n.Present() {
			return n
		}
	}
	return formats.Node{}
}
