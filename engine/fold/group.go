package fold

import (
	"encoding/binary"
	"strings"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// A finding shows at most maxEvents events: the first ones and the last ones.
const (
	firstEvents = 3
	lastEvents  = 5
	maxEvents   = firstEvents + lastEvents
)

// Group is the triggers of one group key in [Start, End), and the events that a finding shows of them. Its only pointers
// are those of strings, so an assignment copies it.
type Group struct {
	Version int            // the rule's version when the group was opened
	Start   schema.Instant // the first trigger
	End     schema.Instant // the watermark at which the group settles
	First   schema.Instant // the oldest event behind the first trigger
	Last    schema.Instant // the last trigger
	Count   int64
	Value   rules.Decimal // the highest value of a trigger, or the lowest: see Program.lowest
	// For new_value, at the first trigger: the number of other values that the key had, the time since which it was
	// watched, and the new value.
	Known      int64
	KnownSince schema.Instant
	Text       string
	// Detail is what the kind keeps to explain the first trigger, or a later one that amends it, in a flat form of the
	// kind's own; "" for none.
	Detail  string
	Subject string // flat, of the first trigger's event
	N       int    // the number of Events
	Events  [maxEvents]Event

	// emitted reports that the group has not changed since Emit emitted it.
	emitted bool
}

// Event is one event behind a group.
type Event struct {
	Time     schema.Instant
	Role     uint16
	Step     int // index of the step in the rule + 1, 0 for none
	ID       schema.ID
	Evidence string
	borrowed bool // Evidence shares memory with an item: see copyEvidence
}

// compare compares two events in the total order of items.
func (e *Event) compare(o *Event) int {
	a, b := item.Item{Time: e.Time, Role: e.Role, ID: e.ID}, item.Item{Time: o.Time, Role: o.Role, ID: o.ID}
	return a.CompareEvent(&b)
}

// contains reports whether a trigger at t belongs to the group. Triggers come in order.
func (g *Group) contains(t schema.Instant) bool { return t == g.Start || t < g.End }

// AddEvent adds an event in its place, unless the group has it. Of more than maxEvents events the first firstEvents and
// the last lastEvents stay.
func (g *Group) AddEvent(e Event) {
	events := g.Events[:g.N]
	at := len(events)
	for i := range events {
		if events[i].Time == e.Time && events[i].ID == e.ID {
			return
		}
	}
	for at > 0 && e.compare(&events[at-1]) < 0 {
		at--
	}
	switch {
	case g.N < maxEvents:
		g.N++
		copy(g.Events[at+1:g.N], g.Events[at:])
	case at < firstEvents: // the last of the first ones goes
		copy(g.Events[at+1:firstEvents], g.Events[at:])
	case at > firstEvents: // the first of the last ones goes
		copy(g.Events[firstEvents:], g.Events[firstEvents+1:at])
		at--
	default:
		return
	}
	g.Events[at] = e
}

// copyEvidence gives the group copies of the evidence that it borrowed from items: an item shares memory with many
// others, and the group outlives them.
func (g *Group) copyEvidence() {
	for i := range g.Events[:g.N] {
		if e := &g.Events[i]; e.borrowed {
			e.Evidence, e.borrowed = strings.Clone(e.Evidence), false
		}
	}
}

// addTrigger adds a trigger to the last group, or opens a group for it.
func (p *Program) addTrigger(groups []Group, tr *trigger) []Group {
	n := len(groups)
	events := tr.events[tr.joining:]
	if n == 0 || !groups[n-1].contains(tr.time) {
		groups = append(groups, p.openGroup(tr))
		n++
		events = tr.events
	} else {
		p.join(&groups[n-1], tr)
	}
	g := &groups[n-1]
	g.emitted = false
	for i := range events {
		e := &events[i]
		g.AddEvent(Event{Time: e.time, Role: e.role, Step: e.step, ID: e.id, Evidence: string(e.evidence)})
	}
	if it := tr.item; it != nil {
		g.AddEvent(Event{Time: it.Time, Role: it.Role, Step: tr.step, ID: it.ID, Evidence: it.Evidence, borrowed: true})
	}
	return groups
}

// openGroup returns the group that a trigger opens, without its events. The strings in it are copies, because the group
// outlives the item.
func (p *Program) openGroup(tr *trigger) Group {
	g := Group{
		Version:    p.Rule.Version,
		Start:      tr.time,
		End:        p.groupEnd(tr.time),
		First:      tr.first,
		Last:       tr.time,
		Count:      tr.count,
		Value:      tr.value,
		Known:      tr.known,
		KnownSince: tr.knownSince,
		Text:       strings.Clone(tr.text),
		Detail:     string(tr.detail),
	}
	if tr.item != nil {
		g.Subject = strings.Clone(item.SubjectOf(tr.item.Evidence))
	} else if n := len(tr.events); n > 0 {
		g.Subject = string(item.SubjectOf(tr.events[n-1].evidence))
	}
	return g
}

// join adds a trigger to an open group, without its events.
func (p *Program) join(g *Group, tr *trigger) {
	g.Last = tr.time
	if p.latestCount {
		g.Count = tr.count
	} else {
		g.Count += tr.added
	}
	if tr.amends {
		g.Detail = string(tr.detail)
	}
	low, high := g.Value, tr.value
	if high.Less(low) {
		low, high = high, low
	}
	if p.lowest {
		high = low
	}
	g.Value = high
}

// detailFollows is added to the number of events of a group that has a detail. Earlier versions had no details.
const detailFollows = 16

// appendGroup appends the group's flat form; readGroup reads it. Part of the format of a cell:
//
//	version, count, known                  uvarint
//	start, end, first, last, known since   8 bytes big-endian
//	value                                  16 bytes big-endian
//	text, subject                          uvarint length and bytes
//	number of events                       uvarint, plus detailFollows if there is a detail
//	per event: time, role, id, step (uvarint), evidence, as in latest.go
//	detail                                 uvarint length and bytes, if there is one
func appendGroup(dst []byte, g *Group) []byte {
	for _, n := range [...]int64{int64(g.Version), g.Count, g.Known} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	for _, t := range [...]schema.Instant{g.Start, g.End, g.First, g.Last, g.KnownSince} {
		dst = flat.AppendInstant(dst, t)
	}
	dst = flat.AppendInt64(dst, g.Value.Hi)
	dst = binary.BigEndian.AppendUint64(dst, g.Value.Lo)
	dst = flat.AppendText(dst, g.Text)
	dst = flat.AppendText(dst, g.Subject)
	n := uint64(g.N)
	if g.Detail != "" {
		n += detailFollows
	}
	dst = binary.AppendUvarint(dst, n)
	for i := range g.N {
		e := &g.Events[i]
		dst = flat.AppendInstant(dst, e.Time)
		dst = binary.AppendUvarint(dst, uint64(e.Role))
		dst = append(dst, e.ID[:]...)
		dst = binary.AppendUvarint(dst, uint64(e.Step))
		dst = flat.AppendText(dst, e.Evidence)
	}
	if g.Detail != "" {
		dst = flat.AppendText(dst, g.Detail)
	}
	return dst
}

func readGroup(r *flat.Reader) (g Group) {
	g.Version, g.Count, g.Known = int(r.Uvarint()), int64(r.Uvarint()), int64(r.Uvarint())
	g.Start, g.End, g.First, g.Last, g.KnownSince = r.Instant(), r.Instant(), r.Instant(), r.Instant(), r.Instant()
	g.Value.Hi, g.Value.Lo = r.Int64(), r.Uint64()
	g.Text, g.Subject = string(r.Text()), string(r.Text())
	n := r.Uvarint()
	g.N = int(n &^ detailFollows)
	if n&^detailFollows > maxEvents || g.Count < 0 || g.Known < 0 || g.Version < 0 || g.Start > g.End {
		r.Fail()
		return Group{}
	}
	for i := range g.N {
		e := &g.Events[i]
		e.Time, e.Role, e.ID = r.Instant(), uint16(r.Uvarint()), r.ID()
		e.Step, e.Evidence = int(r.Uvarint()), string(r.Text())
	}
	if n&detailFollows != 0 {
		g.Detail = string(r.Text())
	}
	return g
}
