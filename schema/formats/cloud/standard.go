package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// pass is a field that an event of a standard holds already: where it stands, in the order of trust.
type pass struct {
	field schema.Field
	paths []string // dotted
}

// passes copies fields of one standard.
type passes struct {
	fields []schema.Field
	places [][]int
}

// newPasses adds the paths. Where flat is given, a path may also be one dotted key.
func newPasses(p *formats.Paths, list []pass, flat bool) passes {
	var made passes
	for _, one := range list {
		var places []int
		for _, path := range one.paths {
			places = append(places, addPath(p, path, flat)...)
		}
		made.fields = append(made.fields, one.field)
		made.places = append(made.places, places)
	}
	return made
}

// addPath adds a dotted path as nested keys, and as one key.
func addPath(p *formats.Paths, path string, flat bool) []int {
	places := []int{p.Add(strings.Split(path, ".")...)}
	if flat && strings.Contains(path, ".") {
		places = append(places, p.Add(path))
	}
	return places
}

// read sets the fields that are there.
func (l *passes) read(r *formats.Record) {
	for i, f := range l.fields {
		for _, place := range l.places[i] {
			n := r.At(place)
			if !n.Present() || r.Event.Has(f) {
				continue
			}
			set(r, f, n)
		}
	}
}

// set sets a field by its type.
func set(r *formats.Record, f schema.Field, n formats.Node) {
	switch f.Info().Type {
	case schema.TypeInt:
		r.SetInt(f, n)
	case schema.TypeDouble:
		r.SetDouble(f, n)
	case schema.TypeList:
		r.SetList(f, n)
	case schema.TypeDyn:
		r.SetDyn(f, n)
	default:
		if f == schema.MessageContextPromptText || f == schema.MessageContextResponseText {
			r.SetContent(f, r.Text(n))
			return
		}
		r.SetText(f, n)
	}
}

// either returns the first value that is there.
func either(r *formats.Record, places []int) formats.Node {
	for _, place := range places {
		if n := r.At(place); n.Present() {
			return n
		}
	}
	return formats.Node{}
}
