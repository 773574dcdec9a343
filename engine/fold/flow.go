package fold

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// flow is the kind of a flow whose labels may come in any order: an item that has a label triggers if the items of its
// window have enough different labels. An item that clears does so before its own labels count.
//
//	labels untrusted, private, egress; need all, within 1h
//
//	12:00  untrusted
//	12:10  private
//	12:20  egress             triggers
//	12:30  private            triggers again
//	13:05  egress             does not: untrusted is out of the window
//	13:10  untrusted          triggers: private is 40 minutes old
//	13:15  clear, untrusted   the other labels are gone, and untrusted is there
//
// State has the latest item of each label.
//
//	n         uvarint, at least 1
//	n events  in order: the labels whose latest item it is (uvarint, a bit for each), then the form of an event in latest.go
type flow struct {
	within time.Duration
	need   int
	labels labelSet
	clear  uint32 // the bit of the role that clears, 0 for none
}

func (p *Program) setFlow(w *rules.Flow) {
	p.unit, p.threshold = unitWhole, rules.DecimalUnits(int64(w.Need))
	labels, clear := labelSet(1)<<w.Labels-1, uint32(0)
	if w.Clear {
		clear = 1 << w.Labels
	}
	if w.Ordered {
		p.kind = &orderedFlow{within: w.Within, places: w.Labels, labels: labels, clear: clear}
		return
	}
	p.kind = flow{within: w.Within, need: w.Need, labels: labels, clear: clear}
}

// A labelSet is a set of labels: bit i is that of role i.
type labelSet uint32

// of returns the labels that an item has.
func (s labelSet) of(it *item.Item) labelSet { return labelSet(it.Roles) & s }

// step returns the index of the first label + 1.
func (s labelSet) step() int { return bits.TrailingZeros32(uint32(s)) + 1 }

func (s labelSet) len() int { return bits.OnesCount32(uint32(s)) }

// names returns the names of the labels.
func (s labelSet) names(r *rules.Rule) (names []string) {
	for i := range r.Roles {
		if s&(1<<i) != 0 {
			names = append(names, r.Roles[i].Name)
		}
	}
	return names
}

// labelsOf returns the labels of a group's first trigger, which are its detail: a uvarint.
func labelsOf(g *Group) labelSet {
	r := flat.NewReader([]byte(g.Detail))
	return labelSet(r.Uvarint())
}

// labelled is an event and the labels whose latest item it is.
type labelled struct {
	storedEvent
	labels labelSet
}

func (k flow) read(st []byte, events []labelled) (_ []labelled, ok bool) {
	if len(st) == 0 {
		return events, true
	}
	r := flat.NewReader(st)
	for range r.Count(1 + 8 + 1 + 16 + 1) {
		labels := labelSet(r.Uvarint())
		events = append(events, labelled{readStoredEvent(&r, labels.step()), labels})
	}
	return events, r.Done()
}

func (k flow) fold(s *scratch, st []byte, it *item.Item) {
	events, _ := k.read(st, s.labelled[:0])
	s.labelled = events
	labels := k.labels.of(it)
	kept, all := events[:0], labels
	for _, e := range events {
		e.labels &^= labels
		if it.Roles&k.clear == 0 && e.labels != 0 && it.Time.Since(e.time) < uint64(k.within) {
			e.step = e.labels.step()
			kept, all = append(kept, e), all|e.labels
		}
	}
	k.append(s, kept, labels, it)
	if labels == 0 || all.len() < k.need {
		return
	}
	s.events = s.events[:0]
	for i := range kept {
		s.events = append(s.events, kept[i].storedEvent)
	}
	met(s, it, labels.step(), all)
}

// append appends the State: the events, and the item if it has labels.
func (k flow) append(s *scratch, events []labelled, labels labelSet, it *item.Item) {
	n := len(events)
	if labels != 0 {
		n++
	}
	if n == 0 {
		return
	}
	s.state = binary.AppendUvarint(s.state, uint64(n))
	for i := range events {
		s.state = binary.AppendUvarint(s.state, uint64(events[i].labels))
		s.state = appendStoredEvent(s.state, &events[i].storedEvent)
	}
	if labels != 0 {
		s.state = binary.AppendUvarint(s.state, uint64(labels))
		s.state = appendItemEvent(s.state, it)
	}
}

// met triggers with the item, whose step is given, after s.events. labels are those of all of them.
func met(s *scratch, it *item.Item, step int, labels labelSet) {
	n := int64(labels.len())
	s.detail = binary.AppendUvarint(s.detail[:0], uint64(labels))
	tr := &s.trigger
	tr.fired, tr.time, tr.first, tr.item, tr.step = true, it.Time, it.Time, it, step
	if len(s.events) > 0 {
		tr.first = s.events[0].time
	}
	tr.count, tr.added, tr.value = n, 1, rules.DecimalUnits(n)
	tr.events, tr.joining, tr.detail = s.events, len(s.events), s.detail
}

func (k flow) span() time.Duration { return k.within }

func (k flow) expired(st []byte, w schema.Instant) bool {
	events, _ := k.read(st, nil)
	return len(events) == 0 || w.Reached(events[len(events)-1].time, k.within)
}

func (k flow) check(st []byte) bool {
	events, ok := k.read(st, nil)
	all := labelSet(0)
	for i, e := range events {
		ok = ok && e.labels != 0 && e.labels&^k.labels == 0 && e.labels&all == 0 && (i == 0 || events[i-1].time <= e.time)
		all |= e.labels
	}
	return ok && len(events) > 0
}

func (k flow) roles(g *Group) uint32 { return uint32(labelsOf(g)) }

func (k flow) explain(p *Program, g *Group) string {
	w := p.Rule.Flow
	text := fmt.Sprintf("the labels %s met within %s", strings.Join(labelsOf(g).names(p.Rule), ", "), durationText(w.Within))
	if w.Need < w.Labels {
		text += fmt.Sprintf(", the limit is %d of %d", w.Need, w.Labels)
	}
	return text
}

func (k flow) describe(st []byte, v *KeyView) {
	events, _ := k.read(st, nil)
	for i := range events {
		v.Labels += events[i].labels.len()
	}
	if n := len(events); n > 0 {
		v.setSpan(events[0].time, events[n-1].time)
	}
}
