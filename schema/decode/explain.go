package decode

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Explanation says how one element of a record was read, or why it was not. It is for people, and costs allocations.
type Explanation struct {
	Index     int      // which element of the record
	Envelopes []string // what stood around it, from the outside in
	Format    string   // "" where none was told
	Named     bool     // the configuration names the format
	Keys      []string // the top-level keys that told it
	Where     string   // the text that told it too, as path = "text"
	Events    int
	Agent     Naming   // of its first event
	Ignored   []string // paths of the element's values at which nobody looks, 100 at most
	Faults    []string // fields whose value was of an impossible type, and what else was counted
	Twice     []string // keys that stood twice: the last value counts
	Dead      string   // the reason of its dead letter
	Near      string   // of an unknown format: the format that most of its keys are there of, and what it lacks
}

// Naming says what named an agent.
type Naming struct {
	UID    string // ai_agent.uid
	Source string // ai_agent.uid_source: the raw field
	Record string // ai_agent.uid as the record alone gives it, where an override or an alias made another of it
	Rung   string // "override", "record", "address" or "none"
}

// namingOf returns what named the event's agent; record is the uid that its reader gave it.
func namingOf(e *schema.Event, record string) Naming {
	n := Naming{UID: e.Text(schema.AIAgentUID), Source: e.Text(schema.AIAgentUIDSource), Rung: "record"}
	if record != n.UID {
		n.Record = record
	}
	switch {
	case n.UID == "":
		n.Rung = "none"
	case n.Source == OverrideRung:
		n.Rung = "override"
	case n.Source == formats.AddressRung:
		n.Rung = "address"
	}
	return n
}

// explainer gathers what Handler.Explain is told. It stands between the record and the handler.
type explainer struct {
	d     *Decoder
	now   Explanation
	to    func(*Explanation)
	emit  func(*schema.Event)
	fault func(dataset, name string)
	twice bool // what is counted now are keys that stand twice
}

// explain puts an explainer between the record and its handler.
func (d *Decoder) explain(h *Handler, emit func(*schema.Event)) *explainer {
	return &explainer{d: d, to: h.Explain, emit: emit, fault: h.FieldError}
}

func (x *explainer) event(e *schema.Event) {
	record := e.Text(schema.AIAgentUID)
	x.now.Events++
	if x.now.Events == 1 {
		x.now.Agent = namingOf(e, record)
		if x.d.finisher != nil {
			x.now.Agent = x.d.finisher.naming(e)
		}
	}
	if x.emit != nil {
		x.emit(e)
	}
}

// naming is namingOf an event that is not finished yet.
func (f *finisher) naming(e *schema.Event) Naming {
	uid, source := e.Value(schema.AIAgentUID), e.Value(schema.AIAgentUIDSource)
	_ = f.identify(e) // it is counted when the event is finished
	n := namingOf(e, uid.Text)
	e.Set(schema.AIAgentUID, uid)
	e.Set(schema.AIAgentUIDSource, source)
	return n
}

func (x *explainer) fieldError(dataset, name string) {
	if x.twice {
		x.now.Twice = append(x.now.Twice, strings.Clone(name))
	} else {
		x.now.Faults = append(x.now.Faults, strings.Clone(name))
	}
	if x.fault != nil {
		x.fault(dataset, name)
	}
}

// told notes the format of an element, and what told it.
func (x *explainer) told(format int, src string) {
	d := x.d
	x.now.Format, x.now.Named, x.now.Ignored = d.names[format], d.detector.fixed, x.ignored(format, src)
	for i := range d.detector.tells {
		t := &d.detector.tells[i]
		if t.format != format || !t.fits(src, d.found) {
			continue
		}
		x.now.Keys = t.names
		if t.where >= 0 {
			x.now.Where = fmt.Sprintf("%s = %q", strings.Join(t.path, "."), t.text)
		}
		return
	}
}

// unknown notes the format of which an element has the largest share of keys.
func (x *explainer) unknown(src string) {
	best := 0.0
	for i := range x.d.detector.tells {
		t := &x.d.detector.tells[i]
		var has, lacks []string
		for k, place := range t.keys {
			if x.d.found[place].Kind == scan.Absent {
				lacks = append(lacks, t.names[k])
			} else {
				has = append(has, t.names[k])
			}
		}
		share := float64(len(has)) / float64(len(t.names))
		if share <= best {
			continue
		}
		best = share
		x.now.Near = fmt.Sprintf("%s: it has %s, and lacks %s", x.d.names[t.format], strings.Join(has, ", "), strings.Join(lacks, ", "))
		if len(lacks) == 0 {
			x.now.Near = fmt.Sprintf("%s: it has %s, but %s is not %q", x.d.names[t.format], strings.Join(has, ", "), strings.Join(t.path, "."), t.text)
		}
	}
}

// done hands an explanation over.
func (x *explainer) done(index int, dead string) {
	x.now.Index, x.now.Dead = index, dead
	x.now.Envelopes = slices.Clone(x.d.trail[:min(x.d.depth, len(x.d.trail))])
	x.to(&x.now)
	x.now = Explanation{}
}

// step notes the name of the envelope that is peeled at a level.
func (d *Decoder) step(level int, name string) {
	if level < len(d.trail) {
		d.trail[level] = name
	}
}
