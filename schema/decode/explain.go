package decode

import (
	"fmt"
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Explanation describes how one element of a record was read, or why it was not. It is for display, and costs
// allocations.
type Explanation struct {
	Index      int      // of the element in its record
	Envelopes  []string // the names of the envelopes around it, from the outside in
	Format     string   // "" if it was not recognised
	Named      bool     // the configuration names the format
	Keys       []string // the top-level keys by which the format was recognised
	Where      string   // the text that the format also required, as path = "text"
	Events     int
	Agent      Naming   // of its first event
	Ignored    []string // paths of the element's values that are not read, 100 at most
	Faults     []string // fields whose value had an impossible type, and other field errors
	Duplicates []string // keys that occurred twice; the last value counts
	Dead       string   // the reason of its dead letter
	Near       string   // for an unknown format: the format with the largest share of its keys present, and the keys that are missing
}

// Naming describes how an agent was named.
type Naming struct {
	UID    string // ai_agent.uid
	Source string // ai_agent.uid_source, the raw field
	Record string // ai_agent.uid as the record alone gives it, if an override or an alias replaced it
	Rung   string // "override", "record", "address" or "none"
}

// namingOf returns the naming of the event's agent. recordUID is the uid that the reader set.
func namingOf(e *schema.Event, recordUID string) Naming {
	n := Naming{UID: e.Text(schema.AIAgentUID), Source: e.Text(schema.AIAgentUIDSource), Rung: "record"}
	if recordUID != n.UID {
		n.Record = recordUID
	}
	switch {
	case n.UID == "":
		n.Rung = "none"
	case n.Source == OverrideRung:
		n.Rung = "override"
	case n.Source == formats.UIDSourceAddress:
		n.Rung = "address"
	}
	return n
}

// explainer collects the explanation of the current element. It sits between the reader and the Handler.
type explainer struct {
	d          *Decoder
	current    Explanation
	report     func(*Explanation)
	emit       func(*schema.Event)
	fault      func(dataset, name string)
	duplicates bool // the faults reported now are keys that occur twice
}

// explain returns an explainer that passes everything on to h and emit.
func (d *Decoder) explain(h *Handler, emit func(*schema.Event)) *explainer {
	return &explainer{d: d, report: h.Explain, emit: emit, fault: h.FieldError}
}

func (x *explainer) event(e *schema.Event) {
	recordUID := e.Text(schema.AIAgentUID)
	x.current.Events++
	if x.current.Events == 1 {
		x.current.Agent = namingOf(e, recordUID)
		if x.d.finisher != nil {
			x.current.Agent = x.d.finisher.naming(e, &x.d.elem.Arena)
		}
	}
	if x.emit != nil {
		x.emit(e)
	}
}

// naming is like namingOf, for an event that has yet to be finished. It leaves the event unchanged.
func (f *finisher) naming(e *schema.Event, a *scan.Arena) Naming {
	uid, source, declared := e.Value(schema.AIAgentUID), e.Value(schema.AIAgentUIDSource), e.Value(schema.AIAgentDeclaredUID)
	_ = f.identify(e, a) // an error is reported when the event is finished
	n := namingOf(e, uid.Text)
	e.Set(schema.AIAgentUID, uid)
	e.Set(schema.AIAgentUIDSource, source)
	e.Set(schema.AIAgentDeclaredUID, declared)
	return n
}

func (x *explainer) fieldError(dataset, name string) {
	if x.duplicates {
		x.current.Duplicates = append(x.current.Duplicates, strings.Clone(name))
	} else {
		x.current.Faults = append(x.current.Faults, strings.Clone(name))
	}
	if x.fault != nil {
		x.fault(dataset, name)
	}
}

// recognised records the format of an element and the keys by which it was recognised.
func (x *explainer) recognised(format int, src string, v scan.Span) {
	d := x.d
	x.current.Format, x.current.Named, x.current.Ignored = d.names[format], d.detector.fixed, x.ignored(format, src, v)
	for i := range d.detector.sets {
		k := &d.detector.sets[i]
		if k.format != format || !k.fits(src, d.found) {
			continue
		}
		x.current.Keys = k.names
		if k.textPlace >= 0 {
			x.current.Where = fmt.Sprintf("%s = %q", strings.Join(k.path, "."), k.text)
		}
		return
	}
}

// unknown records the format whose keys the element has the largest share of.
func (x *explainer) unknown(src string) {
	near := x.d.nearest(src)
	if near == nil {
		return
	}
	x.current.Near = fmt.Sprintf("%s: it has %s, ", near.format, strings.Join(near.has, ", "))
	if near.why == "" && len(near.lacks) > 0 {
		x.current.Near += "and lacks " + strings.Join(near.lacks, ", ")
	} else {
		x.current.Near += near.missing()
	}
}

// done reports the explanation of the current element and starts the next one.
func (x *explainer) done(index int, dead string) {
	x.current.Index, x.current.Dead = index, dead
	x.current.Envelopes = x.d.envelopes()
	x.report(&x.current)
	x.current = Explanation{}
}

// layer is what surrounds an element at one level: an envelope, which is a level, and before it gzip and consecutive
// values, which are none.
type layer struct {
	name        string
	gzip, lines bool
}

// noteEnvelope records the name of the envelope that is peeled at a level.
func (d *Decoder) noteEnvelope(level int, name string) {
	if level < len(d.trail) {
		d.trail[level].name = name
	}
}

// envelopes returns the names of what surrounds the current element, from the outside.
func (d *Decoder) envelopes() (names []string) {
	for level := 0; level <= d.depth && level < len(d.trail); level++ {
		l := &d.trail[level]
		if l.gzip {
			names = append(names, "gzip")
		}
		if l.lines {
			names = append(names, "lines")
		}
		if level < d.depth {
			names = append(names, l.name)
		}
	}
	return names
}

// reading is a tree of the paths that are read, by key. The value at the end of a path is read with everything inside
// it.
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

// readingOf returns the paths that a format's reader, its detection and the rules read.
func (d *Decoder) readingOf(format int) *reading {
	r := &reading{}
	var p formats.Paths
	d.chosen[format].NewReader(&p)
	for _, path := range p.All() {
		r.add(path...)
	}
	for _, t := range d.chosen[format].Signatures {
		for _, key := range t.Keys {
			r.add(key)
		}
	}
	for _, path := range d.raws {
		r.add(path...)
	}
	return r
}

// maxIgnored is the number of ignored paths reported per element. They are for people to read.
const maxIgnored = 100

// ignored returns the paths of the values in the element at v that are not read. An object of which nothing is read counts as
// one value.
func (x *explainer) ignored(format int, src string, v scan.Span) (paths []string) {
	if x.d.readings == nil {
		x.d.readings = map[int]*reading{}
	}
	r := x.d.readings[format]
	if r == nil {
		r = x.d.readingOf(format)
		x.d.readings[format] = r
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
