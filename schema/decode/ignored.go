package decode

import (
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// reading is the paths at which somebody looks, by key: what stands at the end of one is read, with all that is inside.
type reading struct {
	end   bool
	below map[string]*reading
}

// add adds a path.
func (r *reading) add(path ...string) {
	for _, key := range path {
		if r.below == nil {
			r.below = map[string]*reading{}
		}
		next := r.below[key]
		if next == nil {
			next = &reading{}
			r.below[key] = next
		}
		r = next
	}
	r.end = true
}

// readingOf returns where a format's reader, its detection and the rules look.
func (d *Decoder) readingOf(format int) *reading {
	r := &reading{}
	var p formats.Paths
	d.chosen[format].Open(&p)
	for _, path := range p.All() {
		r.add(path...)
	}
	for _, t := range d.chosen[format].Tells {
		for _, key := range t.Keys {
			r.add(key)
		}
	}
	for _, path := range d.raws {
		r.add(path...)
	}
	return r
}

// maxIgnored is how many ignored paths of an element are named: a person reads them.
const maxIgnored = 100

// ignored returns the paths of the values in an element at which nobody looks: of an object that is not looked into, its
// own, of others those of its members.
func (x *explainer) ignored(format int, src string) (paths []string) {
	if x.d.readings == nil {
		x.d.readings = map[int]*reading{}
	}
	r := x.d.readings[format]
	if r == nil {
		r = x.d.readingOf(format)
		x.d.readings[format] = r
	}
	v, err := scan.Valid(src)
	if err != nil {
		return nil
	}
	var arena scan.Arena
	var walk func(v scan.Span, r *reading, at string)
	walk = func(v scan.Span, r *reading, at string) {
		scan.Members(src, v, &arena, func(key string, member scan.Span) bool {
			next := r.below[key]
			switch {
			case next == nil:
				paths = append(paths, strings.Clone(at+key))
			case !next.end && member.Kind == scan.Object:
				walk(member, next, strings.Clone(at+key)+".")
			}
			return len(paths) < maxIgnored
		})
	}
	walk(v, r, "")
	return paths
}
