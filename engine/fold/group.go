package fold

import (
	"encoding/binary"
	"strings"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// firstShown and lastShown are how many events a finding shows of its beginning and of its end.
	firstShown = 3
	lastShown  = 5
	maxShown   = firstShown + lastShown
)

// Group is the triggers of one group key in [Start, End), and what a finding says of them. It holds no pointers but in
// texts, so that an assignment copies it.
type Group struct {
	Version int   // the rule's, when the group was opened
	Start   int64 // the first trigger
	End     int64 // the watermark at which it is over
	First   int64 // the oldest event that the first trigger stood on
	Last    int64 // the last trigger
	Count   int64
	Value   rules.Decimal // the highest that a trigger saw
	// Known, From and Text: new_value only. How many others the key had when the first trigger's value came, since
	// when it was watched, and the value.
	Known int64
	From  int64
	Text  string
	Who   string // of the first trigger's event
	N     int    // how many of Shows there are
	Shows [maxShown]Shown

	// emitted: nothing has changed since Cut looked at it.
	emitted bool
}

// Shown is one event behind a group.
type Shown struct {
	Time     int64
	Role     uint16
	Step     int // place of the step in the rule + 1, 0 for none
	ID       schema.ID
	Evidence string
	borrowed bool // Evidence is an item's: see own
}

// compare is the total order of a rule's items.
func (s *Shown) compare(o *Shown) int {
	a, b := item.Item{Time: s.Time, Role: s.Role, ID: s.ID}, item.Item{Time: o.Time, Role: o.Role, ID: o.ID}
	return a.CompareEvent(&b)
}

// holds says whether a trigger at t is one of the group's. Triggers come in order.
func (g *Group) holds(t int64) bool { return t == g.Start || t < g.End }

// Show adds an event: none twice, in order, the first 3 and the last 5.
func (g *Group) Show(s Shown) {
	shows := g.Shows[:g.N]
	at := len(shows)
	for i := range shows {
		if shows[i].Time == s.Time && shows[i].ID == s.ID {
			return
		}
	}
	for at > 0 && s.compare(&shows[at-1]) < 0 {
		at--
	}
	switch {
	case g.N < maxShown:
		g.N++
		copy(g.Shows[at+1:g.N], g.Shows[at:])
	case at < firstShown: // the third goes
		copy(g.Shows[at+1:firstShown], g.Shows[at:])
	case at > firstShown: // the fourth goes
		copy(g.Shows[firstShown:], g.Shows[firstShown+1:at])
		at--
	default:
		return
	}
	g.Shows[at] = s
}

// own makes the group's events its own: what an item brought stands among the bytes of others, which the group outlives.
func (g *Group) own() {
	for i := range g.Shows[:g.N] {
		if s := &g.Shows[i]; s.borrowed {
			s.Evidence, s.borrowed = strings.Clone(s.Evidence), false
		}
	}
}

// trigger adds a trigger to the groups: to the last one, or to a new one.
func (p *Program) trigger(groups []Group, tr *trigger) []Group {
	n := len(groups)
	opens := n == 0 || !groups[n-1].holds(tr.time)
	views := tr.views[tr.own:]
	if opens {
		groups = append(groups, p.open(tr))
		n++
		views = tr.views
	} else {
		groups[n-1].join(tr)
	}
	g := &groups[n-1]
	g.emitted = false
	for i := range views {
		v := &views[i]
		g.Show(Shown{Time: v.time, Role: v.role, Step: v.step, ID: v.id, Evidence: string(v.evidence)})
	}
	if it := tr.item; it != nil {
		g.Show(Shown{Time: it.Time, Role: it.Role, Step: tr.step, ID: it.ID, Evidence: it.Evidence, borrowed: true})
	}
	return groups
}

// open returns the group that a trigger opens, without its events. A group outlives its items, whose bytes stand among
// those of others: what it keeps of them is a copy.
func (p *Program) open(tr *trigger) Group {
	g := Group{
		Version: p.Rule.Version,
		Start:   tr.time, End: p.groupEnd(tr.time), First: tr.first, Last: tr.time,
		Count: tr.count, Value: tr.value,
		Known: tr.known, From: tr.from, Text: strings.Clone(tr.text),
	}
	if tr.item != nil {
		g.Who = strings.Clone(item.SubjectOf(tr.item.Evidence))
	} else if n := len(tr.views); n > 0 {
		g.Who = string(item.SubjectOf(tr.views[n-1].evidence))
	}
	return g
}

// join counts a trigger in.
func (g *Group) join(tr *trigger) {
	g.Last = tr.time
	g.Count += tr.more
	if less(g.Value, tr.value) {
		g.Value = tr.value
	}
}

// appendGroup appends the group's flat form; cutGroup reads it. Part of the format of a cell:
//
//	version, count, known           uvarint
//	start, end, first, last, from   8 bytes big-endian
//	value                           16 bytes big-endian
//	text, who                       uvarint length and bytes
//	number of events                uvarint
//	per event: time, role, id, step (uvarint), evidence, as in latest.go
func appendGroup(dst []byte, g *Group) []byte {
	for _, n := range [...]int64{int64(g.Version), g.Count, g.Known} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	for _, t := range [...]int64{g.Start, g.End, g.First, g.Last, g.From, g.Value.Hi} {
		dst = flat.AppendInt64(dst, t)
	}
	dst = binary.BigEndian.AppendUint64(dst, g.Value.Lo)
	dst = flat.AppendText(dst, g.Text)
	dst = flat.AppendText(dst, g.Who)
	dst = binary.AppendUvarint(dst, uint64(g.N))
	for i := range g.N {
		s := &g.Shows[i]
		dst = flat.AppendInt64(dst, s.Time)
		dst = binary.AppendUvarint(dst, uint64(s.Role))
		dst = append(dst, s.ID[:]...)
		dst = binary.AppendUvarint(dst, uint64(s.Step))
		dst = flat.AppendText(dst, s.Evidence)
	}
	return dst
}

func cutGroup(r *flat.Reader) (g Group) {
	g.Version, g.Count, g.Known = int(r.Uvarint()), int64(r.Uvarint()), int64(r.Uvarint())
	g.Start, g.End, g.First, g.Last, g.From = r.Int64(), r.Int64(), r.Int64(), r.Int64(), r.Int64()
	g.Value.Hi, g.Value.Lo = r.Int64(), uint64(r.Int64())
	g.Text, g.Who = string(r.Text()), string(r.Text())
	g.N = r.Count(1)
	if g.N > maxShown || g.Count < 0 || g.Known < 0 || g.Version < 0 || g.Start > g.End {
		r.Fail()
		return Group{}
	}
	for i := range g.N {
		s := &g.Shows[i]
		s.Time, s.Role, s.ID = r.Int64(), uint16(r.Uvarint()), r.ID()
		s.Step, s.Evidence = int(r.Uvarint()), string(r.Text())
	}
	return g
}
